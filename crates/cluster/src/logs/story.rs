//! What a container that pretends would have written: the Pod's own story, a line for each thing that became of it.

use jiff::Timestamp;
use serde_json::Value;

use super::Asked;
use crate::kinds;
use crate::objects::Objects;
use crate::runtime::Line;

/// The lines in the order of their times.
pub(super) fn lines(objects: &Objects, pod: &Value, asked: &Asked<'_>) -> Vec<Line> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uid = &pod["metadata"]["uid"];
    let ns = pod["metadata"]["namespace"].as_str();
    let events = objects.list(kinds::EVENT, ns);
    let events = events.filter(|(_, event)| event["involvedObject"]["uid"] == *uid);
    let mut lines: Vec<_> = events
        .map(|(_, event)| {
            let what = format!("{}: {}", text(&event["reason"]), text(&event["message"]));
            line(&event["lastTimestamp"], &what)
        })
        .collect();
    for state in [&asked.status["lastState"], &asked.status["state"]] {
        let container = asked.container;
        let (running, ended) = (&state["running"], &state["terminated"]);
        if running["startedAt"].is_string() {
            let what = format!("container {container} runs, in pretence: no program does");
            lines.push(line(&running["startedAt"], &what));
        }
        if let Some(code) = ended["exitCode"].as_i64() {
            let what =
                format!("container {container} has ended, in pretence, with exit code {code}");
            lines.push(line(&ended["finishedAt"], &what));
        }
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// A line of a time as objects have it; what has none was before all others.
fn line(time: &Value, what: &str) -> Line {
    let at = time.as_str().and_then(|time| time.parse().ok());
    Line {
        at: at.unwrap_or(Timestamp::MIN),
        text: format!("{what}\n").into(),
    }
}

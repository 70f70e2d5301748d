//! Indexed Jobs: a Pod for each number, which is its hostname's end and in its environment (KEP-2214).

use std::collections::BTreeSet;

use headless_objects::object::{array, has_ended, is_ending, name};
use serde_json::{Value, json};

use super::super::spec_number;
use super::Look;

/// The annotation and the label of a Pod that say which number it has.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// What a Pod's programs read their number from.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

pub(super) fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

fn index_of(pod: &Value) -> Option<i64> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

/// The most numbers that are told apart: a status may be written by anybody.
const MOST: i64 = 1_000_000;

/// The numbers of `1,3-5` below `most`.
fn parse(text: &str, most: i64) -> BTreeSet<i64> {
    let last = most.min(MOST) - 1;
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
            all.extend(from.max(0)..=to.min(last));
        }
    }
    all
}

/// The numbers as `1,3-5`: what follows one on another is written as its ends, two of them with a comma.
fn text(numbers: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *number => *end = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(from, to): &(i64, i64)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

/// Notes which numbers have succeeded; their count is what the Job counts.
pub(super) fn note(look: &Look<'_>, status: &mut Value) {
    let most = spec_number(look.job, "completions", 0);
    let mut done = parse(
        status["completedIndexes"].as_str().unwrap_or_default(),
        most,
    );
    let succeeded = look
        .pods
        .iter()
        .filter(|(_, pod)| pod["status"]["phase"] == "Succeeded");
    done.extend(succeeded.filter_map(|(_, pod)| index_of(pod)));
    done.retain(|index| *index < most);
    if !done.is_empty() {
        status["succeeded"] = super::count(done.len()).into();
        status["completedIndexes"] = text(&done).into();
    }
}

/// Pods of the first numbers that are neither done nor under way.
pub(super) fn pods(look: &Look<'_>, status: &Value, (pod, many): (&Value, usize)) -> Vec<Value> {
    let most = spec_number(look.job, "completions", 0);
    let mut taken = parse(
        status["completedIndexes"].as_str().unwrap_or_default(),
        most,
    );
    let active = look
        .pods
        .iter()
        .filter(|(_, pod)| !has_ended(pod) && !is_ending(pod));
    taken.extend(active.filter_map(|(_, pod)| index_of(pod)));
    let free = (0..most).filter(|index| !taken.contains(index)).take(many);
    free.map(|index| indexed(pod, name(look.job), index))
        .collect()
}

fn indexed(pod: &Value, job: &str, index: i64) -> Value {
    let mut pod = pod.clone();
    let meta = &mut pod["metadata"];
    meta["annotations"][INDEX] = index.to_string().into();
    meta["labels"][INDEX] = index.to_string().into();
    meta["generateName"] = super::super::pod_prefix(&format!("{job}-{index}")).into();
    let spec = &mut pod["spec"];
    spec["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mut all: Vec<_> = array(&container["env"]).cloned().collect();
            if all.iter().all(|there| there["name"] != VARIABLE) {
                all.push(variable.clone());
            }
            container["env"] = all.into();
        }
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_runs_and_read_again() {
        for written in ["", "0", "0,1", "0-2,4", "1,3-5,7,8"] {
            assert_eq!(text(&parse(written, 100)), written);
        }
    }
}

//! Logs of containers: what their programs have written, or, where Pods pretend, the Pod's own story.

mod story;

use std::convert::Infallible;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;
use serde_json::Value;

use super::call::{self, Body, Call};
use super::objects::Key;
use super::request::Parameters;
use super::runtime::{Line, Log, Place};
use super::shared::Shared;
use super::state::State;
use super::status::ApiStatus;
use headless_objects::object::{container_statuses, name, uid};

/// A container that is asked for.
pub(super) struct Asked<'a> {
    pub(super) container: &'a str,
    pub(super) status: &'a Value,
}

/// Answers `GET …/pods/NAME/log`.
///
/// # Errors
/// 404: no such Pod; 400: which container, one that the Pod has not, one that has not run; an option that cannot be read.
pub(super) fn answer(
    shared: &Shared,
    (key, call): (&Key, &Call),
) -> Result<Response<Body>, ApiStatus> {
    let wanted = Wanted::of(&call.parameters, shared.now())?;
    let state = shared.read();
    let pod = state.get(key)?;
    let asked = asked(pod, call.parameters.text("container"))?;
    let previous = call.parameters.flag("previous");
    let log = match &shared.runtime {
        Some(runtime) => {
            let (place, missing) = (place(pod, &asked), missing(pod, &asked, previous));
            // There may be megabytes to copy: nobody else waits for that.
            drop(state);
            runtime.log(&place, previous).ok_or(missing)?
        }
        None => {
            let log = story(&state, pod, &asked, previous)?;
            drop(state);
            log
        }
    };
    let mut lines = log.lines;
    lines.retain(|line| line.at >= wanted.since);
    if let Some(tail) = wanted.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let lines = stream::iter(lines);
    let body = if call.parameters.flag("follow") {
        body(lines.chain(log.more), wanted)
    } else {
        body(lines, wanted)
    };
    Ok(call::stream(StatusCode::OK, "text/plain", body))
}

/// Whose log it is.
fn place(pod: &Value, asked: &Asked<'_>) -> Place {
    Place {
        pod: uid(pod).to_owned(),
        container: asked.container.to_owned(),
    }
}

/// Why a program has written nothing: there was none.
fn missing(pod: &Value, asked: &Asked<'_>, previous: bool) -> ApiStatus {
    if previous {
        return no_previous(asked.container, name(pod));
    }
    let reason = asked.status["state"]["waiting"]["reason"].as_str();
    waiting(asked.container, name(pod), reason.unwrap_or(CREATING))
}

/// What a container that pretends would have written, from the objects there are.
fn story(state: &State, pod: &Value, asked: &Asked<'_>, previous: bool) -> Result<Log, ApiStatus> {
    if previous && !asked.status["lastState"]["terminated"].is_object() {
        return Err(no_previous(asked.container, name(pod)));
    }
    if let Some(reason) = waits(asked.status) {
        return Err(waiting(asked.container, name(pod), reason));
    }
    Ok(Log {
        lines: story::lines(&state.objects, pod, asked),
        more: stream::empty().boxed(),
    })
}

/// The container that a request means: the Pod's only one, where it names none.
///
/// # Errors
/// 400: which container, or one that the Pod has not.
pub(super) fn asked<'a>(pod: &'a Value, wanted: &str) -> Result<Asked<'a>, ApiStatus> {
    let names = |list: &str| -> Vec<&'a str> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|container| container["name"].as_str())
            .collect()
    };
    let (inits, containers) = (names("initContainers"), names("containers"));
    let ephemeral = names("ephemeralContainers");
    let container = match (wanted, &containers[..]) {
        ("", [only]) => only,
        ("", _) => {
            let mut choice = format!("choose one of: [{}]", containers.join(" "));
            if !inits.is_empty() {
                choice.push_str(&format!(
                    " or one of the init containers: [{}]",
                    inits.join(" ")
                ));
            }
            return Err(ApiStatus::bad_request(format!(
                "a container name must be specified for pod {}, {choice}",
                name(pod)
            )));
        }
        (wanted, _) => inits
            .iter()
            .chain(&containers)
            .chain(&ephemeral)
            .find(|c| **c == wanted)
            .ok_or_else(|| {
                ApiStatus::bad_request(format!(
                    "container {wanted} is not valid for pod {}",
                    name(pod)
                ))
            })?,
    };
    let status = container_statuses(pod).find(|status| status["name"] == *container);
    Ok(Asked {
        container,
        status: status.unwrap_or(&Value::Null),
    })
}

/// Why a container waits that nothing is said of yet.
const CREATING: &str = "ContainerCreating";

/// 400: there was no run before.
fn no_previous(container: &str, pod: &str) -> ApiStatus {
    ApiStatus::bad_request(format!(
        "previous terminated container \"{container}\" in pod \"{pod}\" not found"
    ))
}

/// 400: there is no run yet.
fn waiting(container: &str, pod: &str, reason: &str) -> ApiStatus {
    ApiStatus::bad_request(format!(
        "container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}"
    ))
}

/// Why a container has not been started; `None`: it has, now or before.
fn waits(status: &Value) -> Option<&str> {
    if status.is_null() {
        return Some(CREATING);
    }
    let reason = status["state"]["waiting"]["reason"].as_str()?;
    status["lastState"]["terminated"]
        .is_null()
        .then_some(reason)
}

/// What of a log is wanted (`PodLogOptions`).
#[derive(Debug, PartialEq)]
struct Wanted {
    since: Timestamp,
    tail: Option<usize>,
    limit: usize,
    stamped: bool,
}

impl Wanted {
    fn of(parameters: &Parameters, now: Timestamp) -> Result<Self, ApiStatus> {
        let number = |name: &str| match parameters.text(name) {
            "" => Ok(None),
            text => text.parse::<u64>().map(Some).map_err(|_| {
                ApiStatus::bad_request(format!(
                    "{name}: a number that is not negative was expected, and not {text:?}"
                ))
            }),
        };
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let seconds = number("sinceSeconds")?;
        let since = match (seconds, parameters.text("sinceTime")) {
            (Some(seconds), _) => now
                .checked_sub(Duration::from_secs(seconds))
                .unwrap_or(Timestamp::MIN),
            (None, "") => Timestamp::MIN,
            (None, time) => time.parse().map_err(|_| {
                ApiStatus::bad_request(format!(
                    "sinceTime: an RFC 3339 time was expected, and not {time:?}"
                ))
            })?,
        };
        Ok(Self {
            since,
            tail: number("tailLines")?.map(size),
            limit: number("limitBytes")?.map_or(usize::MAX, size),
            stamped: parameters.flag("timestamps"),
        })
    }

    fn shown(&self, line: &Line) -> Bytes {
        if !self.stamped {
            return line.text.clone();
        }
        let mut whole = BytesMut::new();
        whole.put(format!("{:.9} ", line.at).as_bytes());
        whole.put(&line.text[..]);
        whole.freeze()
    }
}

fn body(lines: impl Stream<Item = Line> + Send + 'static, wanted: Wanted) -> Body {
    let limit = wanted.limit;
    let pieces = lines.map(move |line| wanted.shown(&line));
    let limited = pieces.scan(limit, |left, mut piece| {
        let more = *left > 0;
        piece.truncate(*left);
        *left -= piece.len();
        std::future::ready(more.then_some(piece))
    });
    let frames = limited.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, String> {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        Wanted::of(&Parameters::parse(query), now).map_err(|status| status.message)
    }

    #[test]
    fn what_is_wanted_of_a_log_is_read() {
        let since = "2026-01-01T00:00:50Z".parse().unwrap();
        let read = Wanted {
            since,
            tail: Some(3),
            limit: 100,
            stamped: true,
        };
        let query = "sinceSeconds=10&tailLines=3&limitBytes=100&timestamps=true";
        assert_eq!(wanted(query), Ok(read));
        assert_eq!(
            wanted("sinceTime=2026-01-01T00:00:50Z").unwrap().since,
            since
        );
        let refused = "tailLines: a number that is not negative was expected, and not \"-2\"";
        assert_eq!(wanted("tailLines=-2"), Err(refused.into()));
        assert!(wanted("sinceTime=now").is_err());
    }

    #[tokio::test]
    async fn lines_are_cut_where_the_limit_is_and_have_their_times() {
        let at = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let line = |text: &'static str| Line {
            at,
            text: text.into(),
        };
        let show = async |query: &str| {
            let lines = stream::iter([line("one\n"), line("two\n"), line("three\n")]);
            let body = body(lines, wanted(query).unwrap());
            body.collect().await.unwrap().to_bytes()
        };
        assert_eq!(show("limitBytes=6").await, "one\ntw");
        let stamped = show("timestamps=1&limitBytes=35").await;
        assert_eq!(stamped, "2026-01-01T00:00:00.500000000Z one\n");
    }
}

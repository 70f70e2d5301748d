//! Logs of containers whose programs run.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;

use super::call::{self, Body, Call};
use super::logs;
use super::objects::Key;
use super::request::Parameters;
use super::runtime::{Line, Place, Runtime};
use super::shared::Shared;
use super::status::ApiStatus;
use headless_objects::object::uid;

/// Answers `GET …/pods/NAME/log`.
///
/// # Errors
/// 404: no such Pod; 400: which container, one that the Pod has not, one that has not run.
pub(super) fn answer(
    shared: &Shared,
    runtime: &dyn Runtime,
    (key, call): (&Key, &Call),
) -> Result<Response<Body>, ApiStatus> {
    let state = shared.read();
    let pod = state.get(key)?;
    let container = logs::asked(pod, call.parameters.text("container"))?;
    let place = Place {
        pod: uid(pod).to_owned(),
        container: container.container.to_owned(),
    };
    let waits = container.status["state"]["waiting"]["reason"].as_str();
    let waits = waits.unwrap_or("ContainerCreating").to_owned();
    drop(state);
    let previous = call.parameters.flag("previous");
    let log = runtime.log(&place, previous).ok_or_else(|| {
        let name = &place.container;
        if previous {
            logs::no_previous(name, &key.name)
        } else {
            logs::waiting(name, &key.name, &waits)
        }
    })?;
    let wanted = Wanted::of(&call.parameters, shared.now())?;
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

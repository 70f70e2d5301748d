//! What changes, told as it comes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};

use super::{Known, event, written};

/// Between two messages: what changes meanwhile is told together.
const PAUSE: Duration = Duration::from_millis(250);

/// A sign of life where nothing changes, so that whoever stands in between keeps the connection.
const QUIET: Duration = Duration::from_secs(15);

/// Changes in a message: the last ones.
const EVENTS: usize = 50;

/// Messages that nobody has taken yet: who is slower is told less often, and of the last changes.
const WAITING: usize = 1;

/// Tells somebody: first the last changes that there were, with the time at which the history `begins`; then what
/// changes, until nobody listens.
pub(super) fn tell(known: Arc<Known>) -> Receiver<String> {
    let (told, messages) = channel(WAITING);
    tokio::spawn(telling(known, told));
    messages
}

async fn telling(known: Arc<Known>, told: Sender<String>) {
    let mut changed = known.changed.subscribe();
    let mut seen = None;
    loop {
        changed.mark_unchanged();
        let (message, recorded) = message(&known, seen);
        seen = Some(recorded);
        if told.send(message).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
        loop {
            let next = tokio::select! {
                () = told.closed() => return,
                next = timeout(QUIET, changed.changed()) => next,
            };
            match next {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) if told.send(String::new()).await.is_err() => return,
                Err(_) => {}
            }
        }
    }
}

/// What was recorded after so many changes, and how many have been recorded by now.
fn message(known: &Known, seen: Option<u64>) -> (String, u64) {
    let history = known.history();
    let recorded = history.recorded();
    let new = usize::try_from(recorded - seen.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut events: Vec<_> = history
        .entries()
        .rev()
        .take(new.min(EVENTS))
        .map(event)
        .collect();
    events.reverse();
    let begins = seen.is_none().then(|| written(history.begins()));
    drop(history);
    let more = new - events.len();
    let message = json!({
        "synced": known.zone.synced(), "services": known.services(), "begins": begins, "more": more, "events": events,
    });
    (message.to_string(), recorded)
}

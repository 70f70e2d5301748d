//! What changes, told as it comes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Known, event, written};
use crate::api::Away;

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
    let mut beside = known.beside.as_ref().map(|beside| beside.changed.clone());
    let mut seen = None;
    loop {
        changed.mark_unchanged();
        if let Some(beside) = &mut beside {
            beside.mark_unchanged();
        }
        let (message, recorded) = message(&known, seen);
        seen = Some(recorded);
        if told.send(message).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
        loop {
            let next = tokio::select! {
                () = told.closed() => return,
                next = timeout(QUIET, next(&mut changed, &mut beside)) => next,
            };
            match next {
                Ok(true) => break,
                Ok(false) => return,
                Err(_) if told.send(String::new()).await.is_err() => return,
                Err(_) => {}
            }
        }
    }
}

/// Waits until names change, or what is told beside them; whether there will be more.
async fn next(
    changed: &mut watch::Receiver<u64>,
    beside: &mut Option<watch::Receiver<u64>>,
) -> bool {
    let beside = async {
        match beside {
            Some(beside) => beside.changed().await.is_ok(),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        next = changed.changed() => next.is_ok(),
        next = beside => next,
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
        "synced": known.zone.synced(), "away": away(known), "services": known.services(), "begins": begins, "more": more,
        "events": events, "cluster": known.beside.as_ref().map(|beside| *beside.changed.borrow()),
    });
    (message.to_string(), recorded)
}

/// Since when the API server does not deliver, or not all, and why; nothing where it does.
fn away(known: &Known) -> Value {
    let away = known.away.borrow();
    let Some(Away { since, whole, why }) = &*away else {
        return Value::Null;
    };
    let ago = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
    let since = Timestamp::now().as_microsecond().saturating_sub(ago);
    json!({"since": written(since), "why": why, "whole": whole})
}

//! One watch, for ever: kube's watcher, with the traps around it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::core::Status;
use kube::runtime::watcher::{self, InitialListStrategy};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::debug;

use super::backoff::Backoff;
use super::connection::Connection;
use super::wire::{Shape, Wire, key_of};
use crate::api;
use crate::store::{Event, Watched};

/// Where a watch's events go.
pub(super) struct Feed {
    pub(super) watched: Watched,
    pub(super) shape: Shape,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) connection: Arc<Connection>,
}

/// How long the server may leave a watch open. A connection that died in silence is noticed five seconds after this.
const WATCH_TIMEOUT: u32 = 60;

/// Silence that no failed connection keeps: longer than one may take to be made.
const QUIET: Duration = Duration::from_secs(6);

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Let the watcher go on; wait this long, where the server said so.
    Retry(Option<Duration>),
    /// Begin anew with a plain list: the server does not stream them.
    ListInstead,
    /// Begin anew: the watcher would repeat the same request for ever.
    Restart,
}

/// Watches until nobody takes events any more.
pub(super) async fn run<K>(client: Client, config: watcher::Config, feed: Feed)
where
    K: Wire + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut config = config.timeout(WATCH_TIMEOUT);
    let mut backoff = Backoff::default();
    loop {
        let stream = watcher::watcher(Api::<K>::all(client.clone()), config.clone()).boxed();
        match follow(stream, &config, &feed, &mut backoff).await {
            None => return,
            Some(Remedy::ListInstead) => {
                config.initial_list_strategy = InitialListStrategy::ListWatch
            }
            Some(Remedy::Restart | Remedy::Retry(_)) => {}
        }
    }
}

/// Passes events on until the watcher must be made anew; `None`: nobody listens.
async fn follow<K>(
    mut stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Unpin,
    config: &watcher::Config,
    feed: &Feed,
    backoff: &mut Backoff,
) -> Option<Remedy>
where
    K: Wire + Resource<DynamicType = ()>,
{
    while let Some(next) = next_or_quiet(&mut stream, feed).await {
        let error = match next {
            Ok(event) => {
                // A list that begins has delivered nothing yet.
                if !matches!(event, watcher::Event::Init) {
                    backoff.reset();
                    feed.connection.works(feed.watched);
                }
                if let Some(event) = translate(feed, event) {
                    feed.events.send(event).await.ok()?;
                }
                continue;
            }
            Err(error) => error,
        };
        let remedy = remedy(&error, config);
        debug!(watched = ?feed.watched, %error, ?remedy, "watch failed");
        let asked = match remedy {
            Remedy::ListInstead => return Some(remedy),
            Remedy::Restart => None,
            Remedy::Retry(asked) => asked,
        };
        feed.connection.failed(feed.watched, explained(&error));
        tokio::time::sleep(backoff.next(rand::random(), asked)).await;
        if remedy == Remedy::Restart {
            return Some(remedy);
        }
    }
    Some(Remedy::Restart)
}

/// The watcher's next event. One that is silent for a while has its connection: kube says nothing of a watch that was
/// opened again.
async fn next_or_quiet<T>(stream: &mut (impl Stream<Item = T> + Unpin), feed: &Feed) -> Option<T> {
    if let Ok(next) = tokio::time::timeout(QUIET, stream.next()).await {
        return next;
    }
    feed.connection.works(feed.watched);
    stream.next().await
}

fn translate<K: Wire + Resource>(feed: &Feed, event: watcher::Event<K>) -> Option<Event> {
    let watched = feed.watched;
    match event {
        watcher::Event::Init => Some(Event::Reset(watched)),
        watcher::Event::InitDone => Some(Event::Synced(watched)),
        watcher::Event::Delete(object) => Some(Event::Delete(watched, key_of(object.meta()))),
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            Some(match object.fact(watched, feed.shape) {
                Some((key, fact)) => Event::Apply(watched, key, fact),
                None => Event::Confirm(watched, key_of(object.meta())),
            })
        }
    }
}

/// One line for a person.
fn explained(error: &watcher::Error) -> String {
    match error {
        watcher::Error::WatchStartFailed(error)
        | watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchFailed(error) => api::explain(error),
        watcher::Error::WatchError(status) => api::explain_status(status),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        watcher::Error::WatchStartFailed(_)
        | watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

fn remedy(error: &watcher::Error, config: &watcher::Config) -> Remedy {
    let streaming = config.initial_list_strategy == InitialListStrategy::StreamingList;
    let status = status(error);
    let starting = matches!(error, watcher::Error::WatchStartFailed(_));
    match status.map(|status| status.code) {
        // A server without streaming lists says 400, 403 or 422, and kube would ask the same again.
        Some(400 | 403 | 422) if starting && streaming => Remedy::ListInstead,
        // As an HTTP status, 410 leaves kube's watcher where it is; as an event it lists again by itself.
        Some(410) if starting => Remedy::Restart,
        Some(_) | None => Remedy::Retry(status.and_then(retry_after)),
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, retry_after_seconds: u32) -> kube::Error {
        let status = serde_json::json!({"code": code, "details": {"retryAfterSeconds": retry_after_seconds}});
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn each_trap_of_the_watcher_has_its_remedy() {
        let streaming = watcher::Config::default().streaming_lists();
        let listing = watcher::Config::default();
        let start = watcher::Error::WatchStartFailed;
        for code in [400, 403, 422] {
            assert_eq!(
                remedy(&start(api(code, 0)), &streaming),
                Remedy::ListInstead,
                "{code}"
            );
            assert_eq!(
                remedy(&start(api(code, 0)), &listing),
                Remedy::Retry(None),
                "{code}"
            );
        }
        assert_eq!(remedy(&start(api(410, 0)), &streaming), Remedy::Restart);
        assert_eq!(
            remedy(&start(api(429, 2)), &streaming),
            Remedy::Retry(Some(Duration::from_secs(2)))
        );
        assert_eq!(
            remedy(&watcher::Error::NoResourceVersion, &listing),
            Remedy::Retry(None)
        );
    }
}

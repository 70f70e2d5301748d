//! One list and watch, for ever: kube's watcher, with the traps around it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use kube::api::ObjectMeta;
use kube::core::Status;
use kube::runtime::watcher::{self, InitialListStrategy};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::doubt::Doubt;
use super::readable::{Readable, Unreadable};
use super::renewing::has_left;
use super::watch_client::watch_client;
use super::{explain, explain_status};

/// How long the server may leave a watch open, in seconds. A watch that died in silence, as behind a proxy that stalls,
/// is noticed soon after this; bookmarks would tell later, as a real API server sends one a minute.
const WATCH_TIMEOUT: u32 = 10;

/// How often in a row a server may leave the connection before that is a failure.
const LEAVES: u32 = 8;

/// How many unreadable objects are logged by name; of further ones only that there are more.
const TOLD: usize = 1000;

/// What a watch saw.
#[derive(Clone, Debug)]
pub enum Event<K> {
    /// A full list begins.
    Reset,
    /// The object is there, and is this.
    Apply(K),
    /// The object is there, and cannot be read: that has been said.
    Unreadable(ObjectMeta),
    /// The object is gone.
    Delete(ObjectMeta),
    /// The full list is complete: what it did not have is gone.
    Synced,
}

/// Why a watch does not work at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One line for a person.
    pub reason: String,
    /// The API server refuses it: a right is missing.
    pub denied: bool,
}

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Let the watcher go on; wait this long, where the server said so.
    Retry(Option<Duration>),
    /// Begin anew with a plain list: the server does not stream them.
    ListInstead,
    /// Begin anew with a list: there is no way on from where the watch was.
    Restart,
}

/// A watch under way.
struct Watching<K: Resource> {
    api: Api<Readable<K>>,
    /// The kind's name.
    kind: String,
    config: watcher::Config,
    events: BoxStream<'static, watcher::Result<watcher::Event<Readable<K>>>>,
    /// What cannot be read, by namespace and name.
    unreadable: BTreeSet<(Option<String>, Option<String>)>,
    backoff: Backoff,
    /// Before the next try.
    wait: Duration,
    restart: bool,
    /// It was begun anew, and has delivered nothing since.
    restarted: bool,
    /// How often in a row the server has left the connection.
    left: u32,
    doubt: Doubt,
}

/// Lists and watches the objects of a kind, those of one namespace or all, until it is dropped. A failure is an item of
/// the stream, and then the watch is tried again.
pub fn watching<K>(
    client: Client,
    dynamic_type: &K::DynamicType,
    ns: Option<&str>,
    mut config: watcher::Config,
) -> impl Stream<Item = Result<Event<K>, Failure>> + Send + use<K>
where
    K: Resource<DynamicType: Clone> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    config.timeout = config.timeout.or(Some(WATCH_TIMEOUT));
    let doubt = Doubt::default();
    let client = watch_client(&client, doubt.losses());
    let api = match ns {
        Some(ns) => Api::namespaced_with(client, ns, dynamic_type),
        None => Api::all_with(client, dynamic_type),
    };
    let watching = Watching {
        events: watcher::watcher(api.clone(), config.clone()).boxed(),
        api,
        kind: K::kind(dynamic_type).into_owned(),
        config,
        unreadable: BTreeSet::new(),
        backoff: Backoff::default(),
        wait: Duration::ZERO,
        restart: false,
        restarted: false,
        left: 0,
        doubt,
    };
    futures::stream::unfold(watching, |mut watching| async {
        let next = watching.next().await;
        Some((next, watching))
    })
}

impl<K> Watching<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    async fn next(&mut self) -> Result<Event<K>, Failure> {
        loop {
            if !self.wait.is_zero() {
                tokio::time::sleep(std::mem::take(&mut self.wait)).await;
            }
            if std::mem::take(&mut self.restart) {
                self.events = watcher::watcher(self.api.clone(), self.config.clone()).boxed();
            }
            let next = tokio::select! {
                biased;
                next = self.events.next() => next,
                () = self.doubt.due(rand::random()) => {
                    debug!(kind = %self.kind, "a connection was lost: the whole list is asked for");
                    self.restart = true;
                    continue;
                }
            };
            let error = match next {
                Some(Ok(event)) => {
                    if matches!(event, watcher::Event::Init) {
                        self.doubt.listing();
                    }
                    // A list that is not complete may never be.
                    if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                        self.backoff.reset();
                        self.left = 0;
                        self.restarted = false;
                    }
                    return Ok(self.read(event));
                }
                Some(Err(error)) => error,
                None => {
                    self.restart = true;
                    continue;
                }
            };
            if let Some(failure) = self.failed(&error) {
                return Err(failure);
            }
        }
    }

    /// Sees to the next try; what is to be said of this one, where it is to be said.
    fn failed(&mut self, error: &watcher::Error) -> Option<Failure> {
        // What the server has against us another connection tells.
        if client_error(error).is_some_and(has_left) && self.left < LEAVES {
            self.left += 1;
            self.wait = self.backoff.next(rand::random(), None);
            return None;
        }
        self.left = 0;
        let remedy = remedy(error, &self.config);
        debug!(kind = std::any::type_name::<K>(), %error, ?remedy, "watch failed");
        let asked = match remedy {
            Remedy::ListInstead => {
                self.config.initial_list_strategy = InitialListStrategy::ListWatch;
                self.restart = true;
                return None;
            }
            // The server is there: the first time there is nothing to wait for.
            Remedy::Restart if !std::mem::replace(&mut self.restarted, true) => {
                self.restart = true;
                return None;
            }
            Remedy::Restart => {
                self.restart = true;
                None
            }
            Remedy::Retry(asked) => asked,
        };
        self.wait = self.backoff.next(rand::random(), asked);
        Some(Failure {
            reason: explained(error),
            denied: status(error).is_some_and(|status| status.code == 403),
        })
    }

    fn read(&mut self, event: watcher::Event<Readable<K>>) -> Event<K> {
        match event {
            watcher::Event::Init => Event::Reset,
            watcher::Event::InitDone => Event::Synced,
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                let told = (object.meta().namespace.clone(), object.meta().name.clone());
                match object {
                    Readable::Object(object) => {
                        self.unreadable.remove(&told);
                        Event::Apply(object)
                    }
                    Readable::Not(unreadable) => {
                        self.tell(told, &unreadable);
                        Event::Unreadable(unreadable.metadata)
                    }
                }
            }
            watcher::Event::Delete(object) => {
                let meta = object.meta();
                self.unreadable
                    .remove(&(meta.namespace.clone(), meta.name.clone()));
                Event::Delete(meta.clone())
            }
        }
    }

    /// Says once of an object that it cannot be read.
    fn tell(&mut self, at: (Option<String>, Option<String>), unreadable: &Unreadable) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        if self.unreadable.len() > TOLD || self.unreadable.contains(&at) {
            return;
        }
        if self.unreadable.len() == TOLD {
            warn!(kind = %self.kind, "more than {TOLD} objects cannot be read: no more are named");
        } else {
            let (ns, name) = (text(&at.0), text(&at.1));
            let Unreadable { field, problem, .. } = unreadable;
            warn!(kind = %self.kind, %ns, %name, %field, "an object cannot be read and is left out: {problem}");
        }
        self.unreadable.insert(at);
    }
}

/// One line for a person.
fn explained(error: &watcher::Error) -> String {
    match (client_error(error), error) {
        (Some(error), _) => explain(error),
        (None, watcher::Error::WatchError(status)) => explain_status(status),
        (None, other) => other.to_string(),
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

/// What the client says, where it does.
fn client_error(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::WatchStartFailed(error)
        | watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

fn remedy(error: &watcher::Error, config: &watcher::Config) -> Remedy {
    let streaming = config.initial_list_strategy == InitialListStrategy::StreamingList;
    let status = status(error);
    let starting = matches!(error, watcher::Error::WatchStartFailed(_));
    match status.map(|status| status.code) {
        // A server without streaming lists says 400, 403 or 422, and kube would ask the same again.
        Some(400 | 403 | 422) if starting && streaming => Remedy::ListInstead,
        // Kube makes an empty status of a line that is no event.
        Some(0) => Remedy::Restart,
        // The history is gone. After 410 as an HTTP status, kube's watcher stays where it was.
        Some(410) => Remedy::Restart,
        // A line that cannot be read as an event may have told of a change, and an error that comes as an event may have
        // stood in for one: a new list shows that at once.
        Some(_) | None if is_no_event(error) => Remedy::Restart,
        Some(_) | None => Remedy::Retry(status.and_then(retry_after)),
    }
}

fn is_no_event(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::WatchFailed(kube::Error::SerdeError(_)) | watcher::Error::WatchError(_)
    )
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
        let kube::Error::Api(gone) = api(410, 0) else {
            unreachable!("it is one")
        };
        let event = watcher::Error::WatchError(gone);
        assert_eq!(remedy(&event, &streaming), Remedy::Restart);
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

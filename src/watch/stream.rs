//! One watch, from the API server into the store's channel.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::watcher;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::error;

use super::wire::{Shape, Wire, key_of};
use crate::api::{self, Connection, watching};
use crate::store::{Event, Fact, Watched};

/// Where a watch's events go.
pub(super) struct Feed {
    pub(super) watched: Watched,
    pub(super) shape: Shape,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) connection: Arc<Connection<Watched>>,
}

/// Silence that no failed connection keeps: longer than one may take to be made.
const QUIET: Duration = Duration::from_secs(6);

/// Watches until nobody takes events any more.
pub(super) async fn run<K>(client: Client, config: watcher::Config, feed: Feed)
where
    K: Wire + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = watching::<K>(client, &(), None, config).boxed();
    while let Some(next) = next_or_quiet(&mut stream, &feed).await {
        let event = match next {
            Ok(event) => event,
            Err(reason) => {
                feed.connection
                    .failed(feed.watched, reason, "what is known stays served");
                continue;
            }
        };
        // A list that begins has delivered nothing yet.
        if !matches!(event, api::Event::Reset) {
            feed.connection.works(feed.watched);
        }
        if feed.events.send(translate(&feed, event)).await.is_err() {
            return;
        }
    }
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

fn translate<K: Wire + Resource>(feed: &Feed, event: api::Event<K>) -> Event {
    let watched = feed.watched;
    match event {
        api::Event::Reset => Event::Reset(watched),
        api::Event::Synced => Event::Synced(watched),
        api::Event::Delete(meta) => Event::Delete(watched, key_of(&meta)),
        // A namespace says all with its name.
        api::Event::Unreadable(meta) if watched == Watched::Namespaces => {
            Event::Apply(watched, key_of(&meta), Fact::Namespace)
        }
        // What it said last stays true.
        api::Event::Unreadable(meta) => Event::Confirm(watched, key_of(&meta)),
        api::Event::Apply(object) => {
            let key = key_of(object.meta());
            // A panic costs this object.
            let fact = catch_unwind(AssertUnwindSafe(|| object.fact(watched, feed.shape)));
            let fact = fact.unwrap_or_else(|_| {
                error!(?watched, ns = %key.ns, name = %key.name, "panicked while reading an object, which is left out");
                None
            });
            match fact {
                Some((key, fact)) => Event::Apply(watched, key, fact),
                None => Event::Confirm(watched, key),
            }
        }
    }
}

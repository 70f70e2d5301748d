//! `pending`: a question for a name that is about to be there waits until it is, or for a bounded time. Ours; it stands
//! before the zones of the cluster.

mod waiting;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

use super::block::{Block, Link, Parts};
use super::denials::Denials;
use super::kit::{Directives, Registration, duration, number};
use super::passage::{Passage, Way};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Token};
use crate::message::question::{Query, RecordType};
use crate::metrics::IntCounter;
use crate::store::Change;
use crate::zone::{Scope, Zone};
use waiting::Waiting;

pub(super) const PLUGIN: Registration = Registration {
    name: "pending",
    setup,
};

/// How long a question waits where the file does not say.
const HOLD: Duration = Duration::from_secs(2);

/// How long it may: a resolver asks again after five seconds (resolv.conf(5): `timeout`).
const LONGEST: Duration = Duration::from_secs(4);

/// How many questions wait at a time where the file does not say: about a kilobyte each.
const MOST: usize = 10_000;

/// The directive, parsed.
#[derive(Debug)]
struct Spec {
    token: Token,
    hold: Duration,
    most: usize,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    directive.no_args()?;
    let mut spec = Spec {
        token: directive.name.clone(),
        hold: HOLD,
        most: MOST,
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "hold" => {
                let arg = property.one_arg("a duration such as `2s`")?;
                spec.hold = duration(arg)?;
                if spec.hold > LONGEST {
                    return Err(arg.error(
                        format!("a question cannot wait for {}", arg.text),
                        "at most `4s`, as a resolver asks again after five",
                    ));
                }
            }
            "max" => spec.most = usize::try_from(number(property)?).unwrap_or(usize::MAX),
            _ => return Err(directive.unknown_property(property, "hold or max")),
        }
    }
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let zone = Arc::clone(&parts.cluster(&self.token)?.zone);
        // Questions for upstreams wait in the same room, and keep a third of it.
        let room = parts.waiting.map_or(usize::MAX, |waiting| 2 * waiting / 3);
        let most = self.most.min(room);
        // All blocks that let as many wait have one place for them.
        let waiting = parts
            .carried
            .get(format!("{} {most}", PLUGIN.name), || Waiting::new(most));
        // Where there is no runtime, nobody asks.
        if let (Some(changes), Ok(runtime)) = (&parts.changes, Handle::try_current()) {
            runtime.spawn(wake(changes.resubscribe(), Arc::downgrade(&waiting)));
        }
        let outcomes = &parts.metrics.pending;
        Ok(Arc::new(Pending {
            hold: self.hold,
            zone,
            waiting,
            // Counters that are there from the start show their first increase.
            answered: outcomes.with_label_values(&["answered"]),
            denied: outcomes.with_label_values(&["denied"]),
            denials: Denials::new(&parts.metrics.denied),
        }))
    }
}

/// Wakes those who wait for a Service whenever it changes, as long as there are changes and somebody may wait.
async fn wake(mut changes: Receiver<Change>, waiting: Weak<Waiting>) {
    loop {
        let change = changes.recv().await;
        let Some(waiting) = waiting.upgrade() else {
            return;
        };
        match change {
            Ok(change) => {
                if let Some((_, service)) = change.service() {
                    waiting.wake(Some(service));
                }
            }
            Err(RecvError::Lagged(_)) => waiting.wake(None),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The handler.
struct Pending {
    hold: Duration,
    zone: Arc<Zone>,
    waiting: Arc<Waiting>,
    /// Questions that have waited, and were answered or denied in the end.
    answered: IntCounter,
    denied: IntCounter,
    /// Where the zone counts why names have no records.
    denials: Denials,
}

impl Plugin for Pending {
    /// The zone leaves to the chain what is to wait here.
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Clear)
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let qtype = query.question.qtype;
        let waits = matches!(qtype, RecordType::A | RecordType::AAAA | RecordType::SRV);
        let is_held = waits && !self.hold.is_zero();
        async move {
            let reply = match is_held {
                true => self.answer(query, next).await?,
                false => next.handle(query).await?,
            };
            // The zone leaves it to this plugin, as it asks more than once.
            if let Some(reason) = reply.reason().filter(|reason| reason.is_pending()) {
                self.denials.count(reason);
            }
            Ok(reply)
        }
        .boxed()
    }
}

impl Pending {
    async fn answer(&self, query: &Query, next: Next<'_>) -> Handled {
        let reply = next.handle(query).await?;
        let Some(service) = reply.pending(&query.question) else {
            return Ok(reply);
        };
        let qtype = query.question.qtype;
        // What has one family will not get the other by waiting; a resolver that asks for both takes a name's absence in one
        // for that of the name (musl).
        let is_vain = || {
            let data = self.zone.service(Scope::Cluster, service.wire());
            data.is_some_and(|data| data.is_of_other_family(qtype))
        };
        if is_vain() {
            return Ok(reply.without_data());
        }
        let until = Instant::now() + self.hold;
        let place = self.waiting.enter(service.clone(), query.route.client.ip());
        loop {
            // The first time: what has been published since the first look is not told any more.
            let reply = next.handle(query).await?;
            if reply.pending(&query.question).is_none() {
                self.answered.inc();
                return Ok(reply);
            }
            if is_vain() {
                self.denied.inc();
                return Ok(reply.without_data());
            }
            let Ok(true) = timeout_at(until, place.woken()).await else {
                self.denied.inc();
                return Ok(reply);
            };
        }
    }
}

#[cfg(test)]
mod tests;

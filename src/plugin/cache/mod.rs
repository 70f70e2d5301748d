//! `cache`: replies of upstreams and of other plugins, kept for their TTL. What the cluster's zone answers is never kept:
//! it comes from memory, and is never old.

mod kind;
mod spec;
mod store;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

pub(super) use spec::PLUGIN;

use super::block::Parts;
use super::passage::{Counts, Passage, Tally, Way};
use super::zonal::WILDCARD;
use super::{Detached, Handled, Next, Plugin};
use crate::answer::Reply;
use crate::message::options;
use crate::message::question::{Query, RecordType};
use crate::message::record::Record;
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::metrics::{LocalCounter, Metrics};
use crate::name::{Origin, Origins};
use crate::zone::Shown;
use kind::Kind;
use spec::{Bounds, Refresh, Spec, Stale};
use store::{Entry, Key, Store};

/// The TTL of replies that are of no kind, and of failures.
const OTHER_TTL: u32 = 5;

/// What metrics call the two kinds of replies that are kept.
const SUCCESS: &str = "success";
const DENIAL: &str = "denial";

/// The handler. What is fetched after the reply shares it.
#[derive(Clone)]
pub(super) struct Cache(Arc<Shared>);

struct Shared {
    spec: Spec,
    success: Arc<Store>,
    denial: Arc<Store>,
    metrics: Arc<Metrics>,
    /// Labels: what the cache is for, and the block's view.
    zones: String,
    view: Arc<str>,
}

/// A zone's records are never kept, and have the TTLs that the cache lets through.
impl Counts for Cache {
    fn leaves(&self, shown: &Shown) -> bool {
        shown.has_ttls_within(self.0.spec.bounds())
    }

    fn tally(&self, server: &Arc<str>) -> Box<dyn Tally> {
        let labels = [&**server, &self.0.zones, &*self.0.view];
        let Shared { metrics, spec, .. } = &*self.0;
        Box::new(OfLane {
            origins: spec.origins.clone(),
            requests: metrics.cache.requests.with_label_values(&labels).local(),
            misses: metrics.cache.misses.with_label_values(&labels).local(),
        })
    }
}

/// The questions of one lane that a zone answers: to the cache they are misses.
struct OfLane {
    origins: Origins,
    requests: LocalCounter,
    misses: LocalCounter,
}

impl Tally for OfLane {
    fn count(&mut self, query: &Query, _: ResponseCode, _: usize) {
        if self.origins.cover(&query.question.qname) {
            self.requests.inc();
            self.misses.inc();
        }
    }

    fn settle(&mut self, _: Duration) {
        self.requests.flush();
        self.misses.flush();
    }
}

fn records(reply: &mut Composed) -> impl Iterator<Item = &mut Record> {
    let Composed {
        answer,
        authority,
        additional,
        ..
    } = reply;
    answer.iter_mut().chain(authority).chain(additional)
}

/// Gives every record this TTL, as CoreDNS does.
fn set_ttl(reply: &mut Composed, ttl: u32) {
    records(reply).for_each(|record| record.ttl = ttl);
}

/// What is there for a question.
enum Found {
    /// A reply, and how many seconds it is still fresh.
    Fresh(Arc<Entry>, u32),
    /// A reply that is not fresh any more, and may be used.
    Stale(Arc<Entry>, Stale),
    Nothing,
}

impl Cache {
    fn new(spec: Spec, parts: &Parts) -> Self {
        let zone = |origin: &Origin| origin.name.to_lowercase().to_string();
        let zones: Vec<String> = spec.origins.iter().map(zone).collect();
        // What a block without any change has kept stays.
        let kept = |kind: &str, bounds: &Bounds| {
            let (name, room) = (format!("cache {kind} {}", parts.said), bounds.room);
            parts.carried.get(name, || Store::new(room))
        };
        Self(Arc::new(Shared {
            metrics: Arc::clone(&parts.metrics),
            zones: zones.join(","),
            view: Arc::clone(&parts.view),
            success: kept("success", &spec.success),
            denial: kept("denial", &spec.denial),
            spec,
        }))
    }

    async fn answer(&self, query: &Query, next: Next<'_>) -> Handled {
        let (key, now) = (Key::of(query), Instant::now());
        let found = self.find(&key, now);
        let server = Arc::clone(next.server());
        self.count(&found, &server);
        match found {
            Found::Fresh(entry, left) => {
                if self.is_due(&entry, left, now) {
                    let metrics = &self.0.metrics.cache;
                    let labels = [&*server, &self.0.zones, &*self.0.view];
                    metrics.prefetches.with_label_values(&labels).inc();
                    self.refresh(query, &entry, next);
                }
                let ttl = if self.0.spec.keepttl { entry.ttl } else { left };
                Ok(again(query, &entry, ttl))
            }
            Found::Stale(entry, stale) => match stale.refresh {
                Refresh::Immediate => {
                    self.refresh(query, &entry, next);
                    Ok(again(query, &entry, self.stale_ttl(&entry, stale)))
                }
                Refresh::Verify(timeout) => {
                    self.verify(query, &entry, (stale, timeout), next).await
                }
            },
            Found::Nothing => {
                let handled = next.handle(&upstream(query)).await;
                if let Err(failure) = &handled {
                    self.keep_failure(query, failure, &server);
                }
                let passed = self.pass(query, handled?, &server);
                self.show_entries(&server);
                passed
            }
        }
    }

    /// Asks first, and gives the old reply where that comes to nothing, or to nothing in time; at once where somebody asks
    /// already whose time has an end, or where that has just failed.
    async fn verify(
        &self,
        query: &Query,
        entry: &Arc<Entry>,
        (stale, timeout): (Stale, Option<Duration>),
        next: Next<'_>,
    ) -> Handled {
        let (cache, asked, server) = (self.clone(), query.clone(), Arc::clone(next.server()));
        let old = || Ok(again(query, entry, self.stale_ttl(entry, stale)));
        let Some(next) = next.detached() else {
            return old();
        };
        let is_one_s = timeout.is_some() || !stale.recheck.is_zero();
        if is_one_s && !entry.begin_refresh(Instant::now()) {
            return old();
        }
        let fetched = Arc::clone(entry);
        // It goes on where its client does not wait.
        let asking = tokio::spawn(async move {
            let reply = cache.fetch(&asked, next, &server).await;
            if is_one_s {
                cache.end_refresh(&fetched, reply.is_some());
            }
            reply
        });
        let in_time = match timeout {
            Some(timeout) => tokio::time::timeout(timeout, asking).await.ok(),
            None => Some(asking.await),
        };
        let reply = in_time.and_then(Result::ok).flatten();
        reply.map_or_else(old, Ok)
    }

    /// The TTL of a reply that is not fresh any more.
    fn stale_ttl(&self, entry: &Entry, stale: Stale) -> u32 {
        match stale.ttl {
            0 if self.0.spec.keepttl => entry.ttl,
            ttl => ttl,
        }
    }

    /// Keeps that nobody has answered, so that who asks again does not have everybody asked again (RFC 9520 section 3.2).
    fn keep_failure(&self, query: &Query, failure: &Failure, server: &str) {
        let kind = Kind::Failure;
        let is_kept = failure.rcode == ResponseCode::ServFail && !failure.is_live;
        if is_kept && is_for_all(query, kind) {
            let reply = Composed::empty(failure.rcode);
            self.keep(query, &reply, (kind, OTHER_TTL), server);
            self.show_entries(server);
        }
    }

    /// Counts a question, and what there was.
    fn count(&self, found: &Found, server: &str) {
        let (metrics, zones) = (&self.0.metrics.cache, self.0.zones.as_str());
        let labels = [server, zones, &*self.0.view];
        metrics.requests.with_label_values(&labels).inc();
        match found {
            Found::Nothing => metrics.misses.with_label_values(&labels).inc(),
            Found::Stale(entry, _) => {
                metrics.stale.with_label_values(&labels).inc();
                self.count_hit(entry, server);
            }
            Found::Fresh(entry, _) => self.count_hit(entry, server),
        }
    }

    fn count_hit(&self, entry: &Entry, server: &str) {
        let kind = match entry.kind {
            Kind::Success | Kind::Referral => SUCCESS,
            Kind::Denial | Kind::Failure | Kind::Incomplete | Kind::Other => DENIAL,
        };
        let labels = [server, kind, &self.0.zones, &*self.0.view];
        self.0.metrics.cache.hits.with_label_values(&labels).inc();
    }

    fn show_entries(&self, server: &str) {
        for (kind, store) in [(SUCCESS, &self.0.success), (DENIAL, &self.0.denial)] {
            let labels = [server, kind, &self.0.zones, &*self.0.view];
            let gauge = self.0.metrics.cache.entries.with_label_values(&labels);
            gauge.set(f64::from(u32::try_from(store.len()).unwrap_or(u32::MAX)));
        }
    }

    fn find(&self, key: &Key, now: Instant) -> Found {
        let Shared {
            spec,
            success,
            denial,
            ..
        } = &*self.0;
        let (positive, negative) = (success.get(key), denial.get(key));
        let fresh = |entry: &Option<Arc<Entry>>| {
            let entry = entry.as_ref()?;
            Some((Arc::clone(entry), entry.left(now)?))
        };
        let usable = |entry: Option<Arc<Entry>>| {
            let stale = spec.stale?;
            let entry = entry.filter(|entry| entry.is_usable(now, stale.for_))?;
            Some(Found::Stale(entry, stale))
        };
        let mut order = [&positive, &negative];
        if spec.prefers_positive() {
            let good = positive.as_ref().and_then(Entry::positive);
            if let Some((entry, left)) = fresh(&good) {
                return Found::Fresh(entry, left);
            }
            if let Some(found) = usable(good) {
                return found;
            }
            order.reverse();
        }
        if let Some((entry, left)) = order.into_iter().find_map(fresh) {
            return Found::Fresh(entry, left);
        }
        let newest = match (positive, negative) {
            (Some(positive), Some(negative)) if negative.stored > positive.stored => Some(negative),
            (positive, negative) => positive.or(negative),
        };
        usable(newest).unwrap_or(Found::Nothing)
    }

    /// Whether it is time to fetch a reply before it is asked for again.
    fn is_due(&self, entry: &Entry, left: u32, now: Instant) -> bool {
        let Some(prefetch) = self.0.spec.prefetch else {
            return false;
        };
        let asked = entry.ask(now, prefetch.pause);
        asked >= prefetch.amount && left <= (entry.ttl * prefetch.percent).div_ceil(100)
    }

    /// Fetches a reply anew, after its client has had the old one.
    fn refresh(&self, query: &Query, entry: &Arc<Entry>, next: Next<'_>) {
        let server = Arc::clone(next.server());
        let Some(next) = next
            .detached()
            .filter(|_| entry.begin_refresh(Instant::now()))
        else {
            return;
        };
        let (cache, query, entry) = (self.clone(), query.clone(), Arc::clone(entry));
        tokio::spawn(async move {
            // The client has its reply.
            let fetched = cache.fetch(&query, next, &server).await;
            cache.end_refresh(&entry, fetched.is_some());
        });
    }

    /// Asks for a reply that is to take the place of an old one; `None`: none came that is better (RFC 8767 section 4).
    async fn fetch(&self, query: &Query, next: Detached, server: &str) -> Option<Reply> {
        let reply = next.handle(upstream(query)).await.ok()?;
        if !matches!(
            reply.rcode(),
            ResponseCode::NoError | ResponseCode::NXDomain
        ) {
            return None;
        }
        let is_positive = |reply: Reply| {
            let composed = reply.into_composed(&query.question);
            composed.is_some_and(|reply| Kind::of(&query.question, &reply) == Kind::Success)
        };
        let is_better = !self.0.spec.prefers_positive() || is_positive(reply.clone());
        self.pass(query, reply, server).ok().filter(|_| is_better)
    }

    /// Notes that an entry is not being fetched any more; where that has failed it rests for a while.
    fn end_refresh(&self, entry: &Entry, has_come: bool) {
        let stale = self.0.spec.stale.filter(|_| !has_come);
        let recheck = stale.map(|stale| stale.recheck);
        let recheck = recheck.filter(|recheck| !recheck.is_zero());
        entry.end_refresh(recheck.map(|recheck| Instant::now() + recheck));
    }

    /// Keeps a reply where it may be kept; what is passed on has the TTL that its kind may have.
    fn pass(&self, query: &Query, reply: Reply, server: &str) -> Handled {
        let spec = &self.0.spec;
        if !reply.is_message() || reply.has_ttls_within(spec.bounds()) {
            return Ok(reply);
        }
        let Some(mut composed) = reply.clone().into_composed(&query.question) else {
            let labels = [server, &self.0.zones, &*self.0.view];
            self.0.metrics.cache.drops.with_label_values(&labels).inc();
            return Ok(reply);
        };
        let kind = Kind::of(&query.question, &composed);
        let lowest = records(&mut composed).map(|record| record.ttl).min();
        let clamp = |bounds: &Bounds| bounds.clamp(lowest.unwrap_or(bounds.least));
        let ttl = match kind {
            Kind::Success | Kind::Incomplete => clamp(&spec.success),
            Kind::Denial => clamp(&spec.denial),
            Kind::Failure => OTHER_TTL,
            Kind::Referral | Kind::Other => spec.success.clamp(OTHER_TTL),
        };
        set_ttl(&mut composed, ttl);
        // As in CoreDNS, a reply that has passed a cache has no OPT record of its own.
        (composed.edns, composed.error) = (None, None);
        if !composed.is_live && !composed.truncated && is_for_all(query, kind) {
            self.keep(query, &composed, (kind, ttl), server);
        }
        composed.authentic_data &= knows_ad(query);
        Ok(composed.into())
    }

    fn keep(&self, query: &Query, reply: &Composed, (kind, ttl): (Kind, u32), server: &str) {
        let Shared {
            spec,
            success,
            denial,
            ..
        } = &*self.0;
        let qname = &query.question.qname;
        let (key, now) = (Key::of(query), Instant::now());
        let entry = |ttl| {
            let mut entry = Entry::new(reply.clone(), (kind, ttl), now);
            entry.wildcard = query.metadata.as_ref().and_then(|said| said.get(WILDCARD));
            if spec.prefers_positive() && kind == Kind::Referral {
                let known = success.get(&key);
                entry.good = known.as_ref().and_then(Entry::positive);
            }
            Arc::new(entry)
        };
        let evicted = match kind {
            Kind::Success | Kind::Referral if !spec.no_success.cover(qname) => {
                denial.remove(&key);
                let entry = entry(ttl);
                success.insert(key, entry).then_some(SUCCESS)
            }
            Kind::Denial if !spec.no_denial.cover(qname) => {
                if !spec.prefers_positive() {
                    success.remove(&key);
                }
                let entry = entry(ttl);
                denial.insert(key, entry).then_some(DENIAL)
            }
            Kind::Failure if !spec.servfail.is_zero() && !spec.no_denial.cover(qname) => {
                let seconds = u32::try_from(spec.servfail.as_secs()).unwrap_or(OTHER_TTL);
                let entry = entry(seconds.max(1));
                denial.insert(key, entry).then_some(DENIAL)
            }
            Kind::Success
            | Kind::Denial
            | Kind::Failure
            | Kind::Referral
            | Kind::Incomplete
            | Kind::Other => None,
        };
        if let Some(kind) = evicted {
            let labels = [server, kind, &self.0.zones, &*self.0.view];
            self.0
                .metrics
                .cache
                .evictions
                .with_label_values(&labels)
                .inc();
        }
    }
}

/// Whether what was answered to this query may be answered to others: not where it is about the client's network (RFC 7871
/// section 7.3.1), nor where nothing was found because nobody was to look for it.
fn is_for_all(query: &Query, kind: Kind) -> bool {
    let is_subnet = |(code, _): (u16, &[u8])| code == options::CLIENT_SUBNET;
    let looked_for = query.recursion_desired || matches!(kind, Kind::Success | Kind::Denial);
    looked_for && !options::each(&query.options).any(is_subnet)
}

/// The question as it goes on: whoever answers is to say whether the data are authentic, for clients that ask later.
fn upstream(query: &Query) -> Query {
    Query {
        authentic_data: true,
        ..query.clone()
    }
}

/// Whether the client understands AD (RFC 6840 section 5.8).
fn knows_ad(query: &Query) -> bool {
    query.authentic_data || query.edns.is_some_and(|edns| edns.dnssec_ok)
}

/// A kept reply for another client.
fn again(query: &Query, entry: &Entry, ttl: u32) -> Reply {
    if let (Some(metadata), Some(wildcard)) = (&query.metadata, &entry.wildcard) {
        metadata.set(WILDCARD, wildcard.clone());
    }
    let mut reply = entry.reply.clone();
    set_ttl(&mut reply, ttl);
    reply.recursion_desired = None;
    reply.question = None;
    reply.authentic_data &= knows_ad(query);
    reply.into()
}

impl Plugin for Cache {
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Counts(self))
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        let is_transfer = matches!(question.qtype, RecordType::AXFR | RecordType::IXFR);
        if is_transfer || !self.0.spec.origins.cover(&question.qname) {
            return next.handle(query);
        }
        self.answer(query, next).boxed()
    }
}

#[cfg(test)]
mod tests;

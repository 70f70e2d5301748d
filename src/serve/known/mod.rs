//! What a server knows of names, as JSON: what they lead to, led to, and why not; and who asks for them.

mod live;
mod search;
mod service;
mod top;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::walk::{NoPod, Walk, meant};
use super::{Beside, Watched};
use crate::admin::{self, BindError, Binder, Bound, Refusal};
use crate::answer::compose;
use crate::api::{Away, Client};
use crate::corefile::CorefileError;
use crate::goal::{Goal, Verdict};
use crate::history::{Entry, History, Micros};
use crate::message::question::{Question, RecordType};
use crate::message::record::RData;
use crate::message::reply::Composed;
use crate::message::{rcode_name, type_named};
use crate::metrics::Metrics;
use crate::name::{Name, absolute, text, written as text_of};
use crate::plugin::{AdminApi, Block};
use crate::process::whole;
use crate::store::{Change, Delta};
use crate::zone::{Shown, Zone};

/// How long a question may wait here; who asks asks again.
const LONGEST: Duration = Duration::from_secs(300);

/// Events in an answer.
const EVENTS: usize = 1000;

/// The paths that are answered.
pub(super) const PATHS: &[&str] = &[
    "/names", "/service", "/why", "/walk", "/wait", "/history", "/events", "/top",
];

/// The longest list that may be asked for.
const MOST_LINES: usize = 1000;

/// Walks at a time: each lists objects of the cluster.
const WALKS: usize = 1;

/// How long a walk may take, with the wait for its turn: less than who asks waits.
const WALK: Duration = Duration::from_secs(8);

/// Of one stanza.
pub(super) struct Known {
    zone: Arc<Zone>,
    shown: Shown,
    history: Mutex<History>,
    /// Counts changes, for those who wait.
    changed: watch::Sender<u64>,
    /// Whether the API server is away.
    away: watch::Receiver<Option<Away>>,
    /// Where questions are counted, of this stanza and of all others.
    metrics: Arc<Metrics>,
    /// Of the API server, for walks.
    client: Client,
    walks: Semaphore,
    /// What is told of the cluster, where that is a sandbox's.
    beside: Option<Beside>,
    /// The server is told to end.
    ends: CancellationToken,
}

/// What is asked for: keys and values.
struct Asked<'q>(&'q [(String, String)]);

fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::Wrong(why.into())
}

fn named(text: &str) -> Result<Name, Refusal> {
    absolute(text).map_err(|error| wrong(format!("name: {error}")))
}

impl<'q> Asked<'q> {
    fn get(&self, key: &str) -> Option<&'q str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str())
    }

    fn time(&self, key: &str) -> Result<Option<Micros>, Refusal> {
        let time = self.get(key).map(|text| {
            let time: Result<Timestamp, _> = text.parse();
            time.map_err(|_| {
                wrong(format!(
                    "{key}: a time such as 2026-01-01T00:00:00Z was expected"
                ))
            })
        });
        Ok(time.transpose()?.map(Timestamp::as_microsecond))
    }

    fn text(&self) -> Result<&'q str, Refusal> {
        let text = self.get("name");
        text.ok_or_else(|| wrong("name: a name was expected"))
    }

    fn name(&self) -> Result<Name, Refusal> {
        named(self.text()?)
    }

    /// How many lines of a list, where that is said.
    fn limit(&self) -> Result<Option<usize>, Refusal> {
        let limit = self.get("limit").map(|text| {
            let limit = text.parse().ok();
            let limit = limit.filter(|limit| (1..=MOST_LINES).contains(limit));
            limit.ok_or_else(|| {
                wrong(format!(
                    "limit: a number from 1 to {MOST_LINES} was expected"
                ))
            })
        });
        limit.transpose()
    }

    /// The name and the type that are asked for.
    fn question(&self) -> Result<(String, RecordType), Refusal> {
        let qtype = self.get("type").map(|text| {
            let known = type_named(text);
            known.ok_or_else(|| wrong("type: a type such as A was expected"))
        });
        Ok(meant(self.text()?, qtype.transpose()?))
    }
}

/// A time as objects have it, to the microsecond.
fn written(time: Micros) -> String {
    Timestamp::from_microsecond(time)
        .unwrap_or_default()
        .to_string()
}

/// Why there is no walk.
fn not_walked(error: anyhow::Error) -> Refusal {
    match error.downcast::<NoPod>() {
        Ok(no_pod) => wrong(no_pod.to_string()),
        Err(error) => Refusal::Elsewhere(whole(error.as_ref())),
    }
}

/// When the counting of questions has begun: with the first server, which all others follow.
pub(super) fn begin(metrics: &Metrics) -> Micros {
    metrics.top.begins(Timestamp::now().as_microsecond())
}

impl Known {
    /// Keeps what changes from now on.
    pub(super) fn start(
        stanza: &Watched,
        (shown, budget): (Shown, usize),
        metrics: &Arc<Metrics>,
        beside: Option<Beside>,
    ) -> Arc<Self> {
        let (watches, now) = (&stanza.watches, Timestamp::now().as_microsecond());
        let known = Arc::new(Self {
            zone: Arc::clone(&watches.zone),
            shown,
            history: Mutex::new(History::new(now, budget)),
            changed: watch::Sender::new(0),
            away: watches.away(),
            metrics: Arc::clone(metrics),
            client: stanza.client.clone(),
            walks: Semaphore::new(WALKS),
            beside,
            ends: CancellationToken::new(),
        });
        let record = record(watches.changes(), watches.synced(), Arc::downgrade(&known));
        tokio::spawn(record);
        tokio::spawn(notice(watches.away(), Arc::downgrade(&known)));
        known
    }

    /// Answers a request.
    pub(super) async fn answer(
        &self,
        path: &'static str,
        asked: Vec<(String, String)>,
    ) -> Result<String, Refusal> {
        if let Some(beside) = &self.beside
            && beside.paths.contains(&path)
        {
            return (beside.answers)(path, asked).await;
        }
        let asked = &Asked(&asked);
        let said = match path {
            "/names" => self.names(asked)?,
            "/service" => self.service(asked)?,
            "/why" => self.why(asked)?,
            "/walk" => self.walk(asked).await?,
            "/wait" => self.wait(asked).await?,
            "/history" => self.told(asked)?,
            "/events" => self.events(asked)?,
            "/top" => self.top(asked)?,
            _ => return Err(Refusal::Unknown),
        };
        Ok(format!("{said}\n"))
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn composed(&self, name: &Name, qtype: RecordType) -> Result<Composed, Refusal> {
        let question = Question::new(name.clone(), qtype);
        let composed = compose(&self.zone, &self.shown, &question);
        composed.ok_or_else(|| {
            let ends: Vec<_> = self
                .shown
                .origins()
                .iter()
                .map(|zone| text_of(&zone.name))
                .collect();
            let ends = ends.join(" or ");
            wrong(format!(
                "{} is in no zone of this server: a name is written whole here, and ends in {ends}",
                text_of(name)
            ))
        })
    }

    /// What a name answers, and why not.
    fn why(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let (name, qtype) = asked.question()?;
        self.replied(&named(&name)?, qtype)
    }

    /// What this server answers.
    fn replied(&self, name: &Name, qtype: RecordType) -> Result<Value, Refusal> {
        let reply = self.composed(name, qtype)?;
        let answer = reply.answer.iter().map(|record| {
            json!({"type": record.record_type().to_string(), "ttl": record.ttl, "data": record.data.to_string()})
        });
        Ok(json!({
            "name": text_of(name), "type": qtype.to_string(), "rcode": rcode_name(reply.rcode),
            "answer": answer.collect::<Vec<_>>(), "why": reply.error.as_ref().map(|said| &*said.text),
        }))
    }

    /// The way of a name through the objects of the cluster, which are asked for now.
    async fn walk(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let domain = self.forward_zone()?;
        let (name, qtype) = asked.question()?;
        let walk = Walk {
            name: &name,
            qtype,
            from: asked.get("from"),
            domain,
        };
        let walked = async {
            // Nobody closes it.
            let _turn = self.walks.acquire().await;
            walk.report(&self.client, Timestamp::now()).await
        };
        let walked = timeout(WALK, walked).await;
        let late = || {
            Refusal::Elsewhere(
                "the walk, or the wait for its turn, has taken more than 8s".to_owned(),
            )
        };
        let report = walked.map_err(|_| late())?.map_err(not_walked)?;
        let mut said = report.json(qtype);
        // What the zone does not decide is asked for elsewhere.
        let decides = said["cause"].is_null() || !said["cause"]["denial"].is_null();
        let name = said["name"].as_str().filter(|_| decides);
        let name = name.and_then(|name| absolute(name).ok());
        said["asked"] = json!(name.and_then(|name| self.replied(&name, qtype).ok()));
        Ok(said)
    }

    /// Waits until a name answers as it shall, and says whether it does.
    async fn wait(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let name = asked.name()?;
        let goal: Goal = asked
            .get("for")
            .unwrap_or("address")
            .parse()
            .map_err(wrong)?;
        let timeout = asked.get("timeout").unwrap_or("60s");
        let timeout = headless_objects::go_duration(timeout);
        let timeout =
            timeout.ok_or_else(|| wrong("timeout: a duration such as 60s was expected"))?;
        if timeout > LONGEST {
            return Err(wrong("timeout: 300s at most were expected"));
        }
        let until = Instant::now() + timeout;
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let replies = goal
                .types()
                .iter()
                .map(|qtype| self.composed(&name, *qtype).map(Ok));
            let heard = replies.collect::<Result<Vec<_>, _>>()?;
            let verdict = goal.judge(&[heard]);
            let is_met = matches!(verdict, Verdict::Met(_));
            let next = self.ends.run_until_cancelled(changed.changed());
            if is_met || !matches!(timeout_at(until, next).await, Ok(Some(Ok(())))) {
                return Ok(json!({"name": text_of(&name), "met": is_met, "says": verdict.words()}));
            }
        }
    }

    /// The name as the history has it: without its zone, in lower case.
    fn without_zone(&self, name: &Name) -> String {
        let mut origins = self.shown.origins().iter();
        let origin = origins.find(|origin| origin.name.zone_of(name));
        let own = origin.map_or(0, |origin| origin.name.iter().count());
        let left = name.iter().count() - own;
        let labels = name
            .iter()
            .take(left)
            .map(|label| text(label).to_ascii_lowercase());
        labels.collect::<Vec<_>>().join(".")
    }

    /// What a name leads to now, in the words of the history.
    fn leads_to(&self, name: &Name) -> Result<Vec<Box<str>>, Refusal> {
        let mut targets: Vec<Box<str>> = Vec::new();
        for qtype in [RecordType::A, RecordType::AAAA] {
            for record in &self.composed(name, qtype)?.answer {
                if let RData::CNAME(target) = &record.data
                    && record.name == *name
                {
                    let target = target.0.to_string();
                    return Ok(vec![target.trim_end_matches('.').into()]);
                }
                targets.extend(record.data.ip_addr().map(|ip| Box::from(ip.to_string())));
            }
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(targets)
    }

    /// What a name led to, and what changed that.
    fn told(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let name = asked.name()?;
        let (own, now) = (self.without_zone(&name), self.leads_to(&name)?);
        let history = self.history();
        let begins = written(history.begins());
        if let Some(time) = asked.time("at")? {
            if time > Timestamp::now().as_microsecond() {
                return Err(wrong("at: a time that has been was expected"));
            }
            let answer = history.at(&own, &now, time);
            return Ok(json!({
                "name": text_of(&name), "begins": begins, "at": written(time), "answer": answer,
            }));
        }
        let since = asked.time("since")?.unwrap_or(Micros::MIN);
        let changes = history.of(&own).filter(|told| told.entry.at >= since);
        let changes = changes.map(|told| {
            let mut change = by(told.entry);
            change["added"] = json!(told.delta.added);
            change["removed"] = json!(told.delta.removed);
            change
        });
        let changes: Vec<_> = changes.collect();
        Ok(json!({"name": text_of(&name), "begins": begins, "now": now, "changes": changes}))
    }

    /// The last changes of all names.
    fn events(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let since = asked.time("since")?.unwrap_or(Micros::MIN);
        let history = self.history();
        let entries = history.entries().rev().take(EVENTS);
        let events = entries.take_while(|entry| entry.at >= since).map(event);
        let mut events: Vec<_> = events.collect();
        events.reverse();
        Ok(json!({"begins": written(history.begins()), "octets": history.used(), "events": events}))
    }
}

/// Refuses a block that has nothing to tell.
pub(super) fn check(block: &Block) -> Result<(), CorefileError> {
    match &block.admin {
        Some(api) if block.kubernetes.is_none() => {
            let problem = "`admin` needs `kubernetes` in the same server block";
            let expected = "a `kubernetes` directive beside it";
            Err(api.place.error(problem, expected))
        }
        Some(_) | None => Ok(()),
    }
}

/// Binds what tells of it.
pub(super) async fn bind(
    binder: &mut Binder,
    api: &AdminApi,
    known: Arc<Known>,
) -> Result<Bound, BindError> {
    let (live, ends) = (Arc::clone(&known), known.ends.clone());
    let beside = known.beside.as_ref().map_or(&[][..], |beside| beside.paths);
    let names = admin::Names {
        token: api.token.clone(),
        paths: [PATHS, beside].concat(),
        answers: Arc::new(move |path, asked| {
            let known = Arc::clone(&known);
            Box::pin(async move { known.answer(path, asked).await })
        }),
        changes: Arc::new(move || live::tell(Arc::clone(&live))),
        ends,
    };
    binder.names(&api.address, names).await
}

/// When something changed, and by which object.
fn by(entry: &Entry) -> Value {
    json!({
        "at": written(entry.at), "kind": format!("{:?}", entry.resource).to_lowercase(),
        "object": entry.object, "resourceVersion": entry.version,
    })
}

/// A change, with the names that it is about.
fn event(entry: &Entry) -> Value {
    let names = entry.deltas.iter().map(
        |Delta {
             name,
             added,
             removed,
         }| { json!({"name": name, "added": added, "removed": removed}) },
    );
    let mut event = by(entry);
    event["names"] = names.collect();
    event
}

/// Notes for those who wait that the API server goes or comes.
async fn notice(mut away: watch::Receiver<Option<Away>>, known: Weak<Known>) {
    while away.changed().await.is_ok() {
        let Some(known) = known.upgrade() else {
            return;
        };
        known.changed.send_modify(|count| *count += 1);
    }
}

/// Keeps changes as long as somebody may ask for them. What the first lists say was so before.
async fn record(
    mut changes: broadcast::Receiver<Change>,
    synced: impl Future<Output = ()>,
    known: Weak<Known>,
) {
    tokio::pin!(synced);
    let mut is_synced = false;
    loop {
        let change = tokio::select! {
            biased;
            change = changes.recv() => change,
            () = &mut synced, if !is_synced => {
                is_synced = true;
                continue;
            }
        };
        let Some(known) = known.upgrade() else {
            return;
        };
        let now = Timestamp::now().as_microsecond();
        match change {
            Ok(change) if is_synced => known.history().record(now, &change),
            Ok(_) => known.history().missed(now),
            Err(broadcast::error::RecvError::Lagged(_)) => known.history().missed(now),
            Err(broadcast::error::RecvError::Closed) => return,
        }
        known.changed.send_modify(|count| *count += 1);
    }
}

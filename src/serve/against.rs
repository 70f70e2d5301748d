//! Two servers beside each other: what a Corefile makes of each name of its cluster, and what a server says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use super::asking::{ALONE, forwarding};
use super::chain::chain;
use super::{Setup, Watched, read};
use crate::admin::Readiness;
use crate::answer::transfer;
use crate::message::question::{Query, Question, RecordType, Transport};
use crate::message::rcode_name;
use crate::metrics::Metrics;
use crate::name::{Name, absolute};
use crate::plugin::{Block, Carried, Router, Socket};
use crate::zone::Shown;

/// How long the API server has for its first lists.
const PATIENCE: Duration = Duration::from_secs(30);

/// Questions at a time: few enough for any server.
const TOGETHER: usize = 32;

/// When what differs is asked again: a change has reached both by then.
const AGAIN: Duration = Duration::from_secs(1);

/// What came of it.
pub struct Compared {
    /// How many questions were asked.
    pub asked: usize,
    /// What was not answered alike.
    pub differences: Vec<Difference>,
}

/// A question that is not answered alike; answers are a code, or data in an order of their own.
pub struct Difference {
    /// The name.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// What this Corefile makes of it.
    pub ours: String,
    /// What the server says.
    pub theirs: String,
}

/// Asks for every name of the clusters that the Corefile watches, and one that is not there: addresses, SRV, aliases, and
/// reverse names where it serves them. Times to live are not compared, nor is what stands beside an answer.
///
/// # Errors
/// A Corefile that cannot be used, an API server that does not deliver.
pub async fn against(setup: Setup<'_>, server: SocketAddr) -> anyhow::Result<Compared> {
    let mut blocks = read(&setup)?;
    let (ours, watched) = router(&mut blocks, &setup).await?;
    anyhow::ensure!(
        !watched.is_empty(),
        "the Corefile has no `kubernetes`: there is nothing to compare"
    );
    let synced = async {
        for stanza in &watched {
            stanza.watches.synced().await;
        }
    };
    let synced = tokio::time::timeout(PATIENCE, synced).await;
    synced.context("the API server has not delivered everything in 30 s")?;
    let theirs = forwarding(&server.to_string(), ALONE, setup.source).await?;
    let mut questions = BTreeSet::new();
    for (block, stanza) in blocks
        .iter()
        .filter(|b| b.kubernetes.is_some())
        .zip(&watched)
    {
        questions.extend(names(block, stanza));
    }
    // Who says nothing to the first question says nothing to any.
    if let Some((name, rtype)) = questions.first() {
        let heard = theirs.handle(&query(name, *rtype)).await;
        heard.map_err(|failure| anyhow::anyhow!("{server} does not answer: {}", failure.why))?;
    }
    let (asked, routers) = (questions.len(), [ours, theirs]);
    let mut differing = differences(questions, &routers).await;
    if !differing.is_empty() {
        tokio::time::sleep(AGAIN).await;
        differing = differences(differing.into_keys(), &routers).await;
    }
    let difference =
        |((name, rtype), [ours, theirs]): ((Name, RecordType), [String; 2])| Difference {
            name: name.to_string(),
            rtype: rtype.to_string(),
            ours,
            theirs,
        };
    let differences = differing.into_iter().map(difference).collect();
    Ok(Compared { asked, differences })
}

type Asked = BTreeSet<(Name, RecordType)>;

/// What answers as a server with these blocks would, without a socket.
async fn router(
    blocks: &mut [Block],
    setup: &Setup<'_>,
) -> anyhow::Result<(Arc<Router>, Vec<Watched>)> {
    let (metrics, carried) = (Arc::new(Metrics::default()), Arc::new(Carried::default()));
    let (mut routes, mut watched) = (Vec::new(), Vec::new());
    for block in blocks {
        for (_, link) in &mut block.links {
            link.prepare().await?;
        }
        let readiness = Readiness::default();
        let (answering, stanza) =
            chain(block, setup, Vec::new(), &readiness, (&metrics, &carried)).await?;
        watched.extend(stanza);
        let zones = block.keys.iter().map(|key| key.zone.clone());
        routes.extend(zones.map(|zone| (zone, answering.clone())));
    }
    Ok((Router::of(Socket::default(), routes, false), watched))
}

/// What there is to ask about a cluster.
fn names(block: &Block, stanza: &Watched) -> Asked {
    let mut asked = Asked::new();
    let Some(view) = block.kubernetes.as_ref().map(|stanza| stanza.view.clone()) else {
        return asked;
    };
    let reverse = view.origins.iter().any(|origin| origin.reverse);
    let shown = Shown::from(view);
    for origin in shown.origins().iter().filter(|origin| !origin.reverse) {
        let apex = (&origin.name).into();
        let Some(zone) = shown.place(&apex, RecordType::AXFR) else {
            continue;
        };
        let none = format!("no-such-service.default.svc.{}", origin.name);
        asked.extend(absolute(&none).ok().map(|name| (name, RecordType::A)));
        for record in transfer(&stanza.watches.zone, &zone) {
            let (name, rtype) = (record.name.clone(), record.record_type());
            if let Some(ip) = record.data.ip_addr() {
                asked.extend([(name.clone(), RecordType::A), (name, RecordType::AAAA)]);
                asked.extend(reverse.then(|| (Name::from(ip), RecordType::PTR)));
            } else if matches!(rtype, RecordType::SRV | RecordType::CNAME) {
                asked.insert((name, rtype));
            }
        }
    }
    asked
}

/// The questions that are not answered alike, with both answers.
async fn differences(
    questions: impl IntoIterator<Item = (Name, RecordType)>,
    routers: &[Arc<Router>; 2],
) -> BTreeMap<(Name, RecordType), [String; 2]> {
    let questions: Vec<_> = questions.into_iter().collect();
    let mut differing = BTreeMap::new();
    for some in questions.chunks(TOGETHER) {
        let mut asking = JoinSet::new();
        for (name, rtype) in some.iter().cloned() {
            let routers = routers.clone();
            asking.spawn(async move {
                let said = both(&name, rtype, &routers).await;
                (said[0] != said[1]).then_some(((name, rtype), said))
            });
        }
        differing.extend(asking.join_all().await.into_iter().flatten());
    }
    differing
}

async fn both(name: &Name, rtype: RecordType, [ours, theirs]: &[Arc<Router>; 2]) -> [String; 2] {
    let [ours, theirs] = [ours, theirs].map(|router| said(router, name, rtype));
    let (ours, theirs) = tokio::join!(ours, theirs);
    [ours, theirs]
}

fn query(name: &Name, rtype: RecordType) -> Query {
    let question = Question::new(name.clone(), rtype);
    let client = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
    Query {
        // Whole, however large it is.
        transport: Transport::Tcp,
        ..Query::plain(question, client)
    }
}

/// An answer as a line.
async fn said(router: &Router, name: &Name, rtype: RecordType) -> String {
    let query = query(name, rtype);
    let reply = match router.handle(&query).await {
        Ok(reply) => reply,
        Err(failure) => return format!("{} ({})", rcode_name(failure.rcode), failure.why),
    };
    let Some(reply) = reply.into_composed(&query.question) else {
        return "a reply that cannot be read".to_owned();
    };
    let mut data: Vec<_> = reply
        .answer
        .iter()
        .map(|record| format!("{} {}", record.record_type(), record.data))
        .collect();
    data.sort_unstable();
    if data.is_empty() {
        return rcode_name(reply.rcode);
    }
    data.join(", ")
}

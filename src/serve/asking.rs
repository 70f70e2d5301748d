//! Questions to DNS servers, asked as a client asks them, and asked again until the answer is the one that is waited for.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use super::chain::link;
use crate::corefile::{self, Source};
use crate::goal::{Goal, Heard, Verdict};
use crate::message::UDP_SIZE;
use crate::message::question::{Edns, Query, Question, RecordType, Transport};
use crate::message::reply::{Composed, Said};
use crate::name::{Name, SearchList};
use crate::plugin::kit::ResolvConf;
use crate::plugin::{Chain, Parts, Router, read_blocks};

/// When a name that does not answer as it shall is asked for again: soon at first, then with a second question in the time
/// that a person does not notice.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Where a machine says whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Asks DNS servers.
#[derive(Clone)]
pub struct Asker(Arc<Router>);

/// A name that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As it was given.
    pub text: String,
    /// What a resolver makes of it, in the order in which it asks.
    pub names: Vec<Name>,
}

impl Wanted {
    /// A name as the resolver of this search list asks for it; one below a domain of the list is asked for as it is.
    ///
    /// # Errors
    /// Text that is no name.
    pub fn new(text: &str, search: &SearchList) -> anyhow::Result<Self> {
        let no_name = || format!("'{text}' is no name");
        let mut names = search.names(text).with_context(no_name)?;
        let complete = SearchList::default().names(text).with_context(no_name)?;
        if complete.iter().all(|name| search.holds(name)) {
            names = complete;
        }
        Ok(Self {
            text: text.to_owned(),
            names,
        })
    }
}

/// The machine's search list; none where it has no `/etc/resolv.conf`.
#[must_use]
pub fn search_list(source: &dyn Source) -> SearchList {
    let text = source.read("", RESOLV_CONF);
    text.map(|text| ResolvConf::read(&text).search)
        .unwrap_or_default()
}

/// How long one server may take of the five seconds of a question, in a Corefile's words: one that has questions wait
/// (`pending`) answers within four; where there are more, the second is asked when the first has not said anything.
pub(super) const ALONE: &str = "4500ms";
const ONE_OF_MORE: &str = "2s";

/// What sends every question to these servers, in their order: addresses, or a file like `/etc/resolv.conf`; `patience`: how
/// long each may take.
pub(super) async fn forwarding(
    servers: &str,
    patience: &str,
    source: &dyn Source,
) -> anyhow::Result<Arc<Router>> {
    let text = format!(
        ". {{\n forward . {servers} {{\n  policy sequential\n  prefer_udp\n  read_timeout {patience}\n }}\n}}\n"
    );
    let mut blocks = read_blocks(&corefile::parse("forward", &text, source)?, source)?;
    let mut routes = Vec::new();
    for block in &mut blocks {
        for (_, link) in &mut block.links {
            link.prepare().await?;
        }
        let mut parts = Parts::default();
        let links = 0..block.links.len();
        let chain: Result<Vec<_>, _> = links.map(|at| link(block, at, &mut parts)).collect();
        let chain: Chain = chain?.into();
        let zones = block.keys.iter().map(|key| key.zone.clone());
        routes.extend(zones.map(|zone| (zone, Arc::clone(&chain))));
    }
    Ok(Router::new(routes, true))
}

impl Asker {
    /// One that asks this server; without one those of `/etc/resolv.conf`, in their order.
    ///
    /// # Errors
    /// There is no such file, or it names no server.
    pub async fn new(server: Option<SocketAddr>, source: &dyn Source) -> anyhow::Result<Self> {
        let servers = server.map_or_else(|| RESOLV_CONF.to_owned(), |server| server.to_string());
        let machine = source.read("", RESOLV_CONF).unwrap_or_default();
        let is_one = server.is_some() || ResolvConf::read(&machine).nameservers.len() < 2;
        let patience = if is_one { ALONE } else { ONE_OF_MORE };
        let router = forwarding(&servers, patience, source).await;
        router
            .map(Self)
            .with_context(|| format!("cannot ask {servers}"))
    }

    /// What the servers say.
    pub async fn ask(&self, name: &Name, qtype: RecordType) -> Heard {
        let client = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
        let query = Query {
            edns: Some(Edns {
                udp_size: UDP_SIZE,
                dnssec_ok: false,
            }),
            // Whole, however large it is.
            transport: Transport::Tcp,
            ..Query::plain(Question::new(name.clone(), qtype), client)
        };
        let reply = self.0.handle(&query).await;
        let reply = reply.map_err(|failure| without_own_port(&failure.why))?;
        let wire = reply.encode(&query).into_first().unwrap_or_default();
        let reply = Composed::read(&wire).ok_or("it cannot be read")?;
        Ok(Composed {
            error: Said::read(&wire),
            ..reply
        })
    }

    /// What they say to each of these types, which are asked for together.
    async fn replies(&self, name: &Name, qtypes: &[RecordType]) -> Vec<Heard> {
        let mut asking = JoinSet::new();
        for (at, qtype) in qtypes.iter().copied().enumerate() {
            let (asker, name) = (self.clone(), name.clone());
            asking.spawn(async move { (at, asker.ask(&name, qtype).await) });
        }
        let mut replies = asking.join_all().await;
        replies.sort_by_key(|(at, _)| *at);
        replies.into_iter().map(|(_, heard)| heard).collect()
    }

    /// Looks at names by asking.
    #[must_use]
    pub fn looking(self, goal: Goal) -> Look {
        Arc::new(move |wanted, _| {
            let asker = self.clone();
            Box::pin(async move { asker.look(&wanted.names, goal).await })
        })
    }

    /// What a name comes to now.
    async fn look(&self, names: &[Name], goal: Goal) -> Verdict {
        let mut tried = Vec::new();
        for name in names {
            tried.push(self.replies(name, goal.types()).await);
            // Nothing is gone before every name is; anything else may be there with the first.
            if goal != Goal::Gone && matches!(goal.judge(&tried), Verdict::Met(_)) {
                break;
            }
        }
        goal.judge(&tried)
    }
}

/// An upstream's failure without the address that it was asked from, which is another each time.
fn without_own_port(why: &str) -> String {
    let parts = why.split_once("->").and_then(|(before, server)| {
        let (what, _own) = before.rsplit_once(' ')?;
        Some(format!("{what} {server}"))
    });
    parts.unwrap_or_else(|| why.to_owned())
}

/// What a name comes to; who is told of changes may take as long as this until it comes to what is waited for.
pub type Look = Arc<dyn Fn(Wanted, Duration) -> Looking + Send + Sync>;

/// A look at a name.
pub type Looking = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// How long a look may take, but for the first: less than whoever stands in between lets a connection be silent.
const PATIENCE: Duration = Duration::from_secs(8);

/// Names that are waited for, and what each came to last.
pub struct Waiting {
    look: Look,
    names: Vec<(Wanted, Verdict)>,
    /// A server has answered for one of them.
    is_heard: bool,
}

impl Waiting {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(look: Look, wanted: Vec<Wanted>) -> Self {
        let verdict = Verdict::Silent("no reply yet".into());
        let names = wanted.into_iter().map(|name| (name, verdict.clone()));
        Self {
            look,
            names: names.collect(),
            is_heard: false,
        }
    }

    /// Looks once at each name that has not said yet what is waited for. `tell`: what a name comes to, where that is new.
    pub async fn look(&mut self, patience: Duration, mut tell: impl FnMut(&Wanted, &Verdict)) {
        let mut looking = JoinSet::new();
        for (at, (wanted, verdict)) in self.names.iter().enumerate() {
            if !matches!(verdict, Verdict::Met(_)) {
                let look = (self.look)(wanted.clone(), patience);
                looking.spawn(async move { (at, look.await) });
            }
        }
        while let Some(looked) = looking.join_next().await {
            let (at, verdict) = looked.expect("a look that is not aborted ends");
            self.is_heard |= !matches!(verdict, Verdict::Silent(_));
            let (wanted, last) = &mut self.names[at];
            if *last != verdict {
                tell(wanted, &verdict);
                *last = verdict;
            }
        }
    }

    /// Looks until each name has once said what is waited for.
    pub async fn finish(&mut self, mut tell: impl FnMut(&Wanted, &Verdict)) {
        let (mut pause, mut patience) = (FIRST_PAUSE, Duration::ZERO);
        loop {
            self.look(patience, &mut tell).await;
            if self.missing().next().is_none() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = LAST_PAUSE.min(2 * pause);
            patience = PATIENCE;
        }
    }

    /// The names that have not said yet what is waited for, and what they came to.
    pub fn missing(&self) -> impl Iterator<Item = &(Wanted, Verdict)> {
        let names = self.names.iter();
        names.filter(|(_, verdict)| !matches!(verdict, Verdict::Met(_)))
    }

    /// Whether no server has answered for any of them yet.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        !self.is_heard
    }
}

#[cfg(test)]
mod tests {
    use super::without_own_port;

    #[test]
    fn the_same_failure_is_told_by_the_same_words() {
        for (why, wanted) in [
            (
                "read udp 127.0.0.1:40001->127.0.0.1:53: i/o timeout",
                "read udp 127.0.0.1:53: i/o timeout",
            ),
            (
                "dial tcp 127.0.0.1:53: connect: connection refused",
                "dial tcp 127.0.0.1:53: connect: connection refused",
            ),
        ] {
            assert_eq!(without_own_port(why), wanted);
        }
    }
}

//! From a query to the chain of the server block it belongs to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Filter, Timeouts};
use super::prometheus::Counted;
use super::{Handled, Plugin};
use crate::answer::Reply;
use crate::message::question::{DNSClass, Query, Question, RecordType};
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::metrics::{Metrics, Top};
use crate::name::{Name, Origin};
use crate::zone::MAX_ALIASES;
use crate::zonefile::FileZone;

/// The plugins of a server block, in order.
pub type Chain = Arc<[Arc<dyn Plugin>]>;

/// What answers the questions of a server block.
#[derive(Clone)]
pub struct Answering {
    /// Its plugins.
    pub chain: Chain,
    /// Which questions it takes; `None`: all of its zones.
    pub view: Option<Arc<dyn Filter>>,
}

impl Answering {
    /// Tells each plugin of its chain.
    pub fn begin(&self) {
        self.chain.iter().for_each(|link| link.begin(&self.chain));
    }
}

impl From<Chain> for Answering {
    fn from(chain: Chain) -> Self {
        Self { chain, view: None }
    }
}

/// The server blocks of a listener.
pub struct Router {
    blocks: Vec<(Origin, Answering)>,
    any_class: bool,
    /// What metrics call it: `dns://:53`.
    server: Arc<str>,
    /// Where queries are counted that no server block has.
    metrics: Option<Arc<Metrics>>,
    /// Where it is counted who asks what.
    top: Option<Arc<Top>>,
    /// What connections may take.
    timeouts: Timeouts,
    /// For what goes on after the reply.
    itself: Weak<Self>,
}

/// What a listener has no room for. The order is that in which it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// A question that would wait for an upstream, while too many do.
    Waiting,
    /// Replies that a client does not take.
    Untaken,
    /// A connection: one that is idle gives way, else the new one is turned away.
    Connection,
    /// A question that has waited for so long that nobody wants its answer any more.
    Overdue,
    /// From now on a part of the questions of a client that asks for more than its share.
    Share,
}

impl Shed {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Untaken,
        Self::Connection,
        Self::Overdue,
        Self::Share,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting_question",
            Self::Untaken => "untaken_reply",
            Self::Connection => "connection",
            Self::Overdue => "overdue_question",
            Self::Share => "share",
        }
    }
}

/// What a router knows of its socket.
pub struct Socket {
    /// What metrics call it: `dns://:53`.
    pub server: Arc<str>,
    /// What connections may take.
    pub timeouts: Timeouts,
    /// Where queries are counted that no server block has.
    pub metrics: Option<Arc<Metrics>>,
    /// Where it is counted who asks what.
    pub top: Option<Arc<Top>>,
}

/// One that nobody has bound.
impl Default for Socket {
    fn default() -> Self {
        Self {
            server: "dns://".into(),
            timeouts: Timeouts::default(),
            metrics: None,
            top: None,
        }
    }
}

/// The rest of a chain.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    router: &'a Router,
    chain: &'a Chain,
    /// The place of the next plugin.
    at: usize,
    depth: usize,
    /// How many questions the client's has become.
    asked: &'a AtomicUsize,
}

/// The rest of a chain, for what goes on after the reply.
pub struct Detached {
    router: Arc<Router>,
    chain: Chain,
    at: usize,
    depth: usize,
    asked: AtomicUsize,
}

/// Why nobody has answered a question: nobody was asked.
pub(super) const NO_NEXT: &str = "no next plugin found";

/// How many questions a client's may become on its way: names of a search list, each with aliases.
const MAX_ASKED: usize = 64;

impl Router {
    /// A router over these zones. `any_class`: a chain has a plugin that takes classes other than IN.
    #[must_use]
    pub fn new(blocks: Vec<(Name, Chain)>, any_class: bool) -> Arc<Self> {
        let blocks = blocks.into_iter();
        let blocks = blocks.map(|(zone, chain)| (zone, chain.into()));
        Self::of(Socket::default(), blocks.collect(), any_class)
    }

    /// The same on a socket.
    #[must_use]
    pub fn of(socket: Socket, blocks: Vec<(Name, Answering)>, any_class: bool) -> Arc<Self> {
        let Socket {
            server,
            timeouts,
            metrics,
            top,
        } = socket;
        if let Some(metrics) = &metrics {
            // A counter that is there from the start shows its first increase.
            for what in Shed::ALL {
                metrics.shed.with_label_values(&[what.label()]);
            }
        }
        let blocks = blocks.into_iter();
        Arc::new_cyclic(|itself| Self {
            blocks: blocks
                .map(|(zone, answering)| (zone.into(), answering))
                .collect(),
            any_class,
            server,
            timeouts,
            metrics,
            top,
            itself: itself.clone(),
        })
    }

    /// Answers a query. There is always a reply.
    pub async fn answer(&self, query: &Query) -> Reply {
        let handled = self.handle(query).await;
        let reply = handled.unwrap_or_else(|failure| Reply::refusal(failure.rcode));
        self.note(query, reply.rcode());
        reply
    }

    /// Counts who asks what.
    pub(super) fn note(&self, query: &Query, rcode: ResponseCode) {
        if let Some(top) = &self.top {
            let (name, client) = (&query.question.qname, query.route.client.ip());
            let is_denied = rcode == ResponseCode::NXDomain;
            top.count(name.lower_wire(0, name.len()), client, is_denied);
        }
    }

    /// The same, or why there is no reply.
    ///
    /// # Errors
    /// What a plugin says, or that none has answered.
    pub async fn handle(&self, query: &Query) -> Handled {
        self.ask(query, 0, &AtomicUsize::new(0)).await
    }

    /// What connections may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// A panic, which has cost a query.
    pub fn count_panic(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.panics.inc();
        }
    }

    /// A response over HTTPS, with its status.
    pub fn count_https(&self, status: u16) {
        if let Some(metrics) = &self.metrics {
            let labels = [&*self.server, &status.to_string()];
            metrics.dns.https_responses.with_label_values(&labels).inc();
        }
    }

    /// Something that there was no room for.
    pub fn count_shed(&self, what: Shed) {
        if let Some(metrics) = &self.metrics {
            metrics.shed.with_label_values(&[what.label()]).inc();
        }
    }

    /// A query that no server block has.
    fn count_dropped(&self, query: &Query) {
        if let Some(metrics) = &self.metrics {
            let counted = Counted {
                server: &self.server,
                zone: "dropped",
                view: "",
                plugin: "",
            };
            counted.request(metrics, query);
            counted.reply(metrics, query, ResponseCode::Refused, None);
        }
    }

    fn ask<'a>(
        &'a self,
        query: &'a Query,
        depth: usize,
        asked: &'a AtomicUsize,
    ) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        let refused = |why: &str| {
            self.count_dropped(query);
            let failure = Failure {
                rcode: ResponseCode::Refused,
                why: why.into(),
                is_live: false,
            };
            futures::future::ready(Err(failure)).boxed()
        };
        if question.qclass != DNSClass::IN && !self.any_class {
            return refused("only class IN is served");
        }
        match self.chain_of(query) {
            Some(chain) if !chain.is_empty() => Next {
                router: self,
                chain,
                at: 0,
                depth,
                asked,
            }
            .handle(query),
            Some(_) | None => refused("no server block has this name"),
        }
    }

    /// The block with the longest zone, of several the first that takes the question. DS belongs to the parent's side of a
    /// cut (RFC 4035 section 3.1.4.1): as in CoreDNS the topmost block other than the root's gets it.
    fn chain_of(&self, query: &Query) -> Option<&Chain> {
        self.block_of(query)
            .map(|block| &self.blocks[block].1.chain)
    }

    /// The place of that block.
    pub(super) fn block_of(&self, query: &Query) -> Option<usize> {
        let question = &query.question;
        let takes = |(_, (zone, answering)): &(usize, &(Origin, Answering))| {
            let view = answering.view.as_ref();
            zone.covers(&question.qname) && view.is_none_or(|view| view.admits(query))
        };
        let taking = self.blocks.iter().enumerate().filter(takes);
        let found = if question.qtype == RecordType::DS {
            taking.min_by_key(|(_, (zone, _))| (zone.labels == 0, zone.labels))
        } else {
            // Of several the last one counts here.
            taking.rev().max_by_key(|(_, (zone, _))| zone.labels)
        };
        found.map(|(block, _)| block)
    }

    /// The chains of the blocks, in their order.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.blocks.iter().map(|(_, answering)| &answering.chain)
    }

    /// What metrics call it.
    pub(super) fn server(&self) -> &Arc<str> {
        &self.server
    }
}

impl<'a> Next<'a> {
    /// What metrics call the server.
    #[must_use]
    pub fn server(&self) -> &'a Arc<str> {
        &self.router.server
    }

    /// Whether the query is the client's own, not one that another plugin asks for it.
    #[must_use]
    pub fn is_client_s(&self) -> bool {
        self.depth == 0
    }

    /// Whether there is no plugin any more.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.at >= self.chain.len()
    }

    /// The zones of files that the plugins of the chain have.
    #[must_use]
    pub fn offers(&self) -> Vec<Arc<FileZone>> {
        let offers = self.chain.iter().filter_map(|link| link.offers());
        offers.flatten().collect()
    }

    /// Hands the query to the next plugin.
    pub fn handle(self, query: &'a Query) -> BoxFuture<'a, Handled> {
        let next = Next {
            at: self.at + 1,
            ..self
        };
        match self.chain.get(self.at) {
            Some(plugin) => plugin.handle(query, next),
            None => futures::future::ready(Err(Failure::servfail(NO_NEXT))).boxed(),
        }
    }

    /// The same, for what goes on after the reply; `None` where the server is about to end.
    #[must_use]
    pub fn detached(self) -> Option<Detached> {
        Some(Detached {
            router: self.router.itself.upgrade()?,
            chain: Arc::clone(self.chain),
            at: self.at,
            depth: self.depth,
            asked: AtomicUsize::new(self.asked.load(Ordering::Relaxed)),
        })
    }

    /// Asks the whole server the same of another name, as the same client: from the choice of the server block on.
    /// `None`: there is a reply which cannot be read.
    pub async fn ask(self, query: &Query, name: Name) -> Result<Option<Composed>, Failure> {
        let too_many = || self.asked.fetch_add(1, Ordering::Relaxed) >= MAX_ASKED;
        if self.depth >= MAX_ALIASES || too_many() {
            return Err(Failure::servfail("too many aliases"));
        }
        let question = Question {
            qname: name.into(),
            ..query.question.clone()
        };
        let query = Query {
            question,
            ..query.clone()
        };
        let reply = self.router.ask(&query, self.depth + 1, self.asked).await?;
        Ok(reply.into_composed(&query.question))
    }
}

impl Detached {
    /// Hands the query to the next plugin.
    pub async fn handle(self, query: Query) -> Handled {
        let next = Next {
            router: &self.router,
            chain: &self.chain,
            at: self.at,
            depth: self.depth,
            asked: &self.asked,
        };
        next.handle(&query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;
    use crate::plugin::tests::{Fixed, query};

    fn router(zones: &[&str]) -> Arc<Router> {
        let chain = |i: usize| {
            Arc::from([
                Arc::new(Fixed::address([10, 0, 0, u8::try_from(i).unwrap()])) as Arc<dyn Plugin>,
            ])
        };
        let blocks = zones.iter().enumerate();
        let blocks = blocks.map(|(i, z)| (absolute(z).unwrap(), chain(i)));
        Router::new(blocks.collect(), false)
    }

    fn block(router: &Router, qname: &str, qtype: RecordType) -> Option<usize> {
        router.block_of(&query(qname, qtype))
    }

    #[test]
    fn the_longest_zone_wins_in_any_case_and_ds_goes_to_the_topmost() {
        let router = router(&[".", "example.org", "a.example.org"]);
        for (qname, qtype, wanted) in [
            ("x.A.example.ORG", RecordType::A, 2),
            ("example.org", RecordType::A, 1),
            ("example.com", RecordType::A, 0),
            ("x.a.example.org", RecordType::DS, 1),
            ("com", RecordType::DS, 0),
        ] {
            assert_eq!(
                block(&router, qname, qtype),
                Some(wanted),
                "{qname} {qtype}"
            );
        }
    }

    #[test]
    fn a_name_of_no_block_and_a_class_of_no_plugin_are_refused() {
        let router = router(&["example.org"]);
        let rcode = |query: &Query| futures::executor::block_on(router.answer(query)).rcode();
        assert_eq!(
            rcode(&query("example.com", RecordType::A)),
            ResponseCode::Refused
        );
        let mut chaos = query("example.org", RecordType::A);
        chaos.question.qclass = DNSClass::CH;
        assert_eq!(rcode(&chaos), ResponseCode::Refused);
        assert_eq!(
            rcode(&query("example.org", RecordType::A)),
            ResponseCode::NoError
        );
    }

    #[test]
    fn of_blocks_with_one_zone_the_first_takes_a_question_that_its_view_admits() {
        let view = |condition: &str| {
            let block = crate::plugin::tests::block(&format!("view v {{\n expr {condition}\n}}"));
            let filter = block.view.unwrap().filter(&crate::plugin::Parts::default());
            Some(filter)
        };
        let chain = Chain::from([Arc::new(Fixed::address([10, 0, 0, 1])) as Arc<dyn Plugin>]);
        let blocks = [
            ("example.org", view("type() == 'A'")),
            (".", None),
            ("example.org", view("type() == 'TXT'")),
            ("example.org", view("type() in ['A', 'TXT', 'MX']")),
        ];
        let served = blocks.map(|(zone, view)| {
            let chain = Arc::clone(&chain);
            (absolute(zone).unwrap(), Answering { chain, view })
        });
        let router = Router::of(Socket::default(), served.into(), false);
        for (qtype, wanted) in [
            (RecordType::A, 0),
            (RecordType::TXT, 2),
            (RecordType::MX, 3),
            // No view of the longer zone admits it.
            (RecordType::SRV, 1),
        ] {
            assert_eq!(
                block(&router, "x.example.org", qtype),
                Some(wanted),
                "{qtype}"
            );
        }
    }

    /// Asks the whole server twice more.
    struct Asks(AtomicUsize);

    impl Plugin for Asks {
        fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let twice = async move {
                let name = || query.question.qname.to_name(0);
                let _first = next.ask(query, name()).await;
                let second = next.ask(query, name()).await?;
                Ok(second.unwrap().into())
            };
            twice.boxed()
        }
    }

    #[test]
    fn one_question_becomes_so_many_and_no_more() {
        let asks = Arc::new(Asks(AtomicUsize::new(0)));
        let chain = Arc::from([Arc::clone(&asks) as Arc<dyn Plugin>]);
        let router = Router::new(vec![(Name::root(), chain)], false);
        let query = query("example.org", RecordType::A);
        assert_eq!(
            futures::executor::block_on(router.answer(&query)).rcode(),
            ResponseCode::ServFail
        );
        assert_eq!(asks.0.load(Ordering::Relaxed), 1 + MAX_ASKED);
    }
}

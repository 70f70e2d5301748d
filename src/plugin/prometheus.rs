//! `prometheus`: what the plugins behind it answer is counted, under CoreDNS's names.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, Sized, address, sized};
use super::passage::{Counts, Passage, Tally, Way};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::CorefileError;
use crate::message::question::{Query, RecordType, Transport};
use crate::message::rcode_name;
use crate::message::reply::ResponseCode;
use crate::metrics::{LocalCounter, LocalHistogram, Metrics};
use crate::name::{Name, Origin};
use crate::zone::Shown;

/// Where CoreDNS has them.
const DEFAULT_ADDRESS: &str = "localhost:9153";

pub(super) const PLUGIN: Registration = Registration {
    name: "prometheus",
    setup,
};

/// `prometheus [ADDRESS] { runtime_metrics }`: the zones of its block.
#[derive(Debug)]
struct Spec(Vec<Name>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    for property in &directive.body {
        match property.name.text.as_str() {
            "runtime_metrics" => property.no_args()?,
            _ => return Err(directive.unknown_property(property, "runtime_metrics")),
        }
        let what = "runtime_metrics of prometheus".to_owned();
        let why = "there is no Go runtime to measure";
        block.without_effect.push((what, why));
    }
    block.metrics = Some(address(directive, DEFAULT_ADDRESS)?);
    let zones = directives.origins(&[])?;
    block.links.push((PLUGIN.name, Box::new(Spec(zones))));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let label = |zone: &Name| (Origin::from(zone.clone()), zone.to_lowercase().to_string());
        Ok(Arc::new(Prometheus {
            zones: self.0.iter().map(label).collect(),
            plugin: parts.followed_by,
            view: Arc::clone(&parts.view),
            metrics: Arc::clone(&parts.metrics),
        }))
    }
}

/// The handler.
struct Prometheus {
    /// Each with its label.
    zones: Vec<(Origin, String)>,
    /// As in CoreDNS, the plugin behind this one stands for all.
    plugin: &'static str,
    view: Arc<str>,
    metrics: Arc<Metrics>,
}

/// The labels that a query has.
pub(super) struct Counted<'a> {
    pub(super) server: &'a str,
    pub(super) zone: &'a str,
    pub(super) view: &'a str,
    pub(super) plugin: &'a str,
}

impl Counted<'_> {
    pub(super) fn request(&self, metrics: &Metrics, query: &Query) {
        let family = match query.route.client.ip() {
            IpAddr::V4(_) => "1",
            IpAddr::V6(_) => "2",
        };
        let (server, zone, view, proto) = (self.server, self.zone, self.view, proto(query));
        let qtype = known_type(query);
        let labels = [server, zone, view, proto, family, &qtype];
        metrics.dns.requests.with_label_values(&labels).inc();
        if query.edns.is_some_and(|edns| edns.dnssec_ok) {
            metrics
                .dns
                .do_requests
                .with_label_values(&[server, zone, view])
                .inc();
        }
        let size = metrics
            .dns
            .request_size
            .with_label_values(&[server, zone, view, proto]);
        size.observe(f64::from(u32::try_from(query.size).unwrap_or(u32::MAX)));
    }

    /// `sent`: the octets of the reply, and how long it took; without it the server makes one.
    pub(super) fn reply(
        &self,
        metrics: &Metrics,
        query: &Query,
        rcode: ResponseCode,
        sent: Option<(usize, Duration)>,
    ) {
        let (server, zone, view) = (self.server, self.zone, self.view);
        let labels = [server, zone, view, &rcode_name(rcode), self.plugin];
        metrics.dns.responses.with_label_values(&labels).inc();
        let (octets, took) = sent.unwrap_or_default();
        let duration = metrics
            .dns
            .duration
            .with_label_values(&[server, zone, view]);
        duration.observe(took.as_secs_f64());
        let size = metrics
            .dns
            .response_size
            .with_label_values(&[server, zone, view, proto(query)]);
        size.observe(f64::from(u32::try_from(octets).unwrap_or(u32::MAX)));
    }
}

fn proto(query: &Query) -> &'static str {
    match query.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// The types that metrics tell apart: CoreDNS's.
const TYPES: [&str; 18] = [
    "A", "AAAA", "CNAME", "DNSKEY", "DS", "MX", "NSEC", "NSEC3", "NS", "PTR", "RRSIG", "SOA",
    "SRV", "TXT", "HTTPS", "SVCB", "IXFR", "AXFR",
];

fn known_type(query: &Query) -> String {
    let name = query.question.qtype.to_string();
    if TYPES.contains(&name.as_str()) || name == "ANY" {
        name
    } else {
        "other".to_owned()
    }
}

/// What one lane counts of the questions that a zone answers.
struct OfLane {
    zones: Vec<(Origin, OfZone)>,
}

/// Of one zone.
struct OfZone {
    metrics: Arc<Metrics>,
    server: Arc<str>,
    zone: String,
    view: Arc<str>,
    plugin: &'static str,
    /// By family and type.
    requests: Vec<Vec<(RecordType, LocalCounter)>>,
    /// By response code.
    replies: Vec<(ResponseCode, LocalCounter)>,
    dnssec: LocalCounter,
    request_size: LocalHistogram,
    reply_size: LocalHistogram,
    duration: LocalHistogram,
    /// Questions whose duration is not known yet.
    pending: u32,
}

impl Tally for OfLane {
    fn count(&mut self, query: &Query, rcode: ResponseCode, size: usize) {
        let qname = &query.question.qname;
        let covering = self.zones.iter_mut().filter(|(zone, _)| zone.covers(qname));
        if let Some((_, counts)) = covering.max_by_key(|(zone, _)| zone.labels) {
            counts.count(query, rcode, size);
        }
    }

    fn settle(&mut self, took: Duration) {
        let zones = self.zones.iter_mut().map(|(_, counts)| counts);
        zones
            .filter(|counts| counts.pending > 0)
            .for_each(|counts| counts.settle(took));
    }
}

impl OfZone {
    fn count(&mut self, query: &Query, rcode: ResponseCode, size: usize) {
        let octets = |size: usize| f64::from(u32::try_from(size).unwrap_or(u32::MAX));
        let is_v6 = query.route.client.is_ipv6();
        let qtype = query.question.qtype;
        let mut known = self.requests[usize::from(is_v6)].iter();
        match known.position(|(known, _)| *known == qtype) {
            Some(at) => self.requests[usize::from(is_v6)][at].1.inc(),
            None => self.request_of(is_v6, query).inc(),
        }
        match self.replies.iter().position(|(known, _)| *known == rcode) {
            Some(at) => self.replies[at].1.inc(),
            None => self.reply_of(rcode).inc(),
        }
        if query.edns.is_some_and(|edns| edns.dnssec_ok) {
            self.dnssec.inc();
        }
        self.request_size.observe(octets(query.size));
        self.reply_size.observe(octets(size));
        self.pending += 1;
    }

    /// The counter of a type that comes the first time.
    fn request_of(&mut self, is_v6: bool, query: &Query) -> &LocalCounter {
        let family = if is_v6 { "2" } else { "1" };
        let labels = [
            &*self.server,
            &self.zone,
            &self.view,
            proto(query),
            family,
            &known_type(query),
        ];
        let counter = self.metrics.dns.requests.with_label_values(&labels).local();
        let counters = &mut self.requests[usize::from(is_v6)];
        counters.push((query.question.qtype, counter));
        &counters[counters.len() - 1].1
    }

    /// The counter of a response code that comes the first time.
    fn reply_of(&mut self, rcode: ResponseCode) -> &LocalCounter {
        let labels = [
            &*self.server,
            &self.zone,
            &self.view,
            &rcode_name(rcode),
            self.plugin,
        ];
        let counter = self
            .metrics
            .dns
            .responses
            .with_label_values(&labels)
            .local();
        self.replies.push((rcode, counter));
        &self.replies[self.replies.len() - 1].1
    }

    fn settle(&mut self, took: Duration) {
        for _ in 0..std::mem::take(&mut self.pending) {
            self.duration.observe(took.as_secs_f64());
        }
        let requests = self.requests.iter().flatten().map(|(_, counter)| counter);
        let replies = self.replies.iter().map(|(_, counter)| counter);
        requests.chain(replies).for_each(LocalCounter::flush);
        self.dnssec.flush();
        for histogram in [&self.request_size, &self.reply_size, &self.duration] {
            histogram.flush();
        }
    }
}

impl Counts for Prometheus {
    fn leaves(&self, _: &Shown) -> bool {
        true
    }

    fn tally(&self, server: &Arc<str>) -> Box<dyn Tally> {
        let (dns, view) = (&self.metrics.dns, &*self.view);
        let counts = |(origin, zone): &(Origin, String)| {
            let (labels, udp) = ([&**server, zone, view], [&**server, zone, view, "udp"]);
            let counts = OfZone {
                requests: vec![Vec::new(), Vec::new()],
                replies: Vec::new(),
                dnssec: dns.do_requests.with_label_values(&labels).local(),
                request_size: dns.request_size.with_label_values(&udp).local(),
                reply_size: dns.response_size.with_label_values(&udp).local(),
                duration: dns.duration.with_label_values(&labels).local(),
                pending: 0,
                metrics: Arc::clone(&self.metrics),
                server: Arc::clone(server),
                zone: zone.clone(),
                view: Arc::clone(&self.view),
                plugin: self.plugin,
            };
            (origin.clone(), counts)
        };
        Box::new(OfLane {
            zones: self.zones.iter().map(counts).collect(),
        })
    }
}

impl Prometheus {
    /// The label of the longest zone that has the name.
    fn zone(&self, query: &Query) -> &str {
        let qname = &query.question.qname;
        let covering = self.zones.iter().filter(|(zone, _)| zone.covers(qname));
        let longest = covering.max_by_key(|(zone, _)| zone.labels);
        longest.map_or(".", |(_, label)| label)
    }
}

impl Plugin for Prometheus {
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Counts(self))
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let (start, server) = (Instant::now(), next.server());
            let counted = |plugin| Counted {
                server,
                zone: self.zone(query),
                view: &self.view,
                plugin,
            };
            counted("").request(&self.metrics, query);
            let reply = match next.handle(query).await {
                Ok(reply) => reply,
                Err(failure) => {
                    let sent = Some((query.size, start.elapsed()));
                    counted("").reply(&self.metrics, query, failure.rcode, sent);
                    return Err(failure);
                }
            };
            let rcode = reply.rcode();
            let Sized { reply, size, .. } = sized(reply, query);
            let sent = Some((size, start.elapsed()));
            // Where nothing is sent, nobody has answered.
            let plugin = if matches!(reply, Reply::Nothing) {
                ""
            } else {
                self.plugin
            };
            counted(plugin).reply(&self.metrics, query, rcode, sent);
            Ok(reply)
        }
        .boxed()
    }
}

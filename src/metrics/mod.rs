//! What is counted, under CoreDNS's names, labels and buckets, so that dashboards and alerts made for it work.

mod maker;
mod sketch;
mod top;

use std::sync::Arc;

pub use prometheus::local::{LocalHistogram, LocalIntCounter as LocalCounter};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder,
    exponential_buckets,
};
pub use prometheus::{IntCounter, IntCounterVec};

use maker::Maker;
pub use top::{By, Counted, Top};

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Queries and replies.
    pub dns: Dns,
    /// Of `cache`.
    pub cache: Cache,
    /// Of `forward`.
    pub upstreams: Upstreams,
    /// Of `kubernetes`: how long a change takes from its cause to its answer, in seconds, by service_kind.
    pub programming: HistogramVec,
    /// Of `kubernetes`: requests to API servers, by code, method and host.
    pub api_requests: IntCounterVec,
    /// Of `health`.
    pub health: Health,
    /// Of `template`.
    pub template: Templates,
    /// Of `hosts`.
    pub hosts: Hosts,
    /// Of `local`: questions for names that begin or end with `localhost`.
    pub localhost: IntCounter,
    /// What is known of this process.
    pub process: Process,
    /// Of `autopath`: questions that it has answered itself, by server.
    pub autopath: IntCounterVec,
    /// Panics that cost one query each.
    pub panics: IntCounter,
    /// Of `reload`.
    pub reload: Reload,
    /// What there was no room for: what.
    pub shed: IntCounterVec,
    /// Of `rrl`.
    pub rrl: Rrl,
    /// Of `acl`.
    pub acl: Acl,
    /// Of `dns64`: replies that were made of IPv4 addresses, by server.
    pub dns64: IntCounterVec,
    /// Objects that came and could not be read: the kind of object, in the plural.
    pub unreadable: IntCounterVec,
    /// How many `kubernetes` have an API server that does not deliver.
    pub away: Gauge,
    /// Questions that `pending` has had wait, by what became of them.
    pub pending: IntCounterVec,
    /// Look-ups that a zone of the cluster has denied, by reason.
    pub denied: IntCounterVec,
    /// Who asks what; not among what is scraped.
    pub top: Arc<Top>,
}

/// Queries and replies.
#[derive(Debug)]
pub struct Dns {
    /// Requests: server, zone, view, proto, family, type.
    pub requests: IntCounterVec,
    /// Requests with DO: server, zone, view.
    pub do_requests: IntCounterVec,
    /// How long an answer takes, in seconds: server, zone, view.
    pub duration: HistogramVec,
    /// Octets of requests: server, zone, view, proto.
    pub request_size: HistogramVec,
    /// Octets of replies: server, zone, view, proto.
    pub response_size: HistogramVec,
    /// Replies: server, zone, view, rcode, plugin.
    pub responses: IntCounterVec,
    /// Which plugins are in a chain: server, zone, view, name.
    pub plugin_enabled: GaugeVec,
    /// Responses over HTTPS: server, status.
    pub https_responses: IntCounterVec,
}

/// Of `cache`; each has the labels server, zones, view.
#[derive(Debug)]
pub struct Cache {
    /// Replies that are kept, by type too.
    pub entries: GaugeVec,
    /// Replies that were there, by type too.
    pub hits: IntCounterVec,
    /// Questions to the cache.
    pub requests: IntCounterVec,
    /// Replies that were not there.
    pub misses: IntCounterVec,
    /// Replies that were fetched before they were asked for.
    pub prefetches: IntCounterVec,
    /// Replies that were not fresh any more.
    pub stale: IntCounterVec,
    /// Replies that are not kept, as they cannot be read.
    pub drops: IntCounterVec,
    /// Replies that had to go for others, by type too.
    pub evictions: IntCounterVec,
}

/// Of `forward`.
#[derive(Debug)]
pub struct Upstreams {
    /// How long upstreams take, in seconds: proxy_name, to, rcode.
    pub duration: HistogramVec,
    /// Questions for which a connection was there: proxy_name, to, proto.
    pub connections_kept: IntCounterVec,
    /// Questions for which one was made: proxy_name, to, proto.
    pub connections_made: IntCounterVec,
    /// Checks that failed: proxy_name, to.
    pub failures: IntCounterVec,
    /// Queries for which every upstream was down.
    pub all_down: IntCounter,
    /// Queries that came while `max_concurrent` others waited.
    pub rejected: IntCounter,
}

/// Of `hosts`.
#[derive(Debug)]
pub struct Hosts {
    /// Names and addresses, by hostsfile.
    pub entries: GaugeVec,
    /// When the file was changed that was read last, in seconds since 1970.
    pub changed: Gauge,
}

/// Of `rrl`; each by server.
#[derive(Debug)]
pub struct Rrl {
    /// Requests beyond their rate.
    pub requests: IntCounterVec,
    /// Replies beyond theirs.
    pub responses: IntCounterVec,
}

/// Of `acl`; but for what is allowed each has the labels server, zone, view.
#[derive(Debug)]
pub struct Acl {
    /// Questions that were refused.
    pub blocked: IntCounterVec,
    /// Questions that got an empty answer.
    pub filtered: IntCounterVec,
    /// Questions without a reply.
    pub dropped: IntCounterVec,
    /// Questions that went on: server, view.
    pub allowed: IntCounterVec,
}

/// Of `reload`.
#[derive(Debug)]
pub struct Reload {
    /// Reloads that failed.
    pub failed: IntCounter,
    /// What the last one has read: the kind of a hash, and its value.
    pub version: GaugeVec,
}

/// What is known of this process, as far as `prometheus` does not ask for it itself.
#[derive(Debug)]
pub struct Process {
    /// Octets that its network has received.
    pub received: IntCounter,
    /// Octets that its network has sent.
    pub sent: IntCounter,
    /// How much address space it may have, in octets.
    pub most_memory: Gauge,
    /// Tasks at work.
    pub tasks: Gauge,
}

/// Of `health`, which asks itself.
#[derive(Debug)]
pub struct Health {
    /// How long that takes, in seconds.
    pub duration: Histogram,
    /// How often there was no answer.
    pub failures: IntCounter,
}

/// Of `template`; each has the labels server, zone, view, class, type.
#[derive(Debug)]
pub struct Templates {
    /// Questions that a template's expression fits.
    pub matches: IntCounterVec,
    /// Templates that made no text, by section and template too.
    pub failures: IntCounterVec,
    /// Text that was no record, by section and template too.
    pub bad_records: IntCounterVec,
}

const SERVER: &[&str] = &["server", "zone", "view"];
const ZONES: &[&str] = &["server", "zones", "view"];
const TYPED: &[&str] = &["server", "type", "zones", "view"];
const CONNECTION: &[&str] = &["proxy_name", "to", "proto"];
const UPSTREAM: &[&str] = &["proxy_name", "to"];

/// With nothing counted yet.
impl Default for Metrics {
    fn default() -> Self {
        Self::new().expect("every name and label above is one that Prometheus allows")
    }
}

/// Says which program this is, and how its process does.
fn say_program(make: &Maker) -> prometheus::Result<()> {
    let build = GaugeVec::new(
        Opts::new(
            "coredns_build_info",
            "The version, revision and compiler of this program.",
        ),
        &["version", "revision", "goversion"],
    )?;
    make.own(build.clone());
    let version = env!("CARGO_PKG_VERSION");
    build.with_label_values(&[version, "", ""]).set(1.0);
    make.own(ProcessCollector::for_self());
    Ok(())
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let make = Maker(Registry::new());
        say_program(&make)?;
        Ok(Self {
            dns: Dns::new(&make)?,
            cache: Cache::new(&make)?,
            upstreams: Upstreams::new(&make)?,
            programming: make.histograms(
                "coredns_kubernetes_dns_programming_duration_seconds",
                "How long a change takes from its cause to its answer.",
                &["service_kind"],
                exponential_buckets(0.001, 2.0, 20)?,
            )?,
            api_requests: make.counters(
                "coredns_kubernetes_rest_client_requests_total",
                "Requests to API servers.",
                &["code", "method", "host"],
            )?,
            health: Health::new(&make)?,
            template: Templates::new(&make)?,
            hosts: Hosts::new(&make)?,
            localhost: make.counter(
                "coredns_local_localhost_requests_total",
                "Questions for names that begin or end with `localhost`.",
            )?,
            process: Process::new(&make)?,
            autopath: make.counters(
                "coredns_autopath_success_total",
                "Questions that were answered under a name of their search list.",
                &["server"],
            )?,
            panics: make.counter(
                "coredns_panics_total",
                "Panics, each of which cost one query.",
            )?,
            reload: Reload::new(&make)?,
            shed: make.counters(
                "headless_dns_shed_total",
                "What there was no room for, by what it was.",
                &["what"],
            )?,
            rrl: Rrl::new(&make)?,
            acl: Acl::new(&make)?,
            dns64: Dns::translated(&make)?,
            unreadable: make.counters(
                "headless_dns_unreadable_objects_total",
                "Objects of the API server that came and could not be read.",
                &["kind"],
            )?,
            away: make.gauge(
                "headless_dns_api_away",
                "How many `kubernetes` have an API server that does not deliver.",
            )?,
            pending: Dns::pending(&make)?,
            denied: Dns::denied(&make)?,
            top: Arc::default(),
            registry: make.0,
        })
    }

    /// Everything as text (Prometheus' exposition format 0.0.4).
    #[must_use]
    pub fn text(&self) -> String {
        let mut octets = Vec::new();
        // What cannot be written would be a metric that was never made.
        let _written = TextEncoder::new().encode(&self.registry.gather(), &mut octets);
        String::from_utf8(octets).unwrap_or_default()
    }
}

impl Dns {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            requests: make.counters(
                "coredns_dns_requests_total",
                "Requests by server, zone, transport, family and type.",
                &["server", "zone", "view", "proto", "family", "type"],
            )?,
            https_responses: make.counters(
                "coredns_dns_https_responses_total",
                "Responses over HTTPS by server and HTTP status.",
                &["server", "status"],
            )?,
            do_requests: make.counters(
                "coredns_dns_do_requests_total",
                "Requests with the DO bit.",
                SERVER,
            )?,
            duration: make.times(
                "coredns_dns_request_duration_seconds",
                "How long an answer takes.",
                SERVER,
            )?,
            request_size: make.sizes("coredns_dns_request_size_bytes", "Size of requests.")?,
            response_size: make.sizes("coredns_dns_response_size_bytes", "Size of replies.")?,
            responses: make.counters(
                "coredns_dns_responses_total",
                "Replies by server, zone, response code and plugin.",
                &["server", "zone", "view", "rcode", "plugin"],
            )?,
            plugin_enabled: make.gauges(
                "coredns_plugin_enabled",
                "The plugins of each chain.",
                &["server", "zone", "view", "name"],
            )?,
        })
    }
}

impl Dns {
    fn pending(make: &Maker) -> prometheus::Result<IntCounterVec> {
        make.counters(
            "headless_dns_pending_total",
            "Questions that have waited for a name that was about to be there, by outcome.",
            &["outcome"],
        )
    }

    fn denied(make: &Maker) -> prometheus::Result<IntCounterVec> {
        make.counters(
            "headless_dns_denied_total",
            "Look-ups for which the cluster has no records, by reason.",
            &["reason"],
        )
    }

    fn translated(make: &Maker) -> prometheus::Result<IntCounterVec> {
        make.counters(
            "coredns_dns64_requests_translated_total",
            "Questions for IPv6 addresses that were answered with IPv4 addresses in them.",
            &["server"],
        )
    }
}

impl Cache {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        let counters = |name: &str, help| make.counters(name, help, ZONES);
        Ok(Self {
            entries: make.gauges("coredns_cache_entries", "Replies that are kept.", TYPED)?,
            hits: make.counters(
                "coredns_cache_hits_total",
                "Replies that were there.",
                TYPED,
            )?,
            requests: counters("coredns_cache_requests_total", "Questions to the cache.")?,
            misses: counters("coredns_cache_misses_total", "Replies that were not there.")?,
            prefetches: counters(
                "coredns_cache_prefetch_total",
                "Replies that were fetched before they were asked for.",
            )?,
            stale: counters(
                "coredns_cache_served_stale_total",
                "Replies that were not fresh any more.",
            )?,
            drops: counters(
                "coredns_cache_drops_total",
                "Replies that are not kept, as they cannot be read.",
            )?,
            evictions: make.counters(
                "coredns_cache_evictions_total",
                "Replies that had to go for others.",
                TYPED,
            )?,
        })
    }
}

impl Upstreams {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            duration: make.times(
                "coredns_proxy_request_duration_seconds",
                "How long upstreams take.",
                &["proxy_name", "to", "rcode"],
            )?,
            connections_kept: make.counters(
                "coredns_proxy_conn_cache_hits_total",
                "Questions for which a connection to the upstream was there.",
                CONNECTION,
            )?,
            connections_made: make.counters(
                "coredns_proxy_conn_cache_misses_total",
                "Questions for which a connection to the upstream was made.",
                CONNECTION,
            )?,
            failures: make.counters(
                "coredns_proxy_healthcheck_failures_total",
                "Checks of upstreams that failed.",
                UPSTREAM,
            )?,
            all_down: make.counter(
                "coredns_forward_healthcheck_broken_total",
                "Queries for which every upstream was down.",
            )?,
            rejected: make.counter(
                "coredns_forward_max_concurrent_rejects_total",
                "Queries that came while max_concurrent others waited.",
            )?,
        })
    }
}

impl Hosts {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            entries: make.gauges(
                "coredns_hosts_entries",
                "Names and addresses of hosts files and of lines in the Corefile.",
                &["hostsfile"],
            )?,
            changed: make.gauge(
                "coredns_hosts_reload_timestamp_seconds",
                "When the hosts file was changed that was read last.",
            )?,
        })
    }
}

impl Rrl {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            requests: make.counters(
                "coredns_rrl_requests_exceeded_total",
                "Requests beyond the rate that `rrl` allows.",
                &["server"],
            )?,
            responses: make.counters(
                "coredns_rrl_responses_exceeded_total",
                "Replies beyond the rate that `rrl` allows.",
                &["server"],
            )?,
        })
    }
}

impl Acl {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        let counters = |name: &str, help| make.counters(name, help, SERVER);
        Ok(Self {
            blocked: counters(
                "coredns_acl_blocked_requests_total",
                "Questions that `acl` has refused.",
            )?,
            filtered: counters(
                "coredns_acl_filtered_requests_total",
                "Questions to which `acl` has given an empty answer.",
            )?,
            dropped: counters(
                "coredns_acl_dropped_requests_total",
                "Questions to which `acl` has given no reply.",
            )?,
            allowed: make.counters(
                "coredns_acl_allowed_requests_total",
                "Questions that `acl` has let pass.",
                &["server", "view"],
            )?,
        })
    }
}

impl Reload {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            failed: make.counter(
                "coredns_reload_failed_total",
                "Reloads that failed: the old configuration went on.",
            )?,
            version: make.gauges(
                "coredns_reload_version_info",
                "The hash of what the last reload has read.",
                &["hash", "value"],
            )?,
        })
    }
}

impl Process {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            received: make.counter(
                "process_network_receive_bytes_total",
                "Octets that the network of this process has received.",
            )?,
            sent: make.counter(
                "process_network_transmit_bytes_total",
                "Octets that the network of this process has sent.",
            )?,
            most_memory: make.gauge(
                "process_virtual_memory_max_bytes",
                "How much address space this process may have, in octets.",
            )?,
            tasks: make.gauge(
                "go_goroutines",
                "Tasks at work, under the name for which dashboards of CoreDNS ask.",
            )?,
        })
    }
}

impl Health {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        let opts = HistogramOpts::new(
            "coredns_health_request_duration_seconds",
            "How long the health check takes that the server makes of itself.",
        );
        let opts = opts.buckets(exponential_buckets(0.000_25, 10.0, 5)?);
        Ok(Self {
            duration: Histogram::with_opts(opts).map(|c| make.keep(c))?,
            failures: make.counter(
                "coredns_health_request_failures_total",
                "Health checks of itself that failed.",
            )?,
        })
    }
}

impl Templates {
    fn new(make: &Maker) -> prometheus::Result<Self> {
        const QUESTION: &[&str] = &["server", "zone", "view", "class", "type"];
        let of_template = [QUESTION, &["section", "template"]].concat();
        let counters = |name: &str, help| make.counters(name, help, &of_template);
        Ok(Self {
            matches: make.counters(
                "coredns_template_matches_total",
                "Questions that a template's expression fits.",
                QUESTION,
            )?,
            failures: counters(
                "coredns_template_template_failures_total",
                "Templates that made no text.",
            )?,
            bad_records: counters(
                "coredns_template_rr_failures_total",
                "Text that was no record.",
            )?,
        })
    }
}

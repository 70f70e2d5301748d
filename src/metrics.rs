//! What is counted, under CoreDNS's names, labels and buckets, so that dashboards and alerts made for it work.

pub use prometheus::IntCounterVec;
use prometheus::core::Collector;
pub use prometheus::local::{LocalHistogram, LocalIntCounter as LocalCounter};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, Opts, Registry,
    TextEncoder, exponential_buckets,
};

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
    /// Of `health`.
    pub health: Health,
    /// Of `template`.
    pub template: Templates,
    /// Of `hosts`: names and addresses, by hostsfile.
    pub hosts_entries: GaugeVec,
    /// Panics that cost one query each.
    pub panics: IntCounter,
    /// Reloads that failed.
    pub reload_failed: IntCounter,
    /// Connections that there was no room for.
    pub turned_away: IntCounter,
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

/// Octets: CoreDNS's bounds.
const SIZES: &[f64] = &[
    0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16e3, 32e3, 48e3, 64e3,
];

const SERVER: &[&str] = &["server", "zone", "view"];
const ZONES: &[&str] = &["server", "zones", "view"];
const PROTO: &[&str] = &["server", "zone", "view", "proto"];
const TYPED: &[&str] = &["server", "type", "zones", "view"];
const CONNECTION: &[&str] = &["proxy_name", "to", "proto"];
const UPSTREAM: &[&str] = &["proxy_name", "to"];

/// Makes collectors, and keeps them.
struct Maker(Registry);

impl Maker {
    /// Registers a collector. Two of one name would be an error in this file: then the second is not shown.
    fn keep<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.own(collector.clone());
        collector
    }

    fn own(&self, collector: impl Collector + 'static) {
        let _known = self.0.register(Box::new(collector));
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        IntCounterVec::new(Opts::new(name, help), labels).map(|c| self.keep(c))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        IntCounter::new(name, help).map(|c| self.keep(c))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        GaugeVec::new(Opts::new(name, help), labels).map(|c| self.keep(c))
    }

    fn times(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        self.histograms(name, help, labels, exponential_buckets(0.000_25, 2.0, 16)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets);
        HistogramVec::new(opts, labels).map(|c| self.keep(c))
    }

    fn sizes(&self, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(SIZES.to_vec());
        HistogramVec::new(opts, PROTO).map(|c| self.keep(c))
    }
}

/// With nothing counted yet.
impl Default for Metrics {
    fn default() -> Self {
        Self::new().expect("every name and label above is one that Prometheus allows")
    }
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let make = Maker(Registry::new());
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
            health: Health::new(&make)?,
            template: Templates::new(&make)?,
            hosts_entries: make.gauges(
                "coredns_hosts_entries",
                "Names and addresses of hosts files and of lines in the Corefile.",
                &["hostsfile"],
            )?,
            panics: make.counter(
                "coredns_panics_total",
                "Panics, each of which cost one query.",
            )?,
            reload_failed: make.counter(
                "coredns_reload_failed_total",
                "Reloads that failed: the old configuration went on.",
            )?,
            turned_away: make.counter(
                "headless_dns_connections_turned_away_total",
                "TCP connections that there was no room for.",
            )?,
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

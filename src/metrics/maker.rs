//! Collectors of a registry, each made and registered in one step.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    exponential_buckets,
};

/// Octets: CoreDNS's bounds.
const SIZES: &[f64] = &[
    0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16e3, 32e3, 48e3, 64e3,
];

const PROTO: &[&str] = &["server", "zone", "view", "proto"];

/// Makes collectors, and keeps them.
pub(super) struct Maker(pub(super) Registry);

impl Maker {
    /// Registers a collector. Two of one name would be an error in this file: then the second is not shown.
    pub(super) fn keep<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.own(collector.clone());
        collector
    }

    pub(super) fn own(&self, collector: impl Collector + 'static) {
        let _known = self.0.register(Box::new(collector));
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        IntCounterVec::new(Opts::new(name, help), labels).map(|c| self.keep(c))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        IntCounter::new(name, help).map(|c| self.keep(c))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        Gauge::new(name, help).map(|c| self.keep(c))
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<GaugeVec> {
        GaugeVec::new(Opts::new(name, help), labels).map(|c| self.keep(c))
    }

    pub(super) fn times(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        self.histograms(name, help, labels, exponential_buckets(0.000_25, 2.0, 16)?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets);
        HistogramVec::new(opts, labels).map(|c| self.keep(c))
    }

    pub(super) fn sizes(&self, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
        self.histograms(name, help, PROTO, SIZES.to_vec())
    }
}

//! What the names of a large cluster take of memory.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use headless_dns::store::{Resource, Store};
use headless_dns::zone::Zone;
use support::build::event;

/// Services, of ten endpoints each.
const SERVICES: usize = 10_000;
const ENDPOINTS: usize = 10 * SERVICES;

/// Octets for each endpoint, all that its Service takes included, as allocators are asked for them.
const MOST: i64 = 128;

fn lines() -> Vec<String> {
    let services = (0..SERVICES).flat_map(|i| {
        let name = format!("ns-{}/svc-{i}", i % 50);
        let endpoints = (0..10).map(|n| {
            let [_, a, b, c] = u32::try_from(10 * i + n).unwrap().to_be_bytes();
            format!("svc-{i}-{n}=10.{}.{b}.{c}", 128 + a)
        });
        let endpoints: Vec<String> = endpoints.collect();
        [
            format!("apply service {name} headless http:80/TCP"),
            format!(
                "apply slice {name}-x7k2q of svc-{i} {} http:80/TCP",
                endpoints.join(" ")
            ),
        ]
    });
    services.collect()
}

#[test]
fn the_store_and_the_zone_take_at_most_128_octets_for_each_endpoint() {
    let lines = lines();
    let mut kept = None;
    let taken = allocation_counter::measure(|| {
        let zone = Arc::new(Zone::default());
        let mut store = Store::new(Arc::clone(&zone), [Resource::Services, Resource::Slices]);
        for line in &lines {
            store.handle(1, event(line).unwrap());
        }
        kept = Some((store, zone));
    });
    let each = taken.bytes_current / i64::try_from(ENDPOINTS).unwrap();
    support::report(&format!("{each} octets for each of {ENDPOINTS} endpoints"));
    assert!(each <= MOST && kept.is_some(), "{each}");
}

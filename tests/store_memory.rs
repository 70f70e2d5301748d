//! What the names of a large cluster and those of a large zone file take of memory.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use headless_dns::name::absolute;
use headless_dns::store::{Resource, Store};
use headless_dns::zone::Zone;
use headless_dns::zonefile::{FileZone, read};
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

/// Names of a zone file, with an address each, and octets for each of them.
const NAMES: usize = 50_000;
const MOST_OF_A_NAME: i64 = 600;

#[test]
fn a_zone_file_takes_at_most_600_octets_for_each_name_with_an_address() {
    let hosts: String = (0..NAMES)
        .map(|i| format!("host-{i} A 10.0.{}.{}\n", i / 256 % 256, i % 256))
        .collect();
    let text = format!("$TTL 60\n@ SOA ns admin 1 2 3 4 5\n{hosts}");
    let (apex, mut kept) = (absolute("z.test").unwrap(), None);
    let none = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let taken = allocation_counter::measure(|| {
        let records = read("db.z", &text, &apex, &none).unwrap();
        kept = Some(FileZone::new(&apex, records).unwrap());
    });
    let each = taken.bytes_current / i64::try_from(NAMES).unwrap();
    support::report(&format!("{each} octets for each of {NAMES} names"));
    assert!(each <= MOST_OF_A_NAME && kept.is_some(), "{each}");
}

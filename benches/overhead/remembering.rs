//! Changes of a Service, remembered and not.

use std::sync::Arc;

use headless_dns::history::History;
use headless_dns::store::{Event, Resource, Store};
use headless_dns::zone::Zone;

use crate::measured;
use crate::support::build::event;

/// Changes in a run: of 1,000 Services of ten endpoints each, one has another address each time.
const CHANGES: usize = 20_000;
const SERVICES: usize = 1_000;

/// The budget of a server's history where nobody says another.
const BUDGET: usize = 16 << 20;

pub(crate) fn row() {
    let lines: Vec<String> = (0..CHANGES).map(line).collect();
    let mut history = History::new(0, BUDGET);
    let [without, with] = [false, true].map(|is_remembered| {
        let mut store = Store::new(
            Arc::new(Zone::default()),
            [Resource::Services, Resource::Slices],
        );
        for service in 0..SERVICES {
            store.handle(
                1,
                read(&format!("apply service default/redis-{service} headless")),
            );
        }
        let mut at = 0;
        measured(CHANGES, || {
            for line in &lines {
                for change in store.handle(1, read(line)) {
                    at += 1;
                    if is_remembered {
                        history.record(at, &change);
                    }
                }
            }
        })
    });
    // Reading the lines is no part of it.
    let reading = measured(CHANGES, || lines.iter().for_each(|line| drop(read(line))));
    println!(
        "| a change of a Service of ten | {:.0} ns | {:.0} ns | {:.0} | {:.0} | {:.1} |",
        without.0 - reading.0,
        with.0 - reading.0,
        without.1 - reading.1,
        with.1 - reading.1,
        history.used() as f64 / 1e6
    );
}

fn read(line: &str) -> Event {
    event(line).unwrap()
}

fn line(n: usize) -> String {
    let service = n * 7 % SERVICES;
    let pods = (0..10).map(|pod| {
        let own = if pod == n % 10 { n / SERVICES + 1 } else { 0 };
        format!("redis-{pod}=10.{pod}.{own}.1")
    });
    let pods: Vec<String> = pods.collect();
    format!(
        "apply slice default/redis-{service}-x of redis-{service} {}",
        pods.join(" ")
    )
}

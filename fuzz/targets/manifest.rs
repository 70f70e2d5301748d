//! Any manifest: it is taken, or refused at a place.
#![no_main]

use headless_cluster::{Cluster, Delays};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(Delays::default());
        if let Err(error) = cluster.apply("manifest", text) {
            assert!(!error.to_string().is_empty());
        }
        let broken = tokio::time::timeout(std::time::Duration::from_millis(10), cluster.broken());
        assert!(broken.await.is_err(), "a part of the cluster is broken");
    });
});

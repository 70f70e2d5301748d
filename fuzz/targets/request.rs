//! Any request to the embedded API: a method and a path in the first line, then the body.
#![no_main]

use headless_cluster::{Cluster, Delays};
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use libfuzzer_sys::fuzz_target;

const MEDIA_TYPES: [&str; 5] = [
    "application/json",
    "application/yaml",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
];

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n";

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let line = data
        .split(|octet| *octet == b'\n')
        .next()
        .unwrap_or_default();
    let body = data.get(line.len() + 1..).unwrap_or_default();
    let Some((method, path)) = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.split_once(' '))
    else {
        return;
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(
            "content-type",
            MEDIA_TYPES[usize::from(*kind) % MEDIA_TYPES.len()],
        )
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(Delays::default());
        cluster.apply("pod", POD).unwrap();
        let answer = tokio::time::timeout(
            std::time::Duration::from_secs(1),
            cluster.api().call(request),
        );
        // A watch goes on; anything else is answered, and by no broken part.
        if let Ok(answer) = answer.await {
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            // The API server says 500 of its own accord too, without a reason.
            let broke = head.status.as_u16() == 500
                && serde_json::from_slice::<serde_json::Value>(&body)
                    .is_ok_and(|status| status["reason"] == "InternalError");
            assert!(!broke, "{}", String::from_utf8_lossy(&body));
        }
        let broken = tokio::time::timeout(std::time::Duration::from_millis(10), cluster.broken());
        assert!(broken.await.is_err(), "a part of the cluster is broken");
    });
});

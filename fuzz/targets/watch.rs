//! Any body of a watch, in JSON or protobuf: what was known stays, and nothing hangs or breaks.
#![no_main]

use std::sync::Arc;

use headless_dns::watch::{Options, Watches};
use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let media_type = match kind % 2 {
        0 => "application/json",
        _ => "application/vnd.kubernetes.protobuf",
    };
    let body: Arc<[u8]> = body.into();
    let service = tower::service_fn(move |_: Request<Body>| {
        let body = Full::from(body.to_vec());
        async move {
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            headers.insert("content-type", media_type.parse().unwrap());
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = kube::Client::new(service, "default");
        let mut watches = Watches::start(&client, &Options::default());
        let ended = tokio::time::timeout(std::time::Duration::from_millis(20), watches.ended());
        assert!(ended.await.is_err(), "a watch has ended");
    });
});

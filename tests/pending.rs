//! `pending`: the names of a StatefulSet while its Pods come up.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::time::Duration;

use headless_cluster::{Cluster, Delays};
use headless_dns::reconciler;
use headless_dns::sandbox::REDIS;
use headless_dns::serve::Ambient;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use support::dns::{ask, data};
use support::names::{Names, eventually, setup};

const REDIS_0: &str = "redis-0.redis.default.svc.cluster.local.";

/// The code, and how long a denial may be kept: the SOA's TTL and minimum.
fn kept(reply: &Message) -> (ResponseCode, u32, u32) {
    let soa = &reply.authorities[0];
    let RData::SOA(data) = &soa.data else {
        panic!("no SOA: {soa}")
    };
    (reply.metadata.response_code, soa.ttl, data.minimum)
}

async fn served(cluster: &Cluster, pending: &str) -> Names {
    let text = format!(
        ".:0 {{\n bind 127.0.0.1\n {pending}\n kubernetes cluster.local {{\n  ttl 30\n }}\n}}\n"
    );
    let names = Names::with(setup(&text, Ambient::Client(cluster.client()))).await;
    eventually("the first lists", async || {
        names.zone.synced().then_some(())
    })
    .await;
    names
}

/// As many Pods of the set as it is to have are known, and none of them is there.
async fn expected(names: &Names) {
    let key = headless_dns::name::ServiceKey::new(b"default", b"redis");
    eventually("the set", async || {
        let sets = names.zone.expected(key.wire());
        sets.iter().any(|set| set.replicas == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_first_question_of_a_set_that_comes_up_has_the_answer() {
    let cluster = Cluster::start(Delays {
        start: Duration::from_millis(100),
        stop: Duration::ZERO,
    });
    let names = served(&cluster, "pending {\n  hold 4s\n }").await;
    cluster.apply("redis.yaml", REDIS).unwrap();
    expected(&names).await;
    let reconciler = tokio::spawn(reconciler::run(cluster.client(), cluster.clock()));
    let reply = ask(names.server, REDIS_0, RecordType::A).await;
    assert_eq!(data(&reply), ["10.244.0.2"]);
    // A single-stack name has no data of the other family, at once.
    let reply = ask(names.server, REDIS_0, RecordType::AAAA).await;
    assert_eq!(kept(&reply), (ResponseCode::NoError, 30, 30));
    reconciler.abort();
    names.stop().await;
}

#[tokio::test]
async fn without_waiting_a_denial_of_what_the_set_is_to_have_is_kept_by_nobody_even_through_a_cache()
 {
    let cluster = Cluster::start(Delays::default());
    for pending in [
        "pending {\n  hold 0\n }",
        "pending {\n  hold 0\n }\n cache 30",
    ] {
        let names = served(&cluster, pending).await;
        cluster.apply("redis.yaml", REDIS).unwrap();
        expected(&names).await;
        let nx = ResponseCode::NXDomain;
        let reply = ask(names.server, REDIS_0, RecordType::A).await;
        assert_eq!(kept(&reply), (nx, 0, 0), "{pending}");
        let other = REDIS_0.replace("redis-0", "redis-3");
        let reply = ask(names.server, &other, RecordType::A).await;
        assert_eq!(kept(&reply), (nx, 30, 30), "{pending}");
        names.stop().await;
    }
}

use std::net::{IpAddr, SocketAddr};

use tokio::sync::broadcast::{Sender, channel};
use tokio::time::sleep;

use super::*;
use crate::build::event;
use crate::message::question::{Question, RecordType};
use crate::message::rcode_name;
use crate::message::record::RData;
use crate::metrics::Metrics;
use crate::name::absolute;
use crate::plugin::tests::{block, error};
use crate::plugin::{Chain, Cluster, Router};
use crate::store::{List, Store};
use crate::zone::Zone;

/// A cluster whose names change, behind this plugin.
struct World {
    store: Store,
    changes: Sender<Change>,
    router: Arc<Router>,
    metrics: Arc<Metrics>,
}

impl World {
    /// With the Service `redis`, of which `redis-0` is not ready.
    fn new(directive: &str) -> Self {
        Self::with(directive, None)
    }

    /// The same; `waiting`: so many questions may wait at all.
    fn with(directive: &str, waiting: Option<usize>) -> Self {
        let block = block(&format!("{directive}\nkubernetes"));
        let zone = Arc::new(Zone::default());
        let (changes, receiver) = channel(16);
        let parts = Parts {
            cluster: Some(Cluster {
                zone: Arc::clone(&zone),
                view: Arc::new(block.kubernetes.unwrap().view),
            }),
            changes: Some(receiver),
            holds: true,
            waiting,
            ..Parts::default()
        };
        let links = block.links.iter();
        let chain: Chain = links.map(|(_, link)| link.build(&parts).unwrap()).collect();
        let mut world = Self {
            store: Store::new(zone, [] as [List; 0]),
            changes,
            router: Router::new(vec![(absolute("cluster.local").unwrap(), chain)], false),
            metrics: parts.metrics,
        };
        world.apply("apply namespace default");
        world.apply("apply service default/redis headless");
        world.apply("apply slice default/r of redis redis-0=10.0.0.1!notready");
        world
    }

    fn apply(&mut self, line: &str) {
        for change in self.store.handle(1, event(line).unwrap()) {
            self.changes.send(change).unwrap();
        }
    }
}

/// The answer's data; else its code and how long that may be kept.
async fn ask(router: Arc<Router>, name: &str, qtype: RecordType, client: IpAddr) -> String {
    let name = absolute(&format!("{name}.default.svc.cluster.local")).unwrap();
    let query = Query::plain(Question::new(name, qtype), SocketAddr::new(client, 0));
    let reply = router.answer(&query).await;
    let reply = reply.into_composed(&query.question).unwrap();
    let data = reply.answer.iter().map(|record| record.data.to_string());
    let data: Vec<_> = data.collect();
    match reply.authority.first() {
        Some(record) => {
            let RData::SOA(soa) = &record.data else {
                panic!("no SOA: {record}")
            };
            format!("{} {} {}", rcode_name(reply.rcode), record.ttl, soa.minimum)
        }
        None => data.join(" "),
    }
}

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const READY: &str = "apply slice default/r of redis redis-0=10.0.0.1";
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_its_name_and_no_longer_than_the_file_says() {
    for (directive, waited) in [
        ("pending", 2),
        ("pending {\n hold 4s\n}", 4),
        ("pending {\n hold 0\n}", 0),
    ] {
        let world = World::new(directive);
        let (began, router) = (Instant::now(), &world.router);
        for name in ["redis-0.redis", "redis"] {
            let said = ask(Arc::clone(router), name, RecordType::A, CLIENT).await;
            assert_eq!(said, "NXDOMAIN 0 0");
        }
        assert_eq!(began.elapsed(), 2 * waited * SECOND, "{directive}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_counts_once_by_its_reason_however_often_it_was_looked_for() {
    let mut world = World::new("pending");
    let asked = |name, qtype| ask(Arc::clone(&world.router), name, qtype, CLIENT);
    let waiting = tokio::spawn(asked("redis-0.redis", RecordType::A));
    sleep(SECOND).await;
    // It is looked for again, and not there.
    world.apply("apply slice default/r of redis redis-0=10.0.0.2!notready");
    assert_eq!(waiting.await.unwrap(), "NXDOMAIN 0 0");
    let asked = |name, qtype| ask(Arc::clone(&world.router), name, qtype, CLIENT);
    asked("redis-0.redis", RecordType::TXT).await;
    asked("nobody", RecordType::A).await;
    let denied = &world.metrics.denied;
    let counted = |reason| denied.with_label_values(&[reason]).get();
    assert_eq!((counted("not_ready"), counted("no_such_service")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_comes_is_answered_the_moment_it_is_published_in_both_families() {
    let mut world = World::new("pending");
    let began = Instant::now();
    let router = Arc::clone(&world.router);
    let asked = |name, qtype| ask(Arc::clone(&router), name, qtype, CLIENT);
    // What has addresses of one family is asked for those of the other in vain.
    let other = asked("redis-0.redis", RecordType::AAAA).await;
    assert_eq!(
        (&other[..], began.elapsed()),
        ("NOERROR 0 0", Duration::ZERO)
    );
    let asking = [
        asked("redis-0.redis", RecordType::A),
        asked("redis", RecordType::SRV),
    ]
    .map(tokio::spawn);
    sleep(SECOND).await;
    world.apply(READY);
    let mut said = Vec::new();
    for asking in asking {
        said.push(asking.await.unwrap());
    }
    let srv = "0 100 6379 redis-0.redis.default.svc.cluster.local.";
    assert_eq!(said, ["10.0.0.1", srv]);
    let other = asked("redis-0.redis", RecordType::AAAA).await;
    assert_eq!(other, "NOERROR 5 5");
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn which_family_a_service_has_is_known_with_its_first_endpoint() {
    let mut world = World::new("pending");
    world.apply("apply set default/redis of redis 2");
    world.apply("delete slice default/r");
    let began = Instant::now();
    let asked = |qtype| ask(Arc::clone(&world.router), "redis-1.redis", qtype, CLIENT);
    let asking = [RecordType::A, RecordType::AAAA].map(|qtype| tokio::spawn(asked(qtype)));
    sleep(SECOND).await;
    world.apply("apply slice default/r of redis redis-0=fd00::1!notready");
    let [v4, v6] = asking;
    assert_eq!(v4.await.unwrap(), "NOERROR 0 0");
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(v6.await.unwrap(), "NXDOMAIN 0 0");
    assert_eq!(began.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_ordinal_of_a_set_is_waited_for_before_there_is_a_pod_and_no_other_name_is() {
    let mut world = World::new("pending");
    world.apply("apply set default/redis of redis 2");
    let began = Instant::now();
    let asked = |name| ask(Arc::clone(&world.router), name, RecordType::A, CLIENT);
    for name in ["redis-2.redis", "web-1.redis", "redis-1.other"] {
        assert_eq!(asked(name).await, "NXDOMAIN 5 5", "{name}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let asking = tokio::spawn(asked("redis-1.redis"));
    sleep(SECOND).await;
    world.apply("apply slice default/r of redis redis-0=10.0.0.1!notready redis-1=10.0.0.2");
    assert_eq!(asking.await.unwrap(), "10.0.0.2");
    // A question of another type is not worth waiting for.
    let asked = ask(
        Arc::clone(&world.router),
        "redis-0.redis",
        RecordType::TXT,
        CLIENT,
    );
    assert_eq!(asked.await, "NXDOMAIN 0 0");
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn of_ten_thousand_questions_that_wait_none_is_lost_when_the_name_comes() {
    let mut world = World::new("pending");
    let asking: Vec<_> = (0..10_000_u32)
        .map(|i| {
            let client = std::net::Ipv4Addr::from_bits(0x0a01_0000 + i % 1000).into();
            let router = Arc::clone(&world.router);
            tokio::spawn(ask(router, "redis-0.redis", RecordType::A, client))
        })
        .collect();
    sleep(SECOND).await;
    world.apply(READY);
    for asking in asking {
        assert_eq!(asking.await.unwrap(), "10.0.0.1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_more_than_there_is_room_for_is_denied_and_others_still_wait() {
    for (directive, waiting) in [("pending {\n max 3\n}", None), ("pending", Some(5))] {
        a_greedy_client_and_a_modest_one(World::with(directive, waiting)).await;
    }
}

async fn a_greedy_client_and_a_modest_one(mut world: World) {
    let asked = |last| {
        let router = Arc::clone(&world.router);
        let client = IpAddr::from([10, 1, 0, last]);
        tokio::spawn(ask(router, "redis-0.redis", RecordType::A, client))
    };
    let modest = asked(1);
    let greedy = [asked(2), asked(2), asked(2)];
    sleep(SECOND).await;
    world.apply(READY);
    assert_eq!(modest.await.unwrap(), "10.0.0.1");
    let mut said = Vec::new();
    for asking in greedy {
        said.push(asking.await.unwrap());
    }
    assert_eq!(said, ["NXDOMAIN 0 0", "10.0.0.1", "10.0.0.1"]);
}

#[test]
fn a_directive_that_is_wrong_is_refused_with_its_reason() {
    for (directive, problem) in [
        ("pending 2s", "`pending` takes no argument"),
        ("pending {\n hold 5s\n}", "a question cannot wait for 5s"),
        ("pending {\n hold soon\n}", "'soon' is no duration"),
        ("pending {\n max many\n}", "'many' is no number"),
        (
            "pending {\n wait 2s\n}",
            "unknown property 'wait' of `pending`",
        ),
        ("pending\npending", "`pending` stands twice in this block"),
    ] {
        assert_eq!(error(directive), problem);
    }
    let alone = block("pending");
    let problem = alone.links[0].1.build(&Parts::default()).err().unwrap();
    assert_eq!(
        problem.problem(),
        "`pending` needs `kubernetes` in the same server block"
    );
}

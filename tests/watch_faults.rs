//! The watch against an API server that fails, in virtual time: what was true stays served, and what has changed is
//! there within a second of the server's return.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headless_cluster::{Cluster, Delays};
use headless_dns::message::question::RecordType;
use headless_dns::watch::{Options, Watches};
use support::api::{Asked, FakeApi, Fate};
use support::zone::said;
use tokio::time::Instant;

struct World {
    cluster: Cluster,
    api: FakeApi,
    watches: Watches,
}

fn slice(address: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: redis-a, labels: {{kubernetes.io/service-name: redis}}}}\n\
         addressType: IPv4\nendpoints: [{{addresses: [{address}], hostname: redis-0, conditions: {{ready: true}}}}]\nports: []\n"
    )
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec: {clusterIP: None}\n";

impl World {
    /// From now on all requests fare so, and what is open breaks.
    fn fares(&self, fate: Fate) {
        self.api.all(fate);
        self.api.break_open();
    }

    /// A watched cluster with one name, `redis-0.redis`; what becomes of requests at the start.
    fn start(rule: impl FnMut(&Asked) -> Fate + Send + 'static) -> Self {
        let cluster = Cluster::start(Delays::default());
        cluster.apply("service", SERVICE).unwrap();
        cluster.apply("slice", &slice("10.0.0.1")).unwrap();
        let api = FakeApi::ruled(&cluster, rule);
        let watches = Watches::start(&api.client(), &Options::default());
        Self {
            cluster,
            api,
            watches,
        }
    }

    fn answer(&self) -> String {
        let name = "redis-0.redis.default.svc.cluster.local";
        said(&self.watches.zone, name, RecordType::A)
    }

    /// Waits until slices are watched, not only listed.
    async fn watched(&self) {
        self.watches.synced().await;
        self.cluster.apply("slice", &slice("10.0.0.9")).unwrap();
        self.wait_for("10.0.0.9").await;
    }

    /// How long it takes until the name is answered so.
    async fn wait_for(&self, wanted: &str) -> Duration {
        let start = Instant::now();
        while self.answer() != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        start.elapsed()
    }
}

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_hour_without_api_server_changes_nothing_and_its_return_everything() {
    let world = World::start(|_| Fate::Serve);
    world.watches.synced().await;
    assert_eq!(world.answer(), "10.0.0.1");
    world.fares(Fate::Unreachable);
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.answer(), "10.0.0.1");
    }
    // Meanwhile the Pod has moved, and the history up to there is gone.
    world.cluster.apply("slice", &slice("10.0.0.2")).unwrap();
    world.cluster.compact();
    world.fares(Fate::Serve);
    assert!(world.wait_for("10.0.0.2").await <= SOON);
}

#[tokio::test(start_paused = true)]
async fn every_way_of_failing_ends_within_a_second_of_the_server_s_recovery() {
    for fate in [
        Fate::Unreachable,
        Fate::Refuse(500),
        Fate::Refuse(429),
        Fate::Refuse(410),
        Fate::Refuse(403),
        Fate::Refuse(401),
    ] {
        let world = World::start(|_| Fate::Serve);
        world.watches.synced().await;
        for compact in [false, true] {
            let address = if compact { "10.0.0.3" } else { "10.0.0.2" };
            world.fares(fate.clone());
            tokio::time::sleep(Duration::from_secs(40)).await;
            world.cluster.apply("slice", &slice(address)).unwrap();
            if compact {
                world.cluster.compact();
            }
            world.fares(Fate::Serve);
            let took = world.wait_for(address).await;
            assert!(took <= SOON, "{fate:?}, compacted {compact}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_at_the_start_denies_nothing_and_is_found_when_it_comes() {
    let world = World::start(|_| Fate::Unreachable);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(world.answer(), "SERVFAIL not synced");
    assert!(!world.watches.zone.synced());
    world.fares(Fate::Serve);
    assert!(world.wait_for("10.0.0.1").await <= SOON);
    world.watches.synced().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_streaming_lists_is_listed() {
    for code in [400, 403, 422] {
        let world = World::start(move |asked| match asked.is_streaming_list() {
            true => Fate::Refuse(code),
            false => Fate::Serve,
        });
        assert!(world.wait_for("10.0.0.1").await <= SOON, "{code}");
        world.watches.synced().await;
        world.cluster.apply("slice", &slice("10.0.0.2")).unwrap();
        assert!(world.wait_for("10.0.0.2").await <= SOON, "{code}");
    }
}

/// The first page of a list, of two.
fn page() -> Fate {
    let list =
        serde_json::json!({"metadata": {"resourceVersion": "1", "continue": "more"}, "items": []});
    Fate::Body(list.to_string().into_bytes())
}

#[tokio::test(start_paused = true)]
async fn whatever_a_server_answers_it_is_not_asked_without_a_pause() {
    let ends = |_: &Asked| Fate::Body(Vec::new());
    let gone = |_: &Asked| Fate::Refuse(410);
    let pages = |then: fn() -> Fate| {
        move |asked: &Asked| match (asked.is_watch(), asked.query.contains("continue=")) {
            (true, _) => Fate::Refuse(400),
            (false, true) => then(),
            (false, false) => page(),
        }
    };
    let lists = |watch: fn(&Asked) -> Fate| {
        move |asked: &Asked| match (asked.is_streaming_list(), asked.is_watch()) {
            (true, _) => Fate::Refuse(400),
            (false, true) => watch(asked),
            (false, false) => Fate::Serve,
        }
    };
    let streams = |asked: &Asked| match (asked.is_streaming_list(), asked.is_watch()) {
        (false, true) => Fate::Refuse(410),
        (true | false, _) => Fate::Serve,
    };
    let no_events = |asked: &Asked| match asked.is_watch() {
        true => Fate::Body(b"<html>\n".repeat(300)),
        false => Fate::Serve,
    };
    type Rule = Box<dyn Fn(&Asked) -> Fate + Send>;
    let rules: Vec<(&str, Rule)> = vec![
        ("a watch ends at once", Box::new(lists(ends))),
        ("a watch is refused with 410", Box::new(lists(gone))),
        ("so it is after a streaming list", Box::new(streams)),
        (
            "a list's second page is gone",
            Box::new(pages(|| Fate::Refuse(410))),
        ),
        ("it is broken", Box::new(pages(|| Fate::Refuse(500)))),
        ("a watch is a web page", Box::new(no_events)),
    ];
    for (what, rule) in rules {
        let cluster = Cluster::start(Delays::default());
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        let api = FakeApi::ruled(&cluster, move |request| {
            *count.lock().unwrap() += 1;
            rule(request)
        });
        let _watches = Watches::start(&api.client(), &Options::default());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let asked = *asked.lock().unwrap();
        // Three kinds, each at most six times a second; with pages, twice that.
        assert!((3..3 * 720).contains(&asked), "{what}: {asked}");
    }
}

/// Behind a proxy that stalls, a connection that waits for its next use is as dead as the one whose watch timed out.
#[tokio::test(start_paused = true)]
async fn a_watch_begins_on_a_connection_of_its_own() {
    let cluster = Cluster::start(Delays::default());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&kept);
    let api = FakeApi::ruled(&cluster, move |request| {
        if request.is_watch()
            && request
                .headers
                .get("connection")
                .is_none_or(|c| c != "close")
        {
            seen.lock().unwrap().push(request.clone());
        }
        Fate::Serve
    });
    let watches = Watches::start(&api.client(), &Options::default());
    watches.synced().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(*kept.lock().unwrap(), Vec::<Asked>::new());
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_read_at_a_pace() {
    let cluster = Cluster::start(Delays::default());
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let api = FakeApi::ruled(&cluster, move |request| {
        *count.lock().unwrap() += 1;
        match request.is_watch() {
            true => Fate::Refuse(400),
            false => page(),
        }
    });
    let _watches = Watches::start(&api.client(), &Options::default());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let asked = *asked.lock().unwrap();
    assert!(asked < 3 * (2000 + 600 * 20 + 100), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_no_events_hold_nothing_up() {
    let cluster = Cluster::start(Delays::default());
    let mut pages = 3;
    let api = FakeApi::ruled(&cluster, move |request| {
        if request.is_watch() && !request.is_streaming_list() && pages > 0 {
            pages -= 1;
            return Fate::Body(b"<p>an error page</p>\n".repeat(300));
        }
        Fate::Serve
    });
    let watches = Watches::start(&api.client(), &Options::default());
    watches.synced().await;
    cluster.apply("service", SERVICE).unwrap();
    cluster.apply("slice", &slice("10.0.0.9")).unwrap();
    let (start, name) = (Instant::now(), "redis-0.redis.default.svc.cluster.local");
    while said(&watches.zone, name, RecordType::A) != "10.0.0.9" {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(start.elapsed() < Duration::from_secs(40));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_nobody_watched_is_gone_after_the_relist() {
    let world = World::start(|_| Fate::Serve);
    world.watches.synced().await;
    world.fares(Fate::Unreachable);
    let slices: kube::Api<k8s_openapi::api::discovery::v1::EndpointSlice> =
        kube::Api::namespaced(world.cluster.client(), "default");
    slices.delete("redis-a", &Default::default()).await.unwrap();
    world.cluster.compact();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.answer(), "10.0.0.1");
    world.fares(Fate::Serve);
    assert!(
        world
            .wait_for("NXDOMAIN no such endpoint of redis.default")
            .await
            <= SOON
    );
}

/// A cluster that was built anew, or restored from a backup: its versions go on where those of the old one stood.
#[tokio::test(start_paused = true)]
async fn another_server_at_the_same_address_is_noticed_though_its_version_fits() {
    let world = World::start(|_| Fate::Serve);
    world.watches.synced().await;
    let other = Cluster::start(Delays::default());
    other.apply("service", SERVICE).unwrap();
    other.apply("slice", &slice("10.0.0.8")).unwrap();
    // A watch that goes on from here sees nothing of that.
    for cluster in [&world.cluster, &other] {
        for i in 0..40 {
            let more = slice(&format!("10.0.1.{i}")).replace("redis", "more");
            cluster.apply("more", &more).unwrap();
        }
    }
    world.api.move_to(&other);
    world.api.break_open();
    let (start, mut said) = (Instant::now(), Vec::new());
    while said.last().map(String::as_str) != Some("10.0.0.8") {
        said.push(world.answer());
        said.dedup();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(start.elapsed() < Duration::from_secs(6), "{said:?}");
    }
    // Nothing was denied meanwhile.
    assert_eq!(said, ["10.0.0.1", "10.0.0.8"]);
}

/// As behind a proxy that stalls: what is open says nothing any more.
#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_noticed_within_15_seconds() {
    let world = World::start(|_| Fate::Serve);
    world.watched().await;
    world.api.stall();
    world.cluster.apply("slice", &slice("10.0.0.2")).unwrap();
    let late = world.wait_for("10.0.0.2").await;
    assert!(SOON < late && late < Duration::from_secs(15), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_never_answered_is_begun_again_within_15_seconds() {
    let world = World::start(|_| Fate::Serve);
    world.watched().await;
    let mut left = 3;
    world.api.rule(move |request| {
        if !request.is_watch() || left == 0 {
            return Fate::Serve;
        }
        left -= 1;
        Fate::Never
    });
    world.api.break_open();
    world.cluster.apply("slice", &slice("10.0.0.2")).unwrap();
    let late = world.wait_for("10.0.0.2").await;
    assert!(SOON < late && late < Duration::from_secs(15), "{late:?}");
}

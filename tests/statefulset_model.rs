//! The plan against a simulated cluster: edits, failing Pods, refused and lost requests, a reconciler that dies between
//! any two actions, caches that lag behind. Whatever happens, the invariants hold; when it stops happening, the set comes
//! to rest where its spec says.
//!
//! `SEEDS=100000 cargo test --test statefulset_model` runs more than the 10,000 of CI.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod statefulset_model {
    pub(crate) mod cluster;
    pub(crate) mod edits;
}

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use statefulset_model::cluster::{Cluster, Outcome, name_of};
use statefulset_model::edits;

/// Steps of trouble for each seed.
const STEPS: usize = 40;

/// Plans until a quiet cluster must rest.
const REST: usize = 400;

fn seeds() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the test is told of the environment"
    )]
    let seeds = std::env::var("SEEDS").ok();
    seeds.map_or(10_000, |text| text.parse().unwrap())
}

#[test]
fn whatever_happens_the_invariants_hold_and_a_quiet_cluster_comes_to_rest() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let total = seeds();
    let ran: u64 = std::thread::scope(|scope| {
        let share = |thread| {
            scope.spawn(move || {
                let mine = (0..total).filter(|seed| seed % threads == thread);
                mine.inspect(|seed| run(*seed)).count() as u64
            })
        };
        let threads: Vec<_> = (0..threads).map(share).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(ran, total);
}

fn run(seed: u64) {
    let outcome = std::panic::catch_unwind(|| {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut cluster = Cluster::new(edits::set(&mut random));
        for _ in 0..STEPS {
            trouble(&mut cluster, &mut random);
        }
        rest(&mut cluster);
    });
    assert!(outcome.is_ok(), "seed {seed}");
}

/// One thing that happens.
fn trouble(cluster: &mut Cluster, random: &mut SmallRng) {
    match random.random_range(0..10) {
        0..=3 => {
            let lag = if random.random_bool(0.4) {
                random.random_range(0..6)
            } else {
                0
            };
            let fails = random.random_bool(0.2);
            // Where it dies, or what is refused: at this action, if there are so many.
            let at = random.random_range(0..4);
            cluster.reconcile(lag, |n| match (fails && n == at, n % 3) {
                (false, _) => Outcome::Done,
                (true, 0) => Outcome::Dies,
                (true, 1) => Outcome::Refused,
                (true, _) => Outcome::Lost,
            });
        }
        4..=6 => cluster.node(random),
        7 => cluster.collect(),
        8 => edits::edit(cluster, random),
        _ => cluster.pass(random.random_range(1..60)),
    }
}

/// Nothing happens any more but what the cluster does itself: the set comes to rest where its spec says.
fn rest(cluster: &mut Cluster) {
    cluster.pass(3600);
    for _ in 0..REST {
        cluster.heal();
        cluster.collect();
        cluster.pass(30);
        let quiet = cluster.is_quiet();
        if !cluster.reconcile(0, |_| Outcome::Done) && quiet {
            return check(cluster);
        }
    }
    panic!("no rest: {}", cluster.describe());
}

/// The fixed point.
fn check(cluster: &mut Cluster) {
    let spec = cluster.set["spec"].clone();
    let start = spec["ordinals"]["start"].as_i64().unwrap_or_default();
    let replicas = spec["replicas"].as_i64().unwrap();
    let wanted: Vec<String> = (start..start + replicas)
        .map(|n| format!("x-{n}"))
        .collect();
    let pods: Vec<&str> = cluster.pods.iter().map(name_of).collect();
    assert_eq!(pods, wanted, "{}", cluster.describe());
    let status = &cluster.set["status"];
    let update = status["updateRevision"].as_str().unwrap();
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"]
        .as_i64()
        .unwrap_or_default();
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        for pod in &cluster.pods {
            let ordinal: i64 = name_of(pod).rsplit('-').next().unwrap().parse().unwrap();
            let revision = &pod["metadata"]["labels"]["controller-revision-hash"];
            assert!(
                ordinal < start + partition || *revision == update,
                "{}",
                cluster.describe()
            );
        }
    }
    for pod in &cluster.pods {
        let claim = format!("data-{}", name_of(pod));
        assert!(
            cluster.claims.iter().any(|c| name_of(c) == claim),
            "{}",
            cluster.describe()
        );
    }
    assert_eq!(
        [&status["replicas"], &status["availableReplicas"]],
        [replicas, replicas]
    );
    assert_eq!(
        status["observedGeneration"],
        cluster.set["metadata"]["generation"]
    );
    // Beside those that are current, wanted or some Pod's, no more than the limit.
    let live = |revision: &&Value| {
        let name = &revision["metadata"]["name"];
        let has = |pod: &Value| pod["metadata"]["labels"]["controller-revision-hash"] == *name;
        [&status["currentRevision"], &status["updateRevision"]].contains(&name)
            || cluster.pods.iter().any(has)
    };
    let idle = cluster
        .revisions
        .iter()
        .filter(|revision| !live(revision))
        .count();
    let limit = usize::try_from(spec["revisionHistoryLimit"].as_i64().unwrap()).unwrap();
    assert!(idle <= limit, "{}", cluster.describe());
    // A converged plan is empty.
    let plan = headless_dns::statefulset::plan(&cluster.observe(0), cluster.now());
    assert_eq!((plan.actions, plan.warnings), (Vec::new(), Vec::new()));
    assert_eq!(without_null(&plan.status), without_null(status));
}

fn without_null(value: &Value) -> Value {
    let fields = value
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, v)| !v.is_null());
    fields
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

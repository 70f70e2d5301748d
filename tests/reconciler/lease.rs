//! Leader election, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use headless_cluster::{Cluster, Delays};
use headless_dns::reconciler::lease::{Lease, lead};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Test;
use crate::support::api::{FakeApi, Fate};
use crate::support::kubelet::call;

pub(crate) const TESTS: &[Test] = &[
    (
        "one_of_two_leads_and_the_other_takes_over_at_once_where_the_lease_is_given_back",
        || given_back().boxed_local(),
    ),
    (
        "a_leader_that_is_gone_is_followed_when_its_lease_has_run_out",
        || runs_out().boxed_local(),
    ),
    (
        "a_leader_that_cannot_renew_stops_before_another_may_take_over",
        || cut_off().boxed_local(),
    ),
    ("a_leader_whose_lease_another_took_stops", || {
        taken().boxed_local()
    }),
    (
        "a_leader_whose_renewal_somebody_got_in_the_way_of_goes_on",
        || contested().boxed_local(),
    ),
    (
        "the_lease_says_who_leads_since_when_and_how_often_that_changed",
        || record().boxed_local(),
    ),
];

/// Who works, since when: at most one.
type Work = Arc<Mutex<Vec<(String, Instant)>>>;

/// Tells of its end, also when it is ended.
struct Working(String, Work);

impl Working {
    fn begin(&self) {
        let mut all = self.1.lock().unwrap();
        all.push((self.0.clone(), Instant::now()));
        assert_eq!(all.len(), 1, "two lead at a time");
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.1.lock().unwrap().retain(|(who, _)| *who != self.0);
    }
}

/// Somebody who wants to lead.
struct Candidate {
    api: FakeApi,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn candidate(cluster: &Cluster, who: &str, work: &Work) -> Candidate {
    let api = FakeApi::new(cluster);
    let lease = Lease {
        ns: "default".into(),
        name: "reconciler".into(),
        identity: who.into(),
    };
    let stop = CancellationToken::new();
    let (who, work) = (who.to_owned(), Arc::clone(work));
    let works = move |_| {
        let working = Working(who.clone(), Arc::clone(&work));
        async move {
            working.begin();
            std::future::pending::<()>().await;
            drop(working);
        }
    };
    let task = tokio::spawn(lead(api.client(), lease, works, stop.clone()));
    Candidate { api, stop, task }
}

/// Waits until this one works; how long that took.
async fn leads(work: &Work, who: &str) -> Duration {
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        loop {
            pause.tick().await;
            if work
                .lock()
                .unwrap()
                .first()
                .is_some_and(|(leader, _)| leader == who)
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
    begun.elapsed()
}

/// Two candidates, of which `a` leads.
async fn two() -> (Cluster, Work, Candidate, Candidate) {
    tokio::time::pause();
    let cluster = Cluster::start(Delays::default());
    let work = Work::default();
    let a = candidate(&cluster, "a", &work);
    leads(&work, "a").await;
    let b = candidate(&cluster, "b", &work);
    // Long enough for `b` to have looked more than once.
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(work.lock().unwrap()[0].0, "a");
    (cluster, work, a, b)
}

async fn given_back() {
    let (_cluster, work, a, _b) = two().await;
    a.stop.cancel();
    a.task.await.unwrap();
    assert!(leads(&work, "b").await <= Duration::from_secs(2));
}

async fn runs_out() {
    let (_cluster, work, a, _b) = two().await;
    a.task.abort();
    let _aborted = a.task.await;
    let waited = leads(&work, "b").await;
    let bounds = Duration::from_secs(11)..Duration::from_secs(20);
    assert!(bounds.contains(&waited), "{waited:?}");
}

async fn cut_off() {
    let (_cluster, work, a, _b) = two().await;
    let since = Instant::now();
    a.api.all(Fate::RefuseAs(503, "ServiceUnavailable"));
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    while work
        .lock()
        .unwrap()
        .first()
        .is_some_and(|(who, _)| who == "a")
    {
        pause.tick().await;
    }
    assert!(
        since.elapsed() <= Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    leads(&work, "b").await;
}

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/reconciler";

async fn spec(cluster: &Cluster) -> Value {
    let lease = call(&cluster.client(), Method::GET, PATH, &json!({})).await;
    lease.unwrap()["spec"].clone()
}

async fn taken() {
    let (cluster, work, _a, b) = two().await;
    b.task.abort();
    let patch = json!({"spec": {"holderIdentity": "c"}});
    call(&cluster.client(), Method::PATCH, PATH, &patch)
        .await
        .unwrap();
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    let since = Instant::now();
    while !work.lock().unwrap().is_empty() {
        pause.tick().await;
    }
    assert!(
        since.elapsed() <= Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
    // `c` says no more: it is followed.
    leads(&work, "a").await;
}

async fn contested() {
    let (_cluster, work, a, _b) = two().await;
    let since = work.lock().unwrap()[0].1;
    a.api.first(
        2,
        Method::PUT,
        "/reconciler",
        Fate::RefuseAs(409, "Conflict"),
    );
    a.api.calls();
    let mut writes = 0;
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    while writes < 3 {
        pause.tick().await;
        writes += a.api.calls().get("PUT leases").copied().unwrap_or_default();
    }
    assert_eq!(*work.lock().unwrap(), [("a".to_owned(), since)]);
}

async fn record() {
    let (cluster, work, a, _b) = two().await;
    let first = spec(&cluster).await;
    let text = |field: &str| first[field].as_str().unwrap().to_owned();
    assert_eq!(
        [
            &first["holderIdentity"],
            &first["leaseDurationSeconds"],
            &first["leaseTransitions"]
        ],
        [&json!("a"), &json!(15), &json!(0)]
    );
    let time: jiff::Timestamp = text("renewTime").parse().unwrap();
    assert_eq!(
        time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        text("renewTime")
    );
    a.stop.cancel();
    a.task.await.unwrap();
    leads(&work, "b").await;
    let second = spec(&cluster).await;
    assert_eq!(
        [&second["holderIdentity"], &second["leaseTransitions"]],
        [&json!("b"), &json!(1)]
    );
}

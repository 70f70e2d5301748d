//! A cluster of one set, simulated: what an API server, a node and a garbage collector do to its objects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headless_dns::statefulset::{Action, Failures, Observed, plan};
use jiff::Timestamp;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The API server says no.
    Refused,
    /// It is done, and the reconciler does not hear of it.
    Lost,
    /// The reconciler dies before it.
    Dies,
}

/// Snapshots that a cache may show: the last so many.
const HISTORY: usize = 8;

/// The cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) set: Value,
    /// By name.
    pub(crate) pods: Vec<Value>,
    pub(crate) claims: Vec<Value>,
    pub(crate) revisions: Vec<Value>,
    failures: Failures,
    seconds: i64,
    versions: u64,
    history: VecDeque<Observed>,
    /// Claims that are there, and who used them: never two Pods.
    users: BTreeMap<String, String>,
    /// Claims that nobody owns, under a policy that every cache knows to keep them all: none of them may go.
    kept: BTreeMap<String, String>,
    /// The change since which the policy is that.
    retained: Option<usize>,
    /// Changes so far.
    changes: usize,
}

pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn is_ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn is_available(pod: &Value, now: i64, min_ready: i64) -> bool {
    let ready = &pod["status"]["conditions"][0];
    let since: Option<Timestamp> = ready["lastTransitionTime"]
        .as_str()
        .map(|time| time.parse().unwrap());
    pod["status"]["phase"] == "Running"
        && ready["status"] == "True"
        && since.is_some_and(|since| since.as_second() + min_ready <= now)
}

impl Cluster {
    pub(crate) fn new(set: Value) -> Self {
        let mut cluster = Self {
            set,
            pods: Vec::new(),
            claims: Vec::new(),
            revisions: Vec::new(),
            failures: Failures::default(),
            seconds: 1_000_000,
            versions: 0,
            history: VecDeque::new(),
            users: BTreeMap::new(),
            kept: BTreeMap::new(),
            retained: None,
            changes: 0,
        };
        cluster.changed();
        cluster
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds).unwrap()
    }

    fn time(&self) -> String {
        self.now().to_string()
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.seconds += seconds;
    }

    pub(crate) fn describe(&self) -> String {
        let pod = |p: &Value| {
            format!(
                "{} {} {} {}",
                name_of(p),
                p["status"],
                p["metadata"]["labels"]["controller-revision-hash"],
                p["metadata"]["deletionTimestamp"]
            )
        };
        let pods: Vec<_> = self.pods.iter().map(pod).collect();
        let claims: Vec<_> = self
            .claims
            .iter()
            .map(|c| c["metadata"].to_string())
            .collect();
        format!(
            "{}\n{}\n{}\n{}",
            self.set["spec"],
            self.set["status"],
            pods.join("\n"),
            claims.join("\n")
        )
    }

    /// After every change: invariants, and what caches may show from now on.
    pub(crate) fn changed(&mut self) {
        self.versions += 1;
        self.changes += 1;
        self.pods.sort_by(|a, b| name_of(a).cmp(name_of(b)));
        let twins = self
            .pods
            .windows(2)
            .any(|pair| name_of(&pair[0]) == name_of(&pair[1]));
        assert!(!twins, "two Pods of one ordinal");
        for (claim, uid) in &self.kept {
            let there = self
                .claims
                .iter()
                .any(|c| name_of(c) == claim && c["metadata"]["uid"] == uid.as_str());
            assert!(there, "claim {claim} is lost: {}", self.describe());
        }
        self.keep();
        let snapshot = self.live();
        self.history.push_front(snapshot);
        self.history.truncate(HISTORY);
    }

    fn keep(&mut self) {
        let policy = &self.set["spec"]["persistentVolumeClaimRetentionPolicy"];
        if policy["whenDeleted"] != "Retain" || policy["whenScaled"] != "Retain" {
            self.retained = None;
            self.kept.clear();
            return;
        }
        let since = *self.retained.get_or_insert(self.changes);
        if self.changes - since > HISTORY {
            let free = self.claims.iter().filter(|claim| {
                let owners = claim["metadata"]["ownerReferences"].as_array();
                owners.is_none_or(Vec::is_empty)
            });
            let uid = |claim: &Value| claim["metadata"]["uid"].as_str().unwrap().to_owned();
            self.kept
                .extend(free.map(|claim| (name_of(claim).to_owned(), uid(claim))));
        }
    }

    fn live(&self) -> Observed {
        let shared = |objects: &[Value]| {
            objects
                .iter()
                .map(|object| Arc::new(object.clone()))
                .collect()
        };
        Observed {
            set: Arc::new(self.set.clone()),
            pods: shared(&self.pods),
            claims: shared(&self.claims),
            revisions: shared(&self.revisions),
            failures: self.failures.clone(),
        }
    }

    /// What caches show that lag by so many changes; each kind by another number of them.
    pub(crate) fn observe(&self, lag: usize) -> Observed {
        let at = |lag: usize| &self.history[lag.min(self.history.len() - 1)];
        Observed {
            set: Arc::clone(&at(lag / 2).set),
            pods: at(lag).pods.clone(),
            claims: at(lag / 3).claims.clone(),
            revisions: at(lag / 2).revisions.clone(),
            failures: self.failures.clone(),
        }
    }

    /// One plan, acted on; returns whether it asked for anything.
    pub(crate) fn reconcile(&mut self, lag: usize, outcome: impl Fn(usize) -> Outcome) -> bool {
        let mut observed = self.observe(lag);
        self.failures.note(self.now(), &observed.pods);
        observed.failures = self.failures.clone();
        let plan = plan(&observed, self.now());
        self.check_order(&observed, &plan.actions);
        let asked = !plan.actions.is_empty();
        for (n, action) in plan.actions.into_iter().enumerate() {
            match outcome(n) {
                Outcome::Dies => {
                    // What it remembered is gone with it.
                    self.failures = Failures::default();
                    return true;
                }
                Outcome::Refused => break,
                fate @ (Outcome::Done | Outcome::Lost) => {
                    if !self.perform(action) || fate == Outcome::Lost {
                        break;
                    }
                }
            }
        }
        // The status is written for what it was counted from, or not at all.
        if observed.set["metadata"]["resourceVersion"] == self.set["metadata"]["resourceVersion"]
            && plan.status != self.set["status"]
        {
            self.set["status"] = plan.status;
            self.touch_set();
            return true;
        }
        asked
    }

    pub(crate) fn touch_set(&mut self) {
        self.set["metadata"]["resourceVersion"] = (self.versions + 1).to_string().into();
        self.changed();
    }

    /// OrderedReady: one create or delete at a time, each only where those before it are available, as far as was seen.
    fn check_order(&self, observed: &Observed, actions: &[Action]) {
        let spec = &observed.set["spec"];
        let min_ready = spec["minReadySeconds"].as_i64().unwrap_or_default();
        let recreate = spec["updateStrategy"]["type"] == "Recreate";
        let creates: Vec<_> = actions
            .iter()
            .filter_map(|action| {
                if let Action::CreatePod { pod, .. } = action {
                    Some(ordinal(name_of(pod)))
                } else {
                    None
                }
            })
            .collect();
        for action in actions {
            if let Action::DeletePod { name, uid } = action {
                assert!(
                    observed
                        .pods
                        .iter()
                        .any(|p| name_of(p) == name && p["metadata"]["uid"] == uid.as_str()),
                    "deletes what was not seen"
                );
            }
        }
        if spec["podManagementPolicy"] == "Parallel" {
            return;
        }
        let deletes = actions
            .iter()
            .filter(|a| matches!(a, Action::DeletePod { .. }))
            .count();
        let budget = spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"]
            .as_i64()
            .unwrap_or(1)
            .max(1);
        assert!(
            creates.len() <= 1 && (creates.is_empty() || deletes == 0),
            "{actions:?}"
        );
        assert!(
            recreate || i64::try_from(deletes).unwrap() <= budget,
            "{actions:?}"
        );
        let start = spec["ordinals"]["start"].as_i64().unwrap_or_default();
        for made in creates {
            for before in start..made {
                let pod = observed
                    .pods
                    .iter()
                    .find(|p| name_of(p) == format!("x-{before}"));
                let fine = pod.is_some_and(|pod| {
                    is_available(pod, self.seconds, min_ready) && !is_ending(pod)
                });
                assert!(fine, "x-{made} is made before x-{before} is available");
            }
        }
    }

    fn fresh(&mut self, object: &mut Value) {
        self.versions += 1;
        object["metadata"]["uid"] = format!("uid-{}", self.versions).into();
        object["metadata"]["resourceVersion"] = self.versions.to_string().into();
        object["metadata"]["creationTimestamp"] = self.time().into();
    }

    /// What the API server does; `false` where it refuses.
    fn perform(&mut self, action: Action) -> bool {
        let done = match action {
            Action::CreatePod { pod, claims } => {
                claims.into_iter().all(|c| self.create_claim(c)) && self.create_pod(pod)
            }
            Action::CreateClaim { claim, .. } => self.create_claim(claim),
            Action::CreateRevision(mut revision) => {
                let taken = self
                    .revisions
                    .iter()
                    .any(|r| name_of(r) == name_of(&revision));
                if !taken {
                    self.fresh(&mut revision);
                    self.revisions.push(revision);
                }
                !taken
            }
            Action::DeletePod { name, uid } => self.delete_pod(&name, Some(&uid)),
            Action::DeleteRevision { name, uid } => {
                let before = self.revisions.len();
                self.revisions
                    .retain(|r| name_of(r) != name || r["metadata"]["uid"] != uid.as_str());
                self.revisions.len() < before
            }
            Action::RaiseRevision { name, revision } => {
                patch(&mut self.revisions, &name, &json!({"revision": revision}))
            }
            Action::OwnClaim {
                name,
                patch: change,
            } => patch(&mut self.claims, &name, &change),
            Action::AdoptPod {
                name,
                patch: change,
            }
            | Action::ReleasePod {
                name,
                patch: change,
            } => patch(&mut self.pods, &name, &change),
            Action::AdoptRevision {
                name,
                patch: change,
            } => patch(&mut self.revisions, &name, &change),
            Action::RepairPod { name, labels } => patch(
                &mut self.pods,
                &name,
                &json!({"metadata": {"labels": labels}}),
            ),
        };
        self.changed();
        done
    }

    fn create_pod(&mut self, mut pod: Value) -> bool {
        if self.pods.iter().any(|p| name_of(p) == name_of(&pod)) {
            return false;
        }
        self.fresh(&mut pod);
        pod["status"] = json!({"phase": "Pending"});
        let claims = pod["spec"]["volumes"].as_array().into_iter().flatten();
        for claim in claims.filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str()) {
            let user = self
                .users
                .entry(claim.to_owned())
                .or_insert_with(|| name_of(&pod).to_owned());
            assert_eq!(user, name_of(&pod), "claim {claim} is shared");
        }
        self.pods.push(pod);
        true
    }

    fn create_claim(&mut self, mut claim: Value) -> bool {
        if self.claims.iter().any(|c| name_of(c) == name_of(&claim)) {
            return false;
        }
        self.fresh(&mut claim);
        self.claims.push(claim);
        true
    }

    /// Deletes this incarnation of a Pod; one that runs takes its time.
    pub(crate) fn delete_pod(&mut self, name: &str, uid: Option<&str>) -> bool {
        let time = self.time();
        let Some(at) = self.pods.iter().position(|p| name_of(p) == name) else {
            return false;
        };
        if uid.is_some_and(|uid| self.pods[at]["metadata"]["uid"] != uid) {
            return false;
        }
        if matches!(
            self.pods[at]["status"]["phase"].as_str(),
            Some("Failed" | "Succeeded")
        ) {
            self.pods.remove(at);
        } else if !is_ending(&self.pods[at]) {
            self.pods[at]["metadata"]["deletionTimestamp"] = time.into();
        }
        true
    }

    /// One Pod makes a step: it runs, is Ready or not, fails, or is gone.
    pub(crate) fn node(&mut self, random: &mut SmallRng) {
        if self.pods.is_empty() {
            return;
        }
        let at = random.random_range(0..self.pods.len());
        if is_ending(&self.pods[at]) {
            self.pods.remove(at);
        } else {
            let status = match random.random_range(0..10) {
                0 => json!({"phase": "Failed"}),
                1 | 2 => self.running(false),
                _ => self.running(true),
            };
            if !matches!(self.pods[at]["status"]["phase"].as_str(), Some("Failed")) {
                self.pods[at]["status"] = status;
            }
        }
        self.changed();
    }

    fn running(&self, ready: bool) -> Value {
        let ready = if ready { "True" } else { "False" };
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": self.time()}]})
    }

    /// Every Pod is well: it runs and is Ready, or is gone. One whose image is broken never is Ready.
    pub(crate) fn heal(&mut self) {
        self.pods.retain(|pod| !is_ending(pod));
        let ready = self.running(true);
        for pod in &mut self.pods {
            if pod["status"]["phase"] != "Failed"
                && pod["status"]["conditions"][0]["status"] != "True"
            {
                pod["status"] = ready.clone();
            }
        }
        self.changed();
    }

    /// Whether no Pod is on its way anywhere.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.pods.iter().any(is_ending) && !self.claims.iter().any(is_ending)
    }

    /// The garbage collector: claims whose owners are all gone go too, when no Pod uses them.
    pub(crate) fn collect(&mut self) {
        let uids: Vec<String> = self
            .pods
            .iter()
            .chain([&self.set])
            .map(|o| o["metadata"]["uid"].as_str().unwrap().to_owned())
            .collect();
        let pods: Vec<String> = self
            .pods
            .iter()
            .map(|p| format!("data-{}", name_of(p)))
            .collect();
        self.claims.retain(|claim| {
            let owners = claim["metadata"]["ownerReferences"].as_array();
            let mut owners = owners.into_iter().flatten().peekable();
            let orphan = owners.peek().is_some()
                && !owners.any(|o| uids.iter().any(|uid| o["uid"] == uid.as_str()));
            !orphan || pods.contains(&name_of(claim).to_owned())
        });
        self.users
            .retain(|claim, _| self.claims.iter().any(|c| name_of(c) == claim));
        self.changed();
    }
}

fn ordinal(pod: &str) -> i64 {
    pod.rsplit('-').next().unwrap().parse().unwrap()
}

/// A merge patch that names the incarnation it is for; `false` where that is another, or none.
fn patch(objects: &mut [Value], name: &str, patch: &Value) -> bool {
    let Some(object) = objects.iter_mut().find(|o| name_of(o) == name) else {
        return false;
    };
    for field in ["uid", "resourceVersion"] {
        let wanted = &patch["metadata"][field];
        if !wanted.is_null() && *wanted != object["metadata"][field] {
            return false;
        }
    }
    json_patch::merge(object, patch);
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .map_or(0, |v| v.parse::<u64>().unwrap());
    object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
    true
}

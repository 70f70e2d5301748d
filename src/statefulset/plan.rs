//! One sync: the slots are filled first, then what is too much goes, then what is old.
//!
//! In OrderedReady mode a plan holds at most one create or delete of a Pod; the next plan sees what came of it.

use jiff::Timestamp;
use serde_json::Value;

use super::identity::{self, claims_of};
use super::revision::{self, Revisions};
use super::spec::{Member, Spec, Update};
use super::{Action, Observed, Plan, ownership, status};

/// A label's value may have 63 characters, and a Pod's name is one.
const MAX_LABEL: usize = 63;

/// Deletions in one plan of a Parallel set: Kubernetes' largest batch.
const MAX_BATCH: usize = 500;

/// Plans one sync of a set.
#[must_use]
pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let (observed, actions) = ownership::claim(observed);
    if !actions.is_empty() {
        return Plan {
            actions,
            status: observed.set["status"].clone(),
            wake: None,
            blocked: None,
        };
    }
    let set = &*observed.set;
    let spec = Spec::of(set);
    let revisions = revision::of(set, &observed.revisions);
    let mut members: Vec<Member<'_>> = observed
        .pods
        .iter()
        .filter_map(|pod| Member::of(spec.name, pod, (now, spec.min_ready)))
        .collect();
    members.sort_by_key(|m| m.ordinal);
    let status = status::of(set, &spec, &members, &revisions);
    let wake = members.iter().filter_map(|m| m.due).min();
    let mut sync = Sync {
        observed: &observed,
        spec: &spec,
        revisions: &revisions,
        members: &members,
        actions: Vec::new(),
        blocked: None,
    };
    if !spec.deleted {
        sync.actions.clone_from(&revisions.actions);
        sync.run();
    }
    let Sync {
        mut actions,
        blocked,
        ..
    } = sync;
    let mut live: Vec<&str> = members.iter().map(|m| m.revision).collect();
    live.extend([
        revision::name(&revisions.update),
        revision::name(&revisions.current),
    ]);
    actions.extend(revision::beyond(&observed.revisions, &live, spec.history));
    Plan {
        actions,
        status,
        wake,
        blocked,
    }
}

struct Sync<'a> {
    observed: &'a Observed,
    spec: &'a Spec<'a>,
    revisions: &'a Revisions,
    /// By ordinal.
    members: &'a [Member<'a>],
    actions: Vec<Action>,
    blocked: Option<String>,
}

/// Whether a pass lets the next one follow.
#[derive(PartialEq)]
enum Pass {
    Done,
    Stop,
}

impl Sync<'_> {
    fn run(&mut self) {
        let last = self.spec.start + self.spec.replicas - 1;
        let longest = format!("{}-{last}", self.spec.name);
        if longest.len() > MAX_LABEL && self.spec.replicas > 0 {
            self.blocked = Some(format!(
                "pod name {longest} would be longer than {MAX_LABEL} characters"
            ));
            return;
        }
        if self.fill() == Pass::Done && self.condemn() == Pass::Done {
            self.update();
        }
    }

    /// Gives every ordinal in force its Pod, from the lowest up.
    fn fill(&mut self) -> Pass {
        let mut outcome = Pass::Done;
        for ordinal in self.spec.start..self.spec.start + self.spec.replicas {
            let at = self.members.binary_search_by_key(&ordinal, |m| m.ordinal);
            let member = at.ok().map(|at| &self.members[at]);
            let stop = match member {
                None => {
                    self.create(ordinal);
                    true
                }
                Some(member) => self.tend(member),
            };
            if stop && self.spec.ordered {
                return Pass::Stop;
            }
            if stop && member.is_none_or(|m| m.ended) {
                outcome = Pass::Stop;
            }
        }
        outcome
    }

    /// Looks after a Pod that is there; whether its successors must wait.
    fn tend(&mut self, member: &Member<'_>) -> bool {
        if member.ended {
            // The name is free again only when the object is gone; then it is made anew.
            if !member.terminating {
                self.delete(member);
            }
            return true;
        }
        if member.pod["status"]["phase"] == "Pending" && !member.terminating {
            self.create_claims(member.name);
        }
        if self.spec.ordered && member.unavailable() {
            return true;
        }
        if member.pod["metadata"]["labels"][identity::POD_NAME] != member.name {
            let labels = identity::repair(member.name, member.ordinal);
            self.actions.push(Action::RepairPod {
                name: member.name.to_owned(),
                labels,
            });
        }
        false
    }

    fn create(&mut self, ordinal: i64) {
        let revision = self.revision_for(ordinal);
        let pod = identity::pod(
            &self.observed.set,
            revision::template(revision),
            revision::name(revision),
            ordinal,
        );
        let name = pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if self.create_claims(&name) {
            self.actions.push(Action::CreatePod(pod));
        }
    }

    /// Makes the claims a Pod lacks; whether all it needs are or will be there.
    fn create_claims(&mut self, pod: &str) -> bool {
        let mut usable = true;
        for claim in claims_of(&self.observed.set, pod) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default();
            match self.observed.claims.iter().find(|(n, _)| n == name) {
                Some((_, ending)) if *ending => usable = false,
                Some(_) => {}
                None => self.actions.push(Action::CreateClaim {
                    claim,
                    pod: pod.to_owned(),
                }),
            }
        }
        usable
    }

    /// The revision that a Pod is made from.
    fn revision_for(&self, ordinal: i64) -> &Value {
        let old = match self.spec.update {
            Update::Rolling(Some(partition)) => ordinal < self.spec.start + partition,
            Update::Rolling(None) => {
                let current = self.observed.set["status"]["currentReplicas"]
                    .as_i64()
                    .unwrap_or_default();
                ordinal < self.spec.start + current
            }
            Update::OnDelete => false,
        };
        if old {
            &self.revisions.current
        } else {
            &self.revisions.update
        }
    }

    /// Takes away Pods out of range, from the highest down.
    fn condemn(&mut self) -> Pass {
        let unavailable = self.members.iter().filter(|m| m.unavailable());
        let first_bad = unavailable
            .min_by_key(|m| (!self.spec.holds(m.ordinal), m.ordinal))
            .map(|m| m.uid);
        let condemned = self
            .members
            .iter()
            .rev()
            .filter(|m| !self.spec.holds(m.ordinal));
        let mut outcome = Pass::Done;
        for member in condemned.take(MAX_BATCH) {
            outcome = Pass::Stop;
            if member.terminating {
                if self.spec.ordered {
                    return Pass::Stop;
                }
                continue;
            }
            // One that is not available holds the others up, unless it is itself what holds everything up.
            if self.spec.ordered && !member.available && first_bad != Some(member.uid) {
                return Pass::Stop;
            }
            self.delete(member);
            if self.spec.ordered {
                return Pass::Stop;
            }
        }
        outcome
    }

    /// Replaces Pods of an older revision one at a time, from the highest ordinal down to the partition.
    fn update(&mut self) {
        let update = revision::name(&self.revisions.update);
        let touched = self
            .members
            .iter()
            .rev()
            .filter(|m| self.spec.holds(m.ordinal) && m.ordinal >= self.spec.first_updated());
        for member in touched {
            if member.revision != update && !member.terminating {
                self.delete(member);
                return;
            }
            if member.unavailable() {
                return;
            }
        }
    }

    fn delete(&mut self, member: &Member<'_>) {
        self.actions.push(Action::DeletePod {
            name: member.name.to_owned(),
            uid: member.uid.to_owned(),
        });
    }
}

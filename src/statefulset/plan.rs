//! One sync: first missing Pods are made, then Pods out of range are deleted, then Pods of an old revision.
//!
//! In OrderedReady mode a plan holds at most one create or delete of a Pod, or one batch of an update; the next plan
//! sees what came of it.

use headless_objects::object::{MAX_LABEL_VALUE, is_ending, name};
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::claims::{self, Owners};
use super::conditions::{Progress, Stall};
use super::identity;
use super::member::Member;
use super::revision::{self, Revisions};
use super::spec::{Spec, Update};
use super::update::{self, Recreate};
use super::{Action, Observed, Plan, Warning, ownership, status};

/// The annotation on a set that lets us delete a Pod which holds up the update that would replace it.
pub const HEAL: &str = "headless-dns/heal-rollout";

/// The largest batch of a Parallel set: deletions in one plan, requests at once (Kubernetes' `MaxBatchSize`).
pub const MAX_BATCH: usize = 500;

/// How long a Pod of an older revision may take to start before we say that it holds up an update.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Plans one sync of a set.
#[must_use]
pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let (owned, actions) = ownership::claim(observed);
    if !actions.is_empty() {
        return Plan {
            actions,
            parallel: false,
            status: observed.set["status"].clone(),
            wake: None,
            warnings: Vec::new(),
        };
    }
    let set = &*owned.set;
    let spec = Spec::of(set);
    let revisions = revision::revisions(set, &owned.revisions, &observed.revisions);
    let mut members: Vec<Member<'_>> = owned
        .pods
        .iter()
        .filter_map(|pod| Member::of(spec.name, pod, (now, spec.min_ready)))
        .collect();
    members.sort_by_key(|m| m.ordinal);
    let mut live: Vec<&str> = members.iter().map(|m| m.revision).collect();
    live.extend([name(&revisions.update), name(&revisions.current)]);
    let mut sync = Sync {
        now,
        observed: &owned,
        spec: &spec,
        revisions: &revisions,
        members: &members,
        claims: owned.claims.iter().map(|c| (name(c), &**c)).collect(),
        actions: Vec::new(),
        wake: members.iter().filter_map(|m| m.due).min(),
        stall: None,
        progress: Progress::None,
        warnings: Vec::new(),
    };
    if !spec.deleted {
        sync.actions.clone_from(&revisions.actions);
    }
    // Old revisions are deleted before the Pods have their turn, so also where an action for a Pod fails.
    let idle = revision::beyond(&owned.revisions, &live, spec.history);
    sync.actions.extend(idle);
    if !spec.deleted {
        sync.run();
    }
    sync.finish()
}

struct Sync<'a> {
    now: Timestamp,
    observed: &'a Observed,
    spec: &'a Spec<'a>,
    revisions: &'a Revisions,
    /// By ordinal.
    members: &'a [Member<'a>],
    /// By name.
    claims: BTreeMap<&'a str, &'a Value>,
    actions: Vec<Action>,
    wake: Option<Timestamp>,
    stall: Option<Stall>,
    progress: Progress,
    warnings: Vec<Warning>,
}

/// Whether a pass lets the next one follow.
#[derive(PartialEq)]
enum Pass {
    Done,
    Stop,
}

impl<'a> Sync<'a> {
    fn run(&mut self) {
        let update = name(&self.revisions.update);
        if let Recreate::Wait(old) = update::recreate(self.spec, self.members, update) {
            self.progress = Progress::Recreating;
            old.into_iter().for_each(|member| self.delete(member));
            return;
        }
        if self.fill() == Pass::Done && self.condemn() == Pass::Done {
            for member in update::replaced(self.spec, self.members, update) {
                self.delete(member);
            }
        }
    }

    fn finish(mut self) -> Plan {
        let counts = status::count(self.spec, self.members, self.revisions);
        if self.spec.update == Update::Recreate && self.progress == Progress::None {
            let conditions = self.observed.set["status"]["conditions"].as_array();
            let begun = conditions
                .into_iter()
                .flatten()
                .any(|c| c["type"] == "Progressing");
            if begun {
                self.progress = if counts.complete {
                    Progress::Complete
                } else {
                    Progress::Recreating
                };
            }
        }
        if let Some(stall) = &self.stall {
            self.warnings.push(Warning {
                reason: stall.reason(),
                message: stall.message(),
            });
        }
        let status = status::status(
            self.now,
            &self.observed.set,
            &counts,
            (self.stall.as_ref(), self.progress),
        );
        Plan {
            actions: self.actions,
            parallel: !self.spec.ordered,
            status,
            wake: self.wake,
            warnings: self.warnings,
        }
    }

    /// Gives every ordinal in force its Pod, from the lowest up.
    fn fill(&mut self) -> Pass {
        for ordinal in self.spec.start..self.spec.start + self.spec.replicas {
            let at = self.members.binary_search_by_key(&ordinal, |m| m.ordinal);
            let stop = match at.ok().map(|at| &self.members[at]) {
                None => {
                    self.create(ordinal);
                    true
                }
                Some(member) => self.keep(member),
            };
            if stop && self.spec.ordered {
                return Pass::Stop;
            }
        }
        Pass::Done
    }

    /// Looks after a Pod that is there; whether its successors must wait.
    fn keep(&mut self, member: &'a Member<'a>) -> bool {
        if member.ended {
            self.replace(member);
            return true;
        }
        if member.pod["status"]["phase"] == "Pending" && !member.terminating {
            self.create_missing_claims(member.name);
        }
        if self.spec.ordered && member.unavailable() {
            self.detect_stall(member);
            return true;
        }
        if member.pod["metadata"]["labels"][identity::POD_NAME] != member.name {
            let labels = identity::repair(member.name, member.ordinal);
            self.actions.push(Action::RepairPod {
                name: member.name.to_owned(),
                labels,
            });
        }
        self.own_claims(member);
        false
    }

    /// Deletes a Pod that has ended: its name is free again only when the object is gone.
    fn replace(&mut self, member: &Member<'_>) {
        if member.terminating {
            return;
        }
        match self.observed.failures.replace_at(member.name) {
            Some(at) if self.now < at => self.wake_at(at),
            Some(_) | None => self.delete(member),
        }
    }

    /// The forced-rollback trap: the Pod that blocks is one that the update would replace if it were not blocked.
    fn detect_stall(&mut self, member: &Member<'_>) {
        let wanted = name(&self.revisions.update);
        let touched = member.ordinal >= self.spec.first_updated();
        if !touched || member.revision == wanted || member.terminating {
            return;
        }
        let due = member
            .unready_since()
            .saturating_add(PATIENCE)
            .unwrap_or(Timestamp::MAX);
        if self.now < due {
            self.wake_at(due);
            return;
        }
        let meta = &self.observed.set["metadata"];
        if meta["annotations"][HEAL] == "true" {
            self.delete(member);
            return;
        }
        let ns = meta["namespace"].as_str().unwrap_or_default();
        self.stall = Some(Stall::RolloutBlocked {
            pod: member.name.to_owned(),
            wanted: wanted.to_owned(),
            command: format!(
                "kubectl delete pod {} -n {ns}, or annotate the set with {HEAL}=true",
                member.name
            ),
        });
    }

    fn create(&mut self, ordinal: i64) {
        let revision = self.revision_for(ordinal);
        let pod = identity::pod(
            &self.observed.set,
            revision::template(revision),
            name(revision),
            ordinal,
        );
        let labels = &pod["metadata"]["labels"];
        for label in [identity::POD_NAME, identity::REVISION] {
            let value = labels[label].as_str().unwrap_or_default();
            if value.len() > MAX_LABEL_VALUE {
                let value = value.to_owned();
                self.stall = Some(Stall::NameTooLong { label, value });
                return;
            }
        }
        if let Some(claims) = self.missing_claims(name(&pod)) {
            self.actions.push(Action::CreatePod { pod, claims });
        }
    }

    /// The claims that a new Pod of this name lacks; `None` where one is there that it must not have.
    fn missing_claims(&mut self, pod: &str) -> Option<Vec<Value>> {
        let mut missing = Vec::new();
        for claim in claims::new(&self.observed.set, pod, self.spec.retention) {
            let Some(present) = self.claims.get(name(&claim)) else {
                missing.push(claim);
                continue;
            };
            if self.spec.retention.with_pod && claims::is_stale(present, pod) {
                return None;
            }
            if is_ending(present) {
                self.warnings.push(Warning {
                    reason: "FailedCreate",
                    message: format!(
                        "create Pod {pod} in StatefulSet {} failed error: pvc {} is being deleted",
                        self.spec.name,
                        name(&claim)
                    ),
                });
                return None;
            }
        }
        Some(missing)
    }

    /// Makes the claims that a Pod waits for and that somebody has deleted.
    fn create_missing_claims(&mut self, pod: &str) {
        for claim in claims::new(&self.observed.set, pod, self.spec.retention) {
            if !self.claims.contains_key(name(&claim)) {
                self.actions.push(Action::CreateClaim {
                    claim,
                    pod: pod.to_owned(),
                });
            }
        }
    }

    /// Gives the claims of a Pod the owners that the retention policy wants.
    fn own_claims(&mut self, member: &Member<'_>) {
        let in_range = self.spec.holds(member.ordinal);
        for (_, name) in claims::names(&self.observed.set, member.name) {
            let Some(present) = self.claims.get(name.as_str()) else {
                continue;
            };
            let pod = (member.pod, in_range);
            let patch = match claims::owners(&self.observed.set, present, pod, self.spec.retention)
            {
                Owners::Fine => None,
                Owners::Patch(patch) => Some(patch),
                Owners::Conflict(patch) => {
                    self.warnings.push(Warning {
                        reason: "ConflictingController",
                        message: format!(
                            "Claim {name} has an owner that is its controller: it is left alone, whatever the retention policy says"
                        ),
                    });
                    patch
                }
            };
            self.actions
                .extend(patch.map(|patch| Action::OwnClaim { name, patch }));
        }
    }

    /// The revision that a Pod is made from.
    fn revision_for(&self, ordinal: i64) -> &'a Value {
        let first_new = match self.spec.update {
            Update::Rolling(Some(_)) => self.spec.first_updated(),
            // The Pods are counted now. With the count of a status from before a deletion, a Pod that was gone at once
            // would come back with the old revision for ever.
            Update::Rolling(None) => {
                let current = name(&self.revisions.current);
                let old = self
                    .members
                    .iter()
                    .filter(|m| !m.terminating && m.revision == current);
                self.spec.start + i64::try_from(old.count()).unwrap_or(i64::MAX)
            }
            Update::OnDelete | Update::Recreate => self.spec.start,
        };
        if ordinal < first_new {
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
        let spec = self.spec;
        let condemned = || self.members.iter().rev().filter(|m| !spec.holds(m.ordinal));
        let members: Vec<_> = condemned().take(MAX_BATCH).collect();
        // The claims get their owners before any of the Pods goes: those that belong to a Pod must go with it.
        members.iter().for_each(|member| self.own_claims(member));
        for member in members {
            if member.terminating {
                if self.spec.ordered {
                    return Pass::Stop;
                }
                continue;
            }
            // A Pod that is not available holds up the others, but for the first unavailable one, and for one that has
            // ended: waiting for those would be in vain.
            let bad = !member.available && !member.ended;
            if self.spec.ordered && bad && first_bad != Some(member.uid) {
                return Pass::Stop;
            }
            self.delete(member);
            if self.spec.ordered {
                return Pass::Stop;
            }
        }
        Pass::Done
    }

    fn delete(&mut self, member: &Member<'_>) {
        self.actions.push(Action::DeletePod {
            name: member.name.to_owned(),
            uid: member.uid.to_owned(),
        });
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

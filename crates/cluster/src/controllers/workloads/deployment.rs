//! Deployments: a ReplicaSet for each template, scaled so that the newest takes over.

mod revisions;
mod standing;

use headless_objects::object::{has_ended, is_ending, name, uid};
use serde_json::Value;

use super::claim::claim;
use super::rollout::{self, DESIRED, MOST, Numbers, replicas};
use super::{Action, Decided, REPLICA_SET, selector, set_status};
use crate::controllers::Step;
use crate::controllers::events::event;
use crate::kinds;
use crate::objects::Key;
use crate::state::Part;

/// A Deployment with its ReplicaSets, the oldest first.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    deployment: &'a Value,
    numbers: Numbers,
    all: Vec<&'a Value>,
    /// The one of the present template.
    new: Option<&'a Value>,
}

pub(super) fn decide(step: &Step<'_>, key: &Key, deployment: &Value) -> Decided {
    let Some(selector) = selector(key.kind, deployment) else {
        return Decided::default();
    };
    let claimed = claim(step.objects, REPLICA_SET, (key, deployment), &selector);
    if !claimed.actions.is_empty() {
        return Decided::to(claimed.actions);
    }
    let mut all: Vec<_> = claimed.mine.iter().map(|(_, set)| *set).collect();
    all.sort_by_key(|set| (set["metadata"]["creationTimestamp"].as_str(), name(set)));
    let look = Look {
        step,
        key,
        deployment,
        numbers: Numbers::of(deployment),
        new: revisions::newest(deployment, &all),
        all,
    };
    look.decide()
}

impl Look<'_> {
    fn decide(&self) -> Decided {
        let mut actions = if is_ending(self.deployment) {
            Vec::new()
        } else if self.deployment["spec"]["paused"] == true || self.was_scaled() {
            self.scale()
        } else if rollout::rolls(self.deployment) {
            self.roll()
        } else {
            self.recreate()
        };
        // What is written whole is written alone: the next look sees it.
        if !actions.is_empty() {
            return Decided::to(actions);
        }
        let (status, wake) = standing::status(self);
        actions.extend(set_status(self.key, self.deployment, status));
        if actions.is_empty() {
            actions = revisions::outdated(self);
        }
        Decided { actions, wake }
    }

    fn old(&self) -> Vec<&Value> {
        let is_new = |set: &Value| self.new.is_some_and(|new| rollout::is_same(new, set));
        let old = self.all.iter().copied();
        old.filter(|set| !is_new(set)).collect()
    }

    /// Whether the Deployment asks for another number than when its sets were scaled last.
    fn was_scaled(&self) -> bool {
        let active = self.all.iter().filter(|set| replicas(set) > 0);
        let mut asked = active.filter_map(|set| {
            let text = set["metadata"]["annotations"][DESIRED].as_str()?;
            text.parse::<i64>().ok()
        });
        asked.any(|asked| asked != self.numbers.replicas)
    }

    fn scale(&self) -> Vec<Action> {
        if let Some(new) = self.new {
            let noted = revisions::noted(self, new);
            if !noted.is_empty() {
                return noted;
            }
        }
        let new = self.new.and_then(|new| {
            let mut all = self.all.iter();
            all.position(|set| rollout::is_same(set, new))
        });
        let rolls = rollout::rolls(self.deployment);
        let wanted = rollout::scaled(self.numbers, rolls, &self.all, new);
        let sets = self.all.iter().zip(wanted);
        sets.flat_map(|(set, wanted)| self.set_replicas(set, wanted))
            .collect()
    }

    fn roll(&self) -> Vec<Action> {
        let Some(new) = self.new else {
            return revisions::create(self);
        };
        let noted = revisions::noted(self, new);
        if !noted.is_empty() {
            return noted;
        }
        let old = self.old();
        let others = old.iter().map(|set| replicas(set)).sum();
        let wanted = rollout::of_new(self.numbers, true, replicas(new), others);
        let grown = self.set_replicas(new, wanted);
        if !grown.is_empty() {
            return grown;
        }
        let wanted = rollout::of_old(self.numbers, new, &old);
        let sets = old.into_iter().zip(wanted);
        sets.flat_map(|(set, wanted)| self.set_replicas(set, wanted))
            .collect()
    }

    fn recreate(&self) -> Vec<Action> {
        let old = self.old();
        let gone = old.iter().flat_map(|set| self.set_replicas(set, 0));
        let gone: Vec<_> = gone.collect();
        if !gone.is_empty() {
            return gone;
        }
        if old.iter().any(|set| self.runs(set)) {
            return Vec::new();
        }
        let Some(new) = self.new else {
            return revisions::create(self);
        };
        let noted = revisions::noted(self, new);
        if !noted.is_empty() {
            return noted;
        }
        self.set_replicas(new, self.numbers.replicas)
    }

    /// Whether Pods of a set have not ended yet.
    fn runs(&self, set: &Value) -> bool {
        let pods = self.step.objects.list(kinds::POD, Some(&self.key.ns));
        let mut mine = pods.filter(|(_, pod)| {
            let of = headless_objects::object::controller(pod);
            of.is_some_and(|of| of["uid"] == uid(set))
        });
        mine.any(|(_, pod)| !has_ended(pod))
    }

    /// Asks a set for another number of replicas, and says so.
    fn set_replicas(&self, set: &Value, wanted: i64) -> Vec<Action> {
        let mut new = set.clone();
        self.note_numbers(&mut new);
        let before = replicas(set);
        if before == wanted {
            // What it was asked for last is noted where it has Pods.
            let stale = before > 0 && new != *set;
            return Vec::from_iter(stale.then(|| self.write(new)));
        }
        new["spec"]["replicas"] = wanted.into();
        let direction = if wanted > before { "up" } else { "down" };
        let called = name(set);
        let message = format!("Scaled {direction} replica set {called} from {before} to {wanted}");
        vec![self.write(new), self.say("ScalingReplicaSet", message)]
    }

    /// Notes on a set what the Deployment asks for and allows.
    fn note_numbers(&self, set: &mut Value) {
        let annotations = &mut set["metadata"]["annotations"];
        annotations[DESIRED] = self.numbers.replicas.to_string().into();
        annotations[MOST] = self.numbers.most().to_string().into();
    }

    fn write(&self, set: Value) -> Action {
        let at = Key::new(REPLICA_SET, &*self.key.ns, name(&set));
        Action::Update(at, Part::Main, set)
    }

    fn say(&self, reason: &str, message: String) -> Action {
        let said = (reason, message);
        event(
            self.step.now,
            self.deployment,
            "deployment-controller",
            said,
        )
    }
}

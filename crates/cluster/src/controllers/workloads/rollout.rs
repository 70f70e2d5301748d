//! How many replicas each ReplicaSet of a Deployment is to have (Kubernetes' deployment/util and rolling.go).

use std::cmp::Reverse;

use headless_objects::object::name;
use serde_json::Value;

use super::spec_number;
use crate::controllers::budgets::part;

/// Says on a ReplicaSet how many replicas its Deployment asked for when it was scaled last.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";

/// Says on a ReplicaSet how many replicas its Deployment was allowed then, the surge among them.
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// A Deployment's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) replicas: i64,
    /// How many Pods there may be beyond them.
    pub(super) surge: i64,
    /// How many of them may be unavailable.
    pub(super) unavailable: i64,
}

impl Numbers {
    pub(super) fn of(deployment: &Value) -> Self {
        let replicas = spec_number(deployment, "replicas", 1);
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        if !rolls(deployment) {
            return Self {
                replicas,
                surge: 0,
                unavailable: 0,
            };
        }
        let surge = part(&rolling["maxSurge"], replicas);
        let unavailable = rounded_down(&rolling["maxUnavailable"], replicas);
        // Without either a rollout could do nothing.
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Self {
            replicas,
            surge,
            unavailable: unavailable.min(replicas),
        }
    }

    /// How many Pods there may be at most.
    pub(super) fn most(self) -> i64 {
        self.replicas + self.surge
    }
}

/// Whether a Deployment replaces its Pods step by step.
pub(super) fn rolls(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"] != "Recreate"
}

/// A number, or a share, rounded down.
fn rounded_down(value: &Value, of: i64) -> i64 {
    let share = value.as_str().and_then(|text| text.strip_suffix('%'));
    match share.and_then(|share| share.parse::<i64>().ok()) {
        Some(share) => share.saturating_mul(of) / 100,
        None => value.as_i64().unwrap_or_default(),
    }
}

/// What a ReplicaSet asks for.
pub(super) fn replicas(set: &Value) -> i64 {
    spec_number(set, "replicas", 1)
}

/// What a ReplicaSet's status counts.
pub(super) fn counted(set: &Value, field: &str) -> i64 {
    set["status"][field].as_i64().unwrap_or_default()
}

fn sum(sets: &[&Value]) -> i64 {
    sets.iter().map(|set| replicas(set)).sum()
}

/// How many replicas the newest set is to have now (`NewRSNewReplicas`). `others`: what the other sets ask for.
pub(super) fn of_new(numbers: Numbers, rolls: bool, present: i64, others: i64) -> i64 {
    if !rolls || present > numbers.replicas {
        return numbers.replicas;
    }
    let free = numbers.most() - others - present;
    present + free.min(numbers.replicas - present).max(0)
}

/// How many replicas each of the old sets is to have now (`reconcileOldReplicaSets`): those that are not available go
/// first, then as many as may be unavailable. The old ones come oldest first.
pub(super) fn of_old(numbers: Numbers, new: &Value, old: &[&Value]) -> Vec<i64> {
    let mut wanted: Vec<_> = old.iter().map(|set| replicas(set)).collect();
    let least = numbers.replicas - numbers.unavailable;
    let unavailable = replicas(new) - counted(new, "availableReplicas");
    let most = sum(old) + replicas(new) - least - unavailable;
    if sum(old) == 0 || most <= 0 {
        return wanted;
    }
    let mut left = most;
    for (set, wanted) in old.iter().zip(&mut wanted) {
        let broken = (*wanted - counted(set, "availableReplicas")).clamp(0, left);
        *wanted -= broken;
        left -= broken;
    }
    let available = old.iter().map(|set| counted(set, "availableReplicas"));
    let available = available.sum::<i64>() + counted(new, "availableReplicas");
    let mut left = (available - least).max(0);
    for wanted in &mut wanted {
        let fewer = (*wanted).min(left);
        *wanted -= fewer;
        left -= fewer;
    }
    wanted
}

/// How many replicas each set is to have after the Deployment itself was scaled, in the order of `all` (`scale`).
/// `new`: which of them is the newest.
pub(super) fn scaled(
    numbers: Numbers,
    rolls: bool,
    all: &[&Value],
    new: Option<usize>,
) -> Vec<i64> {
    let mut wanted: Vec<_> = all.iter().map(|set| replicas(set)).collect();
    let active: Vec<_> = (0..all.len()).filter(|i| wanted[*i] > 0).collect();
    let only = match active.as_slice() {
        [] => new.or_else(|| all.len().checked_sub(1)),
        [one] => Some(*one),
        [_, ..] => None,
    };
    if let Some(only) = only {
        wanted[only] = numbers.replicas;
        return wanted;
    }
    if let Some(new) = new.filter(|new| is_saturated(all[*new], numbers.replicas)) {
        active
            .iter()
            .filter(|i| **i != new)
            .for_each(|i| wanted[*i] = 0);
        return wanted;
    }
    if rolls {
        proportionally(numbers, all, active, &mut wanted);
    }
    wanted
}

/// Whether a set has all the Pods that its Deployment asks for.
fn is_saturated(set: &Value, wanted: i64) -> bool {
    let desired = set["metadata"]["annotations"][DESIRED].as_str();
    desired.and_then(|text| text.parse().ok()) == Some(wanted)
        && replicas(set) == wanted
        && counted(set, "availableReplicas") == wanted
}

/// Shares what is to be added or taken among the sets that have Pods, the largest first.
fn proportionally(numbers: Numbers, all: &[&Value], mut active: Vec<usize>, wanted: &mut [i64]) {
    let allowed = if numbers.replicas > 0 {
        numbers.most()
    } else {
        0
    };
    let change = allowed - wanted.iter().sum::<i64>();
    // `all` is in the order of age: of sets as large the newer ones are the first to grow, the older ones to shrink.
    active.sort_by_key(|i| {
        let age = count_of(*i);
        (Reverse(wanted[*i]), if change > 0 { -age } else { age })
    });
    let mut done = 0;
    for i in &active {
        let share = share(numbers, all[*i], change);
        let share = if change > 0 {
            share.clamp(0, change - done)
        } else {
            share.clamp(change - done, 0)
        };
        wanted[*i] += share;
        done += share;
    }
    if let Some(largest) = active.first() {
        wanted[*largest] = (wanted[*largest] + change - done).max(0);
    }
}

fn count_of(index: usize) -> i64 {
    super::count(index)
}

/// The share of a change that a set has by its size.
fn share(numbers: Numbers, set: &Value, change: i64) -> i64 {
    if change == 0 {
        return 0;
    }
    if numbers.replicas == 0 {
        return -replicas(set);
    }
    let most = set["metadata"]["annotations"][MOST].as_str();
    let most: i64 = most
        .and_then(|text| text.parse().ok())
        .unwrap_or(numbers.replicas);
    // Rounded to the nearest.
    let most = most.max(1);
    (2 * replicas(set) * numbers.most() + most) / (2 * most) - replicas(set)
}

/// Whether two sets of replicas are called the same.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    name(a) == name(b)
}

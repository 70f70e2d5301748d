//! StatefulSets: which names they are to have, and why a Pod of theirs is not there.

use headless_objects::object::is_ready;
use serde_json::Value;

use super::objects::{is_ending, name, ns, one, text, within};
use super::{Cause, Walk};

/// A set's ordinals: the first, and how many.
fn ordinals(set: &Value) -> (i64, i64) {
    let start = set["spec"]["ordinals"]["start"]
        .as_i64()
        .unwrap_or_default();
    (start, set["spec"]["replicas"].as_i64().unwrap_or(1))
}

/// How many Pods a set is to have, and which.
fn pods_of(set: &Value) -> String {
    let (called, (start, replicas)) = (name(set), ordinals(set));
    match replicas {
        0 => "no Pods".to_owned(),
        1 => format!("one Pod, {called}-{start}"),
        _ => format!(
            "{replicas} Pods, {called}-{start} to {called}-{}",
            start + replicas - 1
        ),
    }
}

/// What has a set have a Pod of this ordinal.
fn scaled_to(set: &Value, ordinal: i64) -> String {
    let (start, _) = ordinals(set);
    format!(
        "kubectl -n {} scale statefulset {} --replicas={}",
        ns(set),
        name(set),
        ordinal - start + 1
    )
}

/// The set and the ordinal of a name that is spelt like that of a set's Pod.
fn pod_of_set(host: &str) -> Option<(&str, i64)> {
    let (called, ordinal) = host.rsplit_once('-')?;
    let number = ordinal.parse::<i32>().ok();
    // A number is written in one way only.
    let number = number.filter(|number| number.to_string() == ordinal)?;
    Some((called, number.into()))
}

impl Walk<'_> {
    pub(super) fn see_set(&mut self, set: &Value) {
        let governing = text(&set["spec"]["serviceName"]);
        let (_, replicas) = ordinals(set);
        self.see(
            "StatefulSet",
            set,
            format!("serviceName `{governing}`, {replicas} replicas"),
        );
    }

    /// Why a host that is spelt like a Pod of a set is not there; `None`: it is not spelt so.
    pub(super) fn no_pod_of_set(&mut self, service: &Value, host: &str) -> Option<Cause> {
        let (space, svc) = (ns(service), name(service));
        let (called, ordinal) = pod_of_set(host)?;
        let set = one(&self.objects.sets, space, called)?;
        self.see_set(set);
        let governing = text(&set["spec"]["serviceName"]);
        if governing != svc {
            return Some(self.other_governing(governing, service, host));
        }
        let (start, replicas) = ordinals(set);
        let last = start + replicas - 1;
        if is_ending(set) {
            let says = format!("the StatefulSet {called} is being deleted, and makes no Pods");
            return Some(Cause::new(
                "set-is-ending",
                says,
                "wait until it is gone, and make it anew",
            ));
        }
        if replicas == 0 {
            return Some(no_replicas(set));
        }
        if ordinal > last {
            return Some(Cause::new(
                "ordinal-too-high",
                format!(
                    "the StatefulSet {called} has {}: {host} is none of them",
                    pods_of(set)
                ),
                scaled_to(set, ordinal),
            ));
        }
        if ordinal < start {
            return Some(Cause::new(
                "ordinal-too-low",
                format!(
                    "the StatefulSet {called} counts from {start} on (spec.ordinals.start): {host} is none of its Pods"
                ),
                format!("ask for {called}-{start} to {called}-{last}"),
            ));
        }
        Some(self.not_made(set, ordinal))
    }

    /// Why a Pod that a set is to have has not been made.
    fn not_made(&mut self, set: &Value, ordinal: i64) -> Cause {
        let (space, called) = (ns(set), name(set));
        let (start, _) = ordinals(set);
        let in_order = set["spec"]["podManagementPolicy"] != "Parallel";
        let earlier = (start..ordinal).filter(|_| in_order);
        for before in earlier {
            let before = format!("{called}-{before}");
            let pod = one(&self.objects.pods, space, &before);
            if pod.is_some_and(is_ready) {
                continue;
            }
            let why = match pod {
                Some(pod) => {
                    self.see("Pod", pod, "is not Ready");
                    super::pod::unready(pod).map(|cause| cause.says)
                }
                None => Some(format!("Pod {before} is not there")),
            };
            return Cause::new(
                "waits-for-predecessor",
                format!(
                    "Pod {called}-{ordinal} is not made before {before} is Ready: {}",
                    why.unwrap_or_default()
                ),
                "mend that Pod, or set podManagementPolicy: Parallel in a new set",
            );
        }
        Cause::new(
            "pod-not-made",
            format!(
                "the StatefulSet {called} is to have a Pod {called}-{ordinal}, and it is not made yet"
            ),
            format!(
                "wait; where it takes long, kubectl -n {space} describe statefulset {called} says what refuses it (a quota, an admission webhook)"
            ),
        )
    }

    /// The cause for a name that asks another Service than the set's.
    pub(super) fn other_governing(&self, governing: &str, service: &Value, host: &str) -> Cause {
        let (space, svc) = (ns(service), name(service));
        if governing.is_empty() {
            return Cause::new(
                "no-service-name",
                format!(
                    "the set of {host} has no serviceName: its Pods have no names below a Service"
                ),
                format!("make the set anew with serviceName: {svc}"),
            );
        }
        let mend = self.ask_below(governing, space, host);
        Cause::new(
            "other-service-name",
            format!("the set's serviceName is `{governing}`, the name asks `{svc}`"),
            format!("{mend}, or make the set anew with serviceName: {svc}"),
        )
    }

    /// What leads to a Pod of a set.
    fn ask_below(&self, governing: &str, space: &str, host: &str) -> String {
        let meant = self.full(&format!("{host}.{governing}.{space}"));
        match one(&self.objects.services, space, governing) {
            Some(_) => format!("ask for {meant}"),
            None => {
                format!("make the Service {governing}, which is not there, and ask for {meant}")
            }
        }
    }

    /// What a name without a Service is that is spelt like a Pod of a set; `None`: it is not spelt so. `says`: that there is
    /// no such Service.
    pub(super) fn name_of_a_set_s_pod(&self, space: &str, host: &str, says: &str) -> Option<Cause> {
        let (called, ordinal) = pod_of_set(host)?;
        let set = one(&self.objects.sets, space, called)?;
        let governing = text(&set["spec"]["serviceName"]);
        if governing.is_empty() {
            return None;
        }
        let (start, replicas) = ordinals(set);
        let ask = self.ask_below(governing, space, host);
        Some(Cause::new(
            "name-of-a-set-s-pod",
            format!(
                "{says}: a Pod of the StatefulSet {called} would be called so, which has {}; a Pod's name stands below a Service",
                pods_of(set)
            ),
            match ordinal - start {
                ..0 => format!("ask for one from {called}-{start} on"),
                past if past < replicas => ask,
                _ => format!(
                    "{ask}, once there is such a Pod: {}",
                    scaled_to(set, ordinal)
                ),
            },
        ))
    }

    /// Why the set that a Service governs has no Pod that it selects; `None`: it governs none.
    pub(super) fn set_selects_nothing(&mut self, service: &Value, wanted: &str) -> Option<Cause> {
        let (space, svc) = (ns(service), name(service));
        let mut sets = within(&self.objects.sets, space);
        let set = sets.find(|set| set["spec"]["serviceName"] == svc)?;
        self.see_set(set);
        if ordinals(set).1 == 0 {
            return Some(no_replicas(set));
        }
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        let selector = service["spec"]["selector"].as_object()?;
        if selector.iter().all(|(key, value)| labels[key] == *value) {
            return Some(self.not_made(set, ordinals(set).0));
        }
        let has = labels.as_object().into_iter().flatten();
        let has: Vec<String> = has
            .map(|(key, value)| format!("{key}={}", text(value)))
            .collect();
        Some(Cause::new(
            "selects-no-pod-of-the-set",
            format!(
                "{svc} selects {wanted}, and the Pods of the StatefulSet {} have {}",
                name(set),
                has.join(",")
            ),
            "make the Service's selector and the labels of the set's template the same",
        ))
    }
}

fn no_replicas(set: &Value) -> Cause {
    let (space, called) = (ns(set), name(set));
    Cause::new(
        "scaled-to-zero",
        format!("the StatefulSet {called} is scaled to 0"),
        format!("kubectl -n {space} scale statefulset {called} --replicas=1"),
    )
}

//! Claims get volumes: the smallest that fits of those that are there, else one that the claim's class makes.

use headless_objects::object::{has_ended, is_ending};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::events::event;
use super::{Action, Step, about, touched};
use crate::admission::PROTECTION;
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::state::Part;
use crate::validate::storage;
use headless_objects::rfc3339::timestamp;
use headless_objects::selector::Selector;

/// The `provisioner` of a class that has none: its claims wait for volumes made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The condition of a claim that no Pod refers to.
const UNUSED: &str = "Unused";

/// Says on a volume who made it.
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Volumes with their keys.
type Listed<'a> = Vec<(&'a Key, &'a Value)>;

/// The volumes, looked through once a step.
#[derive(Default)]
struct Volumes<'a> {
    /// Those that are meant for no claim.
    free: Listed<'a>,
    /// The others, by their claim's namespace and by its name.
    meant: BTreeMap<&'a str, BTreeMap<&'a str, Listed<'a>>>,
}

impl<'a> Volumes<'a> {
    fn of(objects: &'a Objects) -> Self {
        let mut volumes = Self::default();
        for (key, volume) in objects.list(kinds::PERSISTENT_VOLUME, None) {
            let of = &volume["spec"]["claimRef"];
            let list = match (of["namespace"].as_str(), of["name"].as_str()) {
                (Some(ns), Some(name)) => {
                    let of_namespace = volumes.meant.entry(ns).or_default();
                    of_namespace.entry(name).or_default()
                }
                _ => &mut volumes.free,
            };
            list.push((key, volume));
        }
        volumes
    }

    /// Those that are meant for a claim.
    fn meant(&self, claim: &Key) -> &[(&'a Key, &'a Value)] {
        let of_namespace = self.meant.get(&*claim.ns);
        let meant = of_namespace.and_then(|claims| claims.get(&*claim.name));
        meant.map_or(&[], Vec::as_slice)
    }

    /// Those of a claim that is gone, though one of its name may be there anew, which has to wait for their end.
    fn left(&self, objects: &Objects, claim: &Key) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        let now = objects.get(claim);
        let now = now.map(|claim| claim["metadata"]["uid"].clone());
        let meant = self.meant(claim).iter().copied();
        meant.filter(move |(_, volume)| {
            let of = &volume["spec"]["claimRef"]["uid"];
            let others = now.as_ref().is_none_or(|uid| of.is_string() && of != uid);
            others && volume["status"]["phase"] != "Released"
        })
    }
}

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let mut claims = touched(step, "PersistentVolumeClaim");
    // A class or a volume that appears serves the claims that wait for it.
    let supply = [
        touched(step, "StorageClass"),
        touched(step, "PersistentVolume"),
    ];
    let supply = supply.iter().any(|keys| !keys.is_empty());
    let volumes = if supply || !claims.is_empty() {
        Volumes::of(step.objects)
    } else {
        Volumes::default()
    };
    let mut actions = Vec::new();
    let gone = |key: &&Key| {
        let claim = step.objects.get(key);
        claim.is_none_or(|claim| claim["status"]["phase"] == "Pending")
    };
    for key in claims.iter().filter(gone) {
        actions.extend(volumes.left(step.objects, key).map(release));
    }
    actions.extend(drop_protection(step, &claims));
    actions.extend(say_whether_used(step, &claims));
    if supply {
        let all = step.objects.list(kinds::PERSISTENT_VOLUME_CLAIM, None);
        let waiting = all.filter(|(_, claim)| claim["status"]["phase"] == "Pending");
        claims.extend(waiting.map(|(key, _)| key.clone()));
    }
    let mut taken = BTreeSet::new();
    for key in &claims {
        let claim = step.objects.get(key);
        let is_waiting = claim.is_some_and(|claim| claim["status"]["phase"] == "Pending");
        // Its namesake's volume goes first.
        let is_free = || volumes.left(step.objects, key).next().is_none();
        if let Some(claim) = claim.filter(|_| is_waiting && is_free()) {
            let bound = about(key, || match fitting(&volumes, key, claim, &taken) {
                Some((volume, object)) => {
                    taken.insert(volume.clone());
                    bind(key, claim, (volume, object))
                }
                None => provision(step, key, claim),
            });
            actions.extend(bound.into_iter().flatten());
        }
    }
    actions
}

/// The smallest volume that is free, or meant for this claim, and has what the claim asks for.
fn fitting<'a>(
    volumes: &Volumes<'a>,
    key: &Key,
    claim: &Value,
    taken: &BTreeSet<Key>,
) -> Option<(&'a Key, &'a Value)> {
    let spec = &claim["spec"];
    let wanted = storage(&spec["resources"]["requests"]);
    let selector = Selector::of(&spec["selector"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fits = |name: &str, volume: &Value| {
        let of = &volume["spec"]["claimRef"];
        // Of this claim, then: others are not looked at.
        let meant = of["namespace"].is_string() && of["name"].is_string();
        let mine = meant && (of["uid"].is_null() || of["uid"] == claim["metadata"]["uid"]);
        let free = of.is_null() && volume["status"]["phase"] == "Available";
        let named = spec["volumeName"]
            .as_str()
            .is_none_or(|wanted| wanted == name);
        let modes = volume["spec"]["accessModes"].as_array();
        let has = |mode: &Value| modes.is_some_and(|modes| modes.contains(mode));
        let mut asked = spec["accessModes"].as_array().into_iter().flatten();
        let labels = &volume["metadata"]["labels"];
        (mine || free)
            && named
            && text(&volume["spec"]["storageClassName"]) == text(&spec["storageClassName"])
            && volume["spec"]["volumeMode"] == spec["volumeMode"]
            && asked.all(has)
            && selector
                .as_ref()
                .is_none_or(|selector| selector.matches(|key| labels[key].as_str()))
            && storage(&volume["spec"]["capacity"]) >= wanted
    };
    let candidates = volumes.meant(key).iter().chain(&volumes.free).copied();
    candidates
        .filter(|(key, volume)| !taken.contains(*key) && fits(&key.name, volume))
        .min_by(|(_, a), (_, b)| {
            let size = |volume: &Value| storage(&volume["spec"]["capacity"]);
            size(a).total_cmp(&size(b))
        })
}

/// Marks a volume and a claim as each other's.
fn bind(key: &Key, claim: &Value, (volume, object): (&Key, &Value)) -> Vec<Action> {
    let mut named = claim.clone();
    let provisioned = object["metadata"]["annotations"][PROVISIONED_BY].clone();
    named["spec"]["volumeName"] = volume.name.as_str().into();
    let annotations = &mut named["metadata"]["annotations"];
    for key in ["bind-completed", "bound-by-controller"] {
        annotations[format!("pv.kubernetes.io/{key}")] = "yes".into();
    }
    if !provisioned.is_null() {
        for key in ["volume.beta.kubernetes.io", "volume.kubernetes.io"] {
            annotations[format!("{key}/storage-provisioner")] = provisioned.clone();
        }
    }
    let mut owned = object.clone();
    owned["spec"]["claimRef"] = reference(key, claim);
    let mut bound_volume = owned.clone();
    bound_volume["status"]["phase"] = "Bound".into();
    let mut bound = named.clone();
    bound["status"] = json!({
        "phase": "Bound", "accessModes": object["spec"]["accessModes"], "capacity": object["spec"]["capacity"],
    });
    // Volume and claim are each written twice, object and status. Without a resourceVersion the second write does not
    // conflict with the first.
    for object in [&mut owned, &mut bound_volume, &mut named, &mut bound] {
        object["metadata"]
            .as_object_mut()
            .map(|meta| meta.remove("resourceVersion"));
    }
    vec![
        Action::Update(volume.clone(), Part::Main, owned),
        Action::Update(volume.clone(), Part::Status, bound_volume),
        Action::Update(key.clone(), Part::Main, named),
        Action::Update(key.clone(), Part::Status, bound),
    ]
}

fn reference(key: &Key, claim: &Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": key.ns, "name": key.name,
        "uid": claim["metadata"]["uid"], "resourceVersion": claim["metadata"]["resourceVersion"],
    })
}

/// Has the claim's class make a volume for it.
fn provision(step: &Step<'_>, key: &Key, claim: &Value) -> Vec<Action> {
    let spec = &claim["spec"];
    let class_name = spec["storageClassName"].as_str().unwrap_or_default();
    let class = step.objects.named(kinds::STORAGE_CLASS, "", class_name);
    let said = |reason, message| {
        let component = "persistentvolume-controller";
        vec![event(step.now, claim, component, (reason, message))]
    };
    let Some(class) = class else {
        return if class_name.is_empty() {
            let message =
                "no persistent volumes available for this claim and no storage class is set";
            said("FailedBinding", message.into())
        } else {
            let message = format!("storageclass.storage.k8s.io \"{class_name}\" not found");
            said("ProvisioningFailed", message)
        };
    };
    if class["provisioner"] == NO_PROVISIONER {
        let message = "no persistent volumes available for this claim and the storage class has no provisioner";
        return said("FailedBinding", message.into());
    }
    let volume_name = format!(
        "pvc-{}",
        claim["metadata"]["uid"].as_str().unwrap_or_default()
    );
    // No volume is made where the claim's own exists and waits for its binding, where the claim names a volume, or
    // where it has a selector, which no provisioner takes.
    let exists = step
        .objects
        .named(kinds::PERSISTENT_VOLUME, "", &volume_name)
        .is_some();
    if exists || spec["volumeName"].is_string() || !spec["selector"].is_null() {
        return Vec::new();
    }
    let volume = json!({
        "metadata": {"name": volume_name, "annotations": {PROVISIONED_BY: class["provisioner"]}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
            "storageClassName": class_name, "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
            "volumeMode": spec["volumeMode"], "hostPath": {"path": format!("/var/lib/{volume_name}")},
            "claimRef": reference(key, claim),
        },
    });
    let message = format!("Successfully provisioned volume {volume_name}");
    let done = event(
        step.now,
        claim,
        "persistentvolume-controller",
        ("ProvisioningSucceeded", message),
    );
    vec![
        Action::Create(kinds::PERSISTENT_VOLUME, String::new(), volume),
        done,
    ]
}

/// Claims that are deleted go once no Pod uses them.
fn drop_protection(step: &Step<'_>, touched_claims: &BTreeSet<Key>) -> Vec<Action> {
    let pods = touched(step, "Pod");
    let claims = step.objects.list(kinds::PERSISTENT_VOLUME_CLAIM, None);
    // Only a Pod's or the claim's own change can end the use.
    let maybe = claims.filter(|(key, claim)| {
        is_ending(claim)
            && (touched_claims.contains(key) || pods.iter().any(|pod| pod.ns == key.ns))
    });
    let unused = maybe.filter(|(key, _)| !is_used(step.objects, key));
    let free = unused.filter_map(|(key, claim)| {
        let mut free = Value::clone(claim);
        let finalizers = free["metadata"]["finalizers"].as_array_mut()?;
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != PROTECTION);
        let less = finalizers.len() < before;
        less.then(|| Action::Update(key.clone(), Part::Main, free))
    });
    free.collect()
}

/// Bound claims say in their condition `Unused` whether a Pod refers to them, and since when (KEP-5541).
fn say_whether_used(step: &Step<'_>, touched_claims: &BTreeSet<Key>) -> Vec<Action> {
    let pods = touched(step, "Pod");
    let namespaces: BTreeSet<_> = touched_claims.union(&pods).map(|key| &*key.ns).collect();
    let mut actions = Vec::new();
    for ns in namespaces {
        let used: BTreeSet<_> = step
            .objects
            .list(kinds::POD, Some(ns))
            .filter(|(_, pod)| !has_ended(pod))
            .flat_map(|(_, pod)| claims_of(pod))
            .collect();
        let claims = step
            .objects
            .list(kinds::PERSISTENT_VOLUME_CLAIM, Some(ns))
            .filter(|(_, claim)| !is_ending(claim) && claim["status"]["phase"] == "Bound");
        for (key, claim) in claims {
            let (holds, reason, message) = if used.contains(&*key.name) {
                (
                    "False",
                    "PodUsingPVC",
                    "A pod is currently referencing this PVC",
                )
            } else {
                (
                    "True",
                    "NoPodsUsingPVC",
                    "No pods are currently referencing this PVC",
                )
            };
            let conditions = claim["status"]["conditions"].as_array();
            let mut conditions = conditions.cloned().unwrap_or_default();
            let before = conditions.iter().position(|c| c["type"] == UNUSED);
            if before.is_some_and(|at| conditions[at]["status"] == holds) {
                continue;
            }
            let condition = json!({
                "type": UNUSED, "status": holds, "reason": reason, "message": message,
                "lastProbeTime": null, "lastTransitionTime": timestamp(step.now),
            });
            match before {
                Some(at) => conditions[at] = condition,
                None => conditions.push(condition),
            }
            let mut said = Value::clone(claim);
            said["status"]["conditions"] = conditions.into();
            actions.push(Action::Update(key.clone(), Part::Status, said));
        }
    }
    actions
}

/// The claims that a Pod's volumes name.
fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str())
}

/// Whether a Pod that has not ended uses the claim.
fn is_used(objects: &Objects, claim: &Key) -> bool {
    let mut pods = objects.list(kinds::POD, Some(&claim.ns));
    pods.any(|(_, pod)| !has_ended(pod) && claims_of(pod).any(|name| name == claim.name))
}

/// The claim of a volume is gone: the volume goes too, or is released, as its policy says.
fn release((key, volume): (&Key, &Value)) -> Action {
    if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" {
        return Action::Delete(key.clone(), None);
    }
    let mut released = volume.clone();
    released["status"]["phase"] = "Released".into();
    Action::Update(key.clone(), Part::Status, released)
}

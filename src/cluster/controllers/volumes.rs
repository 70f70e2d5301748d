//! Claims get volumes: each one a volume of its own, made by its class's provisioner.

use serde_json::{Value, json};

use super::{Action, Step, event, touched};
use crate::cluster::kinds::KindId;
use crate::cluster::objects::{Key, Objects};
use crate::cluster::state::Part;

/// A class that says so has no provisioner: its claims wait for volumes made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let claims = touched(step, "PersistentVolumeClaim");
    let mut actions = Vec::new();
    for key in &claims {
        match step.objects.get(key) {
            Some(claim) if claim["status"]["phase"] == "Pending" => {
                actions.extend(bind(step, key, claim))
            }
            Some(_) => {}
            None => actions.extend(release(step.objects, key)),
        }
    }
    // A class that appears serves the claims that wait for it.
    if !touched(step, "StorageClass").is_empty() {
        let waiting = step
            .objects
            .list(KindId::named("PersistentVolumeClaim"), None);
        let waiting = waiting
            .filter(|(key, claim)| claim["status"]["phase"] == "Pending" && !claims.contains(key));
        actions.extend(waiting.flat_map(|(key, claim)| bind(step, key, claim)));
    }
    actions
}

fn bind(step: &Step<'_>, key: &Key, claim: &Value) -> Vec<Action> {
    let class_name = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    let class = step.objects.get(&cluster_key("StorageClass", class_name));
    let Some(class) = class.filter(|class| class["provisioner"] != NO_PROVISIONER) else {
        return Vec::new();
    };
    let meta = &claim["metadata"];
    let volume_name = format!("pvc-{}", meta["uid"].as_str().unwrap_or_default());
    let storage = &claim["spec"]["resources"]["requests"]["storage"];
    let volume = json!({
        "metadata": {"name": volume_name, "annotations": {"pv.kubernetes.io/provisioned-by": class["provisioner"]}},
        "spec": {
            "capacity": {"storage": storage}, "accessModes": claim["spec"]["accessModes"], "storageClassName": class_name,
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"], "volumeMode": claim["spec"]["volumeMode"],
            "hostPath": {"path": format!("/var/lib/{volume_name}")},
            "claimRef": {
                "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": key.ns, "name": key.name, "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
        },
    });
    let volume_key = cluster_key("PersistentVolume", &volume_name);
    // One write a step: made, marked bound, then the claim's two halves.
    match step.objects.get(&volume_key) {
        None => {
            let message = format!("Successfully provisioned volume {volume_name}");
            let done = event(
                step.now,
                claim,
                "persistentvolume-controller",
                ("ProvisioningSucceeded", message),
            );
            let mut named = claim.clone();
            named["spec"]["volumeName"] = volume_name.as_str().into();
            named["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes".into();
            named["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes".into();
            vec![
                Action::Create(volume_key.kind, String::new(), volume),
                done,
                Action::Update(key.clone(), Part::Main, named),
            ]
        }
        Some(volume) => {
            let mut bound_volume = Value::clone(volume);
            bound_volume["status"]["phase"] = "Bound".into();
            let mut bound = claim.clone();
            bound["status"] = json!({"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": {"storage": storage}});
            vec![
                Action::Update(volume_key, Part::Status, bound_volume),
                Action::Update(key.clone(), Part::Status, bound),
            ]
        }
    }
}

/// A claim is gone: its volume goes too, or is released, as its policy says.
fn release(objects: &Objects, claim: &Key) -> Vec<Action> {
    let volumes = objects.list(KindId::named("PersistentVolume"), None);
    let mine = volumes.filter(|(_, v)| {
        v["spec"]["claimRef"]["namespace"] == claim.ns.as_str()
            && v["spec"]["claimRef"]["name"] == claim.name.as_str()
    });
    mine.filter_map(|(key, volume)| {
        match volume["spec"]["persistentVolumeReclaimPolicy"].as_str() {
            Some("Delete") => Some(Action::Delete(key.clone(), None)),
            _ if volume["status"]["phase"] == "Released" => None,
            _ => {
                let mut released = Value::clone(volume);
                released["status"]["phase"] = "Released".into();
                Some(Action::Update(key.clone(), Part::Status, released))
            }
        }
    })
    .collect()
}

fn cluster_key(kind: &str, name: &str) -> Key {
    Key {
        kind: KindId::named(kind),
        ns: String::new(),
        name: name.into(),
    }
}

//! The claims of a set's Pods: what they are made from, and whose end is theirs (KEP-1847).

use headless_objects::object::name;
use serde_json::{Value, json};

use super::set::{ordinal_of, owner};
use super::spec::Retention;

fn templates(set: &Value) -> impl Iterator<Item = &Value> {
    set["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
}

/// The name of each claim of the Pod of this name, with the name of its volume.
pub(super) fn names<'a>(set: &'a Value, pod: &'a str) -> impl Iterator<Item = (&'a str, String)> {
    templates(set).map(move |template| {
        let volume = name(template);
        (volume, format!("{volume}-{pod}"))
    })
}

/// Whether a claim has the name of one of the set's: `<template>-<set>-<ordinal>`.
#[must_use]
pub fn is_claim_of(set: &Value, claim: &str) -> bool {
    templates(set).any(|template| {
        let pod = claim.strip_prefix(name(template));
        let pod = pod.and_then(|rest| rest.strip_prefix('-'));
        pod.is_some_and(|pod| ordinal_of(name(set), pod).is_some())
    })
}

/// The claims of the Pod of this name: `<template>-<pod>`, with the set's `matchLabels`, which win.
pub(super) fn claims_of(set: &Value, pod: &str) -> Vec<Value> {
    let claim = |(template, (_, name)): (&Value, (&str, String))| {
        let mut labels = template["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        labels.extend(
            set["spec"]["selector"]["matchLabels"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        );
        let mut meta =
            json!({"name": name, "namespace": set["metadata"]["namespace"], "labels": labels});
        if !template["metadata"]["annotations"].is_null() {
            meta["annotations"] = template["metadata"]["annotations"].clone();
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]})
    };
    templates(set).zip(names(set, pod)).map(claim).collect()
}

/// The claims of a Pod that is in range, created with the owners they are to have: a set that is deleted before its
/// cache shows the claims takes them with it.
pub(super) fn new(set: &Value, pod: &str, retention: Retention) -> Vec<Value> {
    let mut claims = claims_of(set, pod);
    if retention.with_set {
        for claim in &mut claims {
            claim["metadata"]["ownerReferences"] = json!([owner(set)]);
        }
    }
    claims
}

/// What is to become of a claim's owners.
#[derive(Debug, PartialEq)]
pub(super) enum Owners {
    /// They are as they shall be, or are left alone.
    Fine,
    /// The merge patch that makes them so.
    Patch(Value),
    /// Another controls the claim: our references are removed, if there are any, and there is a warning.
    Conflict(Option<Value>),
}

/// Compares a claim's owners with those that the policy wants: the set, or, for a Pod out of range, that Pod.
pub(super) fn owners(
    set: &Value,
    claim: &Value,
    (pod, in_range): (&Value, bool),
    retention: Retention,
) -> Owners {
    let pod_owns = !in_range && retention.with_pod;
    let set_owns = retention.with_set && !pod_owns;
    let present: Vec<&Value> = refs(claim).collect();
    let is = |r: &Value, object: &Value, kind: &str| {
        r["kind"] == kind && r["name"] == object["metadata"]["name"]
    };
    let ours = |r: &Value| is(r, set, "StatefulSet") || is(r, pod, "Pod");
    let same = |r: &Value| r["uid"] == set["metadata"]["uid"] || r["uid"] == pod["metadata"]["uid"];
    // Left over from an incarnation that is gone: the garbage collector is about to delete the claim.
    if present.iter().any(|r| ours(r) && !same(r)) {
        return Owners::Fine;
    }
    let others = || present.iter().filter(|r| !ours(r)).map(|r| Value::clone(r));
    let foreign = others().any(|r| r["controller"] == true);
    let wanted = match (foreign, pod_owns, set_owns) {
        (false, true, _) => Some(controller(pod)),
        (false, false, true) => Some(owner(set)),
        (true, _, _) | (false, false, false) => None,
    };
    let fits = |r: &Value, wanted: &Value| r["uid"] == wanted["uid"] && r["controller"] == true;
    let own: Vec<_> = present.iter().filter(|r| ours(r)).collect();
    let fine = match &wanted {
        Some(wanted) => own.len() == 1 && fits(own[0], wanted),
        None => own.is_empty(),
    };
    let patch = (!fine).then(|| {
        let all: Vec<Value> = others().chain(wanted).collect();
        let meta = &claim["metadata"];
        json!({"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": all}})
    });
    match (foreign && (pod_owns || set_owns), patch) {
        (true, patch) => Owners::Conflict(patch),
        (false, Some(patch)) => Owners::Patch(patch),
        (false, None) => Owners::Fine,
    }
}

/// The Pod's volumes: a claim for each claim template, which replaces a volume of that name.
pub(super) fn volumes(set: &Value, template: &Value, pod: &str) -> Vec<Value> {
    let mut all: Vec<Value> = names(set, pod)
        .map(|(volume, claim)| json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    let others = template.as_array().into_iter().flatten();
    let others: Vec<_> = others
        .filter(|volume| !all.iter().any(|claim| claim["name"] == volume["name"]))
        .cloned()
        .collect();
    all.extend(others);
    all
}

/// Whether a claim belongs to a Pod of this name that is gone: the claim is about to be deleted, with the data that a
/// new Pod would find there.
pub(super) fn is_stale(claim: &Value, pod: &str) -> bool {
    refs(claim).any(|r| r["kind"] == "Pod" && r["name"] == pod)
}

fn refs(claim: &Value) -> impl Iterator<Item = &Value> {
    let refs = claim["metadata"]["ownerReferences"].as_array();
    refs.into_iter().flatten()
}

/// The Pod as the controller of its claim.
fn controller(pod: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

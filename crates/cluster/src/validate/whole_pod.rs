//! What the API server refuses of a Pod, and of what becomes of it.

use headless_objects::object::array;
use serde_json::{Value, json};

use super::affinity::{kept_term, kept_terms};
use super::pod::pod_spec;
use super::security;
use crate::faults::Faults;
use crate::field::Errors;
use crate::place::Place;

const CHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// v1 Pod.
pub fn pod(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let (root, spec) = (Place::new(object, ""), Place::new(&object["spec"], "spec"));
    let annotations = root.of("metadata").of("annotations");
    for misread in Faults::of(object).1 {
        let at = annotations.key(&misread.annotation);
        errors.bad(&at, &format!("must be {}", misread.expected));
    }
    let cost = annotations.key("controller.kubernetes.io/pod-deletion-cost");
    let is_cost = |text: &str| !text.starts_with('+') && text.parse::<i32>().is_ok();
    if cost.is_given() && !is_cost(cost.text()) {
        errors.bad(&cost, "must be a 32bit integer");
    }
    security::annotations(&annotations, errors);
    pod_spec(&spec, true, errors);
    if spec.of("serviceAccountName").is_empty() {
        no_tokens(&spec, errors);
    }
    errors.at_least(&spec.of("terminationGracePeriodSeconds"), 0);
    for list in ["containers", "initContainers"] {
        for container in spec.of(list).items() {
            let image = container.of("image");
            if image.text().trim() != image.text() {
                errors.bad(&image, "must not have leading or trailing whitespace");
            }
        }
    }
    match old {
        Some(old) => update(&spec, &old["spec"], errors),
        None => create(&spec, errors),
    }
}

/// The ephemeral containers of a Pod: more may come, none may change or go.
pub fn debugging(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    pod_spec(&spec, true, errors);
    let all = spec.of("ephemeralContainers");
    let before = old.map_or(&Value::Null, |old| &old["spec"]["ephemeralContainers"]);
    for old in array(before) {
        let name = old["name"].as_str().unwrap_or_default();
        let change = match all.items().find(|new| new.of("name").text() == name) {
            None => "removed",
            Some(new) if new.value != old => "changed",
            Some(_) => continue,
        };
        let what = format!("existing ephemeral containers {name:?} may not be {change}\n");
        errors.forbidden(&all, what);
    }
}

fn create(spec: &Place<'_>, errors: &mut Errors) {
    let debugging = spec.of("ephemeralContainers");
    if !debugging.is_empty() {
        errors.forbidden(debugging, "cannot be set on create");
    }
    let node = spec.of("nodeName");
    if !node.is_empty() && !spec.of("schedulingGates").is_empty() {
        let what = "cannot be set until all schedulingGates have been cleared";
        errors.forbidden(node, what);
    }
}

/// A Pod without an account has no tokens of one.
fn no_tokens(spec: &Place<'_>, errors: &mut Errors) {
    for volume in spec.of("volumes").items() {
        for source in volume.of("projected").of("sources").items() {
            let token = source.of("serviceAccountToken");
            if token.is_given() {
                let what = "must not be specified when serviceAccountName is not set";
                errors.forbidden(token, what);
            }
        }
    }
}

/// What a Pod may become.
fn update(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        if spec.of(list).count() != old[list].as_array().map_or(0, Vec::len) {
            let what = "pod updates may not add or remove containers";
            return errors.forbidden(spec.of(list), what);
        }
    }
    let (deadline, before) = (
        spec.of("activeDeadlineSeconds"),
        &old["activeDeadlineSeconds"],
    );
    errors.between(&deadline, 0, i32::MAX.into());
    if deadline.number() < 0 {
        return;
    }
    if deadline.is_given() && before.as_i64().is_some_and(|b| b < deadline.number()) {
        return errors.bad(&deadline, "must be less than or equal to previous value");
    }
    if !deadline.is_given() && before.is_number() {
        let what = "must not update from a positive integer to nil value";
        errors.bad(&deadline, what);
    }
    only_more_tolerations(&spec.of("tolerations"), &old["tolerations"], errors);
    for gate in spec.of("schedulingGates").items() {
        let known = old["schedulingGates"].as_array().into_iter().flatten();
        if !known
            .into_iter()
            .any(|known| known["name"] == gate.value["name"])
        {
            let name = gate.of("name").text();
            let what = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.forbidden(gate.of("name"), what);
        }
    }
    if is_gated(old) {
        gated(spec, old, errors);
    }
    if fixed(spec.value, old) != fixed(old, old) {
        errors.forbidden(spec, CHANGEABLE);
    }
}

/// What of a Pod's spec stays. The scheduler gives a node once; a gated Pod may still say where it may run.
fn fixed(spec: &Value, old: &Value) -> Value {
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else {
        return spec;
    };
    let mut free = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    if !old["nodeName"].is_string() {
        free.push("nodeName");
    }
    if old["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|s| s < 0)
    {
        free.push("terminationGracePeriodSeconds");
    }
    if is_gated(old) {
        free.push("nodeSelector");
        let others = fields.get_mut("affinity").and_then(Value::as_object_mut);
        let left = others.map(|others| {
            others.shift_remove("nodeAffinity");
            others.len()
        });
        if left == Some(0) {
            free.push("affinity");
        }
    }
    fields.retain(|field, _| !free.contains(&field.as_str()));
    for list in ["containers", "initContainers"] {
        for container in fields
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            container["image"] = json!("");
        }
    }
    spec
}

/// Whether a Pod waits for something before it is given a node.
fn is_gated(spec: &Value) -> bool {
    array(&spec["schedulingGates"]).next().is_some()
}

/// A Pod that waits may come to want more of its node, and not something else.
fn gated(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    const NODES: &str =
        "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
    let wanted = spec.of("nodeSelector");
    let mut before = old["nodeSelector"].as_object().into_iter().flatten();
    if !before.all(|(key, value)| wanted.value[key] == *value) {
        errors.invalid(&wanted, wanted.value, NODES);
    }
    let terms = |spec: &Place<'_>| {
        let nodes = spec.of("affinity").of("nodeAffinity");
        let required = nodes.of("requiredDuringSchedulingIgnoredDuringExecution");
        required.value["nodeSelectorTerms"].clone()
    };
    let (new, before) = (terms(spec), terms(&Place::new(old, "spec")));
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let (count, terms) = (array(&before).count(), Place::new(&new, at));
    if count > 0 && terms.count() != count {
        let what = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.invalid(at, &kept_terms(&new), what);
    }
    for (term, before) in terms.items().zip(array(&before)) {
        if !only_adds(term.value, before) {
            let what = "only additions are allowed (no mutations or deletions)";
            errors.invalid(&term, &kept_term(term.value), what);
        }
    }
}

/// Whether a term of a selector has what it had, and maybe more after it.
fn only_adds(new: &Value, old: &Value) -> bool {
    let lists = ["matchExpressions", "matchFields"];
    let has = |term: &Value| {
        lists
            .iter()
            .any(|list| array(&term[*list]).next().is_some())
    };
    let begins = |list: &&str| {
        let (mut new, old) = (array(&new[*list]), array(&old[*list]));
        old.into_iter().all(|wanted| new.next() == Some(wanted))
    };
    (has(old) || !has(new)) && lists.iter().all(begins)
}

/// A toleration stays, but for how long.
fn only_more_tolerations(new: &Place<'_>, old: &Value, errors: &mut Errors) {
    let timeless = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration
            .as_object_mut()
            .map(|t| t.remove("tolerationSeconds"));
        toleration
    };
    let new_ones: Vec<_> = new.items().map(|t| timeless(t.value)).collect();
    let mut old = old.as_array().into_iter().flatten();
    if old.any(|toleration| !new_ones.contains(&timeless(toleration))) {
        let what = "existing toleration can not be modified except its tolerationSeconds";
        errors.forbidden(new, what);
    }
}

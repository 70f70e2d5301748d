//! What the API server refuses of roles, and of who has them.

use serde_json::Value;

use super::values::{selector, shown_texts};
use super::words::{path_segment, subdomain};
use crate::field::Errors;
use crate::place::Place;

const GROUP: &str = "rbac.authorization.k8s.io";

/// rbac.authorization.k8s.io/v1 Role.
pub fn role(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    rules(object, true, errors);
}

/// rbac.authorization.k8s.io/v1 ClusterRole.
pub fn cluster_role(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    rules(object, false, errors);
    let rule = Place::new(&object["aggregationRule"], "aggregationRule");
    let selectors = rule.of("clusterRoleSelectors");
    if rule.is_given() && selectors.is_empty() {
        let what = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(&selectors, what);
    }
    for wanted in selectors.items() {
        let before = errors.0.len();
        selector(&wanted, errors);
        if errors.0.len() > before {
            errors.invalid(&wanted, &Value::Null, "invalid label selector.");
        }
    }
}

fn rules(object: &Value, namespaced: bool, errors: &mut Errors) {
    for rule in Place::new(&object["rules"], "rules").items() {
        if rule.of("verbs").is_empty() {
            errors.required(rule.of("verbs"), "");
        }
        let paths = rule.of("nonResourceURLs");
        let of_resources = ["apiGroups", "resources", "resourceNames"].map(|field| rule.of(field));
        let [groups, resources, _] = &of_resources;
        if !paths.is_empty() {
            if namespaced {
                let what = "namespaced rules cannot apply to non-resource URLs";
                errors.bad(&paths, what);
            }
            if of_resources.iter().any(|field| !field.is_empty()) {
                let what = "rules cannot apply to both regular resources and non-resource URLs";
                errors.bad(&paths, what);
            }
            continue;
        }
        if groups.is_empty() {
            errors.required(groups, "resource rules must supply at least one api group");
        }
        if resources.is_empty() {
            let what = "resource rules must supply at least one resource";
            errors.required(resources, what);
        }
    }
}

/// rbac.authorization.k8s.io/v1 RoleBinding.
pub fn role_binding(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    binding(object, &["Role", "ClusterRole"], errors);
    same_role(object, old, errors);
}

/// rbac.authorization.k8s.io/v1 ClusterRoleBinding.
pub fn cluster_role_binding(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    binding(object, &["ClusterRole"], errors);
    same_role(object, old, errors);
}

fn binding(object: &Value, kinds: &[&'static str], errors: &mut Errors) {
    let role = Place::new(&object["roleRef"], "roleRef");
    errors.must_be(&role.of("apiGroup"), &[GROUP]);
    errors.must_be(&role.of("kind"), kinds);
    errors.named(&role.of("name"), path_segment);
    let subjects = Place::new(&object["subjects"], "subjects");
    for subject in subjects.items() {
        let [name, group, ns] = ["name", "apiGroup", "namespace"].map(|field| subject.of(field));
        match subject.of("kind").text() {
            "ServiceAccount" => {
                errors.maybe(&name, subdomain);
                errors.must_be(&group, &[""]);
                if ns.is_empty() && kinds.len() == 1 {
                    errors.required(ns, "");
                }
            }
            "User" | "Group" => errors.must_be(&group, &[GROUP]),
            _ => errors.must_be(&subject.of("kind"), &["ServiceAccount", "User", "Group"]),
        }
    }
    // What their type itself asks for is said last.
    for name in subjects.items().map(|subject| subject.of("name")) {
        if name.is_empty() {
            errors.required(name, "");
        }
    }
}

fn same_role(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let role = &object["roleRef"];
    if old.is_some_and(|old| old["roleRef"] != *role) {
        const FIELDS: [(&str, &str); 3] =
            [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")];
        let kept = shown_texts(role, &FIELDS);
        errors.invalid("roleRef", &kept, "field is immutable");
    }
}

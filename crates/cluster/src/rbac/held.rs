//! The rules that somebody holds, and by which binding.

use std::sync::Arc;

use headless_objects::object::name;
use serde_json::Value;

use super::rules::Rule;
use super::{Attributes, CLUSTER_ROLE};
use crate::definitions::text;
use crate::kind::KindId;
use crate::objects::Objects;

const ROLE: KindId = KindId::named("Role");
const CLUSTER_ROLE_BINDING: KindId = KindId::named("ClusterRoleBinding");
const ROLE_BINDING: KindId = KindId::named("RoleBinding");

/// The group whose members may do everything, whatever roles say.
const MASTERS: &str = "system:masters";

/// Whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

impl Subject {
    /// That of a `UserInfo`, or of an access review's `spec`.
    pub(crate) fn of(name: &Value, groups: &Value) -> Self {
        let groups = groups.as_array().into_iter().flatten();
        let groups = groups.filter_map(Value::as_str).map(str::to_owned);
        Self {
            name: name.as_str().unwrap_or_default().to_owned(),
            groups: groups.collect(),
        }
    }

    /// Whether they may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// By which binding, or what has gone wrong; mostly empty.
    pub(crate) reason: String,
}

/// Whether somebody may do this.
pub(crate) fn decide(objects: &Objects, subject: &Subject, asked: &Attributes) -> Decision {
    if subject.is_master() {
        let reason = String::new();
        return Decision {
            allowed: true,
            reason,
        };
    }
    let held = held(objects, subject, asked.ns());
    let allowing = held.roles.iter().find(|(_, role)| {
        let mut rules = Rule::all(role);
        rules.any(|rule| rule.allows(asked))
    });
    let reason = match (allowing, &held.errors[..]) {
        (Some((source, _)), _) => format!("RBAC: allowed by {source}"),
        (None, []) => String::new(),
        (None, [one]) => format!("RBAC: {one}"),
        (None, all) => format!("RBAC: [{}]", all.join(", ")),
    };
    Decision {
        allowed: allowing.is_some(),
        reason,
    }
}

/// The roles that somebody holds in a namespace.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By which binding, and the role.
    pub(crate) roles: Vec<(String, Arc<Value>)>,
    /// Roles that are bound and are not there.
    pub(crate) errors: Vec<String>,
}

impl Held {
    pub(super) fn rules(&self) -> Vec<Rule<'_>> {
        let rules = self.roles.iter().flat_map(|(_, role)| Rule::all(role));
        rules.collect()
    }

    fn bind(&mut self, objects: &Objects, binding: &Value, of: (&str, &str), subject: &Subject) {
        let (kind, ns) = of;
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let mut meant = subjects.filter(|one| is_meant(one, subject, ns));
        let Some(meant) = meant.next() else {
            return;
        };
        match role(objects, &binding["roleRef"], ns) {
            Ok(role) => {
                let name = match ns {
                    "" => name(binding).to_owned(),
                    ns => format!("{}/{ns}", name(binding)),
                };
                let (of, role_name) = (
                    text(&binding["roleRef"], "kind"),
                    text(&binding["roleRef"], "name"),
                );
                let to = described(meant, ns);
                let source = format!("{kind} {name:?} of {of} {role_name:?} to {to}");
                self.roles.push((source, role));
            }
            Err(error) => self.errors.push(error),
        }
    }
}

/// The roles that somebody holds in a namespace; empty: everywhere.
pub(crate) fn held(objects: &Objects, subject: &Subject, ns: &str) -> Held {
    let mut held = Held::default();
    for (_, binding) in objects.list(CLUSTER_ROLE_BINDING, None) {
        held.bind(objects, binding, ("ClusterRoleBinding", ""), subject);
    }
    if !ns.is_empty() {
        for (_, binding) in objects.list(ROLE_BINDING, Some(ns)) {
            held.bind(objects, binding, ("RoleBinding", ns), subject);
        }
    }
    held
}

/// The role that a binding refers to.
///
/// # Errors
/// That it is not there.
pub(super) fn role(objects: &Objects, reference: &Value, ns: &str) -> Result<Arc<Value>, String> {
    let name = text(reference, "name");
    let (kind, ns) = match text(reference, "kind") {
        "Role" => (ROLE, ns),
        _ => (CLUSTER_ROLE, ""),
    };
    let role = objects.named(kind, ns, name);
    let missing = || {
        let kind = text(reference, "kind").to_lowercase();
        format!("{kind}.rbac.authorization.k8s.io {name:?} not found")
    };
    role.cloned().ok_or_else(missing)
}

fn is_meant(one: &Value, subject: &Subject, ns: &str) -> bool {
    let name = text(one, "name");
    match text(one, "kind") {
        "User" => subject.name == name,
        "Group" => subject.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let ns = one["namespace"].as_str().unwrap_or(ns);
            !ns.is_empty() && subject.name == format!("system:serviceaccount:{ns}:{name}")
        }
        _ => false,
    }
}

fn described(subject: &Value, ns: &str) -> String {
    let (kind, name) = (text(subject, "kind"), text(subject, "name"));
    if kind != "ServiceAccount" {
        return format!("{kind} {name:?}");
    }
    let ns = subject["namespace"].as_str().unwrap_or(ns);
    format!("{kind} {:?}", format!("{name}/{ns}"))
}

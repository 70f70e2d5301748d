//! Which webhooks a write meets: rules, selectors, and how equal versions count.

use std::time::Duration;

use headless_objects::object::{array, name};
use headless_objects::selector::Selector;
use serde_json::Value;

use crate::kind::KindId;
use crate::kinds;
use crate::objects::Objects;

const MUTATING: KindId = KindId::named("MutatingWebhookConfiguration");
const VALIDATING: KindId = KindId::named("ValidatingWebhookConfiguration");

/// A webhook, as its configuration says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hook {
    /// Its configuration, and its place there: names may be the same.
    pub(crate) of: (String, usize),
    pub(crate) name: String,
    /// `clientConfig`.
    pub(crate) client: Value,
    pub(crate) timeout: Duration,
    /// Whether a call without answer refuses the write.
    pub(crate) fails: bool,
    /// Whether a dry run may be sent to it.
    pub(crate) takes_dry_run: bool,
    /// Whether it is asked again where others have changed the object since.
    pub(crate) again: bool,
    /// The version of `AdmissionReview` that it is sent.
    pub(crate) version: &'static str,
    /// The version of the kind that it is shown.
    pub(crate) kind: KindId,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A write that webhooks may be asked about. Its objects are as they are kept.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The kind as the request has it.
    pub(crate) kind: KindId,
    /// Empty, or `status`.
    pub(crate) subresource: &'a str,
    pub(crate) operation: Operation,
    pub(crate) ns: &'a str,
    pub(crate) name: &'a str,
    /// Null where it is deleted.
    pub(crate) object: &'a Value,
    /// Null where it is new.
    pub(crate) old: &'a Value,
    pub(crate) dry_run: bool,
}

/// A webhook of a configuration that is kept, not read yet.
pub(crate) struct Listed {
    of: (String, usize),
    hook: Value,
}

/// All webhooks, in the order in which they are asked: by the names of their configurations.
pub(crate) fn listed(objects: &Objects, mutating: bool) -> Vec<Listed> {
    let of = if mutating { MUTATING } else { VALIDATING };
    let configurations = objects.list(of, None).map(|(_, one)| one);
    let hooks = configurations.flat_map(|one| {
        let hooks = array(&one["webhooks"]).enumerate();
        hooks.map(|(at, hook)| Listed {
            of: (name(one).to_owned(), at),
            hook: hook.clone(),
        })
    });
    hooks.collect()
}

impl Listed {
    /// The webhook, where a write meets it: its object as it is now.
    pub(crate) fn met(&self, objects: &Objects, asked: &Asked<'_>) -> Option<Hook> {
        // Nobody may be kept from mending a configuration.
        if [MUTATING, VALIDATING].contains(&asked.kind.kept()) {
            return None;
        }
        let hook = &self.hook;
        let is_met = selects_namespace(objects, &hook["namespaceSelector"], asked)
            && selects_object(&hook["objectSelector"], asked);
        let kind = matched_kind(hook, asked).filter(|_| is_met)?;
        Some(read(self.of.clone(), hook, kind))
    }
}

fn read(of: (String, usize), hook: &Value, kind: KindId) -> Hook {
    let text = |field: &str| hook[field].as_str().unwrap_or_default();
    let versions = hook["admissionReviewVersions"]
        .as_array()
        .into_iter()
        .flatten();
    let mut versions = versions.filter_map(Value::as_str);
    let version = versions.find(|version| ["v1", "v1beta1"].contains(version));
    Hook {
        of,
        name: text("name").to_owned(),
        client: hook["clientConfig"].clone(),
        timeout: Duration::from_secs(hook["timeoutSeconds"].as_u64().unwrap_or(10)),
        fails: text("failurePolicy") != "Ignore",
        takes_dry_run: ["None", "NoneOnDryRun"].contains(&text("sideEffects")),
        again: text("reinvocationPolicy") == "IfNeeded",
        version: if version == Some("v1beta1") {
            "v1beta1"
        } else {
            "v1"
        },
        kind,
    }
}

/// The version of the object's kind that a rule is for: the request's, or an equal one where that is enough (`matchPolicy`).
fn matched_kind(hook: &Value, asked: &Asked<'_>) -> Option<KindId> {
    let rules: Vec<&Value> = hook["rules"].as_array().into_iter().flatten().collect();
    let is_for = |kind: KindId| rules.iter().any(|rule| fits(rule, kind, asked));
    if is_for(asked.kind) {
        return Some(asked.kind);
    }
    if hook["matchPolicy"] == "Exact" {
        return None;
    }
    let kept = asked.kind.kept();
    KindId::all().find(|kind| kind.kept() == kept && is_for(*kind))
}

fn fits(rule: &Value, kind: KindId, asked: &Asked<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        let mut all = rule[field].as_array().into_iter().flatten();
        all.any(|one| one == "*" || one == wanted)
    };
    let info = kind.info();
    let in_scope = match rule["scope"].as_str() {
        // A Namespace is of no namespace.
        Some("Namespaced") => info.namespaced,
        Some("Cluster") => !info.namespaced,
        _ => true,
    };
    in_scope
        && has("operations", asked.operation.name())
        && has("apiGroups", info.group)
        && has("apiVersions", info.version)
        && rule["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|resource| {
                let resource = resource.as_str().unwrap_or_default();
                let (plural, sub) = resource.split_once('/').unwrap_or((resource, ""));
                (plural == "*" || plural == info.plural) && (sub == "*" || sub == asked.subresource)
            })
}

fn is_met(selector: &Value, labels: &Value) -> bool {
    let selector = Selector::of(selector).unwrap_or_default();
    selector.matches(|key| labels[key].as_str())
}

/// Whether the namespace of an object, or an object that is a namespace, is one of those selected; what is in none is.
fn selects_namespace(objects: &Objects, selector: &Value, asked: &Asked<'_>) -> bool {
    if asked.kind.kept() == kinds::NAMESPACE {
        let shown = if asked.object.is_null() {
            asked.old
        } else {
            asked.object
        };
        return is_met(selector, &shown["metadata"]["labels"]);
    }
    if !asked.kind.info().namespaced {
        return true;
    }
    let namespace = objects.named(kinds::NAMESPACE, "", asked.ns);
    namespace.is_some_and(|namespace| is_met(selector, &namespace["metadata"]["labels"]))
}

/// Whether the object, as it is or was, is one of those selected.
fn selects_object(selector: &Value, asked: &Asked<'_>) -> bool {
    let mut both = [asked.object, asked.old].into_iter();
    both.any(|object| object.is_object() && is_met(selector, &object["metadata"]["labels"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn met(rule: Value, more: Value) -> Option<String> {
        let mut hook = json!({"name": "a.b.c", "rules": [rule], "matchPolicy": "Equivalent"});
        json_patch::merge(&mut hook, &more);
        let mut objects = Objects::default();
        let labels = json!({"team": "a"});
        let key = crate::objects::Key::new(kinds::NAMESPACE, "", "x");
        objects.put(key, json!({"metadata": {"name": "x", "labels": labels}}));
        let key = crate::objects::Key::new(VALIDATING, "", "v");
        objects.put(key, json!({"metadata": {"name": "v"}, "webhooks": [hook]}));
        let object = json!({"metadata": {"name": "o", "labels": {"app": "redis"}}});
        let asked = Asked {
            kind: KindId::of_plural("autoscaling", "v1", "horizontalpodautoscalers").unwrap(),
            subresource: "",
            operation: Operation::Create,
            ns: "x",
            name: "o",
            object: &object,
            old: &Value::Null,
            dry_run: false,
        };
        assert!(listed(&objects, true).is_empty());
        let found = listed(&objects, false);
        let found = found.first().and_then(|hook| hook.met(&objects, &asked));
        found.map(|hook| hook.kind.info().api_version())
    }

    fn rule(version: &str, resource: &str) -> Value {
        json!({"operations": ["CREATE"], "apiGroups": ["autoscaling"], "apiVersions": [version], "resources": [resource], "scope": "*"})
    }

    #[test]
    fn a_rule_meets_the_version_of_the_request_or_an_equal_one() {
        let all = "horizontalpodautoscalers";
        let none = || json!({});
        assert_eq!(
            met(rule("v1", all), none()).as_deref(),
            Some("autoscaling/v1")
        );
        assert_eq!(
            met(rule("v2", all), none()).as_deref(),
            Some("autoscaling/v2")
        );
        assert_eq!(met(rule("v2", all), json!({"matchPolicy": "Exact"})), None);
        assert_eq!(
            met(rule("*", "*"), none()).as_deref(),
            Some("autoscaling/v1")
        );
        assert_eq!(
            met(rule("*", "*/*"), none()).as_deref(),
            Some("autoscaling/v1")
        );
        for other in ["pods", "*/status", "horizontalpodautoscalers/scale"] {
            assert_eq!(met(rule("*", other), none()), None, "{other}");
        }
        let mut cluster = rule("*", "*");
        cluster["scope"] = "Cluster".into();
        assert_eq!(met(cluster, none()), None);
        let mut deleted = rule("*", "*");
        deleted["operations"] = json!(["UPDATE", "DELETE"]);
        assert_eq!(met(deleted, none()), None);
    }

    #[test]
    fn selectors_look_at_the_namespace_s_labels_and_at_the_object_s() {
        let of = |field: &str, labels: Value| {
            met(rule("*", "*"), json!({field: {"matchLabels": labels}})).is_some()
        };
        assert!(of("namespaceSelector", json!({"team": "a"})));
        assert!(!of("namespaceSelector", json!({"team": "b"})));
        assert!(of("objectSelector", json!({"app": "redis"})));
        assert!(!of("objectSelector", json!({"app": "web"})));
        let absent = json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}});
        assert_eq!(met(rule("*", "*"), absent), None);
    }
}

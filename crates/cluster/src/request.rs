//! A request's path and query, read once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::{Kind, KindId};
use super::objects::Key;
use super::status::ApiStatus;
use super::validate;
use headless_objects::selector::Selector;

/// The parts of a path.
pub(super) fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The kind.
    pub kind: KindId,
    /// The namespace; `None`: all of them, or a kind without.
    pub ns: Option<String>,
    /// The object; `None`: the collection.
    pub name: Option<String>,
    /// `status`, `scale`, …
    pub subresource: Option<String>,
}

impl Target {
    /// Reads a path; `None` where it names no kind of ours.
    #[must_use]
    pub(super) fn parse(path: &[&str]) -> Option<Self> {
        let (group, version, rest) = match path {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // `namespaces/NAME/status` is a namespace's own subresource, not a collection in it.
        let (ns, rest) = match rest {
            ["namespaces", ns, plural, more @ ..]
                if !(group.is_empty() && *plural == "status")
                    && KindId::of_plural(group, version, plural)
                        .is_some_and(|kind| kind.info().namespaced) =>
            {
                (Some((*ns).to_owned()), [&[*plural], more].concat())
            }
            other => (None, other.to_vec()),
        };
        let (plural, rest) = rest.split_first()?;
        let kind = KindId::of_plural(group, version, plural)?;
        if rest.len() > 2 {
            return None;
        }
        let part = |i: usize| rest.get(i).map(|s| (*s).to_owned());
        Some(Self {
            kind,
            ns,
            name: part(0),
            subresource: part(1),
        })
    }

    /// The object's key, as it is kept.
    #[must_use]
    pub(super) fn key(&self) -> Key {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        Key::new(self.kind.kept(), text(&self.ns), text(&self.name))
    }
}

/// The query's parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads `a=b&c=d`, with percent escapes.
    #[must_use]
    pub(super) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter; empty where it is not given.
    #[must_use]
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |v| v)
    }

    /// Whether a flag is set.
    #[must_use]
    pub(super) fn flag(&self, name: &str) -> bool {
        let value = self.0.get(name);
        value.is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// Whether the request is a dry run, which changes nothing; `options`: what errors call the verb's parameters.
    ///
    /// # Errors
    /// Another value than `All`.
    pub(super) fn dry_run(&self, options: &str) -> Result<bool, ApiStatus> {
        match self.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => {
                let error = validate::not_supported("dryRun", json!([other]), &["All"]);
                Err(ApiStatus::invalid_option(options, &error))
            }
        }
    }

    /// What objects are asked for.
    ///
    /// # Errors
    /// A selector that cannot be read.
    pub(super) fn filter(&self, kind: KindId) -> Result<Filter, ApiStatus> {
        let labels = labels(self.text("labelSelector"))?;
        let mut fields = Vec::new();
        for term in self
            .text("fieldSelector")
            .split(',')
            .filter(|t| !t.is_empty())
        {
            let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) =
                term.split_once("==").or_else(|| term.split_once('='))
            {
                (path, true, value)
            } else {
                let all = self.text("fieldSelector");
                return Err(ApiStatus::bad_request(format!(
                    "invalid selector: '{all}'; can't understand '{term}'"
                )));
            };
            check_field(kind.info(), path)?;
            fields.push((path.to_owned(), equal, value.to_owned()));
        }
        Ok(Filter { labels, fields })
    }
}

/// A selector by labels, of names and values that labels may have.
fn labels(text: &str) -> Result<Selector, ApiStatus> {
    let selector =
        Selector::parse(text).map_err(|error| ApiStatus::bad_request(error.to_string()))?;
    let wrong = |place: &str, text: &str, what: &[String]| {
        let what = what.join("; ");
        ApiStatus::bad_request(format!(
            "unable to parse requirement: {place}: Invalid value: {text:?}: {what}"
        ))
    };
    for (key, values) in selector.named() {
        let found = validate::qualified(key);
        if !found.is_empty() {
            return Err(wrong("<nil>", key, &found));
        }
        for (i, value) in values.iter().enumerate() {
            let found = validate::label_value(value);
            if !found.is_empty() {
                return Err(wrong(&format!("values[{i}][{key}]"), value, &found));
            }
        }
    }
    Ok(selector)
}

/// Only some fields can be selected by.
fn check_field(kind: &Kind, path: &str) -> Result<(), ApiStatus> {
    // These two say their namespace themselves.
    let has_namespace = !["Node", "Namespace"].contains(&kind.kind);
    let is_known = match path {
        "metadata.name" => true,
        "metadata.namespace" => has_namespace,
        other => kind.does.fields.contains(&other),
    };
    if is_known {
        return Ok(());
    }
    let only_names = kind.does.fields.is_empty() && !kind.custom();
    Err(ApiStatus::bad_request(if only_names {
        format!(
            "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else if kind.kind == "Job" {
        format!("field label {path:?} not supported for Job")
    } else {
        format!("field label not supported: {path}")
    }))
}

/// Which objects of a collection are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    labels: Selector,
    /// Path, whether it must be equal, value.
    fields: Vec<(String, bool, String)>,
}

impl Filter {
    /// Whether an object is one of them.
    #[must_use]
    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.matches(|key| labels[key].as_str())
            && self
                .fields
                .iter()
                .all(|(path, equal, value)| (field(object, path) == *value) == *equal)
    }
}

/// A field as text; one that is not there is what Go's encoder leaves out.
fn field(object: &Value, path: &str) -> String {
    if path == "source" {
        let component = object["source"]["component"].as_str();
        let component = component.filter(|component| !component.is_empty());
        let reporting = object["reportingComponent"].as_str();
        return component.or(reporting).unwrap_or_default().to_owned();
    }
    let found = path.split('.').fold(object, |value, key| &value[key]);
    match (found, path) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        (Value::Null, "status.successful") => "0".to_owned(),
        (Value::Null, _) => String::new(),
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, namespace, name, subresource.
    type Parts = (&'static str, Option<String>, Option<String>, Option<String>);

    fn target(path: &str) -> Option<Parts> {
        let parts: Vec<_> = path.split('/').collect();
        Target::parse(&parts).map(|t| (t.kind.info().kind, t.ns, t.name, t.subresource))
    }

    #[test]
    fn paths_name_collections_objects_and_subresources() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(target("api/v1/pods"), Some(("Pod", None, None, None)));
        assert_eq!(
            target("api/v1/namespaces/a/pods/b/status"),
            Some(("Pod", some("a"), some("b"), some("status")))
        );
        assert_eq!(
            target("api/v1/namespaces/a"),
            Some(("Namespace", None, some("a"), None))
        );
        assert_eq!(
            target("api/v1/namespaces/a/status"),
            Some(("Namespace", None, some("a"), some("status")))
        );
        assert_eq!(
            target("apis/apps/v1/namespaces/a/statefulsets"),
            Some(("StatefulSet", some("a"), None, None))
        );
        assert_eq!(target("apis/batch/v2/jobs"), None);
        assert_eq!(target("api/v1/namespaces/a/pods/b/c/d"), None);
    }

    #[test]
    fn selectors_come_escaped() {
        let filter = Parameters::parse("fieldSelector=metadata.name%3Da%2Cstatus.phase%21%3DFailed&labelSelector=app+in+%28x%29").filter(KindId::named("Pod")).unwrap();
        assert!(filter.matches(&json!({"metadata": {"name": "a", "labels": {"app": "x"}}})));
        assert!(!filter.matches(&json!({"metadata": {"name": "a", "labels": {"app": "x"}}, "status": {"phase": "Failed"}})));
        assert_eq!(
            Parameters::parse("fieldSelector=x")
                .filter(KindId::named("Pod"))
                .unwrap_err()
                .code,
            400
        );
    }

    #[test]
    fn a_selector_names_what_labels_may_be_and_fields_that_the_kind_has() {
        let filter = |query: &str, kind| {
            let filter = Parameters::parse(query).filter(KindId::named(kind));
            filter.map_err(|status| status.message)
        };
        let why = filter("labelSelector=a%2Fb%2Fc%3Dv", "Pod").unwrap_err();
        let wanted =
            "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key must";
        assert!(why.starts_with(wanted), "{why}");
        let why = filter("labelSelector=n+in+(a,-)", "Pod").unwrap_err();
        let wanted =
            "unable to parse requirement: values[1][n]: Invalid value: \"-\": a valid label must";
        assert!(why.starts_with(wanted), "{why}");
        let why = filter("fieldSelector=metadata.namespace%3Dx", "Node").unwrap_err();
        assert_eq!(why, "field label not supported: metadata.namespace");
        let node = json!({"metadata": {"name": "n"}, "spec": {}});
        let schedulable = filter("fieldSelector=spec.unschedulable%3Dfalse", "Node").unwrap();
        assert!(schedulable.matches(&node));
        let event = json!({"source": {"component": "kubelet"}});
        let source = filter("fieldSelector=source%3Dkubelet", "Event").unwrap();
        assert!(source.matches(&event) && !source.matches(&node));
    }
}

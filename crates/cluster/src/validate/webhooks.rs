//! What the API server refuses of webhooks that admit objects.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::selector;
use super::words::{letter_label, subdomain};
use crate::field::Errors;
use crate::place::Place;

/// admissionregistration.k8s.io/v1 `ValidatingWebhookConfiguration` and `MutatingWebhookConfiguration`.
pub fn webhooks(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for hook in Place::new(&object["webhooks"], "webhooks").items() {
        let name = hook.of("name");
        full_name(&name, errors);
        hook.of("rules")
            .items()
            .for_each(|rule| self::rule(&rule, errors));
        errors.one_of(&hook.of("failurePolicy"), &["Fail", "Ignore"]);
        errors.one_of(&hook.of("matchPolicy"), &["Equivalent", "Exact"]);
        let again = hook.of("reinvocationPolicy");
        errors.one_of(&again, &["IfNeeded", "Never"]);
        let effects = hook.of("sideEffects");
        if effects.is_given() {
            errors.must_be(&effects, &["None", "NoneOnDryRun"]);
        } else {
            errors.required(effects, "must specify one of None, NoneOnDryRun");
        }
        let seconds = hook.of("timeoutSeconds");
        if seconds.is_given() && !(1..=30).contains(&seconds.number()) {
            let what = "the timeout value must be between 1 and 30 seconds";
            errors.bad(&seconds, what);
        }
        selector(&hook.of("namespaceSelector"), errors);
        selector(&hook.of("objectSelector"), errors);
        client(&hook.of("clientConfig"), errors);
        let conditions = hook.of("matchConditions");
        if conditions.count() > 0 {
            let what =
                "conditions in CEL are not evaluated by this cluster; rules and selectors are";
            errors.bad(&conditions, what);
        }
        versions(&hook.of("admissionReviewVersions"), errors);
        if !name.is_empty() && !names.insert(name.text()) {
            errors.duplicate(&name);
        }
    }
}

/// A name with three labels at least.
fn full_name(name: &Place<'_>, errors: &mut Errors) {
    let wrong = subdomain(name.text());
    if name.is_empty() {
        errors.required(name, "");
    } else if !wrong.is_empty() {
        errors.bad(name, &wrong.join(","));
    } else if name.text().split('.').count() < 3 {
        let what = "should be a domain with at least three segments separated by dots";
        errors.bad(name, what);
    }
}

fn versions(versions: &Place<'_>, errors: &mut Errors) {
    if versions.is_empty() {
        return errors.required(versions, "must specify one of v1, v1beta1");
    }
    recognized(versions, errors);
}

/// Versions of reviews: each once, and one that there is.
pub(crate) fn recognized(versions: &Place<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        if seen.insert(version.text()) {
            errors.each(&version, letter_label(version.text()));
        } else {
            errors.bad(&version, "duplicate version");
        }
    }
    if !["v1", "v1beta1"].iter().any(|known| seen.contains(known)) {
        errors.bad(versions, "must include at least one of v1, v1beta1");
    }
}

/// Where a webhook is.
pub(crate) fn client(client: &Place<'_>, errors: &mut Errors) {
    let (url, service) = (client.of("url"), client.of("service"));
    if url.is_given() == service.is_given() {
        errors.required(client, "exactly one of url or service is required");
    } else if url.is_given() {
        let parts = url.text().split_once("://");
        let (scheme, rest) = parts.unwrap_or_else(|| ("", url.text()));
        let form = "desired format: https://host[/path]";
        if scheme != "https" {
            let what = format!("'https' is the only allowed URL scheme; {form}");
            errors.invalid(&url, &scheme.into(), &what);
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let host = rest.split('/').next().unwrap_or_default();
        let (user, host) = host.rsplit_once('@').unwrap_or(("", host));
        if host.is_empty() {
            let what = format!("host must be specified; {form}");
            errors.invalid(&url, &"".into(), &what);
        }
        for (given, what) in [
            (user, "user information is not permitted in the URL"),
            (fragment, "fragments are not permitted in the URL"),
            (query, "query parameters are not permitted in the URL"),
        ] {
            if !given.is_empty() {
                errors.invalid(&url, &given.into(), what);
            }
        }
    } else {
        self::service(&service, errors);
    }
}

/// A Service that a webhook is.
fn service(service: &Place<'_>, errors: &mut Errors) {
    // Kubernetes takes one for the other, and says so of the other.
    for (field, said) in [("namespace", "name"), ("name", "namespace")] {
        if service.of(field).is_empty() {
            errors.required(service.of(said), "");
        }
    }
    let (port, path) = (service.of("port"), service.of("path"));
    if port.is_given() && !(1..=65535).contains(&port.number()) {
        let what = "port is not valid: must be between 1 and 65535, inclusive";
        errors.bad(&port, what);
    }
    if path.is_empty() || path.text() == "/" {
        return;
    }
    if !path.text().starts_with('/') {
        errors.bad(&path, "must start with a '/'");
    }
    let mut below = path.text().chars();
    below.next();
    let below = below.as_str();
    let steps = below.strip_suffix('/').unwrap_or(below).split('/');
    for (i, step) in steps.enumerate() {
        if step.is_empty() {
            errors.bad(&path, &format!("segment[{i}] may not be empty"));
            continue;
        }
        for what in subdomain(step) {
            errors.bad(&path, &format!("segment[{i}]: {what}"));
        }
    }
}

/// Which objects are meant, and what is done with them.
pub(super) fn rule(rule: &Place<'_>, errors: &mut Errors) {
    const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let operations = rule.of("operations");
    if operations.is_empty() {
        errors.required(&operations, "");
    }
    alone(&operations, "operations", errors);
    for operation in operations.items() {
        errors.must_be(&operation, OPERATIONS);
    }
    for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let list = rule.of(field);
        if list.is_empty() {
            errors.required(&list, "");
        }
        alone(&list, what, errors);
    }
    for version in rule.of("apiVersions").items().filter(Place::is_empty) {
        errors.required(version, "");
    }
    resources(&rule.of("resources"), errors);
    errors.one_of(&rule.of("scope"), &["*", "Cluster", "Namespaced"]);
}

/// A `*` stands alone.
fn alone(list: &Place<'_>, what: &str, errors: &mut Errors) {
    if list.count() > 1 && list.items().any(|item| item.text() == "*") {
        errors.bad(
            list,
            &format!("if '*' is present, must not specify other {what}"),
        );
    }
}

fn resources(resources: &Place<'_>, errors: &mut Errors) {
    let has = |name: &str| resources.items().any(|resource| resource.text() == name);
    if resources.is_empty() {
        errors.required(resources, "");
    }
    let (mut whole, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for resource in resources.items() {
        if resource.is_empty() {
            errors.required(&resource, "");
        }
        let Some((name, part)) = resource.text().split_once('/') else {
            continue;
        };
        let text = resource.text();
        for (is_there, all) in [
            (whole.contains(name), format!("{name}/*")),
            (parts.contains(part), format!("*/{part}")),
        ] {
            if is_there {
                let what = format!("if '{all}' is present, must not specify {text}");
                errors.bad(&resource, &what);
            }
        }
        if part == "*" {
            whole.insert(name);
        }
        if name == "*" {
            parts.insert(part);
        }
    }
    if resources.count() > 1 && has("*/*") {
        let what = "if '*/*' is present, must not specify other resources";
        errors.bad(resources, what);
    }
    let is_whole = |text: &str| !text.contains('/') && text != "*";
    if has("*") && resources.items().any(|resource| is_whole(resource.text())) {
        let what = "if '*' is present, must not specify other resources without subresources";
        errors.bad(resources, what);
    }
}

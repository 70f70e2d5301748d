//! What the API server refuses of policies that admit objects, but for their expressions, which nothing reads here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::selector;
use super::webhooks::rule;
use super::words::{letter_label, path_segment, qualified, subdomain};
use crate::field::{Errors, Problem};
use crate::place::Place;

const ITEMS: &str = "validations or auditAnnotations must contain at least one item";
const EXCLUSIVE: &str = "name and selector are mutually exclusive";

/// Match conditions of a policy.
const MOST_CONDITIONS: usize = 64;

/// Words of CEL, which name nothing else.
const RESERVED: [&str; 22] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
    "this",
];

/// admissionregistration.k8s.io/v1 `ValidatingAdmissionPolicy`.
pub fn validating_policy(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    common(&spec, false, errors);
    let [checks, notes] = ["validations", "auditAnnotations"].map(|field| spec.of(field));
    if checks.is_empty() && notes.is_empty() {
        errors.required(&checks, ITEMS);
        errors.required(&notes, ITEMS);
    }
    checks.items().for_each(|check| self::check(&check, errors));
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut keys = BTreeSet::new();
    for note in notes.items() {
        let key = note.of("key");
        let whole = format!("{name}/{}", key.text());
        for what in qualified(&whole) {
            errors.invalid(&key, &whole.as_str().into(), &what);
        }
        expression(
            &note.of("valueExpression"),
            "valueExpression is not specified",
            errors,
        );
        if !keys.insert(key.text()) {
            errors.duplicate(&key);
        }
    }
}

/// admissionregistration.k8s.io/v1 `MutatingAdmissionPolicy`.
pub fn mutating_policy(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    common(&spec, true, errors);
    let changes = spec.of("mutations");
    if changes.is_empty() {
        errors.required(&changes, "mutations must contain at least one item");
    }
    changes.items().for_each(|change| mutation(&change, errors));
    let again = spec.of("reinvocationPolicy");
    if again.is_empty() {
        errors.required(again, "");
    } else {
        errors.must_be(&again, &["IfNeeded", "Never"]);
    }
}

/// admissionregistration.k8s.io/v1 `ValidatingAdmissionPolicyBinding`.
pub fn validating_binding(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    const BOTH: &str = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and \
        headers serves no purpose)";
    let spec = Place::new(&object["spec"], "spec");
    binding(&spec, false, errors);
    let actions = spec.of("validationActions");
    let mut seen = BTreeSet::new();
    for action in actions.items() {
        errors.must_be(&action, &["Audit", "Deny", "Warn"]);
        if !seen.insert(action.text()) {
            errors.duplicate(&action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        errors.bad(&actions, BOTH);
    }
    if seen.is_empty() {
        errors.required(actions, "");
    }
}

/// admissionregistration.k8s.io/v1 `MutatingAdmissionPolicyBinding`.
pub fn mutating_binding(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    binding(&Place::new(&object["spec"], "spec"), true, errors);
}

/// What both kinds of policies have before what they do.
fn common(spec: &Place<'_>, changes: bool, errors: &mut Errors) {
    let failure = spec.of("failurePolicy");
    errors.one_of(&failure, &["Fail", "Ignore"]);
    let (param, matched) = (spec.of("paramKind"), spec.of("matchConstraints"));
    if param.is_given() {
        param_kind(&param, errors);
    }
    if matched.is_given() {
        resources(&matched, errors);
        let rules = matched.of("resourceRules");
        if rules.is_empty() {
            errors.required(&rules, "");
        }
        if changes {
            only_changes(&rules, errors);
        }
    } else {
        errors.required(matched, "");
    }
    conditions(&spec.of("matchConditions"), errors);
    for variable in spec.of("variables").items() {
        let name = variable.of("name");
        if name.text().trim().is_empty() {
            errors.required(name, "name is not specified");
        } else if !is_identifier(name.text()) {
            errors.bad(&name, "must be a valid CEL identifier");
        }
        let what = "expression is not specified";
        expression(&variable.of("expression"), what, errors);
    }
}

fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    begins && name.chars().all(good) && !RESERVED.contains(&name)
}

/// There has to be an expression.
fn expression(expression: &Place<'_>, what: &str, errors: &mut Errors) {
    if expression.text().trim().is_empty() {
        errors.required(expression, what);
    }
}

/// The kind of what a policy is told: `group/version` and a name.
fn param_kind(kind: &Place<'_>, errors: &mut Errors) {
    let (version, name) = (kind.of("apiVersion"), kind.of("kind"));
    let text = version.text();
    let (group, number) = text.split_once('/').unwrap_or(("", text));
    let mut wrong = |value: &str, found: Vec<String>| {
        if !found.is_empty() {
            errors.invalid(&version, &value.into(), &found.join(","));
        }
    };
    if number.contains('/') {
        let what = format!("unexpected GroupVersion string: {text}");
        wrong(text, vec![what]);
    } else if !text.is_empty() {
        if !group.is_empty() {
            wrong(group, subdomain(group));
        }
        if number.is_empty() {
            wrong(text, vec!["version must be specified".into()]);
        } else {
            wrong(number, letter_label(number));
        }
    } else {
        errors.required(&version, "");
    }
    let found = letter_label(&name.text().to_lowercase());
    if name.is_empty() {
        errors.required(name, "");
    } else if !found.is_empty() {
        let found = found.join(",");
        let what = format!("may have mixed case, but should otherwise match: {found}");
        errors.bad(&name, &what);
    }
}

/// Which objects are meant.
fn resources(matched: &Place<'_>, errors: &mut Errors) {
    errors.one_of(&matched.of("matchPolicy"), &["Equivalent", "Exact"]);
    selector(&matched.of("namespaceSelector"), errors);
    selector(&matched.of("objectSelector"), errors);
    for list in ["resourceRules", "excludeResourceRules"] {
        for one in matched.of(list).items() {
            let mut seen = BTreeSet::new();
            for name in one.of("resourceNames").items() {
                errors.each(&name, path_segment(name.text()));
                if !seen.insert(name.text()) {
                    errors.duplicate(&name);
                }
            }
            rule(&one, errors);
        }
    }
}

/// What is deleted is not changed.
fn only_changes(rules: &Place<'_>, errors: &mut Errors) {
    for rule in rules.items() {
        for operation in rule.of("operations").items() {
            let at = operation.called(rules.of("operations").path);
            errors.must_be(&at, &["*", "CONNECT", "CREATE", "UPDATE"]);
        }
    }
}

fn conditions(conditions: &Place<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    if conditions.count() > MOST_CONDITIONS {
        let problem = Problem::TooMany(conditions.count(), MOST_CONDITIONS);
        errors.add(conditions, problem);
    }
    for condition in conditions.items() {
        expression(&condition.of("expression"), "", errors);
        let name = condition.of("name");
        errors.named(&name, qualified);
        if !name.is_empty() && !names.insert(name.text()) {
            errors.duplicate(&name);
        }
    }
}

fn check(check: &Place<'_>, errors: &mut Errors) {
    const SPOKEN: &str = "must be non-empty if specified";
    let what = "expression is not specified";
    expression(&check.of("expression"), what, errors);
    let is_blank = |place: &Place<'_>| !place.text().is_empty() && place.text().trim().is_empty();
    let [message, made] = ["message", "messageExpression"].map(|field| check.of(field));
    if is_blank(&made) {
        errors.bad(&made, SPOKEN);
    }
    if is_blank(&message) {
        errors.bad(&message, SPOKEN);
    } else if message.text().trim().contains('\n') {
        errors.bad(&message, "must not contain line breaks");
    }
    let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    if !check.of("reason").is_given() {
        return;
    }
    errors.must_be(&check.of("reason"), &reasons);
}

fn mutation(change: &Place<'_>, errors: &mut Errors) {
    let kind = change.of("patchType");
    let (own, other) = match kind.text() {
        "" => return errors.required(kind, ""),
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        _ => return errors.must_be(&kind, &["ApplyConfiguration", "JSONPatch"]),
    };
    let (own, given) = (change.of(own), change.of(other));
    if own.is_given() {
        expression(&own.of("expression"), "", errors);
    } else {
        let what = format!("must be specified when patchType is {}", kind.text());
        errors.required(&own, &what);
    }
    if given.is_given() {
        let what = format!("must not be specified when patchType is {}", kind.text());
        errors.invalid(&given, &format!("{{{other}}}").into(), &what);
    }
}

/// What both kinds of bindings have.
fn binding(spec: &Place<'_>, changes: bool, errors: &mut Errors) {
    errors.named(&spec.of("policyName"), subdomain);
    let param = spec.of("paramRef");
    if param.is_given() {
        param_reference(&param, errors);
    }
    let matched = spec.of("matchResources");
    if matched.is_given() {
        resources(&matched, errors);
        if changes {
            only_changes(&matched.of("resourceRules"), errors);
        }
    }
}

fn param_reference(param: &Place<'_>, errors: &mut Errors) {
    let (name, wanted) = (param.of("name"), param.of("selector"));
    let both = !name.is_empty() && wanted.is_given();
    errors.maybe(&name, path_segment);
    if both {
        errors.forbidden(&name, EXCLUSIVE);
    }
    selector(&wanted, errors);
    if both {
        errors.forbidden(&wanted, EXCLUSIVE);
    }
    if name.is_empty() && !wanted.is_given() {
        errors.required(param, "one of name or selector must be specified");
    }
    let missing = param.of("parameterNotFoundAction");
    if missing.is_empty() {
        errors.required(missing, "");
    } else {
        errors.must_be(&missing, &["Deny", "Allow"]);
    }
}

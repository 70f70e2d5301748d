//! What the API server refuses of events, which two groups of the API have; both are looked at as those of the core.

use serde_json::Value;

use super::values::shown_texts;
use super::words::qualified;
use crate::field::Errors;
use crate::place::Place;

/// Octets of the fields that say what happened.
const LONGEST: usize = 128;
const LONGEST_NOTE: usize = 1024;

const IMMUTABLE: &str = "field is immutable";
const OTHER_NAMESPACE: &str = "does not match event.namespace";

/// v1 Event: it is in the namespace of what it tells of.
pub fn event(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    told(object, "reportingComponent", errors);
}

/// events.k8s.io/v1 Event.
pub fn new_event(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    told(object, "reportingController", errors);
    let root = Place::new(object, "");
    match old {
        Some(old) => changed(&root, old, errors),
        None => made(&root, errors),
    }
}

/// What is asked of every event; `by`: what the version of the request calls who reports it.
fn told(object: &Value, by: &str, errors: &mut Errors) {
    let root = Place::new(object, "");
    let about = root.of("involvedObject").of("namespace");
    let ns = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if !root.of("eventTime").is_given() {
        let fits = match about.text() {
            "" => ["", "default"].contains(&ns),
            about => about == ns,
        };
        if !fits {
            errors.bad(&about, OTHER_NAMESPACE);
        }
        return;
    }
    if about.is_empty() && !["default", "kube-system"].contains(&ns) {
        errors.bad(&about, OTHER_NAMESPACE);
    }
    let reporter = root.of("reportingComponent").called(by.to_owned());
    if reporter.is_empty() {
        errors.required(&reporter, "");
    }
    errors.each(&reporter, qualified(reporter.text()));
    for field in ["reportingInstance", "action", "reason"] {
        let place = root.of(field);
        if place.is_empty() {
            errors.required(&place, "");
        }
        at_most(&place, LONGEST, errors);
    }
    at_most(&root.of("message"), LONGEST_NOTE, errors);
}

fn at_most(place: &Place<'_>, most: usize, errors: &mut Errors) {
    if place.text().len() > most {
        let what = format!("can have at most {most} characters");
        errors.invalid(place, &"".into(), &what);
    }
}

fn series(series: &Place<'_>, errors: &mut Errors) {
    if !series.is_given() {
        return;
    }
    if series.of("count").number() < 2 {
        let what = "should be at least 2";
        errors.invalid(series.of("count"), &"".into(), what);
    }
    if !series.of("lastObservedTime").is_given() {
        errors.required(series.of("lastObservedTime"), "");
    }
}

fn made(root: &Place<'_>, errors: &mut Errors) {
    series(&root.of("series"), errors);
    if !root.of("eventTime").is_given() {
        errors.required(root.of("eventTime"), "");
    }
    let kind = root.of("type");
    if !["Normal", "Warning"].contains(&kind.text()) {
        let what = format!("has invalid value: {}", kind.text());
        errors.invalid(kind, &"".into(), &what);
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let place = root.of(field);
        if !place.is_empty() && *place.value != 0 {
            errors.invalid(place, &"".into(), "needs to be unset");
        }
    }
}

/// What has happened stays; how often is counted on.
fn changed(root: &Place<'_>, old: &Value, errors: &mut Errors) {
    const OBJECT: [(&str, &str); 7] = [
        ("Kind", "kind"),
        ("Namespace", "namespace"),
        ("Name", "name"),
        ("UID", "uid"),
        ("APIVersion", "apiVersion"),
        ("ResourceVersion", "resourceVersion"),
        ("FieldPath", "fieldPath"),
    ];
    const SOURCE: [(&str, &str); 2] = [("Component", "component"), ("Host", "host")];
    if *root.of("series").value != old["series"] {
        series(&root.of("series"), errors);
    }
    let about = ("involvedObject", &OBJECT[..]);
    for (field, inside) in [about, ("source", &SOURCE[..])] {
        let [new, before] = [root.value, old].map(|event| shown_texts(&event[field], inside));
        if new != before {
            errors.invalid(field, &new, IMMUTABLE);
        }
    }
    for field in ["reason", "message", "count", "type", "action"] {
        errors.unchanged(&root.of(field), &old[field]);
    }
    for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        errors.stays(&root.of(field), &old[field]);
    }
    let related = root.of("related");
    if *related.value != old["related"] {
        let given = related.is_given();
        let shown = given.then(|| shown_texts(related.value, &OBJECT));
        errors.invalid(&related, &shown.unwrap_or_default(), IMMUTABLE);
    }
    let reporter = root.of("reportingComponent");
    let reporter = reporter.called("reportingController".into());
    errors.unchanged(&reporter, &old["reportingComponent"]);
    let instance = root.of("reportingInstance");
    errors.unchanged(&instance, &old["reportingInstance"]);
}

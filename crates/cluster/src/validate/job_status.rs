//! What the API server refuses of a Job's status. Most rules look at what has changed, so that a status that was wrong before
//! can still be written.

use std::collections::BTreeSet;

use headless_objects::object::array;
use serde_json::Value;

use super::indexes;
use super::values::shown;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// A status that is written, and the one before.
struct Change<'a> {
    spec: &'a Value,
    new: &'a Value,
    old: &'a Value,
    status: Place<'a>,
}

/// Whether a condition holds.
fn holds(status: &Value, kind: &str) -> bool {
    array(&status["conditions"]).any(|told| told["type"] == kind && told["status"] == "True")
}

fn is_finished(status: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|kind| holds(status, kind))
}

/// batch/v1 Job.
pub fn job_status(object: &Value, old: &Value, errors: &mut Errors) {
    let change = Change {
        spec: &object["spec"],
        new: &object["status"],
        old: &old["status"],
        status: Place::new(&object["status"], "status"),
    };
    let counts = ["active", "succeeded", "failed", "ready", "terminating"];
    errors.not_negative(&change.status, &counts);
    change.uncounted(errors);
    change.ends(errors);
    change.finished(errors);
    change.numbers(errors);
    change.is_possible(errors);
    change.since(errors);
}

impl Change<'_> {
    /// Whether one of these conditions has come or gone, or one of these fields is another.
    fn differs(&self, kinds: &[&str], fields: &[&str]) -> bool {
        let told = |kind: &str| holds(self.new, kind) != holds(self.old, kind);
        let field = |field: &&str| self.new[*field] != self.old[*field];
        kinds.iter().any(|kind| told(kind)) || fields.iter().any(field)
    }

    /// Whether the Job has ended since, or goes on, or one of these fields is another.
    fn ends_or_differs(&self, field: &str) -> bool {
        is_finished(self.new) != is_finished(self.old) || self.new[field] != self.old[field]
    }

    fn wrong(&self, errors: &mut Errors, what: impl Into<String>) {
        let place = self.status.of("conditions");
        errors.add(&place, Problem::Invalid(None, what.into()));
    }

    fn uncounted(&self, errors: &mut Errors) {
        let uncounted = self.status.of("uncountedTerminatedPods");
        let mut seen = BTreeSet::new();
        for list in ["succeeded", "failed"] {
            for uid in uncounted.of(list).items() {
                if uid.is_empty() {
                    errors.bad(&uid, "must not be empty");
                } else if !seen.insert(uid.text()) {
                    errors.duplicate(&uid);
                }
            }
        }
    }

    /// How the Job ends, and when.
    fn ends(&self, errors: &mut Errors) {
        let (complete, failed) = (holds(self.new, "Complete"), holds(self.new, "Failed"));
        if complete && failed && self.differs(&["Complete", "Failed"], &[]) {
            self.wrong(
                errors,
                "cannot set Complete=True and Failed=true conditions",
            );
        }
        let target = holds(self.new, "FailureTarget");
        if complete && target && self.differs(&["Complete", "FailureTarget"], &[]) {
            let what = "cannot set Complete=True and FailureTarget=true conditions";
            self.wrong(errors, what);
        }
        let at = self.status.of("completionTime");
        if self.differs(&["Complete"], &["completionTime"]) {
            if at.is_given() && !complete {
                let what = "cannot set completionTime when there is no Complete=True condition";
                errors.bad(&at, what);
            }
            if complete && !at.is_given() {
                errors.required(&at, "completionTime is required for Complete jobs");
            }
        }
        let (began, ended) = (self.status.of("startTime"), at.text());
        let is_before = began.is_given() && at.is_given() && ended < began.text();
        if is_before && self.differs(&[], &["startTime", "completionTime"]) {
            errors.bad(&at, "must be equal to or after `startTime`");
        }
        if failed && !target && self.differs(&["Failed"], &["failedIndexes"]) {
            let what = "cannot set Failed=True condition without the FailureTarget=true condition";
            self.wrong(errors, what);
        }
        let met = holds(self.new, "SuccessCriteriaMet");
        if complete && !met && self.differs(&["Complete", "SuccessCriteriaMet"], &[]) {
            let what =
                "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            self.wrong(errors, what);
        }
    }

    /// What a Job that has ended may still have.
    fn finished(&self, errors: &mut Errors) {
        if !is_finished(self.new) {
            return;
        }
        let active = self.status.of("active");
        if active.number() > 0 && self.ends_or_differs("active") {
            errors.bad(&active, "active>0 is invalid for finished job");
        }
        let began = self.status.of("startTime");
        let never_ran = self.spec["suspend"] == true && self.spec["completions"] == 0;
        if !began.is_given() && self.ends_or_differs("startTime") && !never_ran {
            errors.required(&began, "startTime is required for finished job");
        }
        let uncounted = self.status.of("uncountedTerminatedPods");
        let any = ["succeeded", "failed"]
            .iter()
            .any(|list| !uncounted.of(list).is_empty());
        if any && self.ends_or_differs("uncountedTerminatedPods") {
            let names = [("Succeeded", "succeeded"), ("Failed", "failed")];
            let value = shown(uncounted.value, &names);
            errors.invalid(&uncounted, &value, "must be empty for finished job");
        }
    }

    /// The numbers of an Indexed Job.
    fn numbers(&self, errors: &mut Errors) {
        let (completed, failed) = (
            self.status.of("completedIndexes"),
            self.status.of("failedIndexes"),
        );
        let [new_completed, new_failed] =
            ["completedIndexes", "failedIndexes"].map(|field| self.differs(&[], &[field]));
        let all = self.spec["completions"].as_i64();
        let has_limits = self.spec["backoffLimitPerIndex"].is_i64();
        let read = |place: &Place<'_>, errors: &mut Errors| {
            let wrong = all.and_then(|all| indexes::total(place.text(), all).err());
            if let Some(what) = wrong {
                let field = place.path.rsplit('.').next().unwrap_or_default();
                errors.bad(place, &format!("error parsing {field}: {what}"));
            }
        };
        if new_completed {
            read(&completed, errors);
        }
        if new_failed && has_limits && failed.is_given() {
            read(&failed, errors);
        }
        if new_completed && !completed.is_empty() && self.spec["completionMode"] != "Indexed" {
            let what = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.bad(&completed, what);
        }
        if new_failed && failed.is_given() && !has_limits {
            let what = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.bad(&failed, what);
        }
        let all = all.filter(|_| new_completed || new_failed);
        let both = all.and_then(|all| indexes::overlap(completed.text(), failed.text(), all));
        if let Some(at) = both {
            let what = format!("failedIndexes and completedIndexes overlap at index: {at}");
            errors.bad(&failed, &what);
        }
    }

    /// What cannot hold at once.
    fn is_possible(&self, errors: &mut Errors) {
        let (ready, ending) = (self.status.of("ready"), self.status.of("terminating"));
        if ending.number() > 0 && is_finished(self.new) && self.ends_or_differs("terminating") {
            errors.bad(&ending, "terminating>0 is invalid for finished job");
        }
        let is_more = ready.number() > self.status.of("active").number();
        if is_more && self.differs(&[], &["ready", "active"]) {
            errors.bad(&ready, "cannot set more ready pods than active");
        }
        let met = holds(self.new, "SuccessCriteriaMet");
        for kind in ["Failed", "FailureTarget"] {
            if met && holds(self.new, kind) {
                let what = format!("cannot set SuccessCriteriaMet=True and {kind}=true conditions");
                self.wrong(errors, what);
            }
        }
        if self.spec["successPolicy"].is_object() && !met && holds(self.new, "Complete") {
            let what = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            self.wrong(errors, what);
        }
    }

    /// What may not become of a status.
    fn since(&self, errors: &mut Errors) {
        let lost = |kind: &&&str| holds(self.old, kind) && !holds(self.new, kind);
        for kind in ["Failed", "Complete", "FailureTarget"].iter().filter(lost) {
            self.wrong(
                errors,
                format!("cannot disable the terminal {kind}=True condition"),
            );
        }
        let less = |field: &str| {
            self.new[field].as_i64().unwrap_or_default()
                < self.old[field].as_i64().unwrap_or_default()
        };
        if less("failed") {
            let what = "cannot decrease the failed counter";
            errors.invalid(self.status.of("failed"), &self.number("failed"), what);
        }
        let elastic = self.spec["completionMode"] == "Indexed"
            && self.spec["completions"] == self.spec["parallelism"];
        if less("succeeded") && !elastic {
            let what = "cannot decrease the succeeded counter";
            errors.invalid(self.status.of("succeeded"), &self.number("succeeded"), what);
        }
        let at = self.status.of("completionTime");
        let before = &self.old["completionTime"];
        if at.is_given() && before.is_string() && at.value != before {
            errors.bad(&at, "field is immutable");
        }
        let began = self.status.of("startTime");
        let is_other = self.old["startTime"].is_string() && self.differs(&[], &["startTime"]);
        let told = |told: &&Value| told["type"] == "Suspended" && told["status"] == "False";
        let resumes =
            holds(self.old, "Suspended") && array(&self.new["conditions"]).find(told).is_some();
        if is_other && self.spec["suspend"] != true && !resumes {
            let what = "field is immutable for unsuspended job once set";
            errors.invalid(&began, began.value, what);
        }
        let [met_before, met] = [self.old, self.new].map(|all| holds(all, "SuccessCriteriaMet"));
        if met_before && !met {
            self.wrong(
                errors,
                "cannot disable the SuccessCriteriaMet=True condition",
            );
        }
        if holds(self.old, "Complete") && !met_before && met {
            let what =
                "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            self.wrong(errors, what);
        }
    }

    /// A count as Go shows it.
    fn number(&self, field: &str) -> Value {
        self.new[field].as_i64().unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(spec: &Value, new: &Value, old: &Value) -> Vec<String> {
        let mut errors = Errors::default();
        let object = |status: &Value| json!({"spec": spec, "status": status});
        job_status(&object(new), &object(old), &mut errors);
        errors.0.iter().map(ToString::to_string).collect()
    }

    fn told(kinds: &[&str]) -> Value {
        let told = |kind: &&str| json!({"type": kind, "status": "True"});
        json!({"conditions": kinds.iter().map(told).collect::<Vec<_>>()})
    }

    fn with(mut status: Value, more: &Value) -> Value {
        json_patch::merge(&mut status, more);
        status
    }

    #[test]
    fn a_job_ends_in_one_way_that_was_announced_and_at_a_time() {
        let times =
            json!({"startTime": "2026-01-01T00:00:01Z", "completionTime": "2026-01-01T00:00:02Z"});
        let good = with(told(&["SuccessCriteriaMet", "Complete"]), &times);
        assert_eq!(said(&json!({}), &good, &json!({})), Vec::<String>::new());
        let early = with(
            good.clone(),
            &json!({"completionTime": "2026-01-01T00:00:00Z"}),
        );
        assert_eq!(
            said(&json!({}), &early, &json!({})),
            [
                "status.completionTime: Invalid value: \"2026-01-01T00:00:00Z\": must be equal to or after `startTime`"
            ]
        );
        assert_eq!(
            said(&json!({}), &told(&["Complete", "Failed"]), &json!({})),
            [
                "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
                "status.startTime: Required value: startTime is required for finished job",
            ]
        );
        assert_eq!(
            said(&json!({}), &json!({}), &good),
            [
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                "status.startTime: Invalid value: null: field is immutable for unsuspended job once set",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ]
        );
    }

    #[test]
    fn what_was_wrong_before_may_be_written_again() {
        let wrong = told(&["Complete"]);
        let more = with(wrong.clone(), &json!({"succeeded": 1}));
        assert_eq!(said(&json!({}), &more, &wrong), Vec::<String>::new());
    }

    #[test]
    fn counts_and_numbers_fit_each_other() {
        let spec =
            json!({"completions": 5, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
        let status = json!({
            "ready": 2, "active": 1, "completedIndexes": "0-2,7", "failedIndexes": "2-3",
            "uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]},
        });
        assert_eq!(
            said(&spec, &status, &json!({"failed": 1})),
            [
                "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
                "status.completedIndexes: Invalid value: \"0-2,7\": error parsing completedIndexes: too large index: \"7\"",
                "status.failedIndexes: Invalid value: \"2-3\": failedIndexes and completedIndexes overlap at index: 2",
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
                "status.failed: Invalid value: 0: cannot decrease the failed counter",
            ]
        );
        let status = json!({"completedIndexes": "0", "failedIndexes": ""});
        assert_eq!(
            said(&json!({"completions": 1}), &status, &json!({})),
            [
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
                "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            ]
        );
    }
}

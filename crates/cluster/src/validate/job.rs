//! What the API server refuses of a Job, also in a CronJob's template.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cron;
use super::indexes as numbers;
use super::job_policy::kept_success;
use super::job_update::update;
use super::pod::template;
use super::values::selector;
use super::words::{label, qualified, subdomain};
use super::workload::matches_template;
use crate::field::{Errors, Problem};
use crate::place::Place;
use headless_objects::selector::Selector;

/// Pods of an indexed Job at a time.
const MOST_AT_A_TIME: i64 = 100_000;

/// Rules of a policy.
const MOST_RULES: usize = 20;

/// Octets of the numbers that a rule for success lists.
const LONGEST_INDEXES: usize = 64 * 1024;

/// batch/v1 Job.
pub fn job(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let wanted = spec.of("selector");
    if wanted.is_given() && !spec.of("manualSelector").holds() && old.is_none() {
        made_selector(object, &wanted, errors);
    }
    job_spec(&spec, errors);
    if wanted.is_given() {
        selector(&wanted, errors);
    } else {
        errors.required(&wanted, "");
    }
    matches_template(&spec, Selector::of(wanted.value).as_ref(), errors);
    if let Some(old) = old {
        update(&spec, old, errors);
    }
    let name = Place::new(&object["metadata"]["name"], "metadata.name");
    let completions = spec.of("completions").number();
    let longest = format!("{}-{}", name.text(), completions - 1);
    let is_indexed = spec.of("completionMode").text() == "Indexed" && completions > 0;
    if is_indexed && !label(&longest).is_empty() {
        let what = format!("will not able to create pod with invalid DNS label: {longest}");
        errors.bad(&name, &what);
    }
}

/// A selector that was not asked for selects by the Job's uid, and by nothing else.
fn made_selector(object: &Value, wanted: &Place<'_>, errors: &mut Errors) {
    const UID: &str = "batch.kubernetes.io/controller-uid";
    const NAME: &str = "batch.kubernetes.io/job-name";
    let meta = &object["metadata"];
    let made = |key: &str| match key {
        UID | "controller-uid" => meta["uid"].as_str(),
        NAME | "job-name" => meta["name"].as_str(),
        _ => None,
    };
    if !Selector::of(wanted.value).is_some_and(|selector| selector.matches(made)) {
        errors.bad(wanted, "`selector` not auto-generated");
    }
}

/// batch/v1 CronJob.
pub fn cron_job(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    cron::times(&spec, errors);
    errors.at_least(&spec.of("startingDeadlineSeconds"), 0);
    if old.is_none_or(|old| old["spec"]["timeZone"] != *spec.of("timeZone").value) {
        cron::zone(&spec.of("timeZone"), errors);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    errors.one_of(&spec.of("concurrencyPolicy"), &policies);
    let job = spec.of("jobTemplate").of("spec");
    job_spec(&job, errors);
    let manual = job.of("manualSelector");
    if manual.holds() {
        errors.not_supported(&manual, manual.value, &["nil", "false"]);
    }
    if job.of("selector").is_given() {
        let what = "`selector` will be auto-generated";
        errors.bad(&job.of("selector"), what);
    }
    errors.not_negative(
        &spec,
        &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
    );
    let name = Place::new(&object["metadata"]["name"], "metadata.name");
    // Its Jobs' names have eleven characters more.
    if old.is_none() && name.text().len() > 52 {
        errors.bad(&name, "must be no more than 52 characters");
    }
}

fn job_spec(spec: &Place<'_>, errors: &mut Errors) {
    errors.not_negative(
        spec,
        &[
            "parallelism",
            "completions",
            "activeDeadlineSeconds",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ],
    );
    let (most, limit) = (spec.of("maxFailedIndexes"), spec.of("backoffLimitPerIndex"));
    if most.is_given() && !limit.is_given() {
        errors.required(&limit, "when maxFailedIndexes is specified");
    }
    managed_by(&spec.of("managedBy"), errors);
    let mode = spec.of("completionMode");
    errors.one_of(&mode, &["NonIndexed", "Indexed"]);
    match mode.text() {
        "Indexed" => indexed(spec, errors),
        "" | "NonIndexed" => {
            for field in [&limit, &most].into_iter().filter(|field| field.is_given()) {
                errors.bad(field, "requires indexed completion mode");
            }
        }
        _ => {}
    }
    let failures = spec.of("podFailurePolicy");
    failure_policy(spec, &failures.of("rules"), errors);
    success_policy(spec, errors);
    let replacement = spec.of("podReplacementPolicy");
    if failures.is_given() {
        errors.one_of(&replacement, &["Failed"]);
    } else {
        errors.one_of(&replacement, &["Failed", "TerminatingOrFailed"]);
    }
    template(&spec.of("template"), errors);
    let policy = spec.of("template").of("spec").of("restartPolicy");
    if ["", "Always"].contains(&policy.text()) {
        errors.required(policy, "valid values: \"OnFailure\", \"Never\"");
    } else if !["OnFailure", "Never"].contains(&policy.text()) {
        errors.must_be(&policy, &["OnFailure", "Never"]);
    } else if failures.is_given() && policy.text() != "Never" {
        let what = "only \"Never\" is supported when podFailurePolicy is specified";
        errors.bad(&policy, what);
    }
}

fn managed_by(by: &Place<'_>, errors: &mut Errors) {
    if !by.is_given() {
        return;
    }
    domain_path(by, errors);
    if by.text().len() > 63 {
        errors.add(by, Problem::TooLong(63));
    }
}

/// A path below a domain.
pub(super) fn domain_path(path: &Place<'_>, errors: &mut Errors) {
    if path.is_empty() {
        return errors.required(path, "");
    }
    match path.text().split_once('/') {
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            for what in subdomain(host) {
                errors.invalid(path, &host.into(), &what);
            }
            let good = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
            if !rest.chars().all(good) {
                let what = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                errors.invalid(path, &rest.into(), what);
            }
        }
        _ => errors.bad(
            path,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
    }
}

fn indexed(spec: &Place<'_>, errors: &mut Errors) {
    let (all, most) = (spec.of("completions"), spec.of("maxFailedIndexes"));
    if !all.is_given() {
        errors.required(&all, "when completion mode is Indexed");
    }
    let at_a_time = spec.of("parallelism");
    if at_a_time.number() > MOST_AT_A_TIME {
        let what = format!(
            "must be less than or equal to {MOST_AT_A_TIME} when completion mode is Indexed"
        );
        errors.bad(&at_a_time, &what);
    }
    if all.is_given() && most.number() > all.number() {
        errors.bad(&most, "must be less than or equal to completions");
    }
    if most.number() > MOST_AT_A_TIME {
        errors.bad(
            &most,
            &format!("must be less than or equal to {MOST_AT_A_TIME}"),
        );
    }
}

fn failure_policy(spec: &Place<'_>, rules: &Place<'_>, errors: &mut Errors) {
    if rules.count() > MOST_RULES {
        errors.add(rules, Problem::TooMany(rules.count(), MOST_RULES));
    }
    let pod = spec.of("template").of("spec");
    let containers = ["containers", "initContainers"].map(|list| pod.of(list));
    let names: BTreeSet<_> = containers
        .iter()
        .flat_map(|list| list.items().map(|c| c.of("name").text()))
        .collect();
    for rule in rules.items() {
        let action = rule.of("action");
        if action.text() == "FailIndex" {
            if !spec.of("backoffLimitPerIndex").is_given() {
                errors.bad(&action, "requires the backoffLimitPerIndex to be set");
            }
        } else if action.is_empty() {
            let what = "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]";
            errors.required(action, what);
        } else {
            errors.must_be(&action, &["Count", "FailIndex", "FailJob", "Ignore"]);
        }
        let (codes, conditions) = (rule.of("onExitCodes"), rule.of("onPodConditions"));
        if codes.is_given() {
            exit_codes(&codes, &names, errors);
        }
        for condition in conditions.items() {
            let kind = condition.of("type");
            errors.each(&kind, qualified(kind.text()));
            let status = condition.of("status");
            if status.is_empty() {
                let what = "valid values: [\"False\" \"True\" \"Unknown\"]";
                errors.required(status, what);
            } else {
                errors.must_be(&status, &["False", "True", "Unknown"]);
            }
        }
        let what = match (codes.is_given(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            (true, false) | (false, true) => continue,
        };
        errors.add(&rule, Problem::Invalid(None, what.into()));
    }
}

fn exit_codes(codes: &Place<'_>, names: &BTreeSet<&str>, errors: &mut Errors) {
    let (operator, values) = (codes.of("operator"), codes.of("values"));
    if operator.is_empty() {
        errors.required(&operator, "valid values: [\"In\" \"NotIn\"]");
    } else {
        errors.must_be(&operator, &["In", "NotIn"]);
    }
    let container = codes.of("containerName");
    if container.is_given() && !names.contains(container.text()) {
        let what = "must be one of the container or initContainer names in the pod template";
        errors.bad(&container, what);
    }
    if values.is_empty() {
        errors.invalid(&values, values.value, "at least one value is required");
    }
    let mut seen = BTreeSet::new();
    for value in values.items() {
        if operator.text() == "In" && value.number() == 0 {
            errors.bad(&value, "must not be 0 for the In operator");
        }
        if !seen.insert(value.number()) {
            errors.duplicate(&value);
        }
    }
    let all: Vec<_> = values.items().map(|value| value.number()).collect();
    if !all.is_sorted() {
        errors.bad(&values, "must be ordered");
    }
}

fn success_policy(spec: &Place<'_>, errors: &mut Errors) {
    let (policy, all) = (spec.of("successPolicy"), spec.of("completions").number());
    let rules = policy.of("rules");
    if !policy.is_given() {
        return;
    }
    if spec.of("completionMode").text() != "Indexed" {
        let kept = kept_success(policy.value);
        return errors.invalid(policy, &kept, "requires indexed completion mode");
    }
    if rules.count() > MOST_RULES {
        errors.add(&rules, Problem::TooMany(rules.count(), MOST_RULES));
    }
    if rules.is_empty() {
        let what = "at least one rules must be specified when the successPolicy is specified";
        errors.required(&rules, what);
    }
    for rule in rules.items() {
        let (count, indexes) = (rule.of("succeededCount"), rule.of("succeededIndexes"));
        if !count.is_given() && !indexes.is_given() {
            let what = "at least one of succeededCount or succeededIndexes must be specified";
            errors.required(&rule, what);
        }
        if indexes.text().len() > LONGEST_INDEXES {
            errors.add(&indexes, Problem::TooLong(LONGEST_INDEXES));
        }
        let listed = numbers::total(indexes.text(), all);
        if let Err(what) = &listed {
            let what = format!("error parsing succeededIndexes: {what}");
            errors.bad(&indexes, &what);
        }
        errors.at_least(&count, 0);
        let listed = (
            listed.unwrap_or_default(),
            "indexes in the specified succeededIndexes field",
        );
        let most = [
            Some((all, "specified completions")),
            indexes.is_given().then_some(listed),
        ];
        for (most, what) in most.into_iter().flatten() {
            if count.number() > most {
                let what = format!("must be less than or equal to {most} (the number of {what})");
                errors.bad(&count, &what);
            }
        }
    }
}

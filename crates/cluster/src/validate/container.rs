//! What the API server refuses of a container.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::environment::{environment, environment_from};
use super::handler::{lifecycle, probes};
use super::mounts::{devices, mounts};
use super::resources::of_one;
use super::security;
use super::values::{PROTOCOLS, port_number};
use super::words::{label, port_name};
use crate::field::{Errors, Problem};
use crate::place::Place;

/// What of its Pod a container is checked against.
pub(super) struct Around<'a> {
    /// Names of containers that may not occur again.
    pub(super) names: BTreeSet<&'a str>,
    /// The volumes that are right.
    pub(super) volumes: BTreeMap<&'a str, &'a Value>,
    /// The Pod's claims to resources.
    pub(super) claims: BTreeSet<&'a str>,
    /// The Pod's spec.
    pub(super) spec: Place<'a>,
}

const NO_SIDECAR: &str = "may not be set for init containers without restartPolicy=Always";

impl Around<'_> {
    /// How long the Pod may take to end, in seconds.
    fn grace(&self) -> i64 {
        self.spec.of("terminationGracePeriodSeconds").number()
    }
}

/// A container that runs as long as its Pod.
pub(super) fn main<'a>(container: &Place<'a>, around: &mut Around<'a>, errors: &mut Errors) {
    common(container, around, errors);
    let name = container.of("name");
    if !around.names.insert(name.text()) {
        errors.duplicate(&name);
    }
    lifecycle(&container.of("lifecycle"), around.grace(), errors);
    probes(container, around.grace(), errors);
    restarts(container, errors);
}

/// A container that runs before the others, or beside them from before.
pub(super) fn init<'a>(container: &Place<'a>, around: &mut Around<'a>, errors: &mut Errors) {
    common(container, around, errors);
    restarts(container, errors);
    let name = container.of("name");
    if !name.is_empty() && !around.names.insert(name.text()) {
        errors.duplicate(&name);
    }
    host_ports([container.clone()].into_iter(), errors);
    let stays = container.of("restartPolicy").text() == "Always";
    if stays {
        lifecycle(&container.of("lifecycle"), around.grace(), errors);
        probes(container, around.grace(), errors);
        return;
    }
    for field in [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ] {
        if container.of(field).is_given() {
            errors.forbidden(container.of(field), NO_SIDECAR);
        }
    }
    for policy in container.of("resizePolicy").items() {
        let policy = policy.of("restartPolicy");
        if policy.text() == "RestartContainer" {
            let what = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            errors.bad(&policy, what);
        }
    }
}

/// A container that is added to a Pod that is there, to look around in it.
pub(super) fn ephemeral<'a>(container: &Place<'a>, around: &mut Around<'a>, errors: &mut Errors) {
    const WHAT: &str = "cannot be set for an Ephemeral Container";
    common(container, around, errors);
    let (name, target) = (container.of("name"), container.of("targetContainerName"));
    if !around.names.insert(name.text()) {
        errors.duplicate(&name);
    }
    let lists = ["containers", "initContainers"].map(|list| around.spec.of(list));
    let mut all = lists.iter().flat_map(Place::items);
    if !target.is_empty() && all.all(|other| other.of("name").text() != target.text()) {
        errors.not_found(&target, "");
    }
    for field in NOT_EPHEMERAL {
        let given = container.of(field);
        // What is said of these, were it nothing, is said.
        let counts = ["lifecycle", "restartPolicy"].contains(&field) || field.ends_with("Probe");
        if !given.is_empty() || (counts && given.is_given()) {
            errors.forbidden(container.of(field), WHAT);
        }
    }
    for mount in container.of("volumeMounts").items() {
        for field in ["subPath", "subPathExpr"] {
            if !mount.of(field).is_empty() {
                errors.forbidden(mount.of(field), WHAT);
            }
        }
    }
}

/// What an ephemeral container does not have, in the order in which Kubernetes lists it.
const NOT_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

fn common(container: &Place<'_>, around: &Around<'_>, errors: &mut Errors) {
    errors.named(&container.of("name"), label);
    if container.of("image").is_empty() {
        errors.required(container.of("image"), "");
    }
    let policy = container.of("terminationMessagePolicy");
    errors.one_of(&policy, &["File", "FallbackToLogsOnError"]);
    ports(&container.of("ports"), errors);
    environment(&container.of("env"), errors);
    environment_from(&container.of("envFrom"), errors);
    mounts(container, &around.volumes, errors);
    devices(container, &around.volumes, errors);
    let policies = ["Always", "IfNotPresent", "Never"];
    errors.one_of(&container.of("imagePullPolicy"), &policies);
    of_one(&container.of("resources"), &around.claims, errors);
    resizes(&container.of("resizePolicy"), &around.spec, errors);
    let own = around.spec.of("hostUsers").value == &Value::Bool(false);
    security::of_container(&container.of("securityContext"), own, errors);
}

fn ports(ports: &Place<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.of("name");
        let wrong = port_name(name.text());
        if !name.is_empty() && wrong.is_empty() && !names.insert(name.text()) {
            errors.duplicate(&name);
        }
        errors.maybe(&name, port_name);
        let number = port.of("containerPort");
        if number.number() == 0 {
            errors.required(number, "");
        } else {
            port_number(&number, errors);
        }
        if port.of("hostPort").number() != 0 {
            port_number(&port.of("hostPort"), errors);
        }
        errors.one_of(&port.of("protocol"), PROTOCOLS);
    }
}

/// No port of the host is taken twice.
pub(super) fn host_ports<'a>(containers: impl Iterator<Item = Place<'a>>, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for container in containers {
        for port in container.of("ports").items() {
            let number = port.of("hostPort");
            let (protocol, ip) = (port.of("protocol").text(), port.of("hostIP").text());
            let shown = format!("{protocol}/{ip}/{}", number.number());
            if number.number() != 0 && !taken.insert(shown.clone()) {
                errors.add(number, Problem::Duplicate(shown.into(), ""));
            }
        }
    }
}

fn resizes(policies: &Place<'_>, spec: &Place<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (policy, at) in policies.items().zip(std::iter::repeat(policies)) {
        let resource = policy.of("resourceName");
        if !names.insert(resource.text()) {
            errors.add(&policy, Problem::Duplicate(resource.text().into(), ""));
        }
        let restart = policy.of("restartPolicy").called(at.path.clone());
        for (given, allowed) in [
            (&resource.called(at.path.clone()), &["cpu", "memory"]),
            (&restart, &["NotRequired", "RestartContainer"]),
        ] {
            if given.is_empty() {
                errors.required(given, "");
            } else {
                errors.must_be(given, allowed);
            }
        }
        if spec.of("restartPolicy").text() == "Never" && restart.text() != "NotRequired" {
            let what = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.bad(&restart, what);
        }
    }
}

/// When a container is started again, where it says so itself (KEP-5307).
fn restarts(container: &Place<'_>, errors: &mut Errors) {
    let (policy, rules) = (
        container.of("restartPolicy"),
        container.of("restartPolicyRules"),
    );
    if !policy.is_given() && !rules.is_empty() {
        let what = "must specify restartPolicy when restart rules are used";
        errors.required(&policy, what);
        if container.path.contains("initContainers") {
            return;
        }
    }
    errors.one_of(&policy, &["Always", "Never", "OnFailure"]);
    if rules.count() > 20 {
        errors.add(&rules, Problem::TooMany(rules.count(), 20));
    }
    for rule in rules.items() {
        errors.must_be(&rule.of("action"), &["Restart", "RestartAllContainers"]);
        let codes = rule.of("exitCodes");
        if codes.is_given() {
            errors.must_be(&codes.of("operator"), &["In", "NotIn"]);
        } else {
            errors.required(codes, "must be specified");
        }
    }
}

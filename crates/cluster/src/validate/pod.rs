//! What the API server refuses of a Pod's spec, also in a template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::affinity::{affinity, spread, tolerations};
use super::container::{Around, ephemeral, host_ports, init, main};
use super::environment::file_volumes;
use super::source::{OF_PODS, one_source};
use super::values::{address, annotations, labels};
use super::words::{label, qualified, search, subdomain};
use super::{resources, security, system};
use crate::field::{Errors, Problem};
use crate::place::Place;

const RESTARTS: &[&str] = &["Always", "OnFailure", "Never"];
const RESOLVERS: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// A template of Pods.
pub(super) fn template(template: &Place<'_>, errors: &mut Errors) {
    let meta = template.of("metadata");
    let at = |field: &str| meta.of(field).called(template.of(field).path);
    labels(&at("labels"), errors);
    annotations(&at("annotations"), errors);
    security::annotations(&at("annotations"), errors);
    pod_spec(&template.of("spec"), false, errors);
    let debugging = template.of("spec").of("ephemeralContainers");
    if !debugging.is_empty() {
        let what = "ephemeral containers not allowed in pod template";
        errors.forbidden(debugging, what);
    }
}

/// A Pod's spec; `whole`: of a Pod, and not of a template.
pub(super) fn pod_spec(spec: &Place<'_>, whole: bool, errors: &mut Errors) {
    let mut around = Around {
        names: BTreeSet::new(),
        volumes: volumes(&spec.of("volumes"), errors),
        claims: claims(&spec.of("resourceClaims"), errors),
        spec: spec.clone(),
    };
    let containers = spec.of("containers");
    if containers.is_empty() {
        errors.required(&containers, "");
    }
    for container in containers.items() {
        main(&container, &mut around, errors);
    }
    host_ports(containers.items(), errors);
    for container in spec.of("initContainers").items() {
        init(&container, &mut around, errors);
    }
    for container in spec.of("ephemeralContainers").items() {
        ephemeral(&container, &mut around, errors);
    }
    resources::of_pod(spec, errors);
    same_ports(spec, whole, errors);
    errors.one_of(&spec.of("restartPolicy"), RESTARTS);
    errors.one_of(&spec.of("dnsPolicy"), RESOLVERS);
    labels(&spec.of("nodeSelector"), errors);
    security::of_pod(spec, errors);
    let shares = spec.of("shareProcessNamespace");
    if shares.holds() && spec.of("hostPID").holds() {
        errors.bad(
            &shares,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    affinity(&spec.of("affinity"), errors);
    resolver(spec, errors);
    for gate in spec.of("readinessGates").items() {
        let condition = gate.of("conditionType");
        errors.each(&condition, qualified(condition.text()));
    }
    gates(&spec.of("schedulingGates"), errors);
    spread(&spec.of("topologySpreadConstraints"), errors);
    system::host_users(spec, errors);
    names(spec, errors);
    tolerations(&spec.of("tolerations"), errors);
    for alias in spec.of("hostAliases").items() {
        address(&alias.of("ip"), errors);
        for name in alias.of("hostnames").items() {
            errors.each(&name, subdomain(name.text()));
        }
    }
    classes(spec, errors);
    resources::limits(&spec.of("overhead"), &spec.of("overhead").path, errors);
    system::operating_system(spec, errors);
    for list in ["initContainers", "containers"] {
        file_volumes(spec, list, errors);
    }
}

/// Classes of Pods that one names.
fn classes(spec: &Place<'_>, errors: &mut Errors) {
    errors.maybe(&spec.of("priorityClassName"), subdomain);
    let class = spec.of("runtimeClassName");
    if class.is_given() {
        errors.each(&class, subdomain(class.text()));
    }
    let policies = ["PreemptLowerPriority", "Never"];
    errors.one_of(&spec.of("preemptionPolicy"), &policies);
}

/// The volumes that are right, by their names.
fn volumes<'a>(volumes: &Place<'a>, errors: &mut Errors) -> BTreeMap<&'a str, &'a Value> {
    let mut known = BTreeMap::new();
    for volume in volumes.items() {
        let (mut own, name) = (Errors::default(), volume.of("name"));
        one_source(&volume, OF_PODS, &mut own);
        own.named(&name, label);
        if known.contains_key(name.text()) {
            own.duplicate(&name);
        }
        if own.0.is_empty() {
            known.insert(name.text(), volume.value);
        }
        errors.0.extend(own.0);
    }
    known
}

/// The names of a Pod's claims to resources (KEP-3063).
fn claims<'a>(claims: &Place<'a>, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.of("name");
        if !name.is_empty() && !names.insert(name.text()) {
            errors.duplicate(&name);
        } else {
            errors.named(&name, label);
        }
        let [by_name, by_template] =
            ["resourceClaimName", "resourceClaimTemplateName"].map(|field| claim.of(field));
        let shown = json!({
            "Name": name.text(), "ResourceClaimName": by_name.value, "ResourceClaimTemplateName": by_template.value,
        });
        let what = match (by_name.is_given(), by_template.is_given()) {
            (true, true) => {
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            }
            (false, false) => {
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            }
            (true, false) | (false, true) => "",
        };
        if !what.is_empty() {
            errors.invalid(&claim, &shown, what);
        }
        for given in [by_name, by_template].into_iter().filter(Place::is_given) {
            errors.each(&given, subdomain(given.text()));
        }
    }
    names
}

/// In the host's network a container's ports are the host's.
fn same_ports(spec: &Place<'_>, whole: bool, errors: &mut Errors) {
    if !spec.of("hostNetwork").holds() {
        return;
    }
    for container in spec.of("containers").items() {
        for port in container.of("ports").items() {
            let (host, own) = (port.of("hostPort"), port.of("containerPort"));
            if host.number() != own.number() && (whole || host.number() != 0) {
                let what = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(&host, &host.number().into(), what);
            }
        }
    }
}

/// `dnsConfig`.
fn resolver(spec: &Place<'_>, errors: &mut Errors) {
    let config = spec.of("dnsConfig");
    let (servers, searches) = (config.of("nameservers"), config.of("searches"));
    if spec.of("dnsPolicy").text() == "None" {
        if !config.is_given() {
            let what = "must provide `dnsConfig` when `dnsPolicy` is None";
            return errors.required(config, what);
        }
        if servers.is_empty() {
            let what = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(servers, what);
        }
    }
    if servers.count() > 3 {
        errors.bad(&servers, "must not have more than 3 nameservers");
    }
    for server in servers.items() {
        address(&server, errors);
    }
    if searches.count() > 32 {
        errors.bad(&searches, "must not have more than 32 search paths");
    }
    let length: usize = searches.items().map(|path| path.text().len() + 1).sum();
    if length > 2049 {
        let what = "must not have more than 2048 characters (including spaces) in the search list";
        errors.bad(&searches, what);
    }
    for path in searches.items().filter(|path| path.text() != ".") {
        let name = path.text().strip_suffix('.').unwrap_or_else(|| path.text());
        for what in search(name) {
            errors.invalid(&path, &name.into(), &what);
        }
    }
    for option in config.of("options").items() {
        if option.of("name").is_empty() {
            errors.required(option, "must not be empty");
        }
    }
}

fn gates(gates: &Place<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.of("name");
        errors.each(&name.called(gate.path.clone()), qualified(name.text()));
        if !seen.insert(name.text()) {
            errors.add(gate, Problem::Duplicate(name.text().into(), ""));
        }
    }
}

/// Names that a Pod has, and names of what it refers to.
fn names(spec: &Place<'_>, errors: &mut Errors) {
    let given = spec.of("hostnameOverride");
    if given.is_given() {
        let what = "may not be specified when";
        for field in ["setHostnameAsFQDN", "hostNetwork"] {
            if spec.of(field).holds() {
                errors.forbidden(&given, format!("{what} {field} is true"));
            }
        }
        if given.text().len() > 64 {
            errors.add(&given, Problem::TooLong(64));
        }
        errors.each(&given, subdomain(given.text()));
    }
    errors.maybe(&spec.of("serviceAccountName"), subdomain);
    errors.maybe(&spec.of("nodeName"), subdomain);
    let deadline = spec.of("activeDeadlineSeconds");
    errors.between(&deadline, 1, i32::MAX.into());
    errors.maybe(&spec.of("hostname"), label);
    errors.maybe(&spec.of("subdomain"), label);
}

//! What the API server refuses of a Pod's status.

use std::collections::BTreeSet;
use std::net::IpAddr;

use headless_objects::object::array;
use serde_json::{Value, json};

use super::values::address;
use super::words::{qualified, subdomain};
use crate::field::Errors;
use crate::place::Place;
use crate::policy::is_restarted;

/// Conditions that are called as they are.
const OWN: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

/// The greatest ids of a user and of a group.
const IDS: (i64, i64) = (0xffff_ffff, 0x7fff_ffff);

const NOT_NEGATIVE: &str = "must be a non-negative integer";

/// v1 Pod.
pub fn pod_status(object: &Value, old: &Value, errors: &mut Errors) {
    let status = Place::new(&object["status"], "status");
    for condition in status.of("conditions").items() {
        generation(&condition, errors);
        let kind = condition.of("type");
        if !OWN.contains(&kind.text()) {
            let called = kind.called(format!("{}.Type", condition.path));
            errors.each(&called, qualified(called.text()));
        }
    }
    nominated(&status.of("nominatedNodeName"), old, errors);
    generation(&status, errors);
    let quality = status.of("qosClass");
    if quality.is_given() && *quality.value != old["status"]["qosClass"] {
        errors.bad(&quality, "field is immutable");
    }
    for (statuses, specs) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
        ("ephemeralContainerStatuses", ""),
    ] {
        ended(&status.of(statuses), specs, old, errors);
    }
    claims(&status, &object["spec"], errors);
    addresses(&status.of("podIPs"), &old["status"]["podIPs"], errors);
    let hosts = status.of("hostIPs");
    if let Some(first) = hosts.items().next() {
        let first = first.of("ip");
        if first.text() != status.of("hostIP").text() {
            errors.bad(&first, "must be equal to `hostIP`");
        }
        addresses(&hosts, &old["status"]["hostIPs"], errors);
    }
    for list in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        for container in status.of(list).items() {
            user(&container.of("user").of("linux"), &object["spec"], errors);
        }
    }
}

fn generation(parent: &Place<'_>, errors: &mut Errors) {
    let generation = parent.of("observedGeneration");
    if generation.number() < 0 {
        errors.bad(&generation, NOT_NEGATIVE);
    }
}

fn nominated(node: &Place<'_>, old: &Value, errors: &mut Errors) {
    if node.is_empty() || *node.value == old["status"]["nominatedNodeName"] {
        return;
    }
    errors.each(node, subdomain(node.text()));
    if old["spec"]["nodeName"].is_string() {
        let what = "may not be set on pods that are already bound to a node";
        errors.forbidden(node, what);
    }
}

/// A container that has ended for good stays so.
fn ended(statuses: &Place<'_>, specs: &str, old: &Value, errors: &mut Errors) {
    let spec = &old["spec"];
    let field = statuses.path.rsplit('.').next().unwrap_or_default();
    let all = ["initContainers", "containers"].into_iter();
    let mut rules = all
        .flat_map(|list| array(&spec[list]))
        .flat_map(|container| array(&container["restartPolicyRules"]));
    if !specs.is_empty() && rules.any(|rule| rule["action"] == "RestartAllContainers") {
        return;
    }
    for (at, before) in array(&old["status"][field]).enumerate() {
        let code = before["state"]["terminated"]["exitCode"].as_i64();
        let mut now = statuses.items();
        let now = now.find(|now| now.of("name").value == &before["name"]);
        let (Some(code), Some(now)) = (code, now) else {
            continue;
        };
        let container = array(&spec[specs]).find(|container| container["name"] == before["name"]);
        let restarts = container.is_some_and(|container| is_restarted(spec, container, code));
        if !restarts && !now.of("state").of("terminated").is_given() {
            let what = "may not be transitioned to non-terminated state";
            errors.forbidden(format!("{}[{at}].state", statuses.path), what);
        }
    }
}

fn claims(status: &Place<'_>, spec: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for claim in status.of("resourceClaimStatuses").items() {
        let name = claim.of("name");
        if !array(&spec["resourceClaims"]).any(|asked| asked["name"] == *name.value) {
            let what = "must match the name of an entry in `spec.resourceClaims`";
            errors.bad(&name, what);
        }
        if !seen.insert(name.text()) {
            errors.duplicate(&name);
        }
        let made = claim.of("resourceClaimName");
        if made.is_given() {
            errors.each(&made, subdomain(made.text()));
        }
    }
}

/// Addresses that are new can be read; there is one of a family at most.
fn addresses(all: &Place<'_>, old: &Value, errors: &mut Errors) {
    let mut read: Vec<IpAddr> = Vec::new();
    for item in all.items() {
        let ip = item.of("ip").called(item.path.clone());
        if array(old).any(|old| old["ip"] == *ip.value) {
            read.extend(ip.text().parse::<IpAddr>());
        } else {
            read.extend(address(&ip, errors));
        }
    }
    let is_pair = read.len() == 2 && read[0].is_ipv4() != read[1].is_ipv4();
    if read.len() == all.count() && read.len() > 1 && !is_pair {
        let shown = all.items().map(|item| json!({"IP": item.of("ip").text()}));
        let what = "may specify no more than one IP for each IP family";
        errors.invalid(all, &shown.collect(), what);
    }
}

/// Whom a container runs as.
fn user(user: &Place<'_>, spec: &Value, errors: &mut Errors) {
    if !user.is_given() {
        return;
    }
    if spec["os"]["name"] == "windows" {
        return errors.forbidden(user, "cannot be set for a windows pod");
    }
    let mut id = |id: &Place<'_>, most: i64| {
        if !(0..=most).contains(&id.number()) {
            errors.bad(id, &format!("must be between 0 and {most}, inclusive"));
        }
    };
    id(&user.of("uid"), IDS.0);
    id(&user.of("gid"), IDS.1);
    for group in user.of("supplementalGroups").items() {
        id(&group, IDS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a status of a bound Pod.
    fn said(new: &Value, old: &Value) -> Vec<String> {
        let spec = json!({
            "restartPolicy": "OnFailure", "nodeName": "n", "containers": [{"name": "a"}],
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        });
        let object = |status: &Value| json!({"spec": spec, "status": status});
        let mut errors = Errors::default();
        pod_status(&object(new), &object(old), &mut errors);
        errors.0.iter().map(ToString::to_string).collect()
    }

    // Each was said by kube-apiserver 1.37.2.

    #[test]
    fn what_a_status_tells_can_be_told() {
        let ip = |ip: &str| json!({"ip": ip});
        let id = |id: i64| json!({"linux": {"uid": id, "gid": id, "supplementalGroups": [id]}});
        let cases = [
            (
                json!({"conditions": [{"type": "Ready", "observedGeneration": -1}], "observedGeneration": -1}),
                vec![
                    "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer",
                    "status.observedGeneration: Invalid value: -1: must be a non-negative integer",
                ],
            ),
            (
                json!({"nominatedNodeName": "m", "qosClass": "Guaranteed"}),
                vec![
                    "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node",
                    "status.qosClass: Invalid value: \"Guaranteed\": field is immutable",
                ],
            ),
            (
                json!({"podIP": "x", "podIPs": [ip("x")]}),
                vec![
                    "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                ],
            ),
            (
                json!({"podIP": "10.0.0.1", "podIPs": [ip("10.0.0.1"), ip("10.0.0.2")]}),
                vec![
                    "status.podIPs: Invalid value: [{\"IP\":\"10.0.0.1\"},{\"IP\":\"10.0.0.2\"}]: may specify no more than one IP for each IP family",
                ],
            ),
            (
                json!({"hostIP": "10.0.0.1", "hostIPs": [ip("10.0.0.2")]}),
                vec![
                    "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`",
                ],
            ),
            (
                json!({"containerStatuses": [{"name": "a", "user": id(-1)}]}),
                vec![
                    "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 4294967295, inclusive",
                    "status.containerStatuses[0].user.linux.gid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                    "status.containerStatuses[0].user.linux.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                ],
            ),
            (
                json!({"resourceClaimStatuses": [{"name": "z"}]}),
                vec![
                    "status.resourceClaimStatuses[0].name: Invalid value: \"z\": must match the name of an entry in `spec.resourceClaims`",
                ],
            ),
        ];
        let old = json!({"qosClass": "BestEffort"});
        for (status, wanted) in cases {
            assert_eq!(said(&status, &old), wanted, "{status}");
        }
        let good = json!({"podIPs": [ip("10.0.0.1"), ip("fd00::1")], "qosClass": "BestEffort"});
        assert_eq!(said(&good, &old), Vec::<String>::new());
    }

    #[test]
    fn a_container_that_has_ended_for_good_stays_so() {
        let all = |state: &Value| {
            let one = |name: &str| json!({"name": name, "state": state});
            json!({"containerStatuses": [one("a")], "initContainerStatuses": [one("i"), one("s")]})
        };
        let (runs, ended) = (
            json!({"running": {}}),
            |code: i64| json!({"terminated": {"exitCode": code}}),
        );
        assert_eq!(
            said(&all(&runs), &all(&ended(0))),
            [
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
                "status.initContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
            ]
        );
        assert_eq!(said(&all(&runs), &all(&ended(1))), Vec::<String>::new());
    }
}

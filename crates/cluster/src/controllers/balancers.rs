//! Load balancers: every Service of type LoadBalancer that asks for no other's gets an address, as a cloud gives it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::events::event;
use super::{Action, Step, touched};
use crate::kinds;
use crate::objects::Objects;
use crate::state::Part;
use headless_objects::object::is_ending;

/// The addresses: those that are for measurements (RFC 2544), so nobody is there, in this cluster or elsewhere.
const RANGE: u32 = u32::from_be_bytes([198, 18, 0, 0]);

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut given = BTreeSet::new();
    for key in touched(step, "Service") {
        let Some(service) = step.objects.get(&key).filter(|s| !is_ending(s)) else {
            continue;
        };
        let spec = &service["spec"];
        let serves = spec["type"] == "LoadBalancer" && spec["loadBalancerClass"].is_null();
        let has = !service["status"]["loadBalancer"]["ingress"].is_null();
        if serves == has {
            continue;
        }
        let mut changed = Value::clone(service);
        let status = &mut changed["status"]["loadBalancer"];
        *status = json!({});
        if serves {
            let asked = spec["loadBalancerIP"]
                .as_str()
                .and_then(|ip| ip.parse().ok());
            let address = asked.unwrap_or_else(|| free(step.objects, &given));
            given.insert(address);
            status["ingress"] = json!([{"ip": address, "ipMode": "VIP"}]);
            let said = ("EnsuredLoadBalancer", "Ensured load balancer".to_owned());
            actions.push(event(step.now, service, "service-controller", said));
        }
        actions.push(Action::Update(key, Part::Status, changed));
    }
    actions
}

/// The lowest address that no Service has.
fn free(objects: &Objects, given: &BTreeSet<Ipv4Addr>) -> Ipv4Addr {
    let services = objects.list(kinds::SERVICE, None);
    let taken: BTreeSet<_> = services
        .filter_map(|(_, s)| s["status"]["loadBalancer"]["ingress"][0]["ip"].as_str())
        .collect();
    let mut all = (1..).map(|number| Ipv4Addr::from(RANGE + number));
    let free = all.find(|ip| !given.contains(ip) && !taken.contains(ip.to_string().as_str()));
    free.unwrap_or(Ipv4Addr::UNSPECIFIED)
}

//! Addresses: Pods' names that spell one, and names of addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use headless_objects::object::SERVICE_NAME;
use serde_json::Value;

use super::headless::{at_in, slice_says_so};
use super::objects::{array, name, ns, one, text, within};
use super::service::{is_headless, other_type};
use super::{Cause, Found, Walk};
use crate::message::question::RecordType;
use crate::name::undashed;

/// Whether a Pod has this address.
#[must_use]
pub fn has(pod: &Value, ip: IpAddr) -> bool {
    let others = array(&pod["status"]["podIPs"]).map(|other| &other["ip"]);
    let mut ips = others.chain([&pod["status"]["podIP"]]);
    ips.any(|other| text(other).parse() == Ok(ip))
}

impl Walk<'_> {
    /// `<a-b-c-d>.<ns>.pod`.
    pub(super) fn pod_address(&mut self, space: &str, label: &str) -> Found {
        let Some(ip) = undashed(label.as_bytes()) else {
            return Err(Cause::new(
                "pod-name-is-no-address",
                format!("below `pod` stand addresses with dashes, and {label} is none"),
                format!(
                    "ask for 10-244-0-2.{space}.pod and the like; a Pod's own name stands below its Service"
                ),
            ));
        };
        let pods = &self.objects.pods;
        if let Some(pod) = within(pods, space).find(|pod| has(pod, ip)) {
            self.see("Pod", pod, format!("has {ip}"));
            if self.qtype == RecordType::SRV {
                return Ok(vec!["SRV port 0".to_owned()]);
            }
            return self.of_family(vec![ip], || other_type(self.qtype));
        }
        if let Some(pod) = pods.iter().find(|pod| has(pod, ip)) {
            let domain = self.domain.to_string();
            let meant = format!("{label}.{}.pod.{}", ns(pod), domain.trim_end_matches('.'));
            self.see("Pod", pod, format!("has {ip}"));
            let says = format!("the Pod that has {ip} is in {}, not in {space}", ns(pod));
            return Err(Cause::new(
                "pod-of-another-namespace",
                says,
                format!("ask for {meant}"),
            ));
        }
        Err(Cause::new(
            "no-pod-has-it",
            format!(
                "no Pod of {space} has {ip}; with `pods insecure` in the Corefile the name is answered all the same"
            ),
            "ask for the Service instead: addresses of Pods change",
        ))
    }

    /// The names of an address.
    pub(super) fn reverse(&mut self, ip: IpAddr) -> Found {
        let mut found = Vec::new();
        for service in &self.objects.services {
            let own = format!("{}.{}", name(service), ns(service));
            let ips = array(&service["spec"]["clusterIPs"]).chain([&service["spec"]["clusterIP"]]);
            if !is_headless(service) && ips.into_iter().any(|other| text(other).parse() == Ok(ip)) {
                self.see("Service", service, format!("has {ip}"));
                found.push(format!("PTR {}", self.full(&own)));
            }
        }
        let slices = self.objects.slices.iter();
        for at in slices.flat_map(at_in).filter(|at| at.ready && at.ip == ip) {
            let svc = text(&at.slice["metadata"]["labels"][SERVICE_NAME]);
            let Some(service) = one(&self.objects.services, ns(at.slice), svc) else {
                continue;
            };
            self.see(
                "EndpointSlice",
                at.slice,
                format!("has {ip} as {}", at.host),
            );
            let own = format!("{}.{}.{}", at.host, name(service), ns(service));
            found.push(format!("PTR {}", self.full(&own)));
        }
        // Slices may have an endpoint twice.
        let mut seen = BTreeSet::new();
        found.retain(|own| seen.insert(own.clone()));
        match (found.is_empty(), self.qtype) {
            (false, RecordType::PTR) => Ok(found),
            (false, other) => Err(other_type(other)),
            (true, _) => Err(self.nameless(ip)),
        }
    }

    /// Why an address has no name.
    fn nameless(&mut self, ip: IpAddr) -> Cause {
        let slices = self.objects.slices.iter();
        if let Some(at) = slices.flat_map(at_in).find(|at| at.ip == ip) {
            self.see(
                "EndpointSlice",
                at.slice,
                format!("has {ip} as {}, not ready", at.host),
            );
            let svc = text(&at.slice["metadata"]["labels"][SERVICE_NAME]);
            let service = one(&self.objects.services, ns(at.slice), svc);
            let pod = one(&self.objects.pods, ns(at.slice), at.pod);
            let cause = match (service, pod) {
                (Some(service), Some(pod)) => self.unready_at(&at, pod, service),
                _ => slice_says_so(at.slice),
            };
            return cause.unasked();
        }
        if let Some(pod) = self.objects.pods.iter().find(|pod| has(pod, ip)) {
            self.see("Pod", pod, format!("has {ip}"));
            return Cause::new(
                "pod-of-no-service",
                format!(
                    "{ip} is that of Pod {}/{}, and no Service has it as a ready endpoint: only those have names",
                    ns(pod),
                    name(pod)
                ),
                "make a Service that selects it, or give the one that does both families (ipFamilyPolicy: PreferDualStack)",
            )
            .unasked();
        }
        Cause::new(
            "no-such-address",
            format!("no Service, endpoint or Pod has {ip}"),
            "it may be a node's, an address outside the cluster, or one that a Pod had before",
        )
        // Where the Corefile says `fallthrough`, as kubeadm's does, upstreams are asked.
        .unasked()
    }
}

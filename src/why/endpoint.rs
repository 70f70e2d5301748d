//! Names of endpoints below a Service.

use headless_objects::object::SERVICE_NAME;
use serde_json::Value;

use super::headless::{no_family, slice_says_so};
use super::objects::{array, listed, name, ns, one, text, within};
use super::port::ports_of;
use super::service::is_headless;
use super::{Cause, Found, Walk};
use crate::message::question::RecordType;
use crate::name::undashed;

impl Walk<'_> {
    /// `<host>.<svc>`.
    pub(super) fn endpoint(&mut self, service: &Value, host: &str) -> Found {
        self.see_slices(service);
        let all = self.at(service).into_iter();
        let named: Vec<_> = all.filter(|at| at.host == host).collect();
        let ready: Vec<_> = named.iter().filter(|at| at.ready).collect();
        if !ready.is_empty() {
            if self.qtype == RecordType::SRV {
                return ports_of(service, ready.iter().map(|at| at.slice));
            }
            let ips = ready.iter().map(|at| at.ip).collect();
            return self.records(service, ips, || no_family(service, self.qtype));
        }
        if let Some(at) = named.first() {
            let pod = one(&self.objects.pods, ns(service), at.pod);
            return Err(match pod {
                Some(pod) => self.unready_at(at, pod, service),
                None => slice_says_so(at.slice),
            });
        }
        Err(self.no_endpoint(service, host))
    }

    /// Why a Service has no endpoint of that name.
    fn no_endpoint(&mut self, service: &Value, host: &str) -> Cause {
        let (space, svc) = (ns(service), name(service));
        if let Some(pod) = one(&self.objects.pods, space, host) {
            return self.pod_is_elsewhere(service, pod, host);
        }
        if let Some(cause) = self.no_pod_of_set(service, host) {
            return cause;
        }
        if let Some(other) = self.has_it(service, host) {
            return Cause::new(
                "endpoint-of-another",
                format!("{host} is no endpoint of {svc}, it is one of {other}"),
                format!("ask for {}", self.full(&format!("{host}.{other}.{space}"))),
            );
        }
        if undashed(host.as_bytes()).is_some() {
            return Cause::new(
                "no-endpoint-at-address",
                format!("{svc} has no endpoint at the address that {host} spells"),
                "an endpoint has such a name only where it has no hostname, and while it has the address",
            );
        }
        if !is_headless(service) {
            return Cause::new(
                "not-headless",
                format!("{svc} has a cluster IP, and none of its endpoints is called {host}"),
                "a Pod has a name of its own below a Service with `clusterIP: None` that its `subdomain`, or its set's serviceName, names",
            );
        }
        let hosts: Vec<String> = self.at(service).into_iter().map(|at| at.host).collect();
        let mend = match hosts.is_empty() {
            true => "it has no endpoints at all".to_owned(),
            false => format!(
                "its endpoints are {}",
                listed(hosts.iter().map(String::as_str))
            ),
        };
        Cause::new("no-endpoint", format!("{svc} has no endpoint {host}"), mend)
    }

    /// Another Service of the namespace that has such an endpoint.
    fn has_it(&self, service: &Value, host: &str) -> Option<String> {
        let mut slices = within(&self.objects.slices, ns(service));
        let has = |slice: &&Value| {
            let is_own = slice["metadata"]["labels"][SERVICE_NAME] == name(service);
            let mut endpoints = array(&slice["endpoints"]);
            !is_own && endpoints.any(|endpoint| text(&endpoint["hostname"]) == host)
        };
        let slice = slices.find(has)?;
        Some(text(&slice["metadata"]["labels"][SERVICE_NAME]).to_owned())
    }

    /// Why a Pod that is there is no endpoint of that name.
    fn pod_is_elsewhere(&mut self, service: &Value, pod: &Value, host: &str) -> Cause {
        let svc = name(service);
        if text(&pod["spec"]["subdomain"]) != svc {
            return self.other_subdomain(service, pod, host);
        }
        let hostname = text(&pod["spec"]["hostname"]);
        if !hostname.eq_ignore_ascii_case(host) {
            self.see("Pod", pod, "names the Service as its subdomain");
            let (says, mend) = match hostname {
                "" => (
                    format!(
                        "Pod {host} has a subdomain and no `hostname`: it has no name of its own"
                    ),
                    format!("set `hostname: {host}` in its template"),
                ),
                other => (
                    format!("the hostname of Pod {host} is `{other}`"),
                    format!(
                        "ask for {}",
                        self.full(&format!("{other}.{svc}.{}", ns(service)))
                    ),
                ),
            };
            return Cause::new("other-hostname", says, mend);
        }
        let selected = self.selected(service);
        if !selected.iter().any(|other| name(other) == name(pod)) {
            self.see("Pod", pod, "names the Service as its subdomain");
            return Cause::new(
                "pod-not-selected",
                format!("Pod {host} names {svc} as its subdomain, and {svc} does not select it"),
                "make the Service's selector and the Pod's labels the same",
            );
        }
        self.unready(pod, service)
    }

    /// Why the Pod of that name has its name elsewhere, or nowhere.
    fn other_subdomain(&mut self, service: &Value, pod: &Value, host: &str) -> Cause {
        let (space, svc) = (ns(service), name(service));
        let subdomain = text(&pod["spec"]["subdomain"]);
        let shown = match subdomain {
            "" => "none".to_owned(),
            of => format!("`{of}`"),
        };
        self.see("Pod", pod, format!("its subdomain is {shown}"));
        let mut owners = array(&pod["metadata"]["ownerReferences"]);
        if let Some(owner) = owners.find(|owner| owner["kind"] == "StatefulSet")
            && let Some(set) = one(&self.objects.sets, space, text(&owner["name"]))
        {
            self.see_set(set);
            return self.other_governing(subdomain, service, host);
        }
        if subdomain.is_empty() {
            return Cause::new(
                "no-subdomain",
                format!(
                    "Pod {host} has no `subdomain`: only a Pod that names the Service there has a name below it"
                ),
                format!(
                    "set `hostname` and `subdomain: {svc}` in its template, or use a StatefulSet with serviceName: {svc}"
                ),
            );
        }
        Cause::new(
            "other-subdomain",
            format!("the Pod's subdomain is `{subdomain}`, the name asks `{svc}`"),
            format!(
                "ask for {}",
                self.full(&format!("{host}.{subdomain}.{space}"))
            ),
        )
    }
}

//! The endpoints of a Service: those that are ready, and why none is.

use std::net::IpAddr;

use headless_objects::object::{SERVICE_NAME, is_ready};
use headless_objects::selector::Selector;
use serde_json::Value;

use super::objects::{array, listed, name, ns, text, within};
use super::service::{family, selector};
use super::{Cause, Found, Walk, pod};
use crate::message::question::RecordType;
use crate::name::{dashed, text as label_text};

/// An address of an endpoint.
pub(super) struct At<'o> {
    pub(super) ip: IpAddr,
    /// Its name below the Service.
    pub(super) host: String,
    pub(super) ready: bool,
    /// The Pod that it is.
    pub(super) pod: &'o str,
    pub(super) slice: &'o Value,
}

impl<'o> Walk<'o> {
    /// The slices of a Service.
    pub(super) fn slices(&self, service: &Value) -> Vec<&'o Value> {
        let all = within(&self.objects.slices, ns(service));
        let of = |slice: &&Value| {
            text(&slice["metadata"]["labels"][SERVICE_NAME]).eq_ignore_ascii_case(name(service))
        };
        all.filter(of).collect()
    }

    /// Every address of a Service's endpoints.
    pub(super) fn at(&self, service: &Value) -> Vec<At<'o>> {
        let slices = self.slices(service).into_iter();
        slices.flat_map(at_in).collect()
    }

    /// Those that answers show.
    pub(super) fn ready(&self, service: &Value) -> Vec<At<'o>> {
        let all = self.at(service).into_iter();
        all.filter(|at| at.ready).collect()
    }

    /// The answer of a headless Service's own name.
    pub(super) fn endpoints(&mut self, service: &Value) -> Found {
        self.see_slices(service);
        let ready = self.ready(service);
        if ready.is_empty() {
            return Err(self.none_ready(service));
        }
        let ips = ready.iter().map(|at| at.ip).collect();
        self.records(service, ips, || no_family(service, self.qtype))
    }

    pub(super) fn see_slices(&mut self, service: &Value) {
        for slice in self.slices(service) {
            let all = array(&slice["endpoints"]).count();
            let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
            let ready = array(&slice["endpoints"]).filter(is_ready).count();
            let kind = text(&slice["addressType"]);
            let says = format!("{all} endpoints of {kind}, {ready} ready");
            self.see("EndpointSlice", slice, says);
        }
    }

    /// Why a Service has no endpoint that is ready.
    pub(super) fn none_ready(&mut self, service: &Value) -> Cause {
        let at = self.at(service);
        if let Some(first) = at.first() {
            let of_pod = super::objects::one(&self.objects.pods, ns(service), first.pod);
            return match of_pod {
                Some(pod) => self.unready_at(first, pod, service),
                None => slice_says_so(first.slice),
            };
        }
        if selector(service).is_none() {
            return self.unselected(service);
        }
        let pods = self.selected(service);
        // The one that is nearest to ready says most of all.
        let nearest = pods
            .iter()
            .find(|pod| is_ready(pod))
            .or_else(|| pods.first());
        match nearest {
            Some(pod) => self.unready(pod, service),
            None => self.selects_nothing(service),
        }
    }

    /// The Pods that a Service selects.
    pub(super) fn selected(&self, service: &Value) -> Vec<&'o Value> {
        let pairs = service["spec"]["selector"].as_object();
        let pairs = pairs.into_iter().flatten();
        let selector = Selector::equal(pairs.map(|(key, value)| (key.as_str(), text(value))));
        let pods = within(&self.objects.pods, ns(service));
        pods.filter(|pod| selector.matches(|key| pod["metadata"]["labels"][key].as_str()))
            .collect()
    }

    /// Why an endpoint is not ready that is this Pod.
    pub(super) fn unready_at(&mut self, at: &At<'_>, pod: &Value, service: &Value) -> Cause {
        // No controller writes the slices of a Service without a selector.
        match selector(service).is_none() && is_ready(pod) {
            true => slice_says_so(at.slice),
            false => self.unready(pod, service),
        }
    }

    /// Why a Pod is no endpoint that is ready.
    pub(super) fn unready(&mut self, pod: &Value, service: &Value) -> Cause {
        let phase = text(&pod["status"]["phase"]);
        self.see("Pod", pod, format!("is {phase}, Ready: {}", is_ready(pod)));
        let Some(mut cause) = pod::unready(pod) else {
            return Cause::new(
                "no-slice-has-it",
                format!(
                    "Pod {} is Ready, and no EndpointSlice has it as ready: kube-controller-manager is behind, or does not run",
                    name(pod)
                ),
                "look at its log and at the slices: kubectl get endpointslices",
            );
        };
        let publishes = service["spec"]["publishNotReadyAddresses"] == true;
        let of_set =
            array(&pod["metadata"]["ownerReferences"]).any(|owner| owner["kind"] == "StatefulSet");
        let may_help = matches!(
            cause.key,
            "init-runs" | "startup-probe" | "readiness-probe" | "container-not-ready"
        );
        if !publishes && of_set && may_help && pod::has_address(pod) {
            cause.mend += "; peers that need each other before they are ready: publishNotReadyAddresses: true in the Service";
        }
        cause
    }

    /// Why a Service without selector has no endpoints.
    fn unselected(&mut self, service: &Value) -> Cause {
        let (space, svc) = (ns(service), name(service));
        if let Some(endpoints) = super::objects::one(&self.objects.endpoints, space, svc)
            && array(&endpoints["subsets"]).next().is_some()
        {
            self.see("Endpoints", endpoints, "has addresses");
            return Cause::new(
                "endpoints-not-mirrored",
                format!(
                    "{svc} has no selector, and its Endpoints have no EndpointSlice: names are made of slices"
                ),
                "take the label endpointslice.kubernetes.io/skip-mirror off the Endpoints, or write an EndpointSlice",
            );
        }
        let mut slices = within(&self.objects.slices, space);
        let label = |slice: &Value| text(&slice["metadata"]["labels"][SERVICE_NAME]).to_owned();
        if let Some(slice) =
            slices.find(|slice| label(slice).is_empty() && name(slice).starts_with(svc))
        {
            self.see(
                "EndpointSlice",
                slice,
                format!("has no label {SERVICE_NAME}"),
            );
            return Cause::new(
                "slice-of-no-service",
                format!(
                    "{svc} has no selector, and the EndpointSlice {} does not say whose it is",
                    name(slice)
                ),
                format!(
                    "kubectl -n {space} label endpointslice {} {SERVICE_NAME}={svc}",
                    name(slice)
                ),
            );
        }
        Cause::new(
            "no-selector",
            format!("{svc} has no selector and no EndpointSlice: nothing says what it leads to"),
            format!(
                "give it a selector, or write an EndpointSlice with the label {SERVICE_NAME}={svc}"
            ),
        )
    }

    /// Why no Pod has the labels that a Service selects.
    fn selects_nothing(&mut self, service: &Value) -> Cause {
        let (space, svc) = (ns(service), name(service));
        let wanted = selector(service).unwrap_or_default();
        if let Some(cause) = self.set_selects_nothing(service, &wanted) {
            return cause;
        }
        let says = format!("{svc} selects {wanted}, and no Pod of {space} has that");
        let pods: Vec<&Value> = within(&self.objects.pods, space).collect();
        if pods.is_empty() {
            let says = format!("{svc} selects {wanted}, and there is no Pod in {space}");
            return Cause::new(
                "no-pods",
                says,
                "look at what is to make them: kubectl get deployments,statefulsets,events",
            );
        }
        let keys = service["spec"]["selector"]
            .as_object()
            .into_iter()
            .flatten();
        for (key, _) in keys {
            let labels = pods.iter().map(|pod| text(&pod["metadata"]["labels"][key]));
            let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
            if !labels.is_empty() {
                let has = listed(labels);
                return Cause::new(
                    "other-label",
                    format!("{says}: under `{key}` they have {has}"),
                    "make the selector and the Pods' labels the same",
                );
            }
        }
        Cause::new(
            "selects-nothing",
            says,
            "make the selector and the Pods' labels the same",
        )
    }
}

/// Every address of a slice's endpoints.
pub(super) fn at_in(slice: &Value) -> impl Iterator<Item = At<'_>> {
    array(&slice["endpoints"]).flat_map(move |endpoint| {
        let hostname = text(&endpoint["hostname"]).to_ascii_lowercase();
        let ips = array(&endpoint["addresses"]).filter_map(|ip| text(ip).parse().ok());
        ips.map(move |ip| At {
            ip,
            host: match hostname.is_empty() {
                true => label_text(&dashed(ip)).into_owned(),
                false => hostname.clone(),
            },
            ready: endpoint["conditions"]["ready"].as_bool().unwrap_or(true),
            pod: text(&endpoint["targetRef"]["name"]),
            slice,
        })
    })
}

/// The cause for a slice that calls an endpoint not ready which is no Pod.
pub(super) fn slice_says_so(slice: &Value) -> Cause {
    Cause::new(
        "slice-says-not-ready",
        format!(
            "the EndpointSlice {} says `ready: false` of its endpoints",
            name(slice)
        ),
        "whoever writes the slice has to say `ready: true`, or nothing",
    )
}

/// The cause for endpoints of the other family.
pub(super) fn no_family(service: &Value, qtype: RecordType) -> Cause {
    let family = family(qtype);
    Cause::new(
        "endpoints-of-other-family",
        format!("no endpoint of {} has an {family} address", name(service)),
        "ask for the other family, or set ipFamilyPolicy: PreferDualStack where the cluster has both",
    )
}

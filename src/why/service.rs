//! Namespaces and Services: whether they are there, and what the Service's own name stands for.

use std::net::IpAddr;

use serde_json::Value;

use super::objects::{array, is_ending, listed, name, ns, one, similar, text, within};
use super::{Cause, Found, Walk};
use crate::message::question::RecordType;
use crate::name::absolute;

/// How many aliases an answer may have: as in CoreDNS.
const MAX_ALIASES: usize = 11;

/// What stands left of a Service.
pub(super) enum Below {
    Itself,
    Endpoint(String),
    Port { port: String, protocol: String },
}

impl Below {
    /// It as it stands before a Service's name.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Itself => String::new(),
            Self::Endpoint(host) => format!("{host}."),
            Self::Port { port, protocol } => format!("_{port}._{protocol}."),
        }
    }
}

impl Walk<'_> {
    /// `svc`: what is asked for in it, where that is a Service.
    pub(super) fn namespace(&mut self, space: &str, svc: Option<&str>) -> Result<(), Cause> {
        let all = &self.objects.namespaces;
        let found = all
            .iter()
            .find(|other| name(other).eq_ignore_ascii_case(space));
        if let Some(namespace) = found {
            let says = match is_ending(namespace) {
                true => "is being deleted",
                false => "is there",
            };
            self.see("Namespace", namespace, says);
            return Ok(());
        }
        if let Some(svc) = svc
            && let Some(service) = one(&self.objects.services, svc, space)
        {
            let meant = self.full(&format!("{space}.{svc}"));
            self.see(
                "Service",
                service,
                "has the namespace's and the Service's names the other way round",
            );
            return Err(Cause::new(
                "other-way-round",
                format!("there is no namespace {space}: the Service stands before its namespace"),
                format!("ask for {meant}"),
            ));
        }
        let names = || all.iter().map(name);
        let meant = similar(space, names());
        self.is_near = svc.is_some() && meant.is_some();
        let mend = match meant {
            Some(meant) => format!("{meant} is there: is that meant?"),
            None => format!("make it, or ask in one that is there: {}", listed(names())),
        };
        Err(Cause::new(
            "no-namespace",
            format!("there is no namespace {space}"),
            mend,
        ))
    }

    pub(super) fn service(&mut self, space: &str, svc: &str, below: &Below) -> Found {
        let Some(service) = one(&self.objects.services, space, svc) else {
            return Err(self.no_service(space, svc, below));
        };
        let says = described(service);
        self.see("Service", service, says);
        if service["spec"]["type"] == "ExternalName" {
            return self.alias(service, below);
        }
        match below {
            Below::Itself if is_headless(service) => self.endpoints(service),
            Below::Itself => self.cluster_ips(service),
            Below::Endpoint(host) => self.endpoint(service, host),
            Below::Port { port, protocol } => self.port(service, port, protocol),
        }
    }

    /// Why there is no such Service.
    fn no_service(&self, space: &str, svc: &str, below: &Below) -> Cause {
        let objects = self.objects;
        let says = format!("there is no Service {svc} in the namespace {space}");
        let mut namespaces = objects.namespaces.iter();
        let namespace = namespaces.find(|other| name(other).eq_ignore_ascii_case(space));
        if namespace.is_some_and(is_ending) {
            let says = format!("{says}: the namespace is being deleted, and what is in it with it");
            let mend = "wait until it is gone, and make it anew";
            return Cause::new("namespace-is-ending", says, mend);
        }
        let other = self.name_of_another(space, svc, below, &says);
        if let Some(cause) = other {
            return cause;
        }
        let ask = |other: &str| {
            let before = below.written();
            format!("ask for {}", self.full(&format!("{before}{other}")))
        };
        let named = objects.services.iter().filter(|other| name(other) == svc);
        let elsewhere: Vec<&str> = named.map(ns).collect();
        if let Some(first) = elsewhere.first() {
            let says = format!(
                "{says}; there is one in {}",
                listed(elsewhere.iter().copied())
            );
            return Cause::new("other-namespace", says, ask(&format!("{svc}.{first}")));
        }
        if let Below::Itself = below
            && let Some(cause) = self.name_of_a_set_s_pod(space, svc, &says)
        {
            return cause;
        }
        let names = || within(&objects.services, space).map(name);
        if let Some(meant) = similar(svc, names()) {
            let says = format!("{says}; there is {meant}");
            return Cause::new("similar-service", says, ask(&format!("{meant}.{space}")));
        }
        let mend = match names().next() {
            None => "it has no Service at all: make one, or ask in another namespace".to_owned(),
            Some(_) => format!("make it, or ask for one that is there: {}", listed(names())),
        };
        Cause::new("no-service", says, mend)
    }

    /// What stands in a Service's place: a StatefulSet or a Pod of that name, or the Service that a set names and that is
    /// not there.
    fn name_of_another(&self, space: &str, svc: &str, below: &Below, says: &str) -> Option<Cause> {
        let objects = self.objects;
        let ask = |other: String| {
            let before = below.written();
            format!("ask for {}", self.full(&format!("{before}{other}.{space}")))
        };
        if let Some(set) = one(&objects.sets, space, svc) {
            let governing = text(&set["spec"]["serviceName"]);
            if governing != svc && !governing.is_empty() {
                return Some(Cause::new(
                    "name-of-the-set",
                    format!(
                        "{says}: {svc} is a StatefulSet, the set's serviceName is `{governing}`, the name asks `{svc}`"
                    ),
                    ask(governing.to_owned()),
                ));
            }
        }
        let mut sets = within(&objects.sets, space);
        if let Some(set) = sets.find(|set| set["spec"]["serviceName"] == svc) {
            return Some(Cause::new(
                "no-governing-service",
                format!(
                    "{says}, though the StatefulSet {} names it: a set does not make its Service",
                    name(set)
                ),
                format!(
                    "make a Service {svc} with `clusterIP: None` and the labels of the set's Pods as its selector"
                ),
            ));
        }
        let mut pods = within(&objects.pods, space);
        if let Some(pod) = pods.find(|pod| pod["spec"]["subdomain"] == svc) {
            return Some(Cause::new(
                "no-service-of-subdomain",
                format!(
                    "{says}, though Pod {} names it as its subdomain: a Pod does not make its Service",
                    name(pod)
                ),
                format!("make a Service {svc} with `clusterIP: None` that selects the Pod"),
            ));
        }
        let pod = one(&objects.pods, space, svc)?;
        let mend = match text(&pod["spec"]["subdomain"]) {
            "" => "give it `hostname` and `subdomain`, the name of a headless Service, or ask for the Service".to_owned(),
            // No name stands below a Pod's.
            of => format!("ask for {}", self.full(&format!("{svc}.{of}.{space}"))),
        };
        Some(Cause::new(
            "name-of-a-pod",
            format!("{says}: {svc} is a Pod, and a Pod's name stands below a Service"),
            mend,
        ))
    }

    /// What an ExternalName leads to.
    fn alias(&mut self, service: &Value, below: &Below) -> Found {
        let target = text(&service["spec"]["externalName"]);
        let own = self.full(&format!("{}.{}", name(service), ns(service)));
        if !matches!(below, Below::Itself) {
            return Err(Cause::new(
                "below-an-alias",
                format!(
                    "{} is an ExternalName: it leads to {target}, and no name stands below it",
                    name(service)
                ),
                format!("ask for {own}, or for the name below {target}"),
            ));
        }
        if target.parse::<IpAddr>().is_ok() {
            return Err(Cause::new(
                "alias-is-an-address",
                format!(
                    "externalName is `{target}`: it is taken as a name, and there is no such name"
                ),
                "make a headless Service without selector, and an EndpointSlice with that address",
            ));
        }
        if self.qtype == RecordType::CNAME && absolute(target).is_ok() {
            return Ok(vec![format!("CNAME {target}")]);
        }
        let Ok(alias) = absolute(target) else {
            return Err(Cause::new(
                "alias-is-no-name",
                format!("externalName is `{target}`, which is no DNS name"),
                "write a name of labels of 1 to 63 octets with dots between them",
            ));
        };
        let alias_text = alias.to_lowercase().to_string();
        if alias_text.trim_end_matches('.') == own.trim_end_matches('.')
            || self.aliases.contains(&alias_text)
            || self.aliases.len() >= MAX_ALIASES
        {
            return Err(Cause::new(
                "alias-loop",
                format!("externalName is `{target}`: it leads back to where it came from"),
                "write the name of what is meant at its end",
            )
            .no_data());
        }
        if !matches!(self.qtype, RecordType::A | RecordType::AAAA) {
            return Err(Cause::new(
                "alias-type",
                format!("an alias is not followed for {}", self.qtype),
                format!("ask for {target} itself"),
            )
            .no_data());
        }
        if !self.domain.zone_of(&alias) {
            self.note(format!("{target} is another server's to answer"));
            return Ok(vec![format!("CNAME {target}")]);
        }
        self.aliases.push(alias_text);
        // The name is there, whatever it leads to.
        self.follow(&alias).map_err(Cause::no_data)
    }

    pub(super) fn cluster_ips(&mut self, service: &Value) -> Found {
        let ips = addresses_of(service);
        if ips.is_empty() {
            return Err(Cause::new(
                "no-cluster-ip",
                format!(
                    "the API server has not given {} a cluster IP",
                    name(service)
                ),
                "look at its events: the range of Service addresses may be used up",
            )
            .no_data());
        }
        if self.ready(service).is_empty() && !service["spec"]["selector"].is_null() {
            let why = self.none_ready(service);
            self.note(format!(
                "connections to it fail: {}; {}",
                why.says, why.mend
            ));
        }
        self.records(service, ips, || {
            Cause::new(
                "other-family",
                format!("{} has no {} address", name(service), family(self.qtype)),
                "set ipFamilyPolicy: PreferDualStack where the cluster has both families",
            )
        })
    }

    /// What a name of a Service that leads to these addresses says; `none`: why it has none of the family asked for.
    pub(super) fn records(
        &self,
        service: &Value,
        ips: Vec<IpAddr>,
        none: impl FnOnce() -> Cause,
    ) -> Found {
        match self.qtype == RecordType::SRV {
            true => self.service_ports(service),
            false => self.of_family(ips, none),
        }
    }

    /// The addresses of the family asked for.
    pub(super) fn of_family(&self, ips: Vec<IpAddr>, none: impl FnOnce() -> Cause) -> Found {
        if !matches!(self.qtype, RecordType::A | RecordType::AAAA) {
            return Err(other_type(self.qtype));
        }
        let v4 = self.qtype == RecordType::A;
        let of_family = ips.into_iter().filter(|ip| ip.is_ipv4() == v4);
        let found: Vec<String> = of_family.map(|ip| ip.to_string()).collect();
        match found.is_empty() {
            true => Err(none().no_data()),
            false => Ok(found),
        }
    }
}

/// What a family is called.
pub(super) fn family(qtype: RecordType) -> &'static str {
    if qtype == RecordType::A {
        "IPv4"
    } else {
        "IPv6"
    }
}

/// The cause for a type that no name of the cluster has.
pub(super) fn other_type(qtype: RecordType) -> Cause {
    Cause::new(
        "other-type",
        format!("the name is there, and has no records of type {qtype}"),
        "names of the cluster have A, AAAA and SRV, aliases CNAME, addresses PTR",
    )
    .no_data()
}

/// Whether its name stands for its endpoints.
pub(super) fn is_headless(service: &Value) -> bool {
    let spec = &service["spec"];
    spec["clusterIP"] == "None" || spec["clusterIPs"][0] == "None"
}

fn addresses_of(service: &Value) -> Vec<IpAddr> {
    let spec = &service["spec"];
    let mut ips: Vec<IpAddr> = array(&spec["clusterIPs"])
        .filter_map(|ip| text(ip).parse().ok())
        .collect();
    if ips.is_empty() {
        ips.extend(text(&spec["clusterIP"]).parse::<IpAddr>().ok());
    }
    ips
}

/// What a Service says of itself.
fn described(service: &Value) -> String {
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        return format!("is an alias of {}", text(&spec["externalName"]));
    }
    let kind = match is_headless(service) {
        true => "is headless".to_owned(),
        false => {
            let ips: Vec<String> = addresses_of(service)
                .iter()
                .map(ToString::to_string)
                .collect();
            format!("has the cluster IP {}", ips.join(" and "))
        }
    };
    let ending = if is_ending(service) {
        ", is being deleted"
    } else {
        ""
    };
    match selector(service) {
        None => format!("{kind}, has no selector{ending}"),
        Some(selector) => format!("{kind}, selects {selector}{ending}"),
    }
}

/// A Service's selector in words; `None` where it has none.
pub(super) fn selector(service: &Value) -> Option<String> {
    let selector = service["spec"]["selector"].as_object()?;
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", text(value));
    let pairs: Vec<_> = selector.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

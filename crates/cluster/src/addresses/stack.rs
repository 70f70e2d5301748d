//! Which families of addresses a Service has, and with which policy (`initIPFamilyFields`).

use serde_json::{Value, json};

use super::earlier::is_in_cluster;
use super::{refused_all, strings, text};
use crate::field::Errors;
use crate::place::Place;
use crate::status::ApiStatus;
use crate::validate;

/// The addresses of a Service, their families, and how many there are to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stack {
    pub(super) ips: Vec<String>,
    pub(super) families: Vec<String>,
    policy: String,
}

fn family(ip: &str) -> &'static str {
    if ip.contains(':') { "IPv6" } else { "IPv4" }
}

fn is_headless(spec: &Value) -> bool {
    spec["clusterIP"] == "None"
}

/// Whether a Service of up to two families is left as it was: it is not changed along with its cluster.
pub(super) fn is_settled(spec: &Value, old: Option<&Value>) -> bool {
    const TWO: &str = "PreferDualStack";
    let Some(old) = old else {
        return false;
    };
    let (new, before) = (Stack::of(spec), Stack::of(old));
    let policy = before.policy.is_empty() || before.policy == TWO;
    is_in_cluster(spec)
        && spec["type"] == old["type"]
        && (new.policy == TWO && policy)
        && (new.ips == before.ips && new.families == before.families)
}

impl Stack {
    pub(super) fn of(spec: &Value) -> Self {
        Self {
            ips: strings(&spec["clusterIPs"]),
            families: strings(&spec["ipFamilies"]),
            policy: text(spec, "ipFamilyPolicy").to_owned(),
        }
    }

    /// What a Service of this spec has, but for addresses that it is given.
    ///
    /// # Errors
    /// 422: families, addresses and policy that do not go together.
    pub(super) fn of_service(service: &Value, old: Option<&Value>) -> Result<Self, ApiStatus> {
        let spec = &service["spec"];
        let (mut stack, before) = (Self::of(spec), old.map(Self::of));
        if spec["ipFamilyPolicy"].is_null() {
            stack.policy = default_policy(spec, before.as_ref()).into();
        }
        let mut errors = Errors::default();
        let mut given = spec.clone();
        given["ipFamilyPolicy"] = stack.policy.as_str().into();
        validate::cluster_addresses(&Place::new(&given, "spec"), &mut errors);
        if errors.0.is_empty() {
            if let Some(before) = before {
                stack.follow(&before, &mut errors);
            }
            stack.fits(&mut errors);
        }
        if !errors.0.is_empty() {
            return Err(refused_all(service, &errors));
        }
        stack.complete();
        Ok(stack)
    }

    fn is_single(&self) -> bool {
        self.policy == "SingleStack"
    }

    /// What a change of the policy alone does to the rest, and what is refused without one.
    fn follow(&mut self, before: &Self, errors: &mut Errors) {
        if self.is_single() {
            if self.ips == before.ips {
                self.ips.truncate(1);
            }
            if self.families == before.families {
                self.families.truncate(1);
            }
            return;
        }
        for (new, old, what) in [
            (&self.ips, &before.ips, "cluster IP"),
            (&self.families, &before.families, "IP family"),
        ] {
            if !new.is_empty() && new.len() < old.len() {
                let what = format!("must be 'SingleStack' to release the secondary {what}");
                self.policy_refused(&what, errors);
            }
        }
    }

    /// One family is not two.
    fn fits(&self, errors: &mut Errors) {
        for (all, what) in [(&self.ips, "cluster IPs"), (&self.families, "IP families")] {
            if self.is_single() && all.len() == 2 {
                let what = format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                );
                self.policy_refused(&what, errors);
            }
        }
    }

    fn policy_refused(&self, what: &str, errors: &mut Errors) {
        errors.invalid("spec.ipFamilyPolicy", &self.policy.as_str().into(), what);
    }

    /// Families that are not said: those of the addresses, the cluster's first one, the other one.
    fn complete(&mut self) {
        let known = self.families.len();
        let named = self.ips.iter().take_while(|ip| *ip != "None");
        let named: Vec<_> = named.skip(known).map(|ip| family(ip).to_owned()).collect();
        self.families.extend(named);
        if self.families.is_empty() {
            self.families.push("IPv4".into());
        }
        if !self.is_single() && self.families.len() == 1 {
            let other = if self.families[0] == "IPv4" {
                "IPv6"
            } else {
                "IPv4"
            };
            self.families.push(other.into());
        }
    }

    pub(super) fn write(&self, spec: &mut Value) {
        spec["ipFamilies"] = json!(self.families);
        spec["ipFamilyPolicy"] = self.policy.as_str().into();
        if !self.ips.is_empty() {
            spec["clusterIPs"] = json!(self.ips);
        }
    }
}

/// The policy of a Service that says none: that from before; endpoints that nobody selects may have both families.
fn default_policy<'a>(spec: &Value, before: Option<&'a Stack>) -> &'a str {
    let selects = spec["selector"]
        .as_object()
        .is_some_and(|selector| !selector.is_empty());
    match before {
        Some(before) if !before.policy.is_empty() => &before.policy,
        _ if is_headless(spec) && !selects => "RequireDualStack",
        _ => "SingleStack",
    }
}

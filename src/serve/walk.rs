//! The objects that a name may have to do with, as an API server lists them, and the way of the name through them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::{self, Client, list};
use crate::message::question::RecordType;
use crate::name::Name;
use crate::why::{Objects, Question, Report, explain, has};

/// Nobody has the name or the address of who is said to ask.
#[derive(Debug, thiserror::Error)]
#[error("there is no Pod {0}")]
pub(super) struct NoPod(String);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'w> {
    /// The name as a program would have it looked up.
    pub name: &'w str,
    /// The type.
    pub qtype: RecordType,
    /// The Pod that asks: `NAME` (of the namespace `default`), `NAMESPACE/NAME`, or its IP.
    pub from: Option<&'w str>,
    /// The cluster's domain.
    pub domain: &'w Name,
}

impl Walk<'_> {
    /// Follows the name. `now`: for the objects' ages.
    ///
    /// # Errors
    /// What cannot be listed without which nothing can be said, or a Pod that is not there.
    pub async fn report(&self, client: &Client, now: Timestamp) -> anyhow::Result<Report> {
        let mut objects = Objects::default();
        let from = match self.from {
            None => None,
            Some(from) => Some(asking(client, from).await?),
        };
        let own = from
            .as_ref()
            .map_or("default", |pod| text(&pod["metadata"]["namespace"]));
        gather(client, self.name, own, &mut objects).await?;
        let question = Question {
            text: self.name,
            qtype: self.qtype,
            from: from.as_ref(),
            domain: self.domain,
        };
        Ok(explain(&objects, &question, now))
    }
}

/// The name and the type that a text means: an address means its names, where nobody says another type, and all else
/// addresses.
#[must_use]
pub fn meant(text: &str, qtype: Option<RecordType>) -> (String, RecordType) {
    match (qtype, text.parse::<IpAddr>()) {
        (None | Some(RecordType::PTR), Ok(ip)) => (Name::from(ip).to_string(), RecordType::PTR),
        (qtype, _) => (text.to_owned(), qtype.unwrap_or(RecordType::A)),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All objects of a kind, in a namespace or in all.
async fn all(client: &Client, api: &str, ns: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let path = match ns {
        "" => format!("/{api}/{kind}"),
        ns => format!("/{api}/namespaces/{ns}/{kind}"),
    };
    let listed = list(client, &path).await;
    listed.map_err(|error| anyhow::anyhow!("cannot list {kind}: {}", api::explain(&error)))
}

/// The Pod that asks.
async fn asking(client: &Client, from: &str) -> anyhow::Result<Value> {
    let ip: Option<IpAddr> = from.parse().ok();
    let ip = ip.map(|ip| ip.to_canonical());
    let (ns, called) = from.split_once('/').unwrap_or(("default", from));
    if ip.is_none() && !(is_plain(ns) && is_plain(called)) {
        return Err(NoPod(from.to_owned()).into());
    }
    let space = if ip.is_some() { "" } else { ns };
    let pods = all(client, "api/v1", space, "pods").await?;
    let is_it = |pod: &Value| match ip {
        Some(ip) => has(pod, ip),
        None => pod["metadata"]["name"] == called,
    };
    let found = pods.into_iter().find(is_it);
    Ok(found.ok_or_else(|| NoPod(from.to_owned()))?)
}

/// Lists what a name may have to do with: all namespaces and Services, and the other kinds of the namespaces that the name
/// and the aliases among the Services may mean; of an address those of all.
async fn gather(
    client: &Client,
    name: &str,
    own: &str,
    objects: &mut Objects,
) -> anyhow::Result<()> {
    let namespaces = all(client, "api/v1", "", "namespaces").await;
    let services = all(client, "api/v1", "", "services").await;
    let mut labels: BTreeSet<String> = labels_of(name).collect();
    labels.insert(own.to_owned());
    match services {
        Ok(services) => objects.services = services,
        // A Role in the namespaces that are meant is enough.
        Err(error) => {
            for label in &labels {
                let some = all(client, "api/v1", label, "services").await;
                objects.services.extend(some.unwrap_or_default());
            }
            anyhow::ensure!(!objects.services.is_empty(), error);
        }
    }
    for service in &objects.services {
        labels.extend(labels_of(text(&service["spec"]["externalName"])));
    }
    objects.namespaces = match namespaces {
        Ok(namespaces) => namespaces,
        Err(_) => known_by(&objects.services),
    };
    let names = objects
        .namespaces
        .iter()
        .map(|space| text(&space["metadata"]["name"]));
    let meant: Vec<String> = match is_address(name) {
        true => vec![String::new()],
        false => names
            .filter(|name| labels.contains(*name))
            .map(str::to_owned)
            .collect(),
    };
    for space in meant {
        objects
            .pods
            .extend(all(client, "api/v1", &space, "pods").await?);
        let slices = all(client, "apis/discovery.k8s.io/v1", &space, "endpointslices").await?;
        objects.slices.extend(slices);
        // These say why; without the right to them less is said.
        let endpoints = all(client, "api/v1", &space, "endpoints").await;
        objects.endpoints.extend(endpoints.unwrap_or_default());
        let sets = all(client, "apis/apps/v1", &space, "statefulsets").await;
        objects.sets.extend(sets.unwrap_or_default());
    }
    Ok(())
}

fn labels_of(name: &str) -> impl Iterator<Item = String> {
    let labels = name.split('.').filter(|label| is_plain(label));
    labels.map(str::to_ascii_lowercase)
}

/// Whether it may be a name in Kubernetes: nothing else has a place in a path.
fn is_plain(name: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(octet)
}

fn is_address(name: &str) -> bool {
    name.trim_end_matches('.')
        .to_ascii_lowercase()
        .ends_with(".arpa")
}

/// The namespaces of objects, where Namespaces themselves may not be listed.
fn known_by(services: &[Value]) -> Vec<Value> {
    let names = services
        .iter()
        .map(|service| text(&service["metadata"]["namespace"]));
    let names: BTreeSet<&str> = names.collect();
    let namespace = |name: &&str| json!({"metadata": {"name": name}});
    names.iter().map(namespace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_names_comes_into_a_path() {
        let labels: Vec<_> = labels_of("kube-system/secrets?.Redis.default..x%2f.a").collect();
        assert_eq!(labels, ["redis", "default", "a"]);
        assert!(!is_plain("..") && !is_plain("") && is_plain("web.a-1"));
    }

    #[test]
    fn an_address_means_its_names_unless_somebody_says_a_type() {
        for (text, qtype, wanted) in [
            (
                "10.244.0.2",
                None,
                ("2.0.244.10.in-addr.arpa.", RecordType::PTR),
            ),
            (
                "10.244.0.2",
                Some(RecordType::PTR),
                ("2.0.244.10.in-addr.arpa.", RecordType::PTR),
            ),
            (
                "10.244.0.2",
                Some(RecordType::A),
                ("10.244.0.2", RecordType::A),
            ),
            ("redis", None, ("redis", RecordType::A)),
            ("redis", Some(RecordType::SRV), ("redis", RecordType::SRV)),
        ] {
            assert_eq!(
                meant(text, qtype),
                (wanted.0.to_owned(), wanted.1),
                "{text}"
            );
        }
        let (name, _) = meant("fd00::1", None);
        assert!(
            name.starts_with("1.0.0.0.") && name.ends_with(".d.f.ip6.arpa."),
            "{name}"
        );
    }
}

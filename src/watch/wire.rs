//! The objects as the API sends them: only the fields an answer needs.

use std::collections::BTreeMap;
use std::iter;
use std::net::IpAddr;

use headless_objects::object::SERVICE_NAME;
use k8s_openapi::api::{apps::v1 as apps, core::v1 as core, discovery::v1 as discovery};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::lenient::{Text, empty, list, one_of};
use crate::endpoint::{self, Address, External, Kind, Port, Slice};
use crate::name::{MAX_LABEL, ServiceKey};
use crate::store::{Fact, Object, ObjectKey, Resource};
use crate::zone::Scope;

/// How objects are read: what a stanza's options change in the facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `endpoint_pod_names`: an endpoint without hostname is named after its target.
    pub endpoint_pod_names: bool,
    /// `zonal`: topology zones are kept.
    pub zonal: bool,
    /// `metadata`: labels of Pods are kept.
    pub pod_labels: bool,
}

/// An object that tells a fact.
pub trait Wire {
    /// What it says; `None` where it says nothing that answers need. `scope`: whose Services a slice belongs to.
    fn fact(&self, scope: Scope, reading: Reading) -> Option<Fact>;
}

/// v1 Namespace.
#[derive(Clone, Debug, Deserialize, Serialize, kube::Resource)]
#[resource(inherit = core::Namespace)]
pub struct Namespace {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
}

/// v1 Service.
#[derive(Clone, Debug, Deserialize, Serialize, kube::Resource)]
#[resource(inherit = core::Service)]
pub struct Service {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "empty")]
    spec: ServiceSpec,
    #[serde(default, deserialize_with = "empty")]
    status: ServiceStatus,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceStatus {
    #[serde(deserialize_with = "empty")]
    load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "list")]
    ingress: Vec<Ingress>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Ingress {
    ip: Text,
    hostname: Text,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(rename = "clusterIP")]
    cluster_ip: Text,
    #[serde(rename = "clusterIPs", deserialize_with = "list")]
    cluster_ips: Vec<Text>,
    external_name: Text,
    #[serde(rename = "externalIPs", deserialize_with = "list")]
    external_ips: Vec<Text>,
    #[serde(deserialize_with = "list")]
    ports: Vec<WirePort>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct WirePort {
    name: Text,
    protocol: Text,
    /// A number that is out of a port's range counts as none.
    port: Option<i64>,
}

/// discovery.k8s.io/v1 EndpointSlice.
#[derive(Clone, Debug, Deserialize, Serialize, kube::Resource)]
#[resource(inherit = discovery::EndpointSlice)]
pub struct EndpointSlice {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default, rename = "addressType")]
    address_type: Text,
    /// Absent or null since 1.36 where there are none.
    #[serde(default, deserialize_with = "list")]
    endpoints: Vec<WireEndpoint>,
    #[serde(default, deserialize_with = "list")]
    ports: Vec<WirePort>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct WireEndpoint {
    #[serde(deserialize_with = "list")]
    addresses: Vec<Text>,
    #[serde(deserialize_with = "empty")]
    conditions: WireConditions,
    hostname: Text,
    #[serde(deserialize_with = "empty")]
    target_ref: TargetRef,
    zone: Text,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct WireConditions {
    ready: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct TargetRef {
    name: Text,
}

/// v1 Pod.
#[derive(Clone, Debug, Deserialize, Serialize, kube::Resource)]
#[resource(inherit = core::Pod)]
pub struct Pod {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "empty")]
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    #[serde(rename = "podIP")]
    pod_ip: Text,
    #[serde(rename = "podIPs", deserialize_with = "list")]
    pod_ips: Vec<PodIp>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct PodIp {
    ip: Text,
}

/// apps/v1 StatefulSet.
#[derive(Clone, Debug, Deserialize, Serialize, kube::Resource)]
#[resource(inherit = apps::StatefulSet)]
pub struct StatefulSet {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "empty")]
    spec: SetSpec,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct SetSpec {
    service_name: Text,
    replicas: Option<i64>,
    #[serde(deserialize_with = "empty")]
    ordinals: SetOrdinals,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct SetOrdinals {
    start: Option<i64>,
}

/// multicluster.x-k8s.io/v1alpha1 ServiceImport (KEP-1645).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceImport {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "empty")]
    spec: ImportSpec,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ImportSpec {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(deserialize_with = "list")]
    ips: Vec<Text>,
    #[serde(deserialize_with = "list")]
    ports: Vec<WirePort>,
}

impl kube::Resource for ServiceImport {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind(_: &()) -> std::borrow::Cow<'_, str> {
        "ServiceImport".into()
    }

    fn group(_: &()) -> std::borrow::Cow<'_, str> {
        "multicluster.x-k8s.io".into()
    }

    fn version(_: &()) -> std::borrow::Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural(_: &()) -> std::borrow::Cow<'_, str> {
        "serviceimports".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The metadata that answers need, and kube's watcher: reading all of it takes a third of a list's time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, Text>>,
    /// Only whether there is one is asked for.
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "annotation")]
    annotations: Option<String>,
}

/// The annotation that is read: the EndpointSlice controller's, of when a Service or Pod changed.
pub(super) const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The value of [`TRIGGERED`]; answers do not need it, so that annotations may be anything.
fn annotation<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    one_of(from, TRIGGERED)
}

fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(from)?;
    let labels = read.labels.into_iter().flatten();
    let triggered = read.annotations;
    let triggered = triggered.map(|time| BTreeMap::from([(TRIGGERED.to_owned(), time)]));
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        resource_version: read.resource_version,
        labels: Some(labels.map(|(key, Text(value))| (key, value)).collect()),
        annotations: triggered,
        deletion_timestamp: read.deletion_timestamp.map(|_| Time(Timestamp::UNIX_EPOCH)),
        ..ObjectMeta::default()
    })
}

pub(super) const IMPORT_NAME: &str = "multicluster.kubernetes.io/service-name";
const SOURCE_CLUSTER: &str = "multicluster.kubernetes.io/source-cluster";

impl Service {
    fn external(&self) -> Box<[External]> {
        let mut external: Vec<_> = addresses(&self.spec.external_ips)
            .into_iter()
            .map(External::Address)
            .collect();
        for ingress in &self.status.load_balancer.ingress {
            match ingress.ip.parse() {
                Ok(ip) => external.push(External::Address(ip)),
                Err(_) if !ingress.hostname.is_empty() => {
                    external.push(External::Name((*ingress.hostname).into()))
                }
                Err(_) => {}
            }
        }
        external.into()
    }
}

/// The object with this metadata.
#[must_use]
pub fn object_of(meta: &ObjectMeta) -> Object {
    Object {
        key: key_of(meta),
        version: meta.resource_version.as_deref().unwrap_or_default().into(),
        triggered: triggered(meta),
    }
}

fn triggered(meta: &ObjectMeta) -> Option<i64> {
    let time: Timestamp = meta.annotations.as_ref()?.get(TRIGGERED)?.parse().ok()?;
    Some(time.as_microsecond())
}

/// The key of an object with this metadata.
#[must_use]
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    let text = |field: &Option<String>| field.as_deref().unwrap_or_default().into();
    ObjectKey {
        ns: text(&meta.namespace),
        name: text(&meta.name),
    }
}

/// The Service that an object is, or is a slice of.
pub(super) fn service_of(resource: Resource, meta: &ObjectMeta) -> Option<ServiceKey> {
    match resource {
        Resource::Namespaces | Resource::Pods | Resource::Sets => None,
        Resource::Services | Resource::Imports => {
            let key = key_of(meta);
            Some(service_key(&key.ns, &key.name))
        }
        Resource::Slices | Resource::ImportSlices => owner(resource.scope(), meta),
    }
}

/// The Service of a slice.
fn owner(scope: Scope, meta: &ObjectMeta) -> Option<ServiceKey> {
    let name = match scope {
        Scope::Cluster => label(meta, SERVICE_NAME)?,
        Scope::ClusterSet => label(meta, IMPORT_NAME)?,
    };
    Some(service_key(&key_of(meta).ns, name))
}

fn label<'m>(meta: &'m ObjectMeta, name: &str) -> Option<&'m str> {
    meta.labels.as_ref()?.get(name).map(String::as_str)
}

impl Wire for Namespace {
    fn fact(&self, _: Scope, _: Reading) -> Option<Fact> {
        Some(Fact::Namespace)
    }
}

impl Wire for Service {
    fn fact(&self, _: Scope, _: Reading) -> Option<Fact> {
        let (key, spec) = (key_of(&self.metadata), &self.spec);
        let single = std::slice::from_ref(&spec.cluster_ip);
        let ips = if spec.cluster_ips.is_empty() {
            single
        } else {
            &spec.cluster_ips
        };
        let kind = if *spec.kind == *"ExternalName" {
            Kind::ExternalName((*spec.external_name).into())
        } else if ips.first().is_some_and(|ip| **ip == *"None") {
            Kind::Headless
        } else {
            Kind::ClusterIp(addresses(ips))
        };
        let ports = ports(&spec.ports, true);
        let service = endpoint::Service {
            key: service_key(&key.ns, &key.name),
            kind,
            external: self.external(),
            ports,
        };
        Some(Fact::Service(Scope::Cluster, service))
    }
}

impl Wire for ServiceImport {
    fn fact(&self, _: Scope, _: Reading) -> Option<Fact> {
        let (key, spec) = (key_of(&self.metadata), &self.spec);
        let headless = *spec.kind == *"Headless";
        let kind = if headless {
            Kind::Headless
        } else {
            Kind::ClusterIp(addresses(&spec.ips))
        };
        // An import without ports has none that could stand for it, as in CoreDNS.
        let ports = ports(&spec.ports, false);
        let service = endpoint::Service {
            key: service_key(&key.ns, &key.name),
            kind,
            external: Box::new([]),
            ports,
        };
        Some(Fact::Service(Scope::ClusterSet, service))
    }
}

impl Wire for EndpointSlice {
    fn fact(&self, scope: Scope, reading: Reading) -> Option<Fact> {
        let of = owner(scope, &self.metadata);
        let endpoints: Vec<_> = self
            .endpoints
            .iter()
            .flat_map(|e| e.endpoints(reading, &self.address_type))
            .collect();
        let endpoints: Vec<_> = endpoints.iter().map(OwnedEndpoint::borrow).collect();
        let ports = ports(&self.ports, true);
        let cluster = label(&self.metadata, SOURCE_CLUSTER).unwrap_or_default();
        let slice = Slice::new(cluster, ports, &endpoints);
        Some(Fact::Slice(scope, of, slice))
    }
}

impl Wire for Pod {
    fn fact(&self, _: Scope, reading: Reading) -> Option<Fact> {
        if self.metadata.deletion_timestamp.is_some() {
            return None; // what it said last stays true until it is gone
        }
        let key = key_of(&self.metadata);
        let first = &self.status.pod_ip;
        let others = self.status.pod_ips.iter().map(|p| &p.ip);
        let ips = iter::once(first).chain(others.filter(|ip| *ip != first));
        let labels = self.metadata.labels.iter().flatten();
        let labels = labels.filter(|_| reading.pod_labels);
        let pod = endpoint::Pod {
            ns: key.ns.clone(),
            name: key.name.clone(),
            addresses: addresses(ips),
            labels: labels
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
        };
        Some(Fact::Pod(pod))
    }
}

impl Wire for StatefulSet {
    fn fact(&self, _: Scope, _: Reading) -> Option<Fact> {
        let key = key_of(&self.metadata);
        let number = |field: Option<i64>, default| {
            u32::try_from(field.unwrap_or(default)).unwrap_or_default()
        };
        // One on its way out makes no Pods.
        let is_ending = self.metadata.deletion_timestamp.is_some();
        let replicas = Some(self.spec.replicas.unwrap_or(1)).filter(|_| !is_ending);
        Some(Fact::Set(endpoint::Expected {
            service: service_key(&key.ns, &self.spec.service_name),
            set: key.name.to_ascii_lowercase().into(),
            start: number(self.spec.ordinals.start, 0),
            replicas: number(replicas, 0),
        }))
    }
}

/// An endpoint with its topology zone in lower case.
struct OwnedEndpoint<'a> {
    address: Address<'a>,
    label: Option<&'a str>,
    topology: String,
    ready: bool,
}

impl OwnedEndpoint<'_> {
    fn borrow(&self) -> endpoint::Endpoint<'_> {
        let Self {
            address,
            label,
            ref topology,
            ready,
        } = *self;
        endpoint::Endpoint {
            address,
            label,
            topology,
            ready,
        }
    }
}

impl WireEndpoint {
    fn endpoints<'a>(
        &'a self,
        reading: Reading,
        address_type: &'a str,
    ) -> impl Iterator<Item = OwnedEndpoint<'a>> {
        let hostname = Some(&*self.hostname).filter(|h| !h.is_empty());
        let target = Some(&*self.target_ref.name).filter(|name| {
            reading.endpoint_pod_names && !name.is_empty() && name.len() <= MAX_LABEL
        });
        let ready = self.conditions.ready.unwrap_or(true);
        self.addresses.iter().filter_map(move |text| {
            let address = match address_type {
                "FQDN" => Address::Name(text),
                _ => Address::Ip(text.parse().ok()?),
            };
            let topology = if reading.zonal {
                self.zone.to_ascii_lowercase()
            } else {
                String::new()
            };
            Some(OwnedEndpoint {
                address,
                label: hostname.or(target),
                topology,
                ready,
            })
        })
    }
}

fn service_key(ns: &str, name: &str) -> ServiceKey {
    ServiceKey::new(ns.as_bytes(), name.as_bytes())
}

/// The texts that are addresses; anything else is left out, as no record could hold it.
fn addresses<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Box<[IpAddr]> {
    texts
        .into_iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

/// The ports; where there are none and `stand_in`, one without number, so that the name exists.
fn ports(ports: &[WirePort], stand_in: bool) -> Box<[Port]> {
    let mut all: Vec<_> = ports
        .iter()
        .map(|p| Port {
            name: (*p.name).into(),
            protocol: (*p.protocol).into(),
            number: p.port.and_then(|port| u16::try_from(port).ok()),
        })
        .collect();
    if all.is_empty() && stand_in {
        all.push(Port {
            name: "".into(),
            protocol: "".into(),
            number: None,
        });
    }
    all.into()
}

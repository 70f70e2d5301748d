//! The messages of a watch, by the field numbers of Kubernetes' `generated.proto` files (`k8s.io/api`,
//! `k8s.io/apimachinery`), with only the fields that [`super::super::wire`] reads. Written out they are the API's JSON.
//!
//! Texts are slices of the message they came in.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use serde::{Serialize, Serializer};

use super::super::wire::TRIGGERED;

/// `meta.v1.WatchEvent`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchEvent {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) kind: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) object: Option<RawExtension>,
}

/// `runtime.RawExtension`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawExtension {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) raw: Bytes,
}

/// `meta.v1.ObjectMeta`; of a bookmark too.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectMeta {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    namespace: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    uid: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    resource_version: Bytes,
    #[prost(message, optional, tag = "9")]
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<Time>,
    #[prost(message, repeated, tag = "11")]
    #[serde(serialize_with = "map", skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "12")]
    #[serde(serialize_with = "marks", skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Pair>,
}

/// An entry of a map of texts. Maps of `string` would refuse the whole object for one text that is not UTF-8.
#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// The annotations that are read: by the first a bookmark says that the initial list is complete.
const READ: [&str; 2] = ["k8s.io/initial-events-end", TRIGGERED];

/// `meta.v1.Time`.
#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// An object of which the metadata suffice.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Namespace {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

impl Namespace {
    /// What is known of an object that cannot be read whole.
    pub(super) fn identity(&self) -> kube::api::ObjectMeta {
        let meta = self.metadata.clone().unwrap_or_default();
        let text = |bytes: &Bytes| (!bytes.is_empty()).then(|| as_str(bytes).to_owned());
        let label = |pair: &Pair| Some((text(&pair.key)?, text(&pair.value)?));
        let labels: BTreeMap<_, _> = meta.labels.iter().filter_map(label).collect();
        kube::api::ObjectMeta {
            name: text(&meta.name),
            namespace: text(&meta.namespace),
            resource_version: text(&meta.resource_version),
            labels: (!labels.is_empty()).then_some(labels),
            ..kube::api::ObjectMeta::default()
        }
    }
}

/// `core.v1.Service`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Service {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<ServiceSpec>,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<ServiceStatus>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<ServicePort>,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(rename = "clusterIP", serialize_with = "text")]
    cluster_ip: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(rename = "type", serialize_with = "text")]
    kind: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    #[serde(
        rename = "externalIPs",
        serialize_with = "texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    external_ips: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "10")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    external_name: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "18")]
    #[serde(
        rename = "clusterIPs",
        serialize_with = "texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    cluster_ips: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ServicePort {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "text")]
    protocol: Bytes,
    #[prost(int32, tag = "3")]
    port: i32,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatus {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    load_balancer: Option<LoadBalancer>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct LoadBalancer {
    #[prost(message, repeated, tag = "1")]
    ingress: Vec<Ingress>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Ingress {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "text")]
    ip: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "text")]
    hostname: Bytes,
}

/// `discovery.v1.EndpointSlice`.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, repeated, tag = "2")]
    endpoints: Vec<Endpoint>,
    #[prost(message, repeated, tag = "3")]
    ports: Vec<EndpointPort>,
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(serialize_with = "text")]
    address_type: Bytes,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    #[serde(serialize_with = "texts")]
    addresses: Vec<Bytes>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    conditions: Option<EndpointConditions>,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    hostname: Bytes,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ref: Option<ObjectReference>,
    #[prost(bytes = "bytes", tag = "7")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    zone: Bytes,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct EndpointConditions {
    #[prost(bool, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ObjectReference {
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(serialize_with = "text")]
    name: Bytes,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct EndpointPort {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    protocol: Bytes,
    #[prost(int32, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<i32>,
}

/// `core.v1.Pod`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Pod {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PodStatus>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct PodStatus {
    #[prost(bytes = "bytes", tag = "6")]
    #[serde(
        rename = "podIP",
        serialize_with = "text",
        skip_serializing_if = "Bytes::is_empty"
    )]
    pod_ip: Bytes,
    #[prost(message, repeated, tag = "12")]
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct PodIp {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "text")]
    ip: Bytes,
}

/// `apps.v1.StatefulSet`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct StatefulSet {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<StatefulSetSpec>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatefulSetSpec {
    #[prost(int32, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<i32>,
    #[prost(bytes = "bytes", tag = "5")]
    #[serde(serialize_with = "text")]
    service_name: Bytes,
    #[prost(message, optional, tag = "11")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinals: Option<StatefulSetOrdinals>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct StatefulSetOrdinals {
    #[prost(int32, tag = "1")]
    start: i32,
}

/// `meta.v1.Status`: what went wrong.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Status {
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "text")]
    status: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(serialize_with = "text")]
    message: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(serialize_with = "text")]
    reason: Bytes,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<StatusDetails>,
    #[prost(int32, tag = "6")]
    code: i32,
}

#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusDetails {
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

/// The bytes as text; empty where they are not UTF-8.
pub(super) fn as_str(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Text that is not UTF-8 is written as its bytes, a list of numbers, which no reader of text takes: protobuf's strings are
/// UTF-8, but an API server lets others through where it does not look.
struct Text<'a>(&'a Bytes);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_) => to.serialize_bytes(self.0),
        }
    }
}

fn text<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    Text(bytes).serialize(to)
}

fn texts<S: Serializer>(list: &[Bytes], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(list.iter().map(Text))
}

fn map<S: Serializer>(pairs: &[Pair], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(
        pairs
            .iter()
            .map(|pair| (as_str(&pair.key), Text(&pair.value))),
    )
}

fn marks<S: Serializer>(annotations: &[Pair], to: S) -> Result<S::Ok, S::Error> {
    let read = annotations
        .iter()
        .filter(|pair| READ.iter().any(|key| pair.key == key.as_bytes()));
    to.collect_map(read.map(|pair| (as_str(&pair.key), as_str(&pair.value))))
}

/// RFC 3339.
fn time<S: Serializer>(time: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
    let seconds = time.as_ref().map_or(0, |time| time.seconds);
    to.collect_str(&jiff::Timestamp::from_second(seconds).unwrap_or_default())
}

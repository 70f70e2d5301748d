//! What every namespace has: a ServiceAccount `default`, and the certificate that its Pods know the API by.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, KindId};
use super::objects::{Key, Objects};

/// The ServiceAccount of Pods that name none.
const ACCOUNT: &str = "default";

/// The ConfigMap with the authority's certificate.
pub(super) const AUTHORITY: &str = "kube-root-ca.crt";

/// What that ConfigMap says of itself (kube-controller-manager's root-ca-cert-publisher).
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
    internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Whether an object is one that every namespace has.
pub(super) fn is_one(key: &Key) -> bool {
    all().contains(&(key.kind, key.name.as_str()))
}

fn all() -> [(KindId, &'static str); 2] {
    [
        (kinds::SERVICE_ACCOUNT, ACCOUNT),
        (kinds::CONFIG_MAP, AUTHORITY),
    ]
}

/// What the namespace has not. `authority`: the certificate, PEM.
pub(super) fn missing(objects: &Objects, ns: &str, authority: &str) -> Vec<(KindId, Value)> {
    let missing = all()
        .into_iter()
        .filter(|(kind, name)| objects.named(*kind, ns, name).is_none());
    let made = missing.map(|(kind, name)| {
        let mut object = json!({"metadata": {"name": name}});
        if name == AUTHORITY {
            object["metadata"]["annotations"] = json!({"kubernetes.io/description": DESCRIPTION});
            object["data"] = json!({"ca.crt": authority});
        }
        (kind, object)
    });
    made.collect()
}

/// The ConfigMaps with the certificate, each with this one.
pub(super) fn published(objects: &Objects, authority: &str) -> Vec<(Key, Value)> {
    let maps = objects.list(kinds::CONFIG_MAP, None);
    let maps = maps.filter(|(key, _)| is_one(key));
    let publish = |(key, map): (&Key, &Arc<Value>)| {
        let mut map = Value::clone(map);
        map["data"] = json!({"ca.crt": authority});
        (key.clone(), map)
    };
    maps.map(publish).collect()
}

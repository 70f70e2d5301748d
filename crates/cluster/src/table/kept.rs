//! Columns of kinds that are only kept.

use serde_json::Value;

use super::{AGE, joined, or_none};
use crate::kind::Column;
use headless_objects::object::array;

fn or_unset(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if !text.is_empty() => text.into(),
        _ => "<unset>".into(),
    }
}

fn number_of(list: &Value) -> Value {
    array(list).count().into()
}

pub(crate) const WEBHOOKS: &[Column] =
    &[("Webhooks", false, |o, _| number_of(&o["webhooks"])), AGE];

pub(crate) const POLICY: &[Column] = &[
    ("Validations", false, |o, _| {
        number_of(&o["spec"]["validations"])
    }),
    ("ParamKind", false, |o, _| {
        let kind = &o["spec"]["paramKind"];
        match (kind["apiVersion"].as_str(), kind["kind"].as_str()) {
            (Some(version), Some(kind)) => format!("{version}/{kind}").into(),
            _ => "<unset>".into(),
        }
    }),
    AGE,
];

pub(crate) const POLICY_BINDING: &[Column] = &[
    ("PolicyName", false, |o, _| o["spec"]["policyName"].clone()),
    ("ParamRef", false, |o, _| {
        let parameters = &o["spec"]["paramRef"];
        match parameters["namespace"].as_str() {
            Some(ns) if !ns.is_empty() => {
                format!("{ns}/{}", parameters["name"].as_str().unwrap_or("*")).into()
            }
            _ => or_unset(&parameters["name"]),
        }
    }),
    AGE,
];

pub(crate) const INGRESS_CLASS: &[Column] = &[
    ("Controller", false, |o, _| o["spec"]["controller"].clone()),
    ("Parameters", false, |o, _| {
        let parameters = &o["spec"]["parameters"];
        let name = parameters["name"].as_str();
        let Some(name) = name else {
            return "<none>".into();
        };
        let kind = parameters["kind"].as_str().unwrap_or_default();
        match parameters["apiGroup"].as_str() {
            Some(group) => format!("{kind}.{group}/{name}").into(),
            None => format!("{kind}/{name}").into(),
        }
    }),
    AGE,
];

pub(crate) const RUNTIME_CLASS: &[Column] = &[("Handler", false, |o, _| o["handler"].clone()), AGE];

/// Some kinds say when they were made, not how long ago.
pub(crate) const CREATED_AT: &[Column] = &[("Created At", false, |o, _| {
    o["metadata"]["creationTimestamp"].clone()
})];

pub(crate) const ROLE_BINDING: &[Column] = &[
    ("Role", false, |o, _| {
        let role = &o["roleRef"];
        let text = |field: &str| role[field].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("kind"), text("name")).into()
    }),
    AGE,
    ("Users", true, |o, _| subjects(o, "User")),
    ("Groups", true, |o, _| subjects(o, "Group")),
    ("ServiceAccounts", true, |o, _| {
        subjects(o, "ServiceAccount")
    }),
];

fn subjects(binding: &Value, kind: &str) -> Value {
    let all = array(&binding["subjects"]).filter(|subject| subject["kind"] == kind);
    let names: Vec<_> = all
        .map(|subject| {
            let name = subject["name"].as_str().unwrap_or_default();
            match subject["namespace"]
                .as_str()
                .filter(|_| kind == "ServiceAccount")
            {
                Some(ns) => format!("{ns}/{name}"),
                None => name.to_owned(),
            }
        })
        .collect();
    names.join(", ").into()
}

pub(crate) const CSI_DRIVER: &[Column] = &[
    ("AttachRequired", false, |o, _| {
        (o["spec"]["attachRequired"] != false).into()
    }),
    ("PodInfoOnMount", false, |o, _| {
        (o["spec"]["podInfoOnMount"] == true).into()
    }),
    ("StorageCapacity", false, |o, _| {
        (o["spec"]["storageCapacity"] == true).into()
    }),
    ("TokenRequests", false, |o, _| {
        let audiences = array(&o["spec"]["tokenRequests"]).filter_map(|t| t["audience"].as_str());
        joined(audiences.map(str::to_owned), "<unset>")
    }),
    ("RequiresRepublish", false, |o, _| {
        (o["spec"]["requiresRepublish"] == true).into()
    }),
    ("Modes", false, |o, _| {
        let modes = array(&o["spec"]["volumeLifecycleModes"]).filter_map(Value::as_str);
        joined(modes.map(str::to_owned), "<none>")
    }),
    AGE,
];

pub(crate) const ATTACHMENT: &[Column] = &[
    ("Attacher", false, |o, _| o["spec"]["attacher"].clone()),
    ("PV", false, |o, _| {
        let volume = &o["spec"]["source"]["persistentVolumeName"];
        volume.as_str().unwrap_or_default().into()
    }),
    ("Node", false, |o, _| o["spec"]["nodeName"].clone()),
    ("Attached", false, |o, _| {
        (o["status"]["attached"] == true).into()
    }),
    AGE,
];

pub(crate) const SERVICE_CIDR: &[Column] = &[
    ("CIDRs", false, |o, _| {
        let all = array(&o["spec"]["cidrs"]).filter_map(Value::as_str);
        joined(all.map(str::to_owned), "")
    }),
    AGE,
];

pub(crate) const IP_ADDRESS: &[Column] = &[
    ("ParentRef", false, |o, _| {
        let parent = &o["spec"]["parentRef"];
        let parts = ["group", "resource", "namespace", "name"].map(|field| parent[field].as_str());
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("/").into()
    }),
    AGE,
];

pub(crate) const CSI_NODE: &[Column] = &[
    ("Drivers", false, |o, _| number_of(&o["spec"]["drivers"])),
    AGE,
];

pub(crate) const VOLUME_ATTRIBUTES_CLASS: &[Column] =
    &[("DriverName", false, |o, _| or_none(&o["driverName"])), AGE];

//! What the API server refuses of a PersistentVolume.

use headless_objects::podspec::items;
use headless_objects::quantity::NANO;
use serde_json::{Value, json};

use super::affinity::{kept_terms, node_selector};
use super::claim::access_modes;
use super::source::{
    AWS, AZURE_DISK, AZURE_FILE, CEPH, CINDER, FC, FLEX, FLOCKER, GCE, GLUSTER, HOST_PATH, NFS,
    PHOTON, PORTWORX, QUOBYTE, RBD, SCALE_IO, STORAGE_OS, Source, VSPHERE, driver, one_source,
};
use super::values::{no_steps_back, positive};
use super::words::{label, subdomain};
use crate::field::Errors;
use crate::place::Place;

/// The sources of a volume, in the order in which they are looked at.
const SOURCES: &[Source] = &[
    HOST_PATH,
    GCE,
    AWS,
    GLUSTER,
    FLOCKER,
    NFS,
    RBD,
    QUOBYTE,
    CEPH,
    ("iscsi", "iscsi", &["targetPortal", "iqn"], |_, _| {}),
    CINDER,
    FC,
    FLEX,
    AZURE_FILE,
    VSPHERE,
    PHOTON,
    PORTWORX,
    AZURE_DISK,
    SCALE_IO,
    ("local", "local", &["path"], local),
    STORAGE_OS,
    ("csi", "csi", &[], csi),
];

/// v1 PersistentVolume.
pub fn volume(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    volume_spec(&spec, errors);
    if let Some(old) = old {
        update(&spec, &old["spec"], errors);
    }
}

/// A volume's spec, also where it stands in an attachment.
pub(super) fn volume_spec(spec: &Place<'_>, errors: &mut Errors) {
    let modes = spec.of("accessModes");
    if modes.is_empty() {
        errors.required(&modes, "");
    }
    access_modes(&modes, errors);
    capacity(&spec.of("capacity"), errors);
    let policy = spec.of("persistentVolumeReclaimPolicy");
    errors.one_of(&policy, &["Delete", "Recycle", "Retain"]);
    let affinity = spec.of("nodeAffinity");
    if affinity.is_given() && !affinity.of("required").is_given() {
        let what = "must specify required node constraints";
        errors.required(affinity.of("required"), what);
    }
    node_selector(&affinity.of("required"), errors);
    one_source(spec, SOURCES, errors);
    let sources = SOURCES
        .iter()
        .filter(|(source, ..)| spec.of(source).is_given());
    let is_local = spec.of("local").is_given() && sources.count() == 1;
    if is_local && !affinity.is_given() {
        errors.required(affinity, "Local volume requires node affinity");
    }
    let whole = spec
        .of("hostPath")
        .of("path")
        .text()
        .trim_matches('/')
        .is_empty();
    if spec.of("hostPath").is_given() && whole && policy.text() == "Recycle" {
        let what = "may not be 'recycle' for a hostPath mount of '/'";
        errors.forbidden(policy, what);
    }
    errors.maybe(&spec.of("storageClassName"), subdomain);
    errors.one_of(&spec.of("volumeMode"), &["Block", "Filesystem"]);
    let class = spec.of("volumeAttributesClassName");
    if class.is_given() {
        if class.is_empty() {
            errors.required(&class, "an empty string is disallowed");
        }
        errors.maybe(&class, subdomain);
        if !spec.of("csi").is_given() {
            let what = "has to be specified when using volumeAttributesClassName";
            errors.required(spec.of("csi"), what);
        }
    }
}

fn capacity(capacity: &Place<'_>, errors: &mut Errors) {
    if capacity.is_empty() {
        errors.required(capacity, "");
    }
    if !capacity.of("storage").is_given() || capacity.count() > 1 {
        let shown = if capacity.is_given() {
            capacity.value.clone()
        } else {
            json!({})
        };
        errors.not_supported(capacity, &shown, &["storage"]);
    }
    for (_, amount) in capacity.entries() {
        let whole = i64::try_from(amount.nanos().div_euclid(NANO)).unwrap_or_default();
        if whole < 0 {
            let what = "must be a valid resource quantity";
            errors.invalid(&amount, &whole.into(), what);
        }
        positive(&amount, errors);
    }
}

fn local(source: &Place<'_>, errors: &mut Errors) {
    no_steps_back(&source.of("path"), errors);
}

fn csi(source: &Place<'_>, errors: &mut Errors) {
    driver(&source.of("driver"), errors);
    if source.of("volumeHandle").is_empty() {
        errors.required(source.of("volumeHandle"), "");
    }
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let secret = source.of(field);
        if secret.is_given() {
            errors.named(&secret.of("name"), subdomain);
            errors.named(&secret.of("namespace"), label);
        }
    }
}

/// Labels of nodes by their older names.
const OLDER: [(&str, &str); 4] = [
    (
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
];

/// Where a volume comes from stays, how it is used, and where.
fn update(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let mut csi = spec.value["csi"].clone();
    if old["csi"]["controllerExpandSecretRef"].is_null() {
        csi.as_object_mut()
            .map(|csi| csi.remove("controllerExpandSecretRef"));
    }
    let moved = |(source, ..): &Source| {
        let new = if *source == "csi" {
            &csi
        } else {
            &spec.value[*source]
        };
        *new != old[*source]
    };
    if SOURCES.iter().any(moved) {
        let what = "spec.persistentvolumesource is immutable after creation";
        errors.forbidden("spec.persistentvolumesource", what);
    }
    let mode = spec.of("volumeMode").called("volumeMode".into());
    errors.unchanged(&mode, &old["volumeMode"]);
    nodes(&spec.of("nodeAffinity"), &old["nodeAffinity"], errors);
    let class = spec.of("volumeAttributesClassName");
    if !class.is_given() && old["volumeAttributesClassName"].is_string() {
        errors.forbidden(class, "update from non-nil value to nil is forbidden");
    }
}

/// The nodes that reach a volume; their labels may be called by their newer names.
fn nodes(affinity: &Place<'_>, old: &Value, errors: &mut Errors) {
    let mut newer = old.clone();
    let terms = newer.pointer_mut("/required/nodeSelectorTerms");
    for term in terms.and_then(Value::as_array_mut).into_iter().flatten() {
        for wanted in items(term, "matchExpressions") {
            let newer = OLDER.iter().find(|(older, _)| wanted["key"] == *older);
            if let Some((_, newer)) = newer {
                wanted["key"] = (*newer).into();
            }
        }
    }
    if old.is_null() || affinity.value == old || *affinity.value == newer {
        return;
    }
    let terms = kept_terms(&affinity.value["required"]["nodeSelectorTerms"]);
    let required = affinity.of("required");
    let required = required
        .is_given()
        .then(|| json!({"NodeSelectorTerms": terms}));
    let shown = if affinity.is_given() {
        json!({"Required": required})
    } else {
        Value::Null
    };
    let what = "field is immutable, except for updating from beta label to GA";
    errors.invalid("nodeAffinity", &shown, what);
}

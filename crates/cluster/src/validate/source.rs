//! What the API server refuses of where a volume comes from: of Pods' volumes, and of PersistentVolumes.

use super::claim::claim_spec;
use super::projected::{downward_files, items, mode, projected};
use super::values::{annotations, downward_path, labels, no_steps_back};
use super::words::{label, subdomain};
use crate::field::Errors;
use crate::place::Place;

/// What is known of a source: its field, what its fields are said to stand in, what has to be there, and what else is checked.
pub(super) type Source = (
    &'static str,
    &'static str,
    &'static [&'static str],
    fn(&Place<'_>, &mut Errors),
);

/// The sources of a Pod's volume, in the order in which they are looked at.
pub(super) const OF_PODS: &[Source] = &[
    ("emptyDir", "emptyDir", &[], empty_dir),
    HOST_PATH,
    ("gitRepo", "gitRepo", &["repository"], git),
    GCE,
    AWS,
    ("secret", "secret", &["secretName"], keys),
    NFS,
    ("iscsi", "iscsi", &["targetPortal"], iscsi),
    GLUSTER,
    FLOCKER,
    (
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        &["claimName"],
        nothing,
    ),
    RBD,
    CINDER,
    CEPH,
    QUOBYTE,
    ("downwardAPI", "downwardAPI", &[], downward),
    FC,
    FLEX,
    ("configMap", "configMap", &["name"], keys),
    AZURE_FILE,
    VSPHERE,
    PHOTON,
    PORTWORX,
    AZURE_DISK,
    STORAGE_OS,
    ("projected", "projected", &[], projected),
    SCALE_IO,
    ("csi", "csi", &[], csi),
    ("ephemeral", "ephemeral", &[], ephemeral),
    ("image", "image", &["reference"], image),
];

pub(super) const HOST_PATH: Source = ("hostPath", "hostPath", &["path"], host_path);
pub(super) const GCE: Source = (
    "gcePersistentDisk",
    "persistentDisk",
    &["pdName"],
    partition,
);
pub(super) const AWS: Source = (
    "awsElasticBlockStore",
    "awsElasticBlockStore",
    &["volumeID"],
    partition,
);
pub(super) const NFS: Source = ("nfs", "nfs", &["server", "path"], nfs);
pub(super) const GLUSTER: Source = ("glusterfs", "glusterfs", &["endpoints", "path"], nothing);
pub(super) const RBD: Source = ("rbd", "rbd", &["monitors", "image"], nothing);
pub(super) const CINDER: Source = ("cinder", "cinder", &["volumeID"], secret);
pub(super) const CEPH: Source = ("cephfs", "cephfs", &["monitors"], nothing);
pub(super) const FLOCKER: Source = ("flocker", "flocker", &[], flocker);
pub(super) const QUOBYTE: Source = ("quobyte", "quobyte", &[], quobyte);
pub(super) const FC: Source = ("fc", "fc", &[], fibre);
pub(super) const FLEX: Source = ("flexVolume", "flexVolume", &["driver"], flex);
pub(super) const AZURE_FILE: Source = (
    "azureFile",
    "azureFile",
    &["secretName", "shareName"],
    nothing,
);
pub(super) const VSPHERE: Source = ("vsphereVolume", "vsphereVolume", &["volumePath"], nothing);
pub(super) const PHOTON: Source = (
    "photonPersistentDisk",
    "photonPersistentDisk",
    &["pdID"],
    nothing,
);
pub(super) const PORTWORX: Source = ("portworxVolume", "portworxVolume", &["volumeID"], nothing);
pub(super) const AZURE_DISK: Source = (
    "azureDisk",
    "azureDisk",
    &["diskName", "diskURI"],
    azure_disk,
);
pub(super) const STORAGE_OS: Source = ("storageos", "storageos", &[], storage_os);
pub(super) const SCALE_IO: Source = (
    "scaleIO",
    "scaleIO",
    &["gateway", "system", "volumeName"],
    nothing,
);

/// Checks that there is one of the sources, and that one.
pub(super) fn one_source(volume: &Place<'_>, sources: &[Source], errors: &mut Errors) {
    let mut any = false;
    for (field, called, wanted, check) in sources {
        let source = volume.of(field);
        if !source.is_given() {
            continue;
        }
        // Two are called otherwise where they are too many.
        if any {
            let called = match *field {
                "cephfs" => volume.of("cephFS"),
                "downwardAPI" => volume.of("downwarAPI"),
                _ => source,
            };
            errors.forbidden(called, "may not specify more than 1 volume type");
            continue;
        }
        any = true;
        let source = Place {
            value: source.value,
            ..volume.of(called)
        };
        for field in *wanted {
            let field = source.of(field);
            if field.is_empty() {
                errors.required(field, "");
            }
        }
        check(&source, errors);
    }
    if !any {
        errors.required(volume, "must specify a volume type");
    }
}

fn nothing(_: &Place<'_>, _: &mut Errors) {}

fn empty_dir(source: &Place<'_>, errors: &mut Errors) {
    let limit = source.of("sizeLimit");
    if limit.nanos() < 0 {
        errors.forbidden(limit, "SizeLimit field must be a valid resource quantity");
    }
}

fn host_path(source: &Place<'_>, errors: &mut Errors) {
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if !source.of("path").is_empty() {
        no_steps_back(&source.of("path"), errors);
        errors.one_of(&source.of("type"), TYPES);
    }
}

fn git(source: &Place<'_>, errors: &mut Errors) {
    downward_path(&source.of("directory"), errors);
}

fn partition(source: &Place<'_>, errors: &mut Errors) {
    let partition = source.of("partition");
    if !(0..=255).contains(&partition.number()) {
        errors.bad(&partition, "must be between 1 and 255, inclusive");
    }
}

/// A Secret or ConfigMap.
fn keys(source: &Place<'_>, errors: &mut Errors) {
    mode(&source.of("defaultMode"), errors);
    items(source, errors);
}

fn downward(source: &Place<'_>, errors: &mut Errors) {
    mode(&source.of("defaultMode"), errors);
    downward_files(source, errors);
}

fn nfs(source: &Place<'_>, errors: &mut Errors) {
    let path = source.of("path");
    if !path.text().starts_with('/') {
        errors.each(&path, vec!["must be an absolute path".into()]);
    }
}

/// What is wrong with the name of an initiator or a target (RFC 3720 section 3.2.6).
fn wrong_initiator(name: &str) -> Vec<String> {
    let known = ["iqn", "eui", "naa"]
        .iter()
        .any(|kind| name.starts_with(kind));
    let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
    let is_code = |length| rest.len() == length && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    let good = match kind {
        "iqn" => rest.contains(':') && rest.len() > 8,
        "eui" => is_code(16),
        _ => is_code(32),
    };
    match (known, good) {
        (false, _) => vec!["must be valid format starting with iqn, eui, or naa".into()],
        (true, false) => vec!["must be valid format".into()],
        (true, true) => Vec::new(),
    }
}

fn iscsi(source: &Place<'_>, errors: &mut Errors) {
    errors.named(&source.of("iqn"), wrong_initiator);
    errors.between(&source.of("lun"), 0, 255);
    let authenticates = ["chapAuthDiscovery", "chapAuthSession"].map(|field| source.of(field));
    if authenticates.iter().any(Place::holds) && !source.of("secretRef").is_given() {
        errors.required(source.of("secretRef"), "");
    }
    let initiator = source.of("initiatorName");
    if initiator.is_given() {
        let at = initiator.called(source.of("initiatorname").path);
        errors.each(&at, wrong_initiator(at.text()));
    }
}

fn fibre(source: &Place<'_>, errors: &mut Errors) {
    let (names, others) = (source.of("targetWWNs"), source.of("wwids"));
    if names.is_empty() && others.is_empty() {
        let what = "must specify either targetWWNs or wwids, but not both";
        errors.required(&names, what);
    }
    if names.is_empty() {
        return;
    }
    if !others.is_empty() {
        let what = "targetWWNs and wwids can not be specified simultaneously";
        errors.bad(&names, what);
    }
    let lun = source.of("lun");
    if lun.is_given() {
        errors.between(&lun, 0, 255);
    } else {
        errors.required(lun, "lun is required if targetWWNs is specified");
    }
}

fn flex(source: &Place<'_>, errors: &mut Errors) {
    let options = source.of("options");
    for (key, _) in options.entries() {
        let space = format!(
            ".{}",
            key.split('/').next().unwrap_or_default().to_lowercase()
        );
        if [".kubernetes.io", ".k8s.io"]
            .iter()
            .any(|end| space.ends_with(end))
        {
            let what = "kubernetes.io and k8s.io namespaces are reserved";
            errors.invalid(options.key(key), &key.into(), what);
        }
    }
}

fn azure_disk(source: &Place<'_>, errors: &mut Errors) {
    const MANAGED: &[&str] = &[
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
    ];
    const BLOB: &[&str] =
        &["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"];
    let (kind, address) = (source.of("kind"), source.of("diskURI"));
    errors.one_of(
        &source.of("cachingMode"),
        &["None", "ReadOnly", "ReadWrite"],
    );
    errors.one_of(&kind, &["Dedicated", "Managed", "Shared"]);
    let (begins, allowed) = match kind.text() {
        "Managed" => ("/subscriptions/", MANAGED),
        _ => ("https://", BLOB),
    };
    if kind.is_given() && !address.text().starts_with(begins) {
        errors.not_supported(&address, &address.text().into(), allowed);
    }
}

fn storage_os(source: &Place<'_>, errors: &mut Errors) {
    errors.named(&source.of("volumeName"), label);
    errors.maybe(&source.of("volumeNamespace"), label);
    secret(source, errors);
}

/// The Secret that opens a source.
fn secret(source: &Place<'_>, errors: &mut Errors) {
    let secret = source.of("secretRef");
    if secret.is_given() && secret.of("name").is_empty() {
        errors.required(secret.of("name"), "");
    }
}

fn flocker(source: &Place<'_>, errors: &mut Errors) {
    let (name, uid) = (source.of("datasetName"), source.of("datasetUUID"));
    let what = match (name.is_empty(), uid.is_empty()) {
        (true, true) => {
            let what = "one of datasetName and datasetUUID is required";
            return errors.required(source, what);
        }
        (false, false) => "datasetName and datasetUUID can not be specified simultaneously",
        (true, false) | (false, true) => "",
    };
    if !what.is_empty() {
        errors.invalid(source, &"resource".into(), what);
    }
    if name.text().contains('/') {
        errors.bad(&name, "must not contain '/'");
    }
}

fn quobyte(source: &Place<'_>, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = source.of("registry");
    let pair = |pair: &str| {
        pair.rsplit_once(':')
            .is_some_and(|(host, _)| !host.contains(':'))
    };
    if registry.is_empty() {
        errors.required(registry, PAIRS);
    } else if source.of("tenant").text().len() > 64 {
        let what = "must be a UUID and may not exceed a length of 64 characters";
        errors.required(source.of("tenant"), what);
    } else if !registry.text().split(',').all(pair) {
        errors.bad(&registry, PAIRS);
    }
    if source.of("volume").is_empty() {
        errors.required(source.of("volume"), "");
    }
}

/// The name of a driver (CSI, `GetPluginInfo`).
pub(super) fn driver(name: &Place<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(name, "");
    }
    if name.text().len() > 63 {
        errors.add(name, crate::field::Problem::TooLong(63));
    }
    errors.each(name, subdomain(&name.text().to_lowercase()));
}

fn csi(source: &Place<'_>, errors: &mut Errors) {
    driver(&source.of("driver"), errors);
    let secret = source.of("nodePublishSecretRef");
    if secret.is_given() {
        // A wrong name is said to be the source's.
        let name = secret.of("name");
        if name.is_empty() {
            errors.required(name, "");
        } else {
            errors.each(&name.called(source.of("name").path), subdomain(name.text()));
        }
    }
}

fn ephemeral(source: &Place<'_>, errors: &mut Errors) {
    let template = source.of("volumeClaimTemplate");
    if !template.is_given() {
        return errors.required(template, "");
    }
    let meta = template.of("metadata");
    annotations(&meta.of("annotations"), errors);
    labels(&meta.of("labels"), errors);
    for (field, _) in meta.value.as_object().into_iter().flatten() {
        if !["annotations", "labels"].contains(&field.as_str()) {
            errors.forbidden(meta.of(field), "cannot be set");
        }
    }
    claim_spec(&template.of("spec"), errors);
}

fn image(source: &Place<'_>, errors: &mut Errors) {
    let policies = ["Always", "IfNotPresent", "Never"];
    errors.one_of(&source.of("pullPolicy"), &policies);
}

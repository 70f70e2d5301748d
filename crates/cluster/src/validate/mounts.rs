//! What the API server refuses of the places where volumes stand in a container.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::values::downward_path;
use crate::field::Errors;
use crate::place::Place;

/// The volumes of a Pod that are right, by their names.
type Volumes<'a> = BTreeMap<&'a str, &'a Value>;

/// The values of a field of a list's items.
fn all<'a>(list: &Place<'a>, field: &str) -> BTreeSet<&'a str> {
    list.items().map(|item| item.of(field).text()).collect()
}

/// `volumeMounts`.
pub(super) fn mounts(container: &Place<'_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let (mounts, devices) = (container.of("volumeMounts"), container.of("volumeDevices"));
    let (taken, places) = (all(&devices, "name"), all(&devices, "devicePath"));
    let mut paths = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.of("name"), mount.of("mountPath"));
        if name.is_empty() {
            errors.required(&name, "");
        }
        if !volumes.contains_key(name.text()) {
            errors.not_found(&name, "");
        }
        if path.is_empty() {
            errors.required(&path, "");
        }
        if !paths.insert(path.text()) {
            errors.bad(&path, "must be unique");
        }
        if taken.contains(name.text()) {
            errors.bad(&name, "must not already exist in volumeDevices");
        }
        if places.contains(path.text()) {
            errors.bad(&path, "must not already exist as a path in volumeDevices");
        }
        // What follows is said to be of the list, not of its item.
        let of_list = mount.called(mounts.path.clone());
        downward_path(&of_list.of("subPath"), errors);
        if mount.of("subPath").is_given() && mount.of("subPathExpr").is_given() {
            let what = "subPathExpr and subPath are mutually exclusive";
            errors.bad(&mount.of("subPathExpr"), what);
        }
        downward_path(&of_list.of("subPathExpr"), errors);
        let privileged = container.of("securityContext").of("privileged").holds();
        propagation(&of_list, privileged, errors);
        read_only(&of_list, errors);
    }
}

fn propagation(mount: &Place<'_>, privileged: bool, errors: &mut Errors) {
    let propagation = mount.of("mountPropagation");
    errors.one_of(&propagation, &["Bidirectional", "HostToContainer", "None"]);
    if propagation.text() == "Bidirectional" && !privileged {
        let what = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(propagation, what);
    }
}

/// Whether what is mounted below is read-only too (KEP-3857).
fn read_only(mount: &Place<'_>, errors: &mut Errors) {
    let recursive = mount.of("recursiveReadOnly");
    errors.one_of(&recursive, &["Disabled", "Enabled", "IfPossible"]);
    if !["Enabled", "IfPossible"].contains(&recursive.text()) {
        return;
    }
    if !mount.of("readOnly").holds() {
        errors.forbidden(&recursive, "may only be specified when readOnly is true");
    }
    if !["", "None"].contains(&mount.of("mountPropagation").text()) {
        let what = "may only be specified when mountPropagation is None or not specified";
        errors.forbidden(&recursive, what);
    }
}

/// `volumeDevices`.
pub(super) fn devices(container: &Place<'_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let (mounts, devices) = (container.of("volumeMounts"), container.of("volumeDevices"));
    let (taken, places) = (all(&mounts, "name"), all(&mounts, "mountPath"));
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in devices.items() {
        let (name, path) = (device.of("name"), device.of("devicePath"));
        let volume = volumes.get(name.text());
        let claims = ["persistentVolumeClaim", "ephemeral"];
        let claimed = volume.is_some_and(|v| claims.iter().any(|source| !v[*source].is_null()));
        if name.is_empty() {
            errors.required(&name, "");
        }
        if !name.is_empty() && !names.insert(name.text()) {
            errors.bad(&name, "must be unique");
        }
        if volume.is_some() && !claimed {
            let what = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
            errors.bad(&name, what);
        }
        if volume.is_none() {
            errors.not_found(&name, "");
        }
        if path.is_empty() {
            errors.required(&path, "");
        }
        if !paths.insert(path.text()) {
            errors.bad(&path, "must be unique");
        }
        if path.text().split('/').any(|step| step == "..") {
            errors.bad(&path, "can not contain backsteps ('..')");
        }
        if taken.contains(name.text()) {
            errors.bad(&name, "must not already exist in volumeMounts");
        }
        if places.contains(path.text()) {
            errors.bad(&path, "must not already exist as a path in volumeMounts");
        }
    }
}

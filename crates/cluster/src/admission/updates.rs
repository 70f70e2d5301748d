//! What the admission plugins do to objects that are written again, and to Pods each time.

use serde_json::{Value, json};

use super::refused;
use crate::kinds::{self, Kind};
use crate::objects::Objects;
use crate::plane::{Plane, Plugin};
use crate::status::ApiStatus;
use crate::validate;
use headless_objects::object::name;
use headless_objects::podspec::default;

/// What is done to new objects and to those that are written again.
///
/// # Errors
/// 403: a second class for Pods without one.
pub(crate) fn each_time(
    (objects, plane): (&Objects, &Plane),
    info: &Kind,
    object: &mut Value,
    is_there: bool,
) -> Result<(), ApiStatus> {
    if info.is(kinds::POD) && plane.admits(Plugin::DefaultTolerationSeconds) {
        tolerations(&mut object["spec"]);
    }
    if info.is(kinds::PRIORITY_CLASS) && plane.admits(Plugin::Priority) {
        one_default(objects, info, object, is_there)?;
    }
    Ok(())
}

/// DefaultTolerationSeconds: where nothing tolerates the taint already.
fn tolerations(spec: &mut Value) {
    default(spec, "tolerations", json!([]));
    for key in ["not-ready", "unreachable"] {
        let key = format!("node.kubernetes.io/{key}");
        let Some(all) = spec["tolerations"].as_array_mut() else {
            return;
        };
        let is_any = |value: &Value| value.as_str().is_none_or(str::is_empty);
        let tolerates = |toleration: &Value| {
            let effect = &toleration["effect"];
            (is_any(&toleration["key"]) || toleration["key"] == key)
                && (is_any(effect) || effect == "NoExecute")
        };
        if !all.iter().any(tolerates) {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

/// Priority: one class is meant for Pods without.
fn one_default(
    objects: &Objects,
    info: &Kind,
    class: &Value,
    is_there: bool,
) -> Result<(), ApiStatus> {
    let is_default = |class: &Value| class["globalDefault"] == true;
    if !is_default(class) {
        return Ok(());
    }
    let mut all = objects.list(kinds::PRIORITY_CLASS, None);
    let other =
        all.find(|(key, other)| is_default(other) && !(is_there && key.name == *name(class)));
    let Some((key, _)) = other else {
        return Ok(());
    };
    let why = format!(
        "PriorityClass {} is already marked as default. Only one default can exist",
        key.name
    );
    Err(refused(info, class, &why))
}

/// PersistentVolumeClaimResize: only some claims may grow.
///
/// # Errors
/// 403.
pub(crate) fn growth(
    objects: &Objects,
    info: &Kind,
    new: &Value,
    old: &Value,
) -> Result<(), ApiStatus> {
    let is_claim = info.is(kinds::PERSISTENT_VOLUME_CLAIM);
    let size = |claim: &Value| validate::storage(&claim["spec"]["resources"]["requests"]);
    if !is_claim || size(new) <= size(old) {
        return Ok(());
    }
    let class = new["spec"]["storageClassName"].as_str().unwrap_or_default();
    let class = objects.named(kinds::STORAGE_CLASS, "", class);
    let why = if old["status"]["phase"] != "Bound" {
        "Only bound persistent volume claims can be expanded"
    } else if class.is_none_or(|class| class["allowVolumeExpansion"] != true) {
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    } else {
        return Ok(());
    };
    Err(refused(info, new, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headless_objects::object::array;

    #[test]
    fn what_is_tolerated_already_is_not_tolerated_again() {
        let keys = |given: Value| -> Vec<String> {
            let mut spec = json!({"tolerations": given});
            tolerations(&mut spec);
            let key = |t: &Value| t["key"].as_str().unwrap_or_default().to_owned();
            array(&spec["tolerations"]).map(key).collect()
        };
        let not_ready = "node.kubernetes.io/not-ready";
        let lost = "node.kubernetes.io/unreachable";
        for (given, wanted) in [
            (json!([]), vec![not_ready, lost]),
            (json!([{"operator": "Exists"}]), vec![""]),
            (
                json!([{"operator": "Exists", "effect": "NoExecute"}]),
                vec![""],
            ),
            (
                json!([{"operator": "Exists", "effect": "NoSchedule"}]),
                vec!["", not_ready, lost],
            ),
            (
                json!([{"key": lost, "operator": "Exists"}]),
                vec![lost, not_ready],
            ),
            (
                json!([{"key": lost, "operator": "Exists", "effect": "NoSchedule"}]),
                vec![lost, not_ready, lost],
            ),
        ] {
            assert_eq!(keys(given), wanted);
        }
    }

    #[test]
    fn one_class_is_meant_for_pods_without() {
        let mut state = crate::state::State::new(0);
        let class = |name: &str, is_default: bool| json!({"metadata": {"name": name}, "value": 1, "globalDefault": is_default});
        let mut create = |name: &str, is_default: bool| {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let class = class(name, is_default);
            state.create(now, kinds::PRIORITY_CLASS, "", class, false)
        };
        create("first", true).unwrap();
        create("other", false).unwrap();
        let refused = create("second", true).unwrap_err();
        assert_eq!(
            (refused.code, &*refused.message),
            (
                403,
                "priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass first is already marked as default. Only one default can exist"
            )
        );
        let mut update = |name: &str| {
            let key = crate::objects::Key::new(kinds::PRIORITY_CLASS, "", name);
            let part = crate::state::Part::Main;
            state.update(&key, part, class(name, true), false).map(drop)
        };
        assert_eq!(update("first").map_err(|status| status.code), Ok(()));
        assert_eq!(update("other").map_err(|status| status.code), Err(403));
    }
}

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kinds;
use crate::objects::Key;
use crate::state::{DeleteOptions, Part, State};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn state() -> State {
    let mut state = State::new(0);
    let ns = json!({"metadata": {"name": "default"}});
    state.create(NOW, kinds::NAMESPACE, "", ns, false).unwrap();
    state
}

#[test]
fn a_claim_that_names_its_class_in_an_annotation_gets_no_other() {
    let mut state = state();
    let class = json!({
        "metadata": {"name": "usual", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "a/b",
    });
    state
        .create(NOW, kinds::STORAGE_CLASS, "", class, false)
        .unwrap();
    let mut class = |name: &str, annotations: Value| {
        let claim = json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}},
        });
        let kind = kinds::PERSISTENT_VOLUME_CLAIM;
        let made = state.create(NOW, kind, "default", claim, false).unwrap();
        made["spec"]["storageClassName"].clone()
    };
    assert_eq!(class("a", json!({})), "usual");
    let older = json!({"volume.beta.kubernetes.io/storage-class": "older"});
    assert_eq!(class("b", older), Value::Null);
}

#[test]
fn a_namespace_that_ends_says_so_in_the_cause() {
    let mut state = state();
    let key = Key::new(kinds::NAMESPACE, "", "default");
    let options = DeleteOptions::default();
    state.delete(NOW, &key, &options).unwrap();
    let map = json!({"metadata": {"name": "m"}});
    let refused = state.create(NOW, kinds::CONFIG_MAP, "default", map, false);
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.message,
        "configmaps \"m\" is forbidden: unable to create new content in namespace default because it is being terminated"
    );
    let cause = json!({
        "reason": "NamespaceTerminating", "message": "namespace default is being terminated", "field": "metadata.namespace",
    });
    assert_eq!(refused.details["causes"], json!([cause]));
}

#[test]
fn what_ends_keeps_its_end_and_what_stays_gets_none() {
    let mut state = state();
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u"});
    let map = json!({"metadata": {"name": "m", "finalizers": ["x.org/a"], "ownerReferences": [owner, owner]}});
    let made = state.create(NOW, kinds::CONFIG_MAP, "default", map, false);
    let made = Value::clone(&made.unwrap());
    assert_eq!(made["metadata"]["ownerReferences"], json!([owner]));
    let key = Key::new(kinds::CONFIG_MAP, "default", "m");
    let with = |object: &Value, field: &str, value: Value| {
        let mut object = object.clone();
        object["metadata"][field] = value;
        object
    };
    let (end, seconds) = ("deletionTimestamp", "deletionGracePeriodSeconds");
    for (field, value) in [(end, json!("2020-01-01T00:00:00Z")), (seconds, json!(9))] {
        let refused = state.update(&key, Part::Main, with(&made, field, value.clone()), false);
        assert_eq!(
            refused.unwrap_err().message,
            format!(
                "ConfigMap \"m\" is invalid: metadata.{field}: Invalid value: {value}: field is immutable"
            )
        );
    }
    state.delete(NOW, &key, &DeleteOptions::default()).unwrap();
    let ends = Value::clone(state.get(&key).unwrap());
    for (field, value) in [
        (end, json!("2020-01-01T00:00:00Z")),
        (end, json!(null)),
        (seconds, json!(null)),
    ] {
        let new = state.update(&key, Part::Main, with(&ends, field, value), false);
        assert_eq!(new.unwrap()["metadata"][field], ends["metadata"][field]);
    }
    let refused = state.update(&key, Part::Main, with(&ends, seconds, json!(9)), false);
    assert_eq!(refused.unwrap_err().code, 422);
}

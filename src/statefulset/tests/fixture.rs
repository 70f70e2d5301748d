//! What a real controller made of five sets comes out again.

use super::*;
use crate::statefulset::identity;
use crate::statefulset::spec::Spec;
use crate::statefulset::{claims, revision};
use headless_objects::object::name;

fn without(mut object: Value, fields: &[&str]) -> Value {
    let object_fields = object.as_object_mut().unwrap();
    object_fields.retain(|field, _| !fields.contains(&field.as_str()));
    object
}

#[test]
fn a_real_controller_s_pods_and_claims_come_out_again() {
    let text = include_str!("../../../tests/fixtures/statefulset-1.36.3.json");
    let fixture: Value = serde_json::from_str(text).unwrap();
    let all = |key: &str| fixture[key].as_array().unwrap();
    let named = |key: &str, name: &Value| {
        let mut objects = all(key).iter();
        objects.find(|o| o["metadata"]["name"] == *name).unwrap()
    };
    let mut claims_seen = 0;
    for pod in all("pods") {
        let meta = &pod["metadata"];
        let mut set = named("setsAtEnd", &meta["ownerReferences"][0]["name"]).clone();
        set["metadata"]["uid"] = "UID".into();
        let made_from = named(
            "controllerRevisions",
            &meta["labels"]["controller-revision-hash"],
        );
        let ordinal = ordinal_of(name(&set), name(pod)).unwrap();
        let made = identity::pod(
            &set,
            revision::template(made_from),
            name(made_from),
            ordinal,
        );
        assert_eq!(made["metadata"], without(meta.clone(), &["generation"]));
        // What only the API server puts into Pods.
        let filled_in = [
            "enableServiceLinks",
            "preemptionPolicy",
            "priority",
            "tolerations",
        ];
        let spec = |pod: &Value| without(pod["spec"].clone(), &filled_in);
        assert_eq!(spec(&made), spec(pod));
        for claim in claims::new(&set, name(pod), Spec::of(&set).retention) {
            let real = named("persistentVolumeClaims", &claim["metadata"]["name"]);
            assert_eq!(
                claim["metadata"],
                without(real["metadata"].clone(), &["finalizers"])
            );
            assert_eq!(claim["spec"], real["spec"]);
            claims_seen += 1;
        }
    }
    assert_eq!(
        (all("pods").len(), claims_seen),
        (7, all("persistentVolumeClaims").len())
    );
}

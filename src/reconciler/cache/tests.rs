use serde_json::json;

use super::*;

fn object(kind: &str, name: &str, revision: u64, meta: Value) -> DynamicObject {
    let mut object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": revision.to_string()},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
    });
    json_patch::merge(&mut object["metadata"], &meta);
    serde_json::from_value(object).unwrap()
}

fn owned_by(set: &str) -> Value {
    json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set, "uid": set, "controller": true}]})
}

fn name(name: &str) -> Name {
    ("default".into(), name.into())
}

/// A cache that knows the sets `a` and `b`, which select the same Pods.
fn cache() -> Cache {
    let mut cache = Cache::default();
    for (at, set) in ["a", "b"].into_iter().enumerate() {
        let set = object("StatefulSet", set, at as u64 + 1, json!({}));
        cache.take(Kind::Set, Ok(Event::Apply(set)));
    }
    cache
}

fn apply(cache: &mut Cache, pod: DynamicObject) -> Vec<Name> {
    cache.take(Kind::Pod, Ok(Event::Apply(pod)))
}

fn delete(cache: &mut Cache, pod: DynamicObject) -> Vec<Name> {
    cache.take(Kind::Pod, Ok(Event::Delete(pod.metadata)))
}

#[test]
fn s85_an_orphan_that_two_sets_select_concerns_both() {
    let mut cache = cache();
    let orphan = object("Pod", "a-0", 10, json!({"labels": {"app": "x"}}));
    assert_eq!(apply(&mut cache, orphan), [name("a"), name("b")]);
    // Its name says which of them may have it: `statefulset`, scenario 10.
    let seen = |set: &str| cache.observe(&name(set)).unwrap().pods.len();
    assert_eq!([seen("a"), seen("b")], [1, 1]);
}

#[test]
fn s86_events_concern_the_owners_that_were_and_are_and_nobody_where_nothing_changed() {
    let mut cache = cache();
    let pod = |revision, meta: Value| object("Pod", "a-0", revision, meta);
    assert_eq!(apply(&mut cache, pod(10, owned_by("a"))), [name("a")]);
    let nobody: [Name; 0] = [];
    assert_eq!(
        apply(&mut cache, pod(10, owned_by("a"))),
        nobody,
        "the same resourceVersion"
    );
    assert_eq!(
        apply(&mut cache, pod(11, owned_by("b"))),
        [name("a"), name("b")],
        "another owner"
    );
    assert_eq!(delete(&mut cache, pod(12, owned_by("b"))), [name("b")]);
    let orphan = |revision| pod(revision, json!({"labels": {"app": "x"}}));
    apply(&mut cache, orphan(13));
    assert_eq!(
        delete(&mut cache, orphan(14)),
        nobody,
        "an orphan leaves no gap"
    );
}

#[test]
fn what_is_gone_when_a_list_is_complete_concerns_its_owner() {
    let mut cache = cache();
    apply(&mut cache, object("Pod", "a-0", 10, owned_by("a")));
    cache.take(Kind::Pod, Ok(Event::Reset));
    let concerned = cache.take(Kind::Pod, Ok(Event::Synced));
    assert!(concerned.contains(&name("a")));
    assert_eq!(cache.observe(&name("a")).unwrap().pods.len(), 0);
}

#[test]
fn a_pod_of_another_incarnation_of_a_set_concerns_nobody() {
    let mut cache = cache();
    let mut meta = owned_by("a");
    meta["ownerReferences"][0]["uid"] = "earlier".into();
    let nobody: [Name; 0] = [];
    assert_eq!(apply(&mut cache, object("Pod", "a-0", 10, meta)), nobody);
}

#[test]
fn pods_of_other_controllers_are_not_kept() {
    let mut cache = cache();
    let mut meta = owned_by("a");
    meta["ownerReferences"][0]["kind"] = "ReplicaSet".into();
    apply(&mut cache, object("Pod", "a-0", 10, meta));
    assert_eq!(cache.inside(Kind::Pod, "default").count(), 0);
}

#[test]
fn a_write_is_taken_in_once_and_not_where_the_watch_is_past_it() {
    let mut cache = cache();
    delete(&mut cache, object("Pod", "a-0", 12, owned_by("a")));
    let mut wrote = |revision| {
        let written = (Kind::Pod, object("Pod", "a-0", revision, owned_by("a")));
        let concerned = cache.wrote(written);
        (concerned, cache.observe(&name("a")).unwrap().pods.len())
    };
    assert_eq!(wrote(11), (vec![], 0));
    assert_eq!(wrote(13), (vec![name("a")], 1));
    // A write that changed nothing asks for nothing.
    assert_eq!(wrote(13), (vec![], 1));
}

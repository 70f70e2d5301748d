use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn kind(name: &str) -> KindId {
    KindId::named(name)
}

fn state() -> State {
    let mut state = State::new(0);
    state
        .create(
            NOW,
            kind("Namespace"),
            "",
            json!({"metadata": {"name": "default"}}),
            false,
        )
        .unwrap();
    state
}

fn create(state: &mut State, kind_name: &str, object: Value) -> Result<Arc<Value>, ApiStatus> {
    state.create(NOW, kind(kind_name), "default", object, false)
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": "node", "containers": [{"name": "c", "image": "i"}]}})
}

fn key(kind_name: &str, name: &str) -> Key {
    Key::new(kind(kind_name), "default", name)
}

#[test]
fn a_pod_is_completed_and_its_status_has_a_way_of_its_own() {
    let mut state = state();
    let mut object = pod("a");
    object["status"] = json!({"phase": "Running"});
    let made = create(&mut state, "Pod", object).unwrap();
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(made["spec"]["terminationGracePeriodSeconds"], 30);
    assert_eq!(made["metadata"]["generation"], 1);
    let status = json!({"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Running"}});
    let new = state
        .update(&key("Pod", "a"), Part::Status, status, false)
        .unwrap();
    assert_eq!(
        (&new["status"]["phase"], &new["spec"]),
        (&Value::from("Running"), &made["spec"])
    );
    assert_eq!(new["metadata"]["generation"], 1);
}

#[test]
fn a_pod_on_a_node_ends_in_two_steps_and_only_its_own_incarnation() {
    let mut state = state();
    let made = create(&mut state, "Pod", pod("a")).unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let going = state
        .delete(NOW, &key("Pod", "a"), &DeleteOptions::default())
        .unwrap()
        .unwrap();
    assert_eq!(
        going["metadata"]["deletionTimestamp"],
        "1970-01-01T00:00:30Z"
    );
    let other = DeleteOptions {
        uid: Some("other".into()),
        grace: Some(0),
        ..DeleteOptions::default()
    };
    assert_eq!(
        state
            .delete(NOW, &key("Pod", "a"), &other)
            .unwrap_err()
            .code,
        409
    );
    let end = DeleteOptions {
        uid: Some(uid),
        grace: Some(0),
        ..DeleteOptions::default()
    };
    assert_eq!(state.delete(NOW, &key("Pod", "a"), &end).unwrap(), None);
    assert_eq!(state.get(&key("Pod", "a")).unwrap_err().code, 404);
}

#[test]
fn an_update_from_an_old_revision_conflicts_and_one_without_change_writes_nothing() {
    let mut state = state();
    let made = create(
        &mut state,
        "ConfigMap",
        json!({"metadata": {"name": "c"}, "data": {"a": "1"}}),
    )
    .unwrap();
    let revision = state.objects.revision();
    state
        .update(
            &key("ConfigMap", "c"),
            Part::Main,
            Value::clone(&made),
            false,
        )
        .unwrap();
    assert_eq!(state.objects.revision(), revision);
    let mut changed = Value::clone(&made);
    changed["data"]["a"] = "2".into();
    state
        .update(&key("ConfigMap", "c"), Part::Main, changed.clone(), false)
        .unwrap();
    assert_eq!(
        state
            .update(&key("ConfigMap", "c"), Part::Main, changed, false)
            .unwrap_err()
            .reason,
        "Conflict"
    );
}

#[test]
fn services_get_addresses_by_family_and_none_twice() {
    let mut state = state();
    let service = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let ports = json!([{"port": 80}]);
    let a = create(&mut state, "Service", service("a", json!({"ports": ports}))).unwrap();
    assert_eq!(
        (
            &a["spec"]["clusterIP"],
            &a["spec"]["ports"][0]["targetPort"]
        ),
        (&Value::from("10.96.1.0"), &Value::from(80))
    );
    let b = create(
        &mut state,
        "Service",
        service(
            "b",
            json!({"ports": ports, "ipFamilyPolicy": "RequireDualStack"}),
        ),
    )
    .unwrap();
    assert_eq!(
        b["spec"]["clusterIPs"],
        json!(["10.96.1.1", "fd00:10:96::100"])
    );
    let headless = create(
        &mut state,
        "Service",
        service("h", json!({"clusterIP": "None"})),
    )
    .unwrap();
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    let taken = create(
        &mut state,
        "Service",
        service("c", json!({"ports": ports, "clusterIP": "10.96.1.0"})),
    )
    .unwrap_err();
    assert_eq!(
        taken.message,
        "Service \"c\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.1.0\"]: failed to allocate IP 10.96.1.0: provided IP is already allocated"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let mut state = state();
    let set = json!({"metadata": {"name": "Web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": []}}}});
    let error = create(&mut state, "StatefulSet", set).unwrap_err();
    let fields: Vec<_> = error.details["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "metadata.name",
            "spec.template.metadata.labels",
            "spec.template.spec.containers"
        ]
    );
    assert_eq!(error.code, 422);
}

#[test]
fn generated_names_namespaces_and_dry_runs_are_as_in_the_api() {
    let mut state = state();
    let made = create(
        &mut state,
        "ConfigMap",
        json!({"metadata": {"generateName": "x-"}}),
    )
    .unwrap();
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 7);
    let error = state
        .create(
            NOW,
            kind("ConfigMap"),
            "none",
            json!({"metadata": {"name": "c"}}),
            false,
        )
        .unwrap_err();
    assert_eq!(error.message, "namespaces \"none\" not found");
    state
        .create(
            NOW,
            kind("ConfigMap"),
            "default",
            json!({"metadata": {"name": "dry"}}),
            true,
        )
        .unwrap();
    assert_eq!(state.get(&key("ConfigMap", "dry")).unwrap_err().code, 404);
}

#[test]
fn orphans_lose_their_owner_and_stay() {
    let mut state = state();
    let owner = create(
        &mut state,
        "ConfigMap",
        json!({"metadata": {"name": "owner"}}),
    )
    .unwrap();
    let refs = json!([{"uid": owner["metadata"]["uid"], "kind": "ConfigMap", "name": "owner", "apiVersion": "v1"}]);
    create(
        &mut state,
        "ConfigMap",
        json!({"metadata": {"name": "child", "ownerReferences": refs}}),
    )
    .unwrap();
    let options = DeleteOptions {
        propagation: Propagation::Orphan,
        ..DeleteOptions::default()
    };
    state
        .delete(NOW, &key("ConfigMap", "owner"), &options)
        .unwrap();
    assert!(
        state.get(&key("ConfigMap", "child")).unwrap()["metadata"]["ownerReferences"].is_null()
    );
}

#[test]
fn the_same_seed_draws_the_same_uids_and_names() {
    let made = |seed| {
        let mut state = State::new(seed);
        let object = json!({"metadata": {"generateName": "a-"}});
        let kind = KindId::named("Namespace");
        let made = state.create(Timestamp::UNIX_EPOCH, kind, "", object, false);
        Value::clone(&made.unwrap())
    };
    assert_eq!(made(7), made(7));
    assert_ne!(made(7)["metadata"]["uid"], made(8)["metadata"]["uid"]);
    assert_ne!(made(7)["metadata"]["name"], made(8)["metadata"]["name"]);
}

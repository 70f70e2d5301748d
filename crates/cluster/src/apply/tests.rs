//! Owners and merges, without a server.

use serde_json::{Value, json};

use super::{Applied, Failed, Managed, Request, Set, Site, applied, changes, message, updated};
use crate::schema::Shape;

const CONFIG_MAP: Shape = Shape::Struct("io.k8s.api.core.v1.ConfigMap");
const DEPLOYMENT: Shape = Shape::Struct("io.k8s.api.apps.v1.Deployment");

fn request<'a>(site: Site<'a>, manager: &'a str, reset: &'a Set) -> Request<'a> {
    Request {
        site,
        manager,
        subresource: "",
        api_version: "v1",
        time: Some("2024-01-01T00:00:00Z"),
        reset,
    }
}

/// Applies as `manager` to what the last apply left.
fn apply(
    site: Site<'_>,
    before: &Applied,
    manager: &str,
    config: Value,
) -> Result<Applied, Failed> {
    let nothing = Set::default();
    let live = before.object.clone().unwrap_or_else(|| json!({}));
    let managed = before.managed.clone();
    let request = request(site, manager, &nothing);
    let applied = applied(&request, (&live, managed), &config, false)?;
    Ok(Applied {
        object: applied.object.or(Some(live)),
        ..applied
    })
}

fn nobody() -> Applied {
    Applied {
        object: None,
        managed: Managed::default(),
    }
}

/// The managers with their fields.
fn owners(managed: &Managed) -> Vec<(String, Value)> {
    let entries = managed.write();
    let entries = entries.as_array().into_iter().flatten();
    let of = |entry: &Value| {
        let name = entry["manager"].as_str().unwrap_or_default().to_owned();
        let fields = entry["fieldsV1"].as_str().unwrap_or_default();
        (name, serde_json::from_str(fields).unwrap_or_default())
    };
    entries.map(of).collect()
}

#[test]
fn what_one_applies_no_more_goes_unless_another_has_it() {
    let site = Site::root(&CONFIG_MAP);
    let both = json!({"data": {"k": "v", "l": "w"}});
    let first = apply(site, &nobody(), "a", both).unwrap();
    let second = apply(site, &first, "b", json!({"data": {"k": "v"}})).unwrap();
    let third = apply(site, &second, "a", json!({"data": {}})).unwrap();
    assert_eq!(third.object, Some(json!({"data": {"k": "v"}})));
    // Who has changed nothing has no time, and comes first.
    let wanted = vec![
        ("b".to_owned(), json!({"f:data": {"f:k": {}}})),
        ("a".to_owned(), json!({"f:data": {}})),
    ];
    assert_eq!(owners(&third.managed), wanted);
}

#[test]
fn a_value_of_another_s_is_refused_with_its_field_and_owner() {
    let site = Site::root(&DEPLOYMENT);
    let containers = |items: Value| json!({"spec": {"template": {"spec": {"containers": items}}}});
    let mine = containers(json!([{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]));
    let first = apply(site, &nobody(), "a", mine).unwrap();
    let other = containers(json!([{"name": "c", "image": "y"}]));
    let Err(Failed::Conflicts(conflicts)) = apply(site, &first, "b", other) else {
        panic!("there is a conflict");
    };
    assert_eq!(
        message(&conflicts),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.template.spec.containers[name=\"c\"].image"
    );
    // Another port of the same number is another item.
    let ports = json!([{"name": "c", "ports": [{"containerPort": 80, "protocol": "UDP"}]}]);
    let second = apply(site, &first, "b", containers(ports)).unwrap();
    let ports = &second.object.unwrap()["spec"]["template"]["spec"]["containers"][0]["ports"];
    let both = json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]);
    assert_eq!(*ports, both);
}

#[test]
fn an_update_takes_what_it_changes_and_nothing_that_it_may_not_write() {
    let site = Site::root(&DEPLOYMENT);
    let reset = Set::of(&[&["status"]]);
    let before = json!({"metadata": {"name": "a"}, "spec": {"replicas": 1, "paused": true}});
    let after = json!({
        "metadata": {"name": "a", "generation": 2}, "spec": {"replicas": 2}, "status": {"replicas": 5},
    });
    let first = request(site, "a", &reset);
    let managed = updated(
        &first,
        Managed::default(),
        changes(&first, (&json!({}), &before)).unwrap(),
    );
    let second = request(site, "b", &reset);
    let managed = updated(
        &second,
        managed,
        changes(&second, (&before, &after)).unwrap(),
    );
    let wanted = vec![
        ("a".to_owned(), json!({"f:spec": {}})),
        ("b".to_owned(), json!({"f:spec": {"f:replicas": {}}})),
    ];
    assert_eq!(owners(&managed), wanted);
}

#[test]
fn objects_of_no_known_type_are_granular_and_their_lists_are_whole() {
    let site = Site::Deduced;
    let first = json!({"spec": {"a": {"b": 1}, "list": [{"name": "x"}]}});
    let first = apply(site, &nobody(), "a", first).unwrap();
    let second = json!({"spec": {"a": {"c": 2}}});
    let second = apply(site, &first, "b", second).unwrap();
    let both = json!({"spec": {"a": {"b": 1, "c": 2}, "list": [{"name": "x"}]}});
    assert_eq!(second.object, Some(both));
    let list = json!({"spec": {"list": [{"name": "y"}]}});
    let refused = apply(site, &second, "b", list);
    assert!(matches!(refused, Err(Failed::Conflicts(_))), "{refused:?}");
}

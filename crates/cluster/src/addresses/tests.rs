use std::sync::Arc;

use headless_objects::object::array;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kinds;
use crate::objects::Key;
use crate::state::{Part, State};
use crate::status::ApiStatus;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn state() -> State {
    let mut state = State::new(0);
    let ns = json!({"metadata": {"name": "default"}});
    state.create(NOW, kinds::NAMESPACE, "", ns, false).unwrap();
    state
}

fn create(state: &mut State, name: &str, spec: Value) -> Result<Arc<Value>, ApiStatus> {
    let service = json!({"metadata": {"name": name}, "spec": spec});
    state.create(NOW, kinds::SERVICE, "default", service, false)
}

fn said(result: Result<Arc<Value>, ApiStatus>) -> String {
    result.unwrap_err().message
}

/// Sends a Service with these fields of its spec set; null: left out.
fn change(state: &mut State, name: &str, changes: Value) -> Result<Arc<Value>, ApiStatus> {
    let key = Key::new(kinds::SERVICE, "default", name);
    let mut service = Value::clone(state.get(&key).unwrap());
    for (field, value) in changes.as_object().unwrap() {
        service["spec"][field] = value.clone();
    }
    state.update(&key, Part::Main, service, false)
}

/// Replaces a Service by what it was made of, and this.
fn put(state: &mut State, name: &str, spec: Value) -> Result<Arc<Value>, ApiStatus> {
    let key = Key::new(kinds::SERVICE, "default", name);
    let service = json!({"metadata": {"name": name}, "spec": spec});
    state.update(&key, Part::Main, service, false)
}

#[test]
fn what_a_service_was_given_stays_where_an_update_says_nothing_of_it() {
    let mut state = state();
    let spec = json!({
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ipFamilyPolicy": "RequireDualStack",
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
    });
    let made = create(&mut state, "s", spec).unwrap();
    assert_eq!(made["spec"]["healthCheckNodePort"], 30002);
    let spec = json!({
        "type": "LoadBalancer", "externalTrafficPolicy": "Local",
        "ports": [{"name": "b", "port": 81}, {"name": "a", "port": 80}],
    });
    let new = put(&mut state, "s", spec).unwrap();
    for field in [
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "healthCheckNodePort",
    ] {
        assert_eq!(new["spec"][field], made["spec"][field], "{field}");
    }
    let ports = ["/spec/ports/0/nodePort", "/spec/ports/1/nodePort"];
    assert_eq!(ports.map(|at| new.pointer(at).unwrap()), [30001, 30000]);
    for empty in [json!(null), json!(""), json!([])] {
        let field = if empty.is_array() {
            "clusterIPs"
        } else {
            "clusterIP"
        };
        let new = change(&mut state, "s", json!({field: empty})).unwrap();
        assert_eq!(new["spec"]["clusterIPs"], made["spec"]["clusterIPs"]);
    }
}

#[test]
fn a_policy_alone_releases_the_second_address_and_fields_without_one_do_not() {
    let mut state = state();
    let spec = json!({"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]});
    let made = create(&mut state, "s", spec).unwrap();
    assert_eq!(
        said(change(&mut state, "s", json!({"ipFamilies": ["IPv4"]}))),
        "Service \"s\" is invalid: spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family"
    );
    let new = change(&mut state, "s", json!({"ipFamilyPolicy": "SingleStack"})).unwrap();
    assert_eq!(
        new["spec"]["clusterIPs"],
        json!([made["spec"]["clusterIP"]])
    );
    assert_eq!(new["spec"]["ipFamilies"], json!(["IPv4"]));
    let new = change(
        &mut state,
        "s",
        json!({"ipFamilyPolicy": "PreferDualStack"}),
    )
    .unwrap();
    assert_eq!(new["spec"]["clusterIPs"], made["spec"]["clusterIPs"]);
}

#[test]
fn families_are_those_of_addresses_and_selectors() {
    let mut state = state();
    let headless = create(&mut state, "h", json!({"clusterIP": "None"})).unwrap();
    assert_eq!(headless["spec"]["ipFamilyPolicy"], "RequireDualStack");
    assert_eq!(headless["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    let selecting = json!({"clusterIP": "None", "selector": {"a": "b"}});
    let selecting = create(&mut state, "i", selecting).unwrap();
    assert_eq!(selecting["spec"]["ipFamilies"], json!(["IPv4"]));
    let v6 = json!({"clusterIP": "fd00:10:96::9", "ports": [{"port": 80}]});
    let v6 = create(&mut state, "v", v6).unwrap();
    assert_eq!(v6["spec"]["ipFamilies"], json!(["IPv6"]));
    let two = json!({
        "clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9", "fd00:10:96::99"], "ports": [{"port": 80}],
    });
    assert_eq!(
        said(create(&mut state, "t", two)),
        "Service \"t\" is invalid: spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"
    );
    for ip in ["10.96.0.0", "10.96.255.255", "8.8.8.8"] {
        assert_eq!(
            said(create(
                &mut state,
                "t",
                json!({"clusterIP": ip, "ports": [{"port": 80}]})
            )),
            format!(
                "Service \"t\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: the provided network does not match the current range"
            )
        );
    }
}

#[test]
fn ports_of_nodes_are_given_where_they_are_wanted_and_none_twice() {
    let mut state = state();
    let none = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]});
    let none = create(&mut state, "none", none).unwrap();
    assert_eq!(none["spec"]["ports"][0]["nodePort"], Value::Null);
    let ports = json!([
        {"name": "a", "port": 53, "nodePort": 30053}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 80},
    ]);
    let both = create(
        &mut state,
        "both",
        json!({"type": "NodePort", "ports": ports}),
    )
    .unwrap();
    let given = array(&both["spec"]["ports"]).map(|port| port["nodePort"].clone());
    assert_eq!(given.collect::<Vec<_>>(), [30053, 30053, 30000]);
    let checked = |port: i64| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port, "ports": [{"port": 80}]});
    create(&mut state, "checked", checked(31000)).unwrap();
    let of_node = |port: i64| json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "UDP", "nodePort": port}]});
    for port in [31000, 30053] {
        assert_eq!(
            said(create(&mut state, "t", of_node(port))),
            format!(
                "Service \"t\" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated"
            )
        );
    }
    assert_eq!(
        said(create(&mut state, "t", checked(30053))),
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 30053: provided port is already allocated"
    );
    let other = change(
        &mut state,
        "checked",
        json!({"type": "ExternalName", "externalName": "a.b"}),
    );
    let left = json!({"externalName": "a.b", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None", "type": "ExternalName"});
    assert_eq!(other.unwrap()["spec"], left);
}

#[test]
fn a_client_is_remembered_for_three_hours() {
    let mut state = state();
    let spec = json!({"sessionAffinity": "ClientIP", "ports": [{"port": 80}]});
    let made = create(&mut state, "s", spec).unwrap();
    let lasts = json!({"clientIP": {"timeoutSeconds": 10800}});
    assert_eq!(made["spec"]["sessionAffinityConfig"], lasts);
    let new = change(&mut state, "s", json!({"sessionAffinity": "None"})).unwrap();
    assert_eq!(new["spec"]["sessionAffinityConfig"], Value::Null);
    let outside = json!({"externalIPs": ["1.2.3.4"], "ports": [{"port": 80}]});
    let outside = create(&mut state, "o", outside).unwrap();
    assert_eq!(outside["spec"]["externalTrafficPolicy"], "Cluster");
}

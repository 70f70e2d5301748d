//! What is told of objects.

use super::*;

#[test]
fn a_pod_is_told_with_its_containers_and_a_claim_with_its_pods() {
    let pod = json!({
        "metadata": {"name": "redis-0", "namespace": "default"},
        "spec": {
            "nodeName": "node", "initContainers": [{"name": "init", "image": "busybox"}],
            "containers": [{"name": "redis", "image": "redis:6.2"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-redis-0"}}],
        },
        "status": {
            "phase": "Running", "podIP": "10.244.0.2", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "redis", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
        },
    });
    let wanted = json!({
        "name": "default/redis-0", "phase": "Running", "ready": false, "ip": "10.244.0.2", "node": "node", "ending": false,
        "containers": [
            {"name": "init", "image": "busybox", "state": "", "reason": null, "restarts": null},
            {"name": "redis", "image": "redis:6.2", "state": "waiting", "reason": "CrashLoopBackOff", "restarts": 2},
        ],
    });
    assert_eq!(pod_told(&pod), wanted);
    let claim = |ns: &str| {
        json!({
            "metadata": {"name": "data-redis-0", "namespace": ns}, "status": {"phase": "Bound"},
            "spec": {"volumeName": "pv-1", "resources": {"requests": {"storage": "1Gi"}}},
        })
    };
    let wanted = json!({
        "name": "default/data-redis-0", "phase": "Bound", "size": "1Gi", "volume": "pv-1", "pods": ["default/redis-0"],
    });
    let pods = [pod];
    assert_eq!(claim_told(&claim("default"), &pods), wanted);
    assert_eq!(claim_told(&claim("shop"), &pods)["pods"], json!([]));
    let node = json!({"metadata": {"name": "node"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.244.0.1"}]}});
    let wanted = json!({"name": "node", "ready": false, "addresses": ["10.244.0.1"], "pods": 1});
    assert_eq!(node_told(&node, &pods), wanted);
}

#[test]
fn only_names_become_part_of_a_path() {
    for (text, wanted) in [
        ("default/redis-0", true),
        ("redis.1", true),
        ("default/redis-0/exec", false),
        ("../x", false),
        ("a?b=c", false),
        ("a%2fb", false),
    ] {
        assert_eq!(is_named(text), wanted, "{text}");
    }
}

#[test]
fn what_is_counted_and_drawn_is_of_all_objects_though_a_hundred_are_told() {
    let pod = |n: usize| {
        json!({
            "metadata": {"name": format!("p-{n:03}"), "namespace": "default", "labels": {"n": n.to_string()}},
            "spec": {
                "nodeName": "node",
                "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}],
            },
        })
    };
    let service = |n: usize| {
        json!({
            "metadata": {"name": format!("s-{n:03}"), "namespace": "default"},
            "spec": {"selector": {"n": (149 - n).to_string()}},
        })
    };
    let event = |n: usize| json!({"lastTimestamp": format!("2026-01-01T00:00:{n:03}Z")});
    let objects = Objects {
        nodes: vec![json!({"metadata": {"name": "node"}})],
        pods: (0..150).map(pod).collect(),
        claims: vec![json!({"metadata": {"name": "data", "namespace": "default"}})],
        services: (0..150).map(service).collect(),
        events: (0..150).map(event).collect(),
    };
    let told = objects.told();
    assert_eq!(told["nodes"]["items"][0]["pods"], 150);
    let claims = told["claims"]["items"][0]["pods"].as_array();
    assert_eq!(claims.unwrap().len(), 150);
    let pods = &told["pods"];
    assert_eq!(
        (&pods["total"], pods["items"].as_array().unwrap().len()),
        (&json!(150), SHOWN)
    );
    // The Service of the first Pod is the last one.
    let selecting = told["graph"]["columns"][2].as_array().unwrap();
    assert_eq!(selecting.last().unwrap()["name"], "Service default/s-149");
    assert_eq!(told["graph"]["more"], 120);
    assert_eq!(told["events"]["total"], 150);
    assert_eq!(told["events"]["items"][0]["at"], "2026-01-01T00:00:149Z");
}

//! What the kubelet makes of Pods: phases, conditions, grace, what they refer to.

use super::*;

fn pod(annotations: Value, spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p", "annotations": annotations}, "spec": spec});
    if pod["spec"]["containers"].is_null() {
        pod["spec"]["containers"] =
            json!([{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]);
    }
    pod
}

fn started(annotations: Value, spec: Value) -> World {
    let mut world = World::new(Delays::default());
    world.create("Pod", pod(annotations, spec));
    world.settle();
    world
}

impl World {
    fn status(&self) -> Value {
        self.get("Pod", "p").unwrap()["status"].clone()
    }

    /// Status, reason and message of a condition.
    fn condition(&self, of: &str) -> [String; 3] {
        let status = self.status();
        let mut conditions = status["conditions"].as_array().unwrap().iter();
        let condition = conditions.find(|c| c["type"] == of).unwrap();
        ["status", "reason", "message"]
            .map(|field| condition[field].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn a_pod_ends_when_all_of_its_containers_have_and_fails_when_one_has_failed() {
    for (policy, exits, phase) in [
        ("Never", "a=0", "Running"),
        ("Never", "a=0,b=0", "Succeeded"),
        ("Never", "a=1,b=0", "Failed"),
        ("OnFailure", "a=0,b=0", "Succeeded"),
        ("OnFailure", "a=0,b=1", "Running"),
        ("Always", "a=0,b=0", "Running"),
    ] {
        let exit = json!({"embedded.headless-dns/exit": exits});
        let world = started(exit, json!({"restartPolicy": policy}));
        assert_eq!(world.status()["phase"], phase, "{policy} {exits}");
    }
    let mut world = started(
        json!({"embedded.headless-dns/exit": "a=0,b=0"}),
        json!({"restartPolicy": "Never"}),
    );
    assert_eq!(world.condition("Ready"), ["False", "PodCompleted", ""]);
    world.settle();
    assert_eq!(world.status()["phase"], "Succeeded");
}

#[test]
fn a_container_s_own_rules_say_whether_it_is_started_again() {
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    for (code, phase) in [(42, "Running"), (1, "Failed")] {
        let container = json!({"name": "a", "image": "a", "restartPolicy": "Never", "restartPolicyRules": rules});
        let spec = json!({"restartPolicy": "Always", "containers": [container]});
        let exit = json!({"embedded.headless-dns/exit": format!("a={code}")});
        assert_eq!(started(exit, spec).status()["phase"], phase, "{code}");
    }
}

#[test]
fn a_sidecar_ends_with_the_last_of_the_others() {
    let spec = json!({
        "restartPolicy": "Never", "initContainers": [{"name": "side", "image": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "a"}],
    });
    let world = started(json!({"embedded.headless-dns/exit": "a=0"}), spec);
    let status = world.status();
    assert_eq!(status["phase"], "Succeeded");
    assert_eq!(
        status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
        0
    );
}

#[test]
fn a_deleted_pod_that_a_finalizer_holds_has_ended() {
    let mut world = started(json!({}), json!({}));
    let mut pod = world.get("Pod", "p").unwrap();
    pod["metadata"]["finalizers"] = json!(["example.org/hold"]);
    let key = World::key("Pod", "p");
    world.state.update(&key, Part::Main, pod, false).unwrap();
    world.delete("Pod", "p", &DeleteOptions::default());
    let wait = world.settle().unwrap();
    world.pass(wait);
    world.settle();
    assert_eq!(world.status()["phase"], "Succeeded");
    assert_eq!(world.condition("Ready"), ["False", "PodCompleted", ""]);
}

#[test]
fn who_does_not_end_in_its_grace_is_killed() {
    let delay = json!({"embedded.headless-dns/stop-delay": "1h"});
    let mut world = started(delay, json!({"terminationGracePeriodSeconds": 5}));
    let mut pod = world.get("Pod", "p").unwrap();
    pod["metadata"]["finalizers"] = json!(["example.org/hold"]);
    let key = World::key("Pod", "p");
    world.state.update(&key, Part::Main, pod, false).unwrap();
    world.delete("Pod", "p", &DeleteOptions::default());
    assert_eq!(world.settle(), Some(Duration::from_secs(5)));
    world.pass(Duration::from_secs(5));
    world.settle();
    let status = world.status();
    let code = &status["containerStatuses"][0]["state"]["terminated"]["exitCode"];
    assert_eq!((&status["phase"], code), (&json!("Failed"), &json!(137)));
}

#[test]
fn readiness_gates_keep_a_pod_unready_until_their_conditions_hold() {
    let mut world = started(
        json!({}),
        json!({"readinessGates": [{"conditionType": "example.org/lb"}]}),
    );
    let missing =
        "corresponding condition of pod readiness gate \"example.org/lb\" does not exist.";
    assert_eq!(
        world.condition("Ready"),
        ["False", "ReadinessGatesNotReady", missing]
    );
    assert_eq!(world.condition("ContainersReady"), ["True", "", ""]);
    let mut pod = world.get("Pod", "p").unwrap();
    let conditions = pod["status"]["conditions"].as_array_mut().unwrap();
    conditions.push(json!({"type": "example.org/lb", "status": "True"}));
    let key = World::key("Pod", "p");
    world.state.update(&key, Part::Status, pod, false).unwrap();
    world.settle();
    assert_eq!(world.condition("Ready"), ["True", "", ""]);
}

#[test]
fn a_pod_in_its_node_s_network_has_its_node_s_address() {
    let status = started(json!({}), json!({"hostNetwork": true})).status();
    let node = json!("10.244.0.1");
    assert_eq!([&status["podIP"], &status["hostIP"]], [&node, &node]);
    assert_eq!(status["podIPs"], json!([{"ip": node}]));
}

#[test]
fn what_volumes_and_variables_refer_to_has_to_be_there() {
    let container =
        json!({"name": "a", "image": "a", "envFrom": [{"secretRef": {"name": "keys"}}]});
    let volumes = json!([{"name": "v", "configMap": {"name": "settings", "items": [{"key": "k", "path": "k"}]}}]);
    let mut world = started(
        json!({}),
        json!({"containers": [container], "volumes": volumes}),
    );
    let waits = |world: &World| world.status()["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waits(&world), json!({"reason": "ContainerCreating"}));
    let mount = |why: &str| {
        format!("Warning FailedMount ×1: MountVolume.SetUp failed for volume \"v\" : {why}")
    };
    let missing = mount("configmap \"settings\" not found");
    assert_eq!(world.said("p")[1..], [missing.as_str()]);
    world.create(
        "ConfigMap",
        json!({"metadata": {"name": "settings"}, "data": {"other": "1"}}),
    );
    world.settle();
    let key = mount("configmap references non-existent config key: k");
    assert_eq!(world.said("p")[1..], [missing.as_str(), &key]);
    let mut map = world.get("ConfigMap", "settings").unwrap();
    map["data"]["k"] = "1".into();
    world
        .state
        .update(&World::key("ConfigMap", "settings"), Part::Main, map, false)
        .unwrap();
    world.settle();
    assert_eq!(
        waits(&world),
        json!({"reason": "CreateContainerConfigError", "message": "secret \"keys\" not found"})
    );
    world.create("Secret", json!({"metadata": {"name": "keys"}}));
    world.settle();
    assert_eq!(world.status()["phase"], "Running");
}

#[test]
fn a_pod_past_its_deadline_has_failed() {
    let mut world = World::new(Delays::default());
    world.create("Pod", pod(json!({}), json!({"activeDeadlineSeconds": 60})));
    assert_eq!(world.settle(), Some(Duration::from_secs(60)));
    world.pass(Duration::from_secs(60));
    world.settle();
    let status = world.status();
    assert_eq!(
        [&status["phase"], &status["reason"]],
        ["Failed", "DeadlineExceeded"]
    );
}

#[test]
fn a_pod_says_how_good_its_service_is() {
    let resources = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let container = json!({"name": "a", "image": "a", "resources": resources});
    let world = started(json!({}), json!({"containers": [container]}));
    assert_eq!(world.status()["qosClass"], "Guaranteed");
    let requests =
        &world.get("Pod", "p").unwrap()["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(*requests, resources["limits"]);
}

//! Containers, and what annotations ask of the kubelet.

use super::*;

/// A Pod with these annotations and two init containers, of which the second runs on where it is a sidecar.
fn pod(annotations: Value, restart: &str, sidecar: bool) -> Value {
    let mut second = json!({"name": "second", "image": "i:1"});
    if sidecar {
        second["restartPolicy"] = "Always".into();
    }
    json!({
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {
            "restartPolicy": restart, "initContainers": [{"name": "first", "image": "i:1"}, second],
            "containers": [{"name": "app", "image": "i:1"}],
        },
    })
}

impl World {
    fn annotate(&mut self, annotations: Value) {
        let mut pod = self.get("Pod", "p").unwrap();
        pod["metadata"]["annotations"] = annotations;
        let key = Self::key("Pod", "p");
        self.state.update(&key, Part::Main, pod, false).unwrap();
        self.settle();
    }

    /// Phase, whether it is Ready, and of each container its name, state and restarts.
    fn shown(&self) -> String {
        let pod = self.get("Pod", "p").unwrap();
        let status = &pod["status"];
        let conditions = status["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
        let lists = [
            &status["initContainerStatuses"],
            &status["containerStatuses"],
        ];
        let all = lists
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten());
        let container = |c: &Value| {
            let (state, detail) = c["state"].as_object().unwrap().iter().next().unwrap();
            let reason = detail["reason"].as_str().unwrap_or(state);
            format!(
                "{}:{reason}:{}",
                c["name"].as_str().unwrap(),
                c["restartCount"]
            )
        };
        let containers: Vec<_> = all.map(container).collect();
        format!(
            "{} {} {}",
            status["phase"].as_str().unwrap(),
            ready["status"].as_str().unwrap(),
            containers.join(" ")
        )
    }
}

fn started(annotations: Value, restart: &str, sidecar: bool) -> World {
    let mut world = World::new(Delays::default());
    world.create("Pod", pod(annotations, restart, sidecar));
    world.settle();
    world
}

#[test]
fn init_containers_end_before_the_others_are_started() {
    let world = started(json!({}), "Always", false);
    assert_eq!(
        world.shown(),
        "Running True first:Completed:0 second:Completed:0 app:running:0"
    );
}

#[test]
fn an_init_container_that_fails_is_started_again_and_again_until_it_does_not() {
    let mut world = started(
        json!({"embedded.headless-dns/exit": "second=1"}),
        "Always",
        false,
    );
    let failing = |n| {
        format!("Pending False first:Completed:0 second:CrashLoopBackOff:{n} app:PodInitializing:0")
    };
    assert_eq!(world.shown(), failing(0));
    for (restart, seconds) in [(1, 10), (2, 20), (3, 40)] {
        assert_eq!(world.settle(), Some(Duration::from_secs(seconds)));
        world.pass(Duration::from_secs(seconds));
        world.settle();
        assert_eq!(world.shown(), failing(restart));
    }
    world.annotate(json!({}));
    assert_eq!(
        world.shown(),
        "Running True first:Completed:0 second:Completed:4 app:running:0"
    );
}

#[test]
fn an_init_container_that_fails_fails_a_pod_that_is_never_restarted() {
    let world = started(
        json!({"embedded.headless-dns/exit": "first=3"}),
        "Never",
        false,
    );
    assert_eq!(
        world.shown(),
        "Failed False first:Error:0 second:PodInitializing:0 app:PodInitializing:0"
    );
}

#[test]
fn a_sidecar_runs_beside_the_others_and_one_that_fails_keeps_the_pod_from_being_ready() {
    let mut world = started(json!({}), "Always", true);
    assert_eq!(
        world.shown(),
        "Running True first:Completed:0 second:running:0 app:running:0"
    );
    world = started(
        json!({"embedded.headless-dns/exit": "second=1"}),
        "Always",
        true,
    );
    assert_eq!(
        world.shown(),
        "Pending False first:Completed:0 second:CrashLoopBackOff:0 app:PodInitializing:0"
    );
}

#[test]
fn a_container_that_crashes_waits_for_its_next_start_and_the_pod_is_not_ready() {
    let mut world = started(
        json!({"embedded.headless-dns/exit": "app=137"}),
        "Always",
        false,
    );
    assert_eq!(
        world.shown(),
        "Running False first:Completed:0 second:Completed:0 app:CrashLoopBackOff:0"
    );
    world.annotate(json!({}));
    assert_eq!(
        world.shown(),
        "Running True first:Completed:0 second:Completed:0 app:running:1"
    );
}

#[test]
fn a_pod_is_made_ready_and_unready_and_keeps_its_address() {
    let mut world = started(
        json!({"embedded.headless-dns/ready": "false"}),
        "Always",
        false,
    );
    let address = |world: &World| world.get("Pod", "p").unwrap()["status"]["podIP"].clone();
    let before = address(&world);
    assert!(
        world.shown().starts_with("Running False"),
        "{}",
        world.shown()
    );
    world.annotate(json!({"embedded.headless-dns/ready": "true"}));
    assert!(
        world.shown().starts_with("Running True"),
        "{}",
        world.shown()
    );
    assert_eq!((before.is_string(), address(&world)), (true, before));
}

#[test]
fn a_pod_is_evicted_with_a_reason() {
    let mut world = started(json!({}), "Always", false);
    world.annotate(
        json!({"embedded.headless-dns/phase": "Failed", "embedded.headless-dns/reason": "Evicted"}),
    );
    let status = &world.get("Pod", "p").unwrap()["status"];
    assert_eq!([&status["phase"], &status["reason"]], ["Failed", "Evicted"]);
}

#[test]
fn a_pod_on_a_lost_node_is_not_known_to_be_ready_and_does_not_end_until_the_node_is_back() {
    let mut world = started(
        json!({"embedded.headless-dns/node": "lost"}),
        "Always",
        false,
    );
    assert!(world.get("Pod", "p").unwrap()["spec"]["nodeName"].is_null());
    world.annotate(json!({}));
    assert!(
        world.shown().starts_with("Running True"),
        "{}",
        world.shown()
    );
    world.annotate(json!({"embedded.headless-dns/node": "lost"}));
    assert!(
        world.shown().starts_with("Running Unknown"),
        "{}",
        world.shown()
    );
    world.delete("Pod", "p", &DeleteOptions::default());
    world.settle();
    world.pass(Duration::from_secs(3600));
    world.settle();
    assert!(world.get("Pod", "p").is_some());
    world.annotate(json!({}));
    world.pass(Duration::from_secs(1));
    world.settle();
    assert_eq!(world.get("Pod", "p"), None);
}

#[test]
fn a_pod_has_delays_of_its_own() {
    let delays = json!({"embedded.headless-dns/start-delay": "5s", "embedded.headless-dns/stop-delay": "7s"});
    let mut world = World::new(Delays::default());
    world.create("Pod", pod(delays, "Always", false));
    assert_eq!(world.settle(), Some(Duration::from_secs(5)));
    world.pass(Duration::from_secs(5));
    world.settle();
    assert!(
        world.shown().starts_with("Running True"),
        "{}",
        world.shown()
    );
    world.delete("Pod", "p", &DeleteOptions::default());
    assert_eq!(world.settle(), Some(Duration::from_secs(7)));
    world.pass(Duration::from_secs(7));
    world.settle();
    assert_eq!(world.get("Pod", "p"), None);
}

#[test]
fn an_annotation_that_means_nothing_is_refused() {
    let mut world = World::new(Delays::default());
    let object = pod(
        json!({"embedded.headless-dns/ready": "maybe"}),
        "Always",
        false,
    );
    let refused = world
        .state
        .create(world.now, kind("Pod"), "default", object, false);
    let wanted = "Pod \"p\" is invalid: metadata.annotations[embedded.headless-dns/ready]: Invalid value: \"maybe\": must be true or false";
    assert_eq!(refused.unwrap_err().message, wanted);
}

//! Deployments, ReplicaSets and DaemonSets, stepped until they rest; Jobs and CronJobs beside them.

mod cron_jobs;
mod jobs;

use super::*;

fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}], "terminationGracePeriodSeconds": 0},
    })
}

fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    })
}

impl World {
    /// Steps and lets time pass until nothing is left to do within a minute.
    fn rest(&mut self) {
        for _ in 0..200 {
            match self.settle() {
                Some(wait) if wait < Duration::from_mins(1) => self.pass(wait),
                Some(_) | None => return,
            }
        }
        panic!("the controllers do not come to rest");
    }

    fn merge(&mut self, of: &str, name: &str, patch: &Value) {
        self.change(of, name, |object| json_patch::merge(object, patch));
    }

    fn all(&self, of: &str) -> Vec<Value> {
        let all = self.state.objects.list(kind(of), Some("default"));
        all.map(|(_, object)| Value::clone(object)).collect()
    }

    /// What is said of an object: `reason: message`, sorted.
    fn told(&self, of: &str) -> Vec<String> {
        let about = |event: &Value| event["involvedObject"]["kind"] == of;
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        let all = self.all("Event").into_iter().filter(about);
        let mut all: Vec<_> = all
            .map(|event| format!("{}: {}", text(&event, "reason"), text(&event, "message")))
            .collect();
        all.sort();
        all
    }
}

/// The conditions of a status: `type=status reason`, sorted.
fn told(object: &Value) -> Vec<String> {
    let conditions = object["status"]["conditions"].as_array();
    let text = |c: &Value, field: &str| c[field].as_str().unwrap_or_default().to_owned();
    let all = conditions.into_iter().flatten();
    let mut all: Vec<_> = all
        .map(|c| {
            format!(
                "{}={} {}",
                text(c, "type"),
                text(c, "status"),
                text(c, "reason")
            )
        })
        .collect();
    all.sort();
    all
}

/// A status without its conditions and times.
fn counts(object: &Value) -> Value {
    let mut status = object["status"].clone();
    for field in [
        "conditions",
        "startTime",
        "completionTime",
        "observedGeneration",
    ] {
        status.as_object_mut().unwrap().remove(field);
    }
    status
}

fn images(world: &World) -> Vec<String> {
    let image = |pod: Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .map(str::to_owned)
    };
    world.all("Pod").into_iter().filter_map(image).collect()
}

#[test]
fn a_deployment_makes_a_replica_set_and_its_pods_and_says_when_it_is_done() {
    let mut world = World::new(Delays::default());
    world.create("Deployment", deployment(3, "web:1"));
    world.rest();
    let made = world.get("Deployment", "web").unwrap();
    assert_eq!(
        counts(&made),
        json!({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "terminatingReplicas": 0})
    );
    assert_eq!(
        made["status"]["observedGeneration"],
        made["metadata"]["generation"]
    );
    assert_eq!(
        told(&made),
        [
            "Available=True MinimumReplicasAvailable",
            "Progressing=True NewReplicaSetAvailable"
        ]
    );
    assert_eq!(
        made["metadata"]["annotations"],
        json!({"deployment.kubernetes.io/revision": "1"})
    );
    let sets = world.all("ReplicaSet");
    let hash = sets[0]["metadata"]["labels"]["pod-template-hash"]
        .as_str()
        .unwrap();
    assert_eq!(sets[0]["metadata"]["name"], format!("web-{hash}"));
    for pod in world.all("Pod") {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let end = name.strip_prefix(&format!("web-{hash}-")).unwrap();
        assert_eq!(end.len(), 5, "{name}");
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash);
    }
    let said = format!("ScalingReplicaSet: Scaled up replica set web-{hash} from 0 to 3");
    assert_eq!(world.told("Deployment"), [said]);
    assert_eq!(world.told("ReplicaSet").len(), 3, "a Pod made is said");
}

#[test]
fn a_rollout_never_has_fewer_available_or_more_pods_than_it_may_and_is_undone_to_the_old_set() {
    let mut world = World::new(Delays::default());
    world.create("Deployment", deployment(4, "web:1"));
    world.rest();
    let image = |image: &str| json!({"spec": {"template": template(image)}});
    world.merge("Deployment", "web", &image("web:2"));
    loop {
        let (actions, wake) = world.controllers.step(world.now, &world.state.objects);
        for action in actions.iter().cloned() {
            perform(&mut world.state, world.now, action);
        }
        let pods = world.all("Pod");
        let up = pods
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let ready = up
            .clone()
            .filter(|pod| headless_objects::object::is_ready(pod));
        assert!(
            up.count() <= 5 && ready.count() >= 3,
            "25 % up and down of four is one"
        );
        match wake {
            _ if !actions.is_empty() => {}
            Some(at) if at.duration_since(world.now).as_secs() < 60 => world.now = at,
            Some(_) | None => break,
        }
    }
    assert_eq!(images(&world), ["web:2"; 4]);
    let revision = |world: &World| {
        let made = world.get("Deployment", "web").unwrap();
        made["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone()
    };
    assert_eq!(revision(&world), "2");
    world.merge("Deployment", "web", &image("web:1"));
    world.rest();
    assert_eq!(
        (images(&world), revision(&world)),
        (vec!["web:1".to_owned(); 4], json!("3"))
    );
    let sets = world.all("ReplicaSet");
    let history: Vec<_> = sets
        .iter()
        .map(|set| {
            let notes = &set["metadata"]["annotations"];
            let note = |key: &str| notes[format!("deployment.kubernetes.io/{key}")].clone();
            (
                set["spec"]["replicas"].clone(),
                note("revision"),
                note("revision-history"),
            )
        })
        .filter(|(replicas, ..)| *replicas == 4)
        .collect();
    assert_eq!(history, [(json!(4), json!("3"), json!("1"))]);
    assert_eq!(sets.len(), 2, "the set of the first template is used again");
}

#[test]
fn a_paused_deployment_scales_and_rolls_nothing_out() {
    let mut world = World::new(Delays::default());
    world.create("Deployment", deployment(2, "web:1"));
    world.rest();
    let patch = json!({"spec": {"paused": true, "replicas": 3, "template": template("web:2")}});
    world.merge("Deployment", "web", &patch);
    world.rest();
    assert_eq!(images(&world), ["web:1"; 3]);
    let made = world.get("Deployment", "web").unwrap();
    assert!(told(&made).contains(&"Progressing=Unknown DeploymentPaused".to_owned()));
    world.merge("Deployment", "web", &json!({"spec": {"paused": false}}));
    world.rest();
    assert_eq!(images(&world), ["web:2"; 3]);
}

#[test]
fn recreate_ends_every_old_pod_before_a_new_one_is_made() {
    let mut world = World::new(Delays::default());
    let mut of = deployment(2, "web:1");
    of["spec"]["strategy"] = json!({"type": "Recreate"});
    world.create("Deployment", of);
    world.rest();
    world.merge(
        "Deployment",
        "web",
        &json!({"spec": {"template": template("web:2")}}),
    );
    while let Some(wait) = world.settle().filter(|wait| wait.as_secs() < 60) {
        let mut seen = images(&world);
        seen.dedup();
        assert!(seen.len() < 2, "{seen:?} at once");
        world.pass(wait);
    }
    assert_eq!(images(&world), ["web:2"; 2]);
}

#[test]
fn a_rollout_that_comes_to_nothing_is_late_at_its_deadline() {
    let mut world = World::new(Delays::default());
    let mut of = deployment(1, "web:1");
    of["spec"]["progressDeadlineSeconds"] = 30.into();
    of["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "none"});
    world.create("Deployment", of);
    world.rest();
    let made = world.get("Deployment", "web").unwrap();
    assert_eq!(
        told(&made),
        [
            "Available=False MinimumReplicasUnavailable",
            "Progressing=False ProgressDeadlineExceeded"
        ]
    );
    assert_eq!(
        counts(&made),
        json!({"replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1, "terminatingReplicas": 0})
    );
}

#[test]
fn a_set_takes_over_what_it_selects_and_lets_go_what_it_does_not() {
    let mut world = World::new(Delays::default());
    let mut lone = template("web:0");
    lone["metadata"]["name"] = "lone".into();
    world.create("Pod", lone);
    let set = deployment(2, "web:1");
    world.create("ReplicaSet", set);
    world.rest();
    assert_eq!(images(&world).len(), 2, "the lone Pod is one of two");
    world.merge(
        "Pod",
        "lone",
        &json!({"metadata": {"labels": {"app": "other"}}}),
    );
    world.rest();
    assert_eq!(images(&world).len(), 3);
    let lone = world.get("Pod", "lone").unwrap();
    assert!(
        lone["metadata"]["ownerReferences"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
}

#[test]
fn of_too_many_pods_the_cheapest_goes_first() {
    let mut world = World::new(Delays::default());
    world.create("ReplicaSet", deployment(3, "web:1"));
    world.rest();
    let names: Vec<_> = world
        .all("Pod")
        .iter()
        .map(|pod| pod["metadata"]["name"].clone())
        .collect();
    let cheap = names[1].as_str().unwrap();
    let cost =
        json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}});
    world.merge("Pod", cheap, &cost);
    world.merge("ReplicaSet", "web", &json!({"spec": {"replicas": 2}}));
    world.rest();
    let left: Vec<_> = world
        .all("Pod")
        .iter()
        .map(|pod| pod["metadata"]["name"].clone())
        .collect();
    assert_eq!(left, [names[0].clone(), names[2].clone()]);
}

#[test]
fn a_pod_that_is_refused_is_said_and_tried_again() {
    let mut world = World::new(Delays::default());
    let mut of = deployment(1, "web:1");
    of["spec"]["template"]["spec"]["serviceAccountName"] = "late".into();
    world.create("Deployment", of);
    assert_eq!(world.settle(), Some(workloads_again()));
    let made = world.get("Deployment", "web").unwrap();
    assert!(
        told(&made).contains(&"ReplicaFailure=True FailedCreate".to_owned()),
        "{made}"
    );
    let said = world.told("ReplicaSet");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("FailedCreate: Error creating: pods \"web-"),
        "{said:?}"
    );
    world.create("ServiceAccount", json!({"metadata": {"name": "late"}}));
    world.rest();
    assert_eq!(images(&world), ["web:1"]);
    let made = world.get("Deployment", "web").unwrap();
    assert_eq!(
        told(&made),
        [
            "Available=True MinimumReplicasAvailable",
            "Progressing=True NewReplicaSetAvailable"
        ]
    );
}

/// How long a set waits that could not make its Pods.
fn workloads_again() -> Duration {
    Duration::from_secs(1)
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node_that_suits_it_and_replaces_them_one_after_another() {
    let mut world = World::new(Delays::default());
    let mut tainted = node("node-2", world.now);
    tainted["spec"]["taints"] = json!([{"key": "gpu", "effect": "NoSchedule"}]);
    world.create("Node", tainted);
    world.create("Node", node("node-3", world.now));
    let mut of = deployment(1, "web:1");
    of["spec"].as_object_mut().unwrap().remove("replicas");
    world.create("DaemonSet", of);
    world.rest();
    let nodes = |world: &World| {
        let pods = world.all("Pod").into_iter();
        let mut all: Vec<_> = pods
            .map(|pod| pod["spec"]["nodeName"].as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all
    };
    assert_eq!(nodes(&world), ["node-1", "node-3"]);
    let status = json!({
        "currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberAvailable": 2, "numberMisscheduled": 0,
        "numberReady": 2, "updatedNumberScheduled": 2,
    });
    assert_eq!(counts(&world.get("DaemonSet", "web").unwrap()), status);
    let mut slow = template("web:2");
    slow["spec"]["terminationGracePeriodSeconds"] = 30.into();
    let change = |template: Value| json!({"spec": {"template": template}});
    world.merge("DaemonSet", "web", &change(slow));
    world.rest();
    world.merge("DaemonSet", "web", &change(template("web:3")));
    let ends = |pod: &&Value| headless_objects::object::is_ending(pod);
    assert_eq!(world.all("Pod").iter().filter(ends).count(), 1);
    assert_eq!(images(&world), ["web:2"; 2], "one ends, one stays");
    world.rest();
    assert_eq!(
        (nodes(&world), images(&world)),
        (
            vec!["node-1".into(), "node-3".into()],
            vec!["web:3".to_owned(); 2]
        )
    );
    assert_eq!(world.all("ControllerRevision").len(), 3);
    assert_eq!(counts(&world.get("DaemonSet", "web").unwrap()), status);
    world.delete("Node", "node-3", &DeleteOptions::default());
    world.rest();
    assert_eq!(nodes(&world), ["node-1"]);
}

#[test]
fn a_taint_against_new_pods_lets_those_of_a_daemon_set_stay_and_one_against_all_does_not() {
    let mut world = World::new(Delays::default());
    let mut of = deployment(1, "web:1");
    of["spec"].as_object_mut().unwrap().remove("replicas");
    world.create("DaemonSet", of);
    world.rest();
    let pod = world.all("Pod")[0]["metadata"]["uid"].clone();
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "gpu", "effect": effect}]}});
    world.merge("Node", NODE, &taint("NoSchedule"));
    world.rest();
    let pods = world.all("Pod");
    let uids: Vec<_> = pods.iter().map(|pod| &pod["metadata"]["uid"]).collect();
    assert_eq!(uids, [&pod]);
    let placed = |world: &World| {
        let status = &world.get("DaemonSet", "web").unwrap()["status"];
        ["desiredNumberScheduled", "numberMisscheduled"].map(|field| status[field].clone())
    };
    assert_eq!(placed(&world), [0, 1]);
    world.merge("Node", NODE, &taint("NoExecute"));
    world.rest();
    assert_eq!(world.all("Pod"), Vec::<Value>::new());
    assert_eq!(placed(&world), [0, 0]);
}

#[test]
fn a_replication_controller_keeps_its_pods() {
    let mut world = World::new(Delays::default());
    let mut of = deployment(2, "web:1");
    of["spec"]["selector"] = json!({"app": "web"});
    world.create("ReplicationController", of);
    world.rest();
    assert_eq!(images(&world), ["web:1"; 2]);
    let made = world.get("ReplicationController", "web").unwrap();
    assert_eq!(
        counts(&made),
        json!({"replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2})
    );
}

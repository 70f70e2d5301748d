//! Which nodes Pods get, and what is said of those that get none.

use super::*;

impl World {
    fn with_pod(spec: Value) -> Self {
        let mut world = Self::new(Delays::default());
        world.add("p", spec);
        world.settle();
        world
    }

    fn add(&mut self, name: &str, mut spec: Value) {
        podspec(&mut spec);
        self.create(
            "Pod",
            json!({"metadata": {"name": name, "labels": {"app": "a"}}, "spec": spec}),
        );
    }

    fn node_of(&self, pod: &str) -> Option<String> {
        let pod = self.get("Pod", pod).unwrap();
        pod["spec"]["nodeName"].as_str().map(str::to_owned)
    }

    pub(super) fn change(&mut self, of: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(of, name).unwrap();
        change(&mut object);
        self.state
            .update(&Self::key(of, name), Part::Main, object, false)
            .unwrap();
        self.settle();
    }

    /// Reason, type and message of the Events about an object, in the order of their reasons, and how often.
    pub(super) fn said(&self, about: &str) -> Vec<String> {
        let events = self.state.objects.list(kind("Event"), None);
        let events = events.filter(|(_, event)| event["involvedObject"]["name"] == about);
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        let mut all: Vec<_> = events
            .map(|(_, e)| {
                format!(
                    "{} {} ×{}: {}",
                    text(e, "type"),
                    text(e, "reason"),
                    e["count"],
                    text(e, "message")
                )
            })
            .collect();
        all.sort();
        all
    }
}

/// A spec with a container, where it has none.
fn podspec(spec: &mut Value) {
    if spec["containers"].is_null() {
        spec["containers"] = json!([{"name": "a", "image": "a"}]);
    }
}

fn apart() -> Value {
    let term = json!({"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "kubernetes.io/hostname"});
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

#[test]
fn a_pod_that_fits_no_node_waits_and_says_why_once() {
    let requests = |cpu: &str| json!({"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": cpu}}}]});
    for (spec, why, preemption) in [
        (
            json!({"nodeSelector": {"disk": "ssd"}}),
            "node(s) didn't match Pod's node affinity/selector",
            "Preemption is not helpful for scheduling",
        ),
        (
            requests("100000"),
            "Insufficient cpu",
            "No preemption victims found for incoming pod",
        ),
    ] {
        let mut world = World::with_pod(spec);
        let message = format!(
            "0/1 nodes are available: 1 {why}. preemption: 0/1 nodes are available: 1 {preemption}."
        );
        assert_eq!(
            world.said("p"),
            [format!("Warning FailedScheduling ×1: {message}")]
        );
        let condition = &world.get("Pod", "p").unwrap()["status"]["conditions"][0];
        let fields = ["type", "status", "reason", "message"]
            .map(|f| condition[f].as_str().unwrap().to_owned());
        assert_eq!(fields, ["PodScheduled", "False", "Unschedulable", &message]);
        world.pass(Duration::from_secs(60));
        world.settle();
        assert_eq!(world.said("p").len(), 1);
    }
}

#[test]
fn a_pod_with_gates_is_not_scheduled_until_they_are_gone() {
    let mut world = World::with_pod(json!({"schedulingGates": [{"name": "example.org/wait"}]}));
    let condition = world.get("Pod", "p").unwrap()["status"]["conditions"][0]["reason"].clone();
    assert_eq!(
        (world.node_of("p"), condition),
        (None, json!("SchedulingGated"))
    );
    assert_eq!(world.said("p"), [""; 0]);
    world.change("Pod", "p", |pod| {
        pod["spec"]["schedulingGates"] = Value::Null
    });
    assert_eq!(world.node_of("p").as_deref(), Some(NODE));
}

#[test]
fn a_pod_is_scheduled_as_soon_as_a_node_fits() {
    let mut world = World::with_pod(json!({"nodeSelector": {"disk": "ssd"}}));
    assert_eq!(world.node_of("p"), None);
    world.change("Node", NODE, |node| {
        node["metadata"]["labels"]["disk"] = "ssd".into()
    });
    assert_eq!(world.node_of("p").as_deref(), Some(NODE));
    assert_eq!(world.get("Pod", "p").unwrap()["status"]["phase"], "Running");
}

#[test]
fn a_cordoned_or_tainted_node_takes_only_who_tolerates_it() {
    for (spec, key) in [
        (
            json!({"unschedulable": true}),
            "node.kubernetes.io/unschedulable",
        ),
        (
            json!({"taints": [{"key": "only", "effect": "NoExecute"}]}),
            "only",
        ),
    ] {
        let mut world = World::new(Delays::default());
        world.change("Node", NODE, |node| node["spec"] = spec);
        world.add("out", json!({}));
        world.add(
            "in",
            json!({"tolerations": [{"key": key, "operator": "Exists"}]}),
        );
        world.settle();
        assert_eq!(world.node_of("out"), None);
        assert_eq!(world.node_of("in").as_deref(), Some(NODE));
    }
}

#[test]
fn pods_that_may_not_share_a_node_get_nodes_of_their_own() {
    let mut world = World::new(Delays::default());
    for name in ["a", "b", "c"] {
        world.add(name, apart());
    }
    world.settle();
    let mut nodes = ["a", "b", "c"].map(|name| world.node_of(name).unwrap());
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    // Nor does one that says nothing itself go where it is not wanted.
    world.add("d", json!({}));
    world.settle();
    assert_eq!(world.node_of("d").as_deref(), Some("node-4"));
    let port = json!({"containers": [{"name": "a", "image": "a", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let mut world = World::new(Delays::default());
    world.add("a", port.clone());
    world.add("b", port);
    world.settle();
    let mut nodes = ["a", "b"].map(|name| world.node_of(name).unwrap());
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2"]);
}

#[test]
fn a_claim_that_nobody_serves_is_said_after_a_second() {
    let mut world = World::new(Delays::default());
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}});
    world.create(
        "PersistentVolumeClaim",
        json!({"metadata": {"name": "data"}, "spec": spec}),
    );
    world.add(
        "p",
        json!({"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}),
    );
    assert_eq!(world.settle(), Some(Duration::from_secs(1)));
    let why = "storageclass.storage.k8s.io \"none\" not found";
    assert_eq!(
        world.said("data"),
        [format!("Warning ProvisioningFailed ×1: {why}")]
    );
    assert_eq!(world.said("p"), [""; 0]);
    world.pass(Duration::from_secs(1));
    world.settle();
    let why = "pod has unbound immediate PersistentVolumeClaims";
    let none = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(
        world.said("p"),
        [format!(
            "Warning FailedScheduling ×1: 0/1 nodes are available: {why}. {none}"
        )]
    );
    let lines = crate::waiting::lines(&world.state.objects);
    assert_eq!(
        lines,
        [
            "wait  claim default/data: no StorageClass \"none\"; there is: demo".to_owned(),
            format!("wait  pod   default/p: 0/1 nodes are available: {why}. {none}"),
        ]
    );
}

#[test]
fn an_event_that_is_said_again_is_counted_and_is_gone_after_an_hour() {
    let mut world = World::new(Delays::default());
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}});
    world.create(
        "PersistentVolumeClaim",
        json!({"metadata": {"name": "data"}, "spec": spec}),
    );
    world.settle();
    world.pass(Duration::from_secs(3_000));
    world.change("PersistentVolumeClaim", "data", |claim| {
        claim["metadata"]["labels"] = json!({"a": "b"})
    });
    let said = world.said("data");
    assert_eq!(
        said,
        ["Warning ProvisioningFailed ×2: storageclass.storage.k8s.io \"none\" not found"]
    );
    world.pass(Duration::from_secs(3_599));
    world.settle();
    assert_eq!(world.said("data"), said);
    world.pass(Duration::from_secs(1));
    world.settle();
    assert_eq!(world.said("data"), [""; 0]);
}

#[test]
fn a_pod_of_a_missing_account_is_refused_and_one_of_a_present_one_gets_its_token() {
    let mut world = World::new(Delays::default());
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"serviceAccountName": "missing"}});
    podspec(&mut pod["spec"]);
    let refused = world
        .state
        .create(world.now, kind("Pod"), "default", pod.clone(), false);
    assert_eq!(
        refused.unwrap_err().message,
        "pods \"p\" is forbidden: error looking up service account default/missing: serviceaccount \"missing\" not found"
    );
    pod["spec"]
        .as_object_mut()
        .unwrap()
        .remove("serviceAccountName");
    let spec = &world.create("Pod", pod)["spec"];
    let names = ["serviceAccountName", "serviceAccount"].map(|field| spec[field].clone());
    assert_eq!(names, ["default", "default"]);
    let mount = &spec["containers"][0]["volumeMounts"][0];
    assert_eq!(
        mount["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    let volume = &spec["volumes"][0];
    assert_eq!(volume["name"], mount["name"]);
    assert_eq!(
        volume["projected"]["sources"][1]["configMap"]["name"],
        "kube-root-ca.crt"
    );
    let none = json!({"automountServiceAccountToken": false});
    world.add("q", none);
    assert_eq!(
        world.get("Pod", "q").unwrap()["spec"]["volumes"],
        Value::Null
    );
}

#[test]
fn a_balancer_s_service_gets_an_address_and_gives_it_back() {
    let mut world = World::new(Delays::default());
    for name in ["a", "b"] {
        let spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
        world.create("Service", json!({"metadata": {"name": name}, "spec": spec}));
    }
    world.settle();
    let addresses = |world: &World| {
        ["a", "b"].map(|name| {
            let service = world.get("Service", name).unwrap();
            service["status"]["loadBalancer"].clone()
        })
    };
    let one = |ip: &str| json!({"ingress": [{"ip": ip, "ipMode": "VIP"}]});
    assert_eq!(addresses(&world), [one("198.18.0.1"), one("198.18.0.2")]);
    world.change("Service", "a", |service| {
        service["spec"]["type"] = "ClusterIP".into()
    });
    assert_eq!(addresses(&world), [json!({}), one("198.18.0.2")]);
}

/// A constraint to spread Pods over the values of a label.
fn spread(label: &str, more: &Value) -> Value {
    let mut constraint = json!({
        "maxSkew": 1, "topologyKey": label, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
    });
    json_patch::merge(&mut constraint, more);
    json!({"topologySpreadConstraints": [constraint]})
}

#[test]
fn pods_are_spread_over_nodes_and_their_zones() {
    for label in ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] {
        let mut world = World::new(Delays::default());
        world.create("Node", node("node-2", world.now));
        // Two are on the first node, whatever is there.
        for name in ["p1", "p2"] {
            world.add(name, json!({"nodeName": NODE}));
        }
        for (name, on) in [("p3", "node-2"), ("p4", "node-2"), ("p5", NODE)] {
            world.add(name, spread(label, &json!({})));
            world.settle();
            assert_eq!(world.node_of(name).as_deref(), Some(on), "{label} {name}");
        }
    }
}

#[test]
fn a_node_is_made_for_as_many_domains_as_are_asked_for() {
    let mut world = World::new(Delays::default());
    for name in ["p1", "p2", "p3"] {
        let zones = spread("topology.kubernetes.io/zone", &json!({"minDomains": 3}));
        world.add(name, zones);
    }
    world.settle();
    let on = ["p1", "p2", "p3"].map(|pod| world.node_of(pod).unwrap());
    assert_eq!(on, ["node-1", "node-2", "node-3"]);
    let zones: Vec<_> = world
        .state
        .objects
        .list(kind("Node"), None)
        .map(|(_, node)| node["metadata"]["labels"]["topology.kubernetes.io/zone"].clone())
        .collect();
    assert_eq!(zones, ["zone-1", "zone-2", "zone-3"]);
}

#[test]
fn a_pod_that_cannot_be_spread_waits_and_no_node_is_made_that_would_not_help() {
    let why = "node(s) didn't match pod topology spread constraints";
    let cases = [
        (
            "rack",
            json!({}),
            format!("1 {why} (missing required label)"),
            "Preemption is not helpful for scheduling",
        ),
        (
            "kubernetes.io/os",
            json!({"minDomains": 2}),
            format!("1 {why}"),
            "No preemption victims found for incoming pod",
        ),
    ];
    for (label, more, why, preemption) in cases {
        let mut world = World::new(Delays::default());
        world.add("there", json!({}));
        world.settle();
        world.add("p", spread(label, &more));
        world.settle();
        let message = format!(
            "0/1 nodes are available: {why}. preemption: 0/1 nodes are available: 1 {preemption}."
        );
        assert_eq!(
            world.said("p"),
            [format!("Warning FailedScheduling ×1: {message}")]
        );
    }
}

#[test]
fn only_pods_of_the_same_revision_count_where_a_label_says_so_and_a_preference_keeps_nobody_away() {
    let of = |revision: &str| json!({"app": "a", "revision": revision});
    let mut world = World::new(Delays::default());
    world.create("Node", node("node-2", world.now));
    let mut old =
        json!({"metadata": {"name": "old", "labels": of("1")}, "spec": {"nodeName": NODE}});
    podspec(&mut old["spec"]);
    world.create("Pod", old);
    let mut place = |name: &str, more: &Value| {
        let mut spec = spread("kubernetes.io/hostname", more);
        podspec(&mut spec);
        spec["nodeSelector"] = json!({"kubernetes.io/hostname": NODE});
        let meta = json!({"name": name, "labels": of("2")});
        world.create("Pod", json!({"metadata": meta, "spec": spec}));
        world.settle();
        world.node_of(name)
    };
    let all = json!({"nodeAffinityPolicy": "Ignore"});
    assert_eq!(place("kept-away", &all), None);
    let new = json!({"nodeAffinityPolicy": "Ignore", "matchLabelKeys": ["revision"]});
    // The one kept away is on no node yet.
    assert_eq!(place("by-revision", &new).as_deref(), Some(NODE));
    let soft = json!({"nodeAffinityPolicy": "Ignore", "whenUnsatisfiable": "ScheduleAnyway"});
    assert_eq!(place("soft", &soft).as_deref(), Some(NODE));
}

#[test]
fn no_node_is_made_where_the_pod_would_not_fit_it() {
    let mut world = World::new(Delays::default());
    let labels = json!({"metadata": {"labels": {"disk": "ssd"}}});
    world.change("Node", NODE, |node| json_patch::merge(node, &labels));
    for name in ["p1", "p2"] {
        let mut spec = apart();
        spec["nodeSelector"] = json!({"disk": "ssd"});
        world.add(name, spec);
    }
    world.settle();
    assert_eq!(world.node_of("p2"), None);
    assert_eq!(world.state.objects.list(kind("Node"), None).count(), 1);
}

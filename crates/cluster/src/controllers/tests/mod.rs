//! The controllers, stepped until they rest.

mod containers;
mod kubelet;
mod live;
mod scheduler;
mod workloads;

use serde_json::{Value, json};

use super::*;

/// A cluster whose controllers are stepped until they rest.
struct World {
    state: State,
    controllers: Controllers,
    now: Timestamp,
}

fn kind(name: &str) -> KindId {
    KindId::named(name)
}

impl World {
    fn new(delays: Delays) -> Self {
        let mut world = Self {
            state: State::new(0),
            controllers: Controllers::new(delays, None),
            now: Timestamp::UNIX_EPOCH,
        };
        for ns in ["default", "other"] {
            world
                .state
                .create(
                    world.now,
                    kind("Namespace"),
                    "",
                    json!({"metadata": {"name": ns}}),
                    false,
                )
                .unwrap();
        }
        world.create("Node", node(NODE, world.now));
        world.create(
            "StorageClass",
            json!({"metadata": {"name": "demo"}, "provisioner": "example.com/p"}),
        );
        world
    }

    fn create(&mut self, of: &str, object: Value) -> Value {
        let ns = if kind(of).info().namespaced {
            "default"
        } else {
            ""
        };
        Value::clone(
            &self
                .state
                .create(self.now, kind(of), ns, object, false)
                .unwrap(),
        )
    }

    fn key(of: &str, name: &str) -> Key {
        let ns = if kind(of).info().namespaced {
            "default"
        } else {
            ""
        };
        Key::new(kind(of), ns, name)
    }

    fn get(&self, of: &str, name: &str) -> Option<Value> {
        self.state
            .objects
            .get(&Self::key(of, name))
            .map(|o| Value::clone(o))
    }

    fn delete(&mut self, of: &str, name: &str, options: &DeleteOptions) {
        self.state
            .delete(self.now, &Self::key(of, name), options)
            .unwrap();
    }

    /// Steps until nothing is left to do; returns when the controllers want to look again, but for old Events.
    fn settle(&mut self) -> Option<Duration> {
        loop {
            let (actions, wake) = self.controllers.step(self.now, &self.state.objects);
            if actions.is_empty() {
                let wait = wake.map(|at| at.duration_since(self.now).unsigned_abs());
                return wait.filter(|wait| *wait < Duration::from_mins(50));
            }
            actions
                .into_iter()
                .for_each(|action| perform(&mut self.state, self.now, action));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time).unwrap();
    }

    /// The endpoints of a Service: `hostname=address!` where it is not ready.
    fn endpoints(&self, service: &str) -> Vec<String> {
        let slices = self
            .state
            .objects
            .list(kind("EndpointSlice"), Some("default"));
        let mine = slices
            .filter(|(_, s)| s["metadata"]["labels"]["kubernetes.io/service-name"] == service);
        let mut all: Vec<_> = mine
            .flat_map(|(_, s)| s["endpoints"].as_array().cloned().unwrap_or_default())
            .map(|e| {
                let mark = if e["conditions"]["ready"] == true {
                    ""
                } else {
                    "!"
                };
                format!(
                    "{}={}{mark}",
                    e["hostname"].as_str().unwrap_or("-"),
                    e["addresses"][0].as_str().unwrap()
                )
            })
            .collect();
        all.sort();
        all
    }
}

fn service(spec: Value) -> Value {
    let mut service = json!({"metadata": {"name": "redis"}, "spec": {"clusterIP": "None", "selector": {"app": "redis"}, "ports": [{"name": "redis", "port": 6379}]}});
    json_patch::merge(&mut service["spec"], &spec);
    service
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": "redis"}},
        "spec": {"hostname": name, "subdomain": "redis", "containers": [{"name": "redis", "image": "redis:6.2", "ports": [{"name": "redis", "containerPort": 6379}]}]},
    })
}

#[test]
fn a_pod_gets_a_node_and_an_address_and_its_service_shows_it() {
    let mut world = World::new(Delays::default());
    world.create("Service", service(json!({})));
    world.create("Pod", pod("redis-0"));
    assert_eq!(world.settle(), None);
    let pod = world.get("Pod", "redis-0").unwrap();
    assert_eq!(
        (&pod["status"]["phase"], &pod["status"]["podIP"]),
        (&json!("Running"), &json!("10.244.0.2"))
    );
    assert_eq!(world.endpoints("redis"), ["redis-0=10.244.0.2"]);
}

#[test]
fn a_pod_leaves_its_slices_before_it_ends_and_its_successor_has_another_address() {
    let mut world = World::new(Delays::default());
    world.create("Service", service(json!({})));
    world.create("Pod", pod("redis-0"));
    world.settle();
    world.delete("Pod", "redis-0", &DeleteOptions::default());
    let wait = world.settle();
    assert_eq!(world.endpoints("redis"), ["redis-0=10.244.0.2!"]);
    assert!(world.get("Pod", "redis-0").is_some());
    world.pass(wait.unwrap());
    world.settle();
    assert!(world.get("Pod", "redis-0").is_none());
    assert!(world.endpoints("redis").is_empty());
    world.create("Pod", pod("redis-0"));
    world.settle();
    assert_eq!(world.endpoints("redis"), ["redis-0=10.244.0.3"]);
}

#[test]
fn a_pod_takes_the_time_it_is_given() {
    let delays = Delays {
        start: Duration::from_secs(5),
        stop: Duration::from_secs(3),
    };
    let mut world = World::new(delays);
    world.create("Pod", pod("redis-0"));
    assert_eq!(world.settle(), Some(Duration::from_secs(5)));
    world.pass(Duration::from_secs(5));
    world.settle();
    assert_eq!(
        world.get("Pod", "redis-0").unwrap()["status"]["phase"],
        "Running"
    );
    world.delete("Pod", "redis-0", &DeleteOptions::default());
    assert_eq!(world.settle(), Some(Duration::from_secs(3)));
}

#[test]
fn a_pod_waits_for_its_claim_and_the_claim_for_its_class() {
    let mut world = World::new(Delays::default());
    let mut with_volume = pod("redis-0");
    with_volume["spec"]["volumes"] =
        json!([{"name": "d", "persistentVolumeClaim": {"claimName": "d-redis-0"}}]);
    world.create("Pod", with_volume);
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "later", "resources": {"requests": {"storage": "2Gi"}}});
    world.create(
        "PersistentVolumeClaim",
        json!({"metadata": {"name": "d-redis-0"}, "spec": spec}),
    );
    world.settle();
    assert_eq!(
        world.get("Pod", "redis-0").unwrap()["status"]["phase"],
        "Pending"
    );
    world.create(
        "StorageClass",
        json!({"metadata": {"name": "later"}, "provisioner": "example.com/p"}),
    );
    world.settle();
    assert_eq!(
        world.get("Pod", "redis-0").unwrap()["status"]["phase"],
        "Running"
    );
    let claim = world.get("PersistentVolumeClaim", "d-redis-0").unwrap();
    assert_eq!(
        claim["status"],
        json!({
            "phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"},
            "conditions": [{
                "type": "Unused", "status": "False", "reason": "PodUsingPVC", "message": "A pod is currently referencing this PVC",
                "lastProbeTime": null, "lastTransitionTime": "1970-01-01T00:00:00Z",
            }],
        })
    );
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    assert_eq!(
        world.get("PersistentVolume", volume).unwrap()["status"]["phase"],
        "Bound"
    );
    world.delete(
        "PersistentVolumeClaim",
        "d-redis-0",
        &DeleteOptions::default(),
    );
    world.settle();
    assert!(
        world.get("PersistentVolumeClaim", "d-redis-0").is_some(),
        "a Pod uses it"
    );
    let now = DeleteOptions {
        grace: Some(0),
        ..DeleteOptions::default()
    };
    world.delete("Pod", "redis-0", &now);
    world.settle();
    assert_eq!(world.get("PersistentVolumeClaim", "d-redis-0"), None);
    assert_eq!(world.get("PersistentVolume", volume), None);
}

#[test]
fn a_claim_says_since_when_no_pod_refers_to_it() {
    let mut world = World::new(Delays::default());
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "c", "resources": {"requests": {"storage": "1Gi"}}});
    world.create(
        "StorageClass",
        json!({"metadata": {"name": "c"}, "provisioner": "example.com/p"}),
    );
    world.create(
        "PersistentVolumeClaim",
        json!({"metadata": {"name": "data"}, "spec": spec}),
    );
    world.settle();
    let unused = |world: &World| {
        let claim = world.get("PersistentVolumeClaim", "data").unwrap();
        let condition = &claim["status"]["conditions"][0];
        ["status", "reason", "lastTransitionTime"].map(|field| condition[field].clone())
    };
    let none = ["True", "NoPodsUsingPVC", "1970-01-01T00:00:00Z"];
    assert_eq!(unused(&world), none);
    let mut user = pod("redis-0");
    user["spec"]["volumes"] =
        json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    world.create("Pod", user);
    world.pass(Duration::from_secs(1));
    world.settle();
    let used = ["False", "PodUsingPVC", "1970-01-01T00:00:01Z"];
    assert_eq!(unused(&world), used);
    let now = DeleteOptions {
        grace: Some(0),
        ..DeleteOptions::default()
    };
    world.delete("Pod", "redis-0", &now);
    world.pass(Duration::from_secs(1));
    world.settle();
    let none = ["True", "NoPodsUsingPVC", "1970-01-01T00:00:02Z"];
    assert_eq!(unused(&world), none);
}

#[test]
fn a_claim_that_is_made_anew_at_once_has_a_volume_of_its_own_and_the_old_one_goes() {
    let mut world = World::new(Delays::default());
    let class = json!({"metadata": {"name": "c"}, "provisioner": "example.com/p"});
    world.create("StorageClass", class);
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "c", "resources": {"requests": {"storage": "1Gi"}}});
    let claim = json!({"metadata": {"name": "data"}, "spec": spec});
    let volume = |world: &World| {
        let claim = world.get("PersistentVolumeClaim", "data").unwrap();
        claim["spec"]["volumeName"].as_str().unwrap().to_owned()
    };
    world.create("PersistentVolumeClaim", claim.clone());
    world.settle();
    let first = volume(&world);
    let now = DeleteOptions::default();
    world.delete("PersistentVolumeClaim", "data", &now);
    world.settle();
    world.create("PersistentVolumeClaim", claim.clone());
    world.settle();
    let second = volume(&world);
    assert_ne!(second, first);
    // Between two steps.
    let key = World::key("PersistentVolumeClaim", "data");
    world.state.remove(&key);
    world.create("PersistentVolumeClaim", claim);
    world.settle();
    let third = volume(&world);
    assert_ne!(third, second);
    let there = |name: &str| world.get("PersistentVolume", name).is_some();
    assert_eq!(
        [&first, &second, &third].map(|name| there(name)),
        [false, false, true]
    );
}

#[test]
fn a_claim_gets_the_smallest_volume_of_its_class_that_fits() {
    let mut world = World::new(Delays::default());
    world.create(
        "StorageClass",
        json!({"metadata": {"name": "by-hand"}, "provisioner": "kubernetes.io/no-provisioner"}),
    );
    for (name, class, size, mode, disk) in [
        ("small", "by-hand", "1Gi", "ReadWriteOnce", "ssd"),
        ("slow", "by-hand", "2Gi", "ReadWriteOnce", "hdd"),
        ("shared", "by-hand", "3Gi", "ReadOnlyMany", "ssd"),
        ("good", "by-hand", "3Gi", "ReadWriteOnce", "ssd"),
        ("large", "by-hand", "4Gi", "ReadWriteOnce", "ssd"),
        ("other", "demo", "2Gi", "ReadWriteOnce", "ssd"),
    ] {
        world.create(
            "PersistentVolume",
            json!({
                "metadata": {"name": name, "labels": {"disk": disk}},
                "spec": {"storageClassName": class, "capacity": {"storage": size}, "accessModes": [mode], "hostPath": {"path": "/x"}},
            }),
        );
    }
    for name in ["first", "second", "third"] {
        world.create(
            "PersistentVolumeClaim",
            json!({
                "metadata": {"name": name},
                "spec": {"storageClassName": "by-hand", "accessModes": ["ReadWriteOnce"], "selector": {"matchLabels": {"disk": "ssd"}},
                    "resources": {"requests": {"storage": "2048Mi"}}},
            }),
        );
        world.settle();
    }
    let bound = |name: &str| {
        let claim = world.get("PersistentVolumeClaim", name).unwrap();
        let of = |at: &Value| at.as_str().unwrap_or_default().to_owned();
        (
            of(&claim["spec"]["volumeName"]),
            of(&claim["status"]["phase"]),
        )
    };
    let all = ["first", "second", "third"].map(bound);
    let wanted = [("good", "Bound"), ("large", "Bound"), ("", "Pending")];
    assert_eq!(
        all,
        wanted.map(|(volume, phase)| (volume.into(), phase.into()))
    );
    let volume = world.get("PersistentVolume", "good").unwrap();
    assert_eq!(volume["spec"]["claimRef"]["name"], "first");
    assert_eq!(volume["status"]["phase"], "Bound");
}

#[test]
fn named_ports_dual_stack_and_not_ready_addresses_are_as_kubernetes_has_them() {
    let mut world = World::new(Delays {
        start: Duration::from_secs(1),
        ..Delays::default()
    });
    let spec = json!({"publishNotReadyAddresses": true, "ipFamilyPolicy": "RequireDualStack", "ports": [{"name": "r", "port": 80, "targetPort": "redis"}, {"name": "x", "port": 81, "targetPort": "none"}]});
    world.create("Service", service(spec));
    world.create("Pod", pod("redis-0"));
    let wait = world.settle().unwrap();
    world.pass(wait);
    world.settle();
    assert_eq!(
        world.endpoints("redis"),
        ["redis-0=10.244.0.2", "redis-0=fd00:10:244::2"]
    );
    let slices: Vec<_> = world
        .state
        .objects
        .list(kind("EndpointSlice"), None)
        .map(|(_, s)| s["ports"].clone())
        .collect();
    assert_eq!(
        slices,
        vec![json!([{"name": "r", "port": 6379, "protocol": "TCP"}]); 2]
    );
    world.delete("Pod", "redis-0", &DeleteOptions::default());
    world.settle();
    assert_eq!(
        world.endpoints("redis").len(),
        2,
        "published though it terminates"
    );
}

#[test]
fn an_endpoint_says_its_node_and_that_node_s_zone() {
    let mut world = World::new(Delays::default());
    world.create("Service", service(json!({})));
    world.create("Pod", pod("redis-0"));
    world.settle();
    let objects = &world.state.objects;
    let slice = objects.list(kind("EndpointSlice"), None).next().unwrap().1;
    let endpoint = &slice["endpoints"][0];
    assert_eq!(
        (&endpoint["nodeName"], &endpoint["zone"]),
        (&json!("node-1"), &json!("zone-1"))
    );
}

#[test]
fn a_hundred_endpoints_fill_a_slice_and_the_next_opens_another() {
    let mut world = World::new(Delays::default());
    world.create("Service", service(json!({})));
    for i in 0..101 {
        world.create("Pod", pod(&format!("redis-{i}")));
    }
    world.settle();
    let mut sizes: Vec<_> = world
        .state
        .objects
        .list(kind("EndpointSlice"), None)
        .map(|(_, s)| s["endpoints"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 100]);
}

#[test]
fn what_an_owner_leaves_behind_is_collected_but_orphans_stay() {
    for (propagation, stays) in [
        ("Background", false),
        ("Foreground", false),
        ("Orphan", true),
    ] {
        let mut world = World::new(Delays::default());
        let owner = world.create("ConfigMap", json!({"metadata": {"name": "owner"}}));
        let refs = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]);
        world.create(
            "Secret",
            json!({"metadata": {"name": "child", "ownerReferences": refs}}),
        );
        world.settle();
        let options = crate::deleting::read(&json!({"propagationPolicy": propagation})).unwrap();
        world.delete("ConfigMap", "owner", &options);
        world.settle();
        assert_eq!(
            (
                world.get("ConfigMap", "owner"),
                world.get("Secret", "child").is_some()
            ),
            (None, stays),
            "{propagation}"
        );
    }
}

#[test]
fn an_owner_waits_only_for_dependents_that_say_so() {
    for (blocks, stays) in [(true, true), (false, false)] {
        let mut world = World::new(Delays::default());
        let owner = world.create("ConfigMap", json!({"metadata": {"name": "owner"}}));
        let refs = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks}]);
        world.create(
            "Secret",
            json!({"metadata": {"name": "child", "ownerReferences": refs, "finalizers": ["example.org/hold"]}}),
        );
        let options = DeleteOptions {
            propagation: crate::state::Propagation::Foreground,
            ..DeleteOptions::default()
        };
        world.delete("ConfigMap", "owner", &options);
        for _ in 0..5 {
            let (actions, _) = world.controllers.step(world.now, &world.state.objects);
            actions
                .into_iter()
                .for_each(|action| perform(&mut world.state, world.now, action));
        }
        assert_eq!(world.get("ConfigMap", "owner").is_some(), stays, "{blocks}");
    }
}

#[test]
fn a_namespace_ends_with_everything_in_it() {
    let mut world = World::new(Delays::default());
    world.create("Service", service(json!({})));
    world.create("Pod", pod("redis-0"));
    world.settle();
    world.delete("Namespace", "default", &DeleteOptions::default());
    while let Some(wait) = world.settle() {
        world.pass(wait);
    }
    assert_eq!(world.get("Namespace", "default"), None);
    assert_eq!(
        KindId::all()
            .flat_map(|k| world.state.objects.list(k, Some("default")))
            .count(),
        0
    );
}

#[test]
fn an_object_that_breaks_a_controller_stops_no_other() {
    let mut world = World::new(Delays::default());
    // What no request can make.
    let broken = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evil", "uid": "e"}, "spec": {"nodeName": NODE}, "status": "x"});
    world.state.objects.put(World::key("Pod", "evil"), broken);
    world.create("Pod", json!({"metadata": {"name": "good"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}));
    world.settle();
    let pod = world.get("Pod", "good").unwrap();
    assert_eq!(pod["status"]["phase"], "Running");
}

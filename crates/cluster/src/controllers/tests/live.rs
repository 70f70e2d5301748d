//! Containers whose programs run.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Action;
use super::super::live::{Live, Look};
use crate::faults::Faults;
use crate::objects::{Change, Key, Objects};
use crate::runtime::{Fact, Kept, Order, ProbeKind, Refusal, Run};
use crate::tokens::Tokens;

/// A Pod whose containers run, told what becomes of them.
struct World {
    live: Live,
    pod: Value,
    now: Timestamp,
}

impl World {
    fn new(spec: Value) -> Self {
        Self {
            live: Live::new(Tokens::new([0; 32])),
            pod: json!({"metadata": {"uid": "u", "name": "p", "namespace": "default"}, "spec": spec, "status": {"podIP": "10.244.0.2"}}),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// What is started, as container and restarts, and other orders as they are.
    fn look(&mut self) -> Vec<String> {
        let seen = self.live.look(&Look {
            now: self.now,
            objects: &Objects::default(),
            pod: &self.pod,
            faults: &Faults::default(),
        });
        self.pod = seen.pod;
        let shown = |order: Order| match order {
            Order::Start(start) => format!("{} {}", start.run.container, start.run.restarts),
            Order::Stop(uid, grace) => format!("stop {uid} {}", grace.as_secs()),
            Order::End(run, _) => format!("end {} {}", run.container, run.restarts),
            Order::Probe(probe) => format!("probe {} {:?}", probe.run.container, probe.kind),
            Order::Show(uid, volume) => format!("show {uid} {}", volume.name),
            Order::Release(uid) => format!("release {uid}"),
            Order::Forget(uid) => format!("forget {uid}"),
            Order::Discard(kept) => format!("discard {kept:?}"),
            Order::Route(routes) => format!("{routes:?}"),
        };
        seen.orders.into_iter().map(shown).collect()
    }

    fn hear(&mut self, fact: fn(Run) -> Fact, container: &str, restarts: i64) {
        let run = Run {
            pod: "u".into(),
            container: container.into(),
            restarts,
        };
        self.live.hear(self.now, &fact(run));
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn state(&self, at: usize) -> (Value, Value, Value) {
        let status = &self.pod["status"]["containerStatuses"][at];
        let waiting = &status["state"]["waiting"]["reason"];
        (
            waiting.clone(),
            status["restartCount"].clone(),
            status["lastState"]["terminated"]["exitCode"].clone(),
        )
    }
}

#[test]
fn init_containers_are_started_one_after_another_and_the_others_together() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "a"}, {"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "x"}, {"name": "y"}],
    }));
    assert_eq!(world.look(), ["a 0"]);
    world.hear(Fact::Started, "a", 0);
    assert!(world.look().is_empty());
    world.hear(|run| Fact::Ended(run, 0), "a", 0);
    assert_eq!(world.look(), ["side 0"]);
    world.hear(Fact::Started, "side", 0);
    assert_eq!(world.look(), ["x 0", "y 0"]);
    world.hear(Fact::Started, "x", 0);
    world.look();
    assert_eq!(world.pod["status"]["phase"], "Pending");
    world.hear(Fact::Started, "y", 0);
    assert!(world.look().is_empty());
    assert_eq!(world.pod["status"]["phase"], "Running");
}

#[test]
fn what_ends_is_started_again_at_once_and_then_after_pauses() {
    let mut world = World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
    world.look();
    world.hear(Fact::Started, "x", 0);
    world.hear(|run| Fact::Ended(run, 3), "x", 0);
    assert_eq!(world.look(), ["x 1"]);
    world.hear(Fact::Started, "x", 1);
    world.hear(|run| Fact::Ended(run, 3), "x", 1);
    assert!(world.look().is_empty());
    assert_eq!(
        world.state(0),
        (json!("CrashLoopBackOff"), json!(1), json!(3))
    );
    world.wait(10);
    assert_eq!(world.look(), ["x 2"]);
    // What is said of an earlier run is not news.
    world.hear(|run| Fact::Ended(run, 9), "x", 1);
    assert!(world.look().is_empty());
    assert_eq!(
        world.state(0),
        (json!("ContainerCreating"), json!(2), json!(3))
    );
}

#[test]
fn what_cannot_be_had_is_said_and_tried_again_which_is_no_restart() {
    let mut world = World::new(json!({"containers": [{"name": "x", "image": "nginx"}]}));
    world.look();
    let refused = |run| Fact::Refused(run, Refusal::Image, "no".into());
    for seconds in [10, 20] {
        world.hear(refused, "x", 0);
        assert!(world.look().is_empty());
        let status = &world.pod["status"]["containerStatuses"][0];
        let wanted = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no"}});
        assert_eq!(
            (&status["state"], &status["restartCount"]),
            (&wanted, &json!(0))
        );
        world.wait(seconds - 1);
        assert!(world.look().is_empty());
        world.wait(1);
        assert_eq!(world.look(), ["x 0"]);
    }
}

#[test]
fn a_program_that_cannot_be_started_has_ended_with_128_and_is_started_again_where_the_pod_says_so()
{
    let refused = |run| Fact::Refused(run, Refusal::Start, "no such file".into());
    let mut world = World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
    world.look();
    world.hear(refused, "x", 0);
    assert_eq!(world.look(), ["x 1"]);
    world.hear(refused, "x", 1);
    assert!(world.look().is_empty());
    assert_eq!(
        world.state(0),
        (json!("CrashLoopBackOff"), json!(1), json!(128))
    );
    let last = &world.pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (&last["reason"], &last["message"]),
        (&json!("StartError"), &json!("no such file"))
    );
    let mut world = World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Never"}));
    world.look();
    world.hear(refused, "x", 0);
    assert!(world.look().is_empty());
    assert_eq!(world.pod["status"]["phase"], "Failed");
}

#[test]
fn an_ephemeral_container_runs_once_and_the_pod_is_ready_without_it() {
    let mut world = World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
    world.look();
    world.hear(Fact::Started, "x", 0);
    world.look();
    world.pod["spec"]["ephemeralContainers"] = json!([{"name": "debug"}]);
    assert_eq!(world.look(), ["debug 0"]);
    world.hear(Fact::Started, "debug", 0);
    assert!(world.look().is_empty());
    let status = |world: &World| world.pod["status"]["ephemeralContainerStatuses"][0].clone();
    assert!(status(&world)["state"]["running"].is_object());
    assert_eq!(world.pod["status"]["phase"], "Running");
    world.hear(|run| Fact::Ended(run, 7), "debug", 0);
    assert!(world.look().is_empty());
    let ended = status(&world);
    let code = &ended["state"]["terminated"]["exitCode"];
    assert_eq!(
        (code, &ended["ready"], &ended["restartCount"]),
        (&json!(7), &json!(false), &json!(0))
    );
    assert_eq!(world.pod["status"]["phase"], "Running");
}

#[test]
fn what_was_kept_goes_with_its_volume() {
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": "pvc-1", "uid": "v", "annotations": {"pv.kubernetes.io/provisioned-by": "p"}},
        "spec": {"claimRef": {"namespace": "shop", "name": "data-redis-0"}, "persistentVolumeReclaimPolicy": "Delete"},
    });
    let of = |volume: &Value, deleted| Change {
        revision: 1,
        key: Key::of(volume).unwrap(),
        old: None,
        new: volume.clone().into(),
        deleted,
    };
    let change = |deleted| of(&volume, deleted);
    let mut live = Live::new(Tokens::new([0; 32]));
    assert_eq!(live.gone(&[change(false)]), []);
    // What is to be kept, was made by hand, or would lead elsewhere.
    for (at, value) in [
        ("/spec/persistentVolumeReclaimPolicy", json!("Retain")),
        ("/metadata/annotations", json!({})),
        ("/spec/claimRef/namespace", json!("..")),
        ("/spec/claimRef/namespace", json!("/etc")),
        ("/spec/claimRef/name", json!("a/../../b")),
        ("/spec/claimRef/name", json!("")),
    ] {
        let mut other = volume.clone();
        *other.pointer_mut(at).unwrap() = value;
        assert_eq!(live.gone(&[of(&other, true)]), [], "{other}");
    }
    let kept = Kept {
        volume: "pvc-1".into(),
        ns: "shop".into(),
        claim: "data-redis-0".into(),
    };
    let wanted = Action::Order(Order::Discard(kept));
    assert_eq!(live.gone(&[change(true)]), [wanted]);
}

#[test]
fn a_pod_that_goes_is_asked_to_end_once_and_nothing_is_started_again() {
    let mut world = World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
    world.look();
    world.hear(Fact::Started, "x", 0);
    world.pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:05Z".into();
    world.pod["metadata"]["deletionGracePeriodSeconds"] = 5.into();
    let stop = Order::Stop("u".into(), Duration::from_secs(5));
    assert_eq!(world.live.stop(&world.pod), Some(stop));
    assert_eq!(world.live.stop(&world.pod), None);
    assert!(world.live.runs(&world.pod));
    world.hear(|run| Fact::Ended(run, 143), "x", 0);
    assert!(world.look().is_empty());
    assert!(!world.live.runs(&world.pod));
    assert_eq!(world.pod["status"]["phase"], "Failed");
}

#[test]
fn a_container_is_ready_when_its_probe_says_so_and_ended_where_it_does_not_live() {
    let probe = json!({"exec": {"command": ["true"]}, "failureThreshold": 1});
    let container = json!({"name": "x", "readinessProbe": probe, "livenessProbe": probe});
    let mut world = World::new(json!({"containers": [container]}));
    world.look();
    world.hear(Fact::Started, "x", 0);
    assert_eq!(world.look(), ["probe x Liveness", "probe x Readiness"]);
    let ready = |world: &World| world.pod["status"]["containerStatuses"][0]["ready"] == true;
    assert!(!ready(&world));
    world.hear(|run| Fact::Probed(run, ProbeKind::Readiness, true), "x", 0);
    assert!(world.look().is_empty() && ready(&world));
    world.hear(|run| Fact::Probed(run, ProbeKind::Liveness, false), "x", 0);
    assert_eq!(world.look(), ["end x 0"]);
    world.hear(|run| Fact::Ended(run, 143), "x", 0);
    assert_eq!(world.look(), ["x 1"]);
}

#[test]
fn sidecars_are_asked_to_end_after_the_others_have_ended_for_good() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "x"}], "restartPolicy": "Never",
    }));
    world.look();
    world.hear(Fact::Started, "side", 0);
    world.look();
    world.hear(Fact::Started, "x", 0);
    world.hear(|run| Fact::Ended(run, 0), "x", 0);
    assert_eq!(world.look(), ["stop u 30"]);
    world.hear(|run| Fact::Ended(run, 143), "side", 0);
    assert!(world.look().is_empty());
    assert_eq!(world.pod["status"]["phase"], "Succeeded");
}

#[test]
fn a_container_whose_hook_fails_is_asked_to_end_and_started_again() {
    let hooked = json!({"name": "x", "image": "x", "lifecycle": {"postStart": {"exec": {"command": ["false"]}}}});
    let mut world = World::new(json!({"containers": [hooked]}));
    assert_eq!(world.look(), ["x 0"]);
    world.hear(Fact::HookFailed, "x", 0);
    assert_eq!(world.look(), ["end x 0"]);
    assert_eq!(world.look(), [""; 0]);
    world.hear(|run| Fact::Ended(run, 143), "x", 0);
    assert_eq!(world.look(), ["x 1"]);
}

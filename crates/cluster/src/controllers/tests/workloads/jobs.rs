//! Jobs.

use super::*;

fn job(spec: &Value, annotations: &Value) -> Value {
    let mut job = json!({
        "metadata": {"name": "init"},
        "spec": {"template": {
            "metadata": {"annotations": annotations},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]},
        }},
    });
    json_patch::merge(&mut job["spec"], spec);
    job
}

#[test]
fn a_job_ends_when_enough_of_its_pods_have_succeeded() {
    let mut world = World::new(Delays::default());
    world.create(
        "Job",
        job(&json!({"completions": 3, "parallelism": 2}), &json!({})),
    );
    world.rest();
    let made = world.get("Job", "init").unwrap();
    assert_eq!(
        counts(&made),
        json!({"succeeded": 3, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
    );
    assert_eq!(
        told(&made),
        [
            "Complete=True CompletionsReached",
            "SuccessCriteriaMet=True CompletionsReached"
        ]
    );
    let phases: Vec<_> = world
        .all("Pod")
        .iter()
        .map(|pod| pod["status"]["phase"].clone())
        .collect();
    assert_eq!(phases, ["Succeeded"; 3]);
    assert!(
        world
            .all("Pod")
            .iter()
            .all(|pod| pod["metadata"]["finalizers"][0].is_null())
    );
    assert!(
        world
            .told("Job")
            .contains(&"Completed: Job completed".to_owned()),
        "{:?}",
        world.told("Job")
    );
    world.delete("Job", "init", &DeleteOptions::default());
    world.rest();
    assert!(world.all("Pod").is_empty());
}

#[test]
fn a_job_whose_pods_fail_waits_longer_each_time_and_gives_up_at_its_limit() {
    let mut world = World::new(Delays::default());
    let annotations = json!({"embedded.headless-dns/exit": "a=1"});
    world.create("Job", job(&json!({"backoffLimit": 1}), &annotations));
    assert_eq!(world.settle(), Some(Duration::from_secs(10)));
    world.rest();
    let made = world.get("Job", "init").unwrap();
    assert_eq!(
        counts(&made),
        json!({"failed": 2, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
    );
    assert_eq!(
        told(&made),
        [
            "Failed=True BackoffLimitExceeded",
            "FailureTarget=True BackoffLimitExceeded"
        ]
    );
}

#[test]
fn an_indexed_job_has_a_pod_for_each_number() {
    let mut world = World::new(Delays::default());
    let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
    world.create("Job", job(&spec, &json!({})));
    world.rest();
    let pods = world.all("Pod");
    let hostnames: Vec<_> = pods
        .iter()
        .map(|pod| pod["spec"]["hostname"].as_str().unwrap())
        .collect();
    assert_eq!(hostnames, ["init-0", "init-1", "init-2"]);
    assert_eq!(
        pods[2]["spec"]["containers"][0]["env"][0]["name"],
        "JOB_COMPLETION_INDEX"
    );
    assert_eq!(
        world.get("Job", "init").unwrap()["status"]["completedIndexes"],
        "0-2"
    );
}

#[test]
fn a_job_that_has_ended_goes_when_its_time_is_over() {
    let mut world = World::new(Delays::default());
    world.create(
        "Job",
        job(&json!({"ttlSecondsAfterFinished": 100}), &json!({})),
    );
    assert_eq!(world.settle(), Some(Duration::from_secs(100)));
    world.pass(Duration::from_secs(100));
    world.rest();
    assert_eq!(
        (world.get("Job", "init"), world.all("Pod")),
        (None, Vec::new())
    );
}

#[test]
fn a_suspended_job_has_no_pods_until_it_goes_on() {
    let mut world = World::new(Delays::default());
    world.create("Job", job(&json!({"suspend": true}), &json!({})));
    world.rest();
    let made = world.get("Job", "init").unwrap();
    assert_eq!(
        (told(&made), images(&world).len()),
        (vec!["Suspended=True JobSuspended".to_owned()], 0)
    );
    world.merge("Job", "init", &json!({"spec": {"suspend": false}}));
    world.rest();
    assert_eq!(world.get("Job", "init").unwrap()["status"]["succeeded"], 1);
}

impl World {
    fn job(&self) -> Value {
        self.get("Job", "init").unwrap()
    }

    /// The Pods of an Indexed Job that have this number.
    fn of_index(&self, index: usize) -> Vec<Value> {
        let of = index.to_string();
        let label = "batch.kubernetes.io/job-completion-index";
        let mut pods = self.all("Pod");
        pods.retain(|pod| pod["metadata"]["labels"][label] == of.as_str());
        pods
    }
}

fn policy(rules: &Value) -> Value {
    json!({"backoffLimit": 1, "podFailurePolicy": {"rules": rules}})
}

#[test]
fn a_rule_for_failed_pods_fails_the_job_at_once_or_counts_them_for_nothing() {
    let exit = |code: i64| json!({"embedded.headless-dns/exit": format!("a={code}")});
    let rules = json!([
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
    ]);
    let mut world = World::new(Delays::default());
    world.create("Job", job(&policy(&rules), &exit(42)));
    world.rest();
    let made = world.job();
    assert_eq!(
        told(&made),
        [
            "Failed=True PodFailurePolicy",
            "FailureTarget=True PodFailurePolicy"
        ]
    );
    assert_eq!(
        counts(&made),
        json!({"failed": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
    );
    let pod = world.all("Pod")[0]["metadata"]["name"].clone();
    let why = format!(
        "PodFailurePolicy: Container a for pod default/{} failed with exit code 42 matching FailJob rule at index 0",
        pod.as_str().unwrap()
    );
    assert!(world.told("Job").contains(&why), "{:?}", world.told("Job"));

    let mut world = World::new(Delays::default());
    world.create("Job", job(&policy(&rules), &exit(7)));
    for seconds in [10, 20, 40] {
        assert_eq!(world.settle(), Some(Duration::from_secs(seconds)));
        world.pass(Duration::from_secs(seconds));
    }
    assert_eq!(
        (told(&world.job()), counts(&world.job())["failed"].clone()),
        (Vec::<String>::new(), Value::Null)
    );
}

#[test]
fn each_number_of_a_job_has_its_own_limit_of_failures() {
    let mut world = World::new(Delays::default());
    let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let annotations = json!({"embedded.headless-dns/exit": "a=1"});
    world.create("Job", job(&spec, &annotations));
    assert_eq!(world.settle(), Some(Duration::from_secs(10)));
    assert_eq!(world.job()["spec"]["backoffLimit"], i32::MAX);
    // The first two do better next time.
    let template = json!({"metadata": {"annotations": {"embedded.headless-dns/exit": null}}});
    world.pass(Duration::from_secs(10));
    let (actions, _) = world.controllers.step(world.now, &world.state.objects);
    for action in actions {
        perform(&mut world.state, world.now, action);
    }
    for index in [0, 1] {
        let pod = world
            .of_index(index)
            .into_iter()
            .find(|pod| pod["status"]["phase"] != "Failed");
        let name = pod.unwrap()["metadata"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut better = world.get("Pod", &name).unwrap();
        json_patch::merge(&mut better, &template);
        let key = World::key("Pod", &name);
        world.state.update(&key, Part::Main, better, false).unwrap();
    }
    world.rest();
    let made = world.job();
    assert_eq!(
        told(&made),
        [
            "Failed=True FailedIndexes",
            "FailureTarget=True FailedIndexes"
        ]
    );
    assert_eq!(
        counts(&made),
        json!({
            "succeeded": 2, "failed": 4, "completedIndexes": "0,1", "failedIndexes": "2",
            "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
        })
    );
    let mut failures: Vec<_> = world
        .of_index(2)
        .iter()
        .map(|pod| {
            pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"].clone()
        })
        .collect();
    failures.sort_by_key(Value::to_string);
    assert_eq!(failures, ["0", "1"]);
}

#[test]
fn a_job_whose_numbers_fail_beyond_the_limit_gives_up() {
    let mut world = World::new(Delays::default());
    let spec = json!({
        "completions": 4, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "maxFailedIndexes": 1,
    });
    let annotations = json!({"embedded.headless-dns/exit": "a=1"});
    world.create("Job", job(&spec, &annotations));
    world.rest();
    let made = world.job();
    assert_eq!(
        told(&made),
        [
            "Failed=True MaxFailedIndexesExceeded",
            "FailureTarget=True MaxFailedIndexesExceeded"
        ]
    );
    assert_eq!(made["status"]["failedIndexes"], "0,1");
}

#[test]
fn a_job_has_succeeded_when_its_policy_says_so_and_its_other_pods_go() {
    let mut world = World::new(Delays {
        start: Duration::from_secs(1),
        ..Delays::default()
    });
    let spec = json!({
        "completions": 3, "parallelism": 3, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
    });
    world.create(
        "Job",
        job(&spec, &json!({"embedded.headless-dns/start-delay": "50s"})),
    );
    world.settle();
    let first = world.of_index(0)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let ends = json!({"metadata": {"annotations": {"embedded.headless-dns/phase": "Succeeded"}}});
    world.merge("Pod", &first, &ends);
    world.rest();
    let made = world.job();
    assert_eq!(
        told(&made),
        [
            "Complete=True SuccessPolicy",
            "SuccessCriteriaMet=True SuccessPolicy"
        ]
    );
    let message = &made["status"]["conditions"][1]["message"];
    assert_eq!(message, "Matched rules at index 0");
    assert_eq!(
        counts(&made),
        json!({
            "succeeded": 1, "completedIndexes": "0", "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
        })
    );
    assert_eq!(world.all("Pod").len(), 1);
}

#[test]
fn what_is_taken_away_while_a_job_rests_has_not_failed_and_what_is_deleted_has() {
    let mut world = World::new(Delays::default());
    let slow = json!({"embedded.headless-dns/start-delay": "50s"});
    world.create(
        "Job",
        job(&json!({"parallelism": 2, "completions": 2}), &slow),
    );
    world.settle();
    world.merge("Job", "init", &json!({"spec": {"suspend": true}}));
    world.rest();
    let made = world.job();
    assert_eq!(
        (world.all("Pod").len(), counts(&made)),
        (
            0,
            json!({"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
        )
    );
    world.merge("Job", "init", &json!({"spec": {"suspend": false}}));
    let said = world.told("Job");
    for event in ["Suspended: Job suspended", "Resumed: Job resumed"] {
        assert!(said.contains(&event.to_owned()), "{said:?}");
    }
    let name = world.all("Pod")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    world.delete("Pod", &name, &DeleteOptions::default());
    world.settle();
    let mut pods = world.all("Pod");
    pods.retain(|pod| !headless_objects::object::is_ending(pod));
    let failed = world.job()["status"]["failed"].clone();
    assert_eq!(
        (pods.len(), failed),
        (1, json!(1)),
        "the next is made after a pause"
    );
    world.rest();
    assert_eq!(
        counts(&world.job()),
        json!({"succeeded": 2, "failed": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}})
    );
}

#[test]
fn pods_that_still_run_at_the_deadline_of_their_job_have_failed() {
    let mut world = World::new(Delays::default());
    let slow = json!({"embedded.headless-dns/start-delay": "50s"});
    let spec = json!({"activeDeadlineSeconds": 20, "parallelism": 2, "completions": 2});
    world.create("Job", job(&spec, &slow));
    assert_eq!(world.settle(), Some(Duration::from_secs(20)));
    world.pass(Duration::from_secs(20));
    world.rest();
    let made = world.job();
    assert_eq!(
        told(&made),
        [
            "Failed=True DeadlineExceeded",
            "FailureTarget=True DeadlineExceeded"
        ]
    );
    assert_eq!(
        (made["status"]["failed"].clone(), world.all("Pod").len()),
        (json!(2), 0)
    );
}

#[test]
fn a_pod_is_replaced_while_it_ends_unless_its_job_waits_for_its_end() {
    for (policy, at_once) in [("TerminatingOrFailed", 2), ("Failed", 1)] {
        let mut world = World::new(Delays::default());
        let slow = json!({"embedded.headless-dns/start-delay": "50s", "embedded.headless-dns/stop-delay": "25s"});
        world.create("Job", job(&json!({"podReplacementPolicy": policy}), &slow));
        world.settle();
        let name = world.all("Pod")[0]["metadata"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        world.delete("Pod", &name, &DeleteOptions::default());
        world.settle();
        world.pass(Duration::from_secs(11));
        world.settle();
        assert_eq!(world.all("Pod").len(), at_once, "{policy}");
        world.rest();
        assert_eq!(
            counts(&world.job()),
            json!({"succeeded": 1, "failed": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}),
            "{policy}"
        );
    }
}

#[test]
fn a_job_counts_a_pod_that_it_takes_over() {
    let mut world = World::new(Delays::default());
    let mut lone = template("a:1");
    lone["metadata"] = json!({"name": "lone", "labels": {"job": "mine"}});
    lone["spec"]["restartPolicy"] = "Never".into();
    world.create("Pod", lone);
    let mut by_hand = job(
        &json!({"manualSelector": true, "selector": {"matchLabels": {"job": "mine"}}}),
        &json!({}),
    );
    by_hand["spec"]["template"]["metadata"]["labels"] = json!({"job": "mine"});
    world.create("Job", by_hand);
    world.rest();
    assert_eq!(
        (
            world.all("Pod").len(),
            world.job()["status"]["succeeded"].clone()
        ),
        (1, json!(1))
    );
}

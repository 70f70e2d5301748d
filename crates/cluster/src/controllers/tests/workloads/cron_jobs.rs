//! CronJobs.

use super::*;

fn cron_job(spec: &Value) -> Value {
    let mut cron = json!({
        "metadata": {"name": "tick"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": {
            "metadata": {"labels": {"of": "tick"}},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}},
        }},
    });
    json_patch::merge(&mut cron["spec"], spec);
    cron
}

/// A part of the specification whose Jobs take as long.
fn lasting(time: &str) -> Value {
    let annotations = json!({"embedded.headless-dns/start-delay": time});
    json!({"jobTemplate": {"spec": {"template": {"metadata": {"annotations": annotations}}}}})
}

impl World {
    /// Lets as much time pass, step by step.
    fn run_for(&mut self, time: Duration) {
        let end = self.now.saturating_add(time).unwrap();
        while let Some(wait) = self.settle() {
            match self.now.saturating_add(wait).unwrap() {
                at if at <= end => self.now = at,
                _ => break,
            }
        }
        self.now = end;
        self.settle();
    }

    fn minutes(&mut self, minutes: u64) {
        self.run_for(Duration::from_mins(minutes));
    }

    /// The names of the Jobs, and how each has ended.
    fn jobs(&self) -> Vec<String> {
        let ended = |job: &Value| {
            let how = told(job).into_iter();
            let how = how.filter(|told| {
                ["Complete", "Failed="]
                    .iter()
                    .any(|end| told.starts_with(end))
            });
            how.map(|told| told.split_once('=').unwrap().0.to_owned())
                .collect::<String>()
        };
        let jobs = self.all("Job");
        jobs.iter()
            .map(|job| {
                format!(
                    "{} {}",
                    job["metadata"]["name"].as_str().unwrap(),
                    ended(job)
                )
            })
            .collect()
    }

    fn tick(&self) -> Value {
        self.get("CronJob", "tick").unwrap()
    }

    /// The names of the Jobs that the status says are active.
    fn active(&self) -> Vec<String> {
        let status = &self.tick()["status"]["active"];
        let active = status.as_array().into_iter().flatten();
        active
            .map(|job| job["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn a_cron_job_makes_a_job_at_each_time_of_its_schedule_and_notes_it() {
    let mut world = World::new(Delays::default());
    world.create("CronJob", cron_job(&lasting("60s")));
    world.minutes(9);
    assert_eq!(world.jobs(), Vec::<String>::new());
    world.minutes(1);
    assert_eq!(world.jobs(), ["tick-10 "]);
    let job = world.get("Job", "tick-10").unwrap();
    let cron = world.tick();
    assert_eq!(
        job["metadata"]["annotations"],
        json!({"batch.kubernetes.io/cronjob-scheduled-timestamp": "1970-01-01T00:10:00Z"})
    );
    assert_eq!(job["metadata"]["labels"]["of"], "tick");
    assert_eq!(
        job["metadata"]["ownerReferences"],
        json!([{
            "apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": cron["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true,
        }])
    );
    let mut status = cron["status"].clone();
    status["active"][0]["resourceVersion"].take();
    assert_eq!(
        status,
        json!({
            "active": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": "tick-10", "namespace": "default",
                "resourceVersion": null, "uid": job["metadata"]["uid"],
            }],
            "lastScheduleTime": "1970-01-01T00:10:00Z",
        })
    );
    world.minutes(2);
    assert_eq!(
        world.tick()["status"],
        json!({"lastScheduleTime": "1970-01-01T00:10:00Z", "lastSuccessfulTime": "1970-01-01T00:11:00Z"})
    );
    assert_eq!(
        world.told("CronJob"),
        [
            "SawCompletedJob: Saw completed job: tick-10, condition: Complete",
            "SuccessfulCreate: Created job tick-10"
        ]
    );
    world.delete("CronJob", "tick", &DeleteOptions::default());
    world.minutes(20);
    assert_eq!(world.jobs(), Vec::<String>::new());
}

#[test]
fn only_as_many_jobs_that_have_ended_are_kept_as_are_to_be() {
    let mut world = World::new(Delays::default());
    let spec = json!({"successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1});
    world.create("CronJob", cron_job(&spec));
    world.minutes(41);
    assert_eq!(world.jobs(), ["tick-30 Complete", "tick-40 Complete"]);
    let annotations = json!({"embedded.headless-dns/exit": "a=1"});
    let fails = json!({"spec": {"jobTemplate": {"spec": {
        "backoffLimit": 0, "template": {"metadata": {"annotations": annotations}},
    }}}});
    world.merge("CronJob", "tick", &fails);
    world.minutes(20);
    assert_eq!(
        world.jobs(),
        ["tick-30 Complete", "tick-40 Complete", "tick-60 Failed"]
    );
    assert_eq!(
        world.tick()["status"],
        json!({"lastScheduleTime": "1970-01-01T01:00:00Z", "lastSuccessfulTime": "1970-01-01T00:40:00Z"})
    );
    let said = world.told("CronJob");
    assert!(
        said.contains(&"SuccessfulDelete: Deleted job tick-50".to_owned()),
        "{said:?}"
    );
}

#[test]
fn a_policy_says_what_becomes_of_a_job_that_still_runs_when_the_next_is_due() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("Allow", &["tick-10", "tick-20"], &["tick-10", "tick-20"]),
        ("Forbid", &["tick-10"], &["tick-10"]),
        ("Replace", &["tick-20"], &["tick-20"]),
    ];
    for (policy, jobs, active) in cases {
        let mut world = World::new(Delays::default());
        let mut spec = lasting("900s");
        spec["concurrencyPolicy"] = (*policy).into();
        world.create("CronJob", cron_job(&spec));
        world.minutes(21);
        let names: Vec<_> = world
            .jobs()
            .iter()
            .map(|job| job.trim_end().to_owned())
            .collect();
        assert_eq!(names, *jobs, "{policy}");
        assert_eq!(world.active(), *active, "{policy}");
    }
    let mut world = World::new(Delays::default());
    let mut spec = lasting("900s");
    spec["concurrencyPolicy"] = "Forbid".into();
    world.create("CronJob", cron_job(&spec));
    world.minutes(26);
    assert_eq!(
        (world.jobs(), world.active()),
        (
            vec!["tick-10 Complete".to_owned(), "tick-20 ".to_owned()],
            vec!["tick-20".to_owned()]
        ),
        "the one kept away starts when the first has ended"
    );
    let said = world.told("CronJob");
    let why = "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    assert!(said.contains(&why.to_owned()), "{said:?}");
}

#[test]
fn a_suspended_cron_job_makes_up_for_the_last_time_it_missed_unless_that_is_too_long_ago() {
    for (deadline, jobs) in [(Value::Null, &["tick-30 Complete"][..]), (json!(200), &[])] {
        let mut world = World::new(Delays::default());
        let spec = json!({"suspend": true, "startingDeadlineSeconds": deadline});
        world.create("CronJob", cron_job(&spec));
        world.minutes(35);
        assert_eq!(world.jobs(), Vec::<String>::new());
        world.merge("CronJob", "tick", &json!({"spec": {"suspend": false}}));
        world.minutes(1);
        assert_eq!(world.jobs(), jobs);
        world.minutes(5);
        assert_eq!(world.jobs().last().unwrap(), "tick-40 Complete");
    }
}

#[test]
fn a_new_schedule_makes_up_for_nothing_and_a_time_zone_shifts_it() {
    let mut world = World::new(Delays::default());
    world.create("CronJob", cron_job(&json!({"schedule": "0 0 1 1 *"})));
    world.minutes(25);
    let schedule = |spec: &Value| json!({"spec": spec});
    let often = schedule(&json!({"schedule": "*/20 * * * *"}));
    world.merge("CronJob", "tick", &often);
    world.minutes(14);
    assert_eq!(world.jobs(), Vec::<String>::new());
    world.minutes(2);
    assert_eq!(world.jobs(), ["tick-40 Complete"]);
    let daily = schedule(&json!({"schedule": "30 6 * * *", "timeZone": "Asia/Kolkata"}));
    world.merge("CronJob", "tick", &daily);
    world.minutes(20);
    assert_eq!(world.jobs(), ["tick-40 Complete", "tick-60 Complete"]);
    let job = world.get("Job", "tick-60").unwrap();
    assert_eq!(
        job["metadata"]["annotations"],
        json!({"batch.kubernetes.io/cronjob-scheduled-timestamp": "1970-01-01T06:30:00+05:30"})
    );
}

#[test]
fn a_job_of_a_cron_job_that_it_has_not_made_and_one_that_goes_missing_are_said() {
    let mut world = World::new(Delays::default());
    let cron = world.create("CronJob", cron_job(&lasting("900s")));
    let mut by_hand =
        json!({"metadata": {"name": "by-hand"}, "spec": cron["spec"]["jobTemplate"]["spec"]});
    by_hand["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": cron["metadata"]["uid"], "controller": true,
    }]);
    world.create("Job", by_hand);
    world.minutes(11);
    world.delete("Job", "tick-10", &DeleteOptions::default());
    world.minutes(1);
    assert_eq!(
        world.told("CronJob"),
        [
            "MissingJob: Active job went missing: tick-10",
            "SuccessfulCreate: Created job tick-10",
            "UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand",
        ]
    );
    assert_eq!(world.active(), Vec::<String>::new());
}

#[test]
fn a_job_that_is_refused_is_said_and_tried_again() {
    let mut world = World::new(Delays::default());
    let good = world.create("CronJob", cron_job(&json!({})));
    let mut bad = good.clone();
    bad["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Always".into();
    world.state.objects.put(World::key("CronJob", "tick"), bad);
    world.minutes(12);
    let why = "FailedCreate: Error creating job: Job.batch \"tick-10\" is invalid: \
        spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"";
    assert_eq!(world.told("CronJob"), [why]);
    world.state.objects.put(World::key("CronJob", "tick"), good);
    world.minutes(1);
    assert_eq!(world.jobs(), ["tick-10 Complete"]);
    let last = world.tick()["status"]["lastScheduleTime"].clone();
    assert_eq!(last, "1970-01-01T00:10:00Z");
}

#[test]
fn a_name_that_is_taken_is_waited_for() {
    let mut world = World::new(Delays::default());
    let cron = world.create("CronJob", cron_job(&json!({})));
    let spec = &cron["spec"]["jobTemplate"]["spec"];
    let job = json!({"metadata": {"name": "tick-10"}, "spec": spec});
    world.create("Job", job);
    world.minutes(12);
    assert!(world.tick()["status"]["lastScheduleTime"].is_null());
    world.delete("Job", "tick-10", &DeleteOptions::default());
    world.minutes(5);
    assert_eq!(world.jobs(), ["tick-10 Complete"]);
    let last = world.tick()["status"]["lastScheduleTime"].clone();
    assert_eq!(last, "1970-01-01T00:10:00Z");
}

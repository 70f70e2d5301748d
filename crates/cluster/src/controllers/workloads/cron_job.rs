//! CronJobs: a Job at each time of a schedule (kube-controller-manager's `cronjob_controllerv2.go`).

mod due;

use std::time::Duration;

use headless_objects::object::{array, controller, fields, is_ending, name, uid};
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::job::finished;
use super::{AGAIN, Action, CRON_JOB, Decided, JOB, LONGEST, component, reference, set_status};
use crate::controllers::Step;
use crate::controllers::events::{self, event};
use crate::cron::{self, Schedule};
use crate::objects::Key;
use crate::state::{Author, MANAGER, Part, State};
use due::Due;

/// Says on a Job for which time of the schedule it was made.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The status code of a name that is taken.
const TAKEN: u16 = 409;

/// A CronJob with its Jobs.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    cron: &'a Value,
    jobs: Vec<(&'a Key, &'a Value)>,
    /// The status as it becomes.
    status: Value,
    actions: Vec<Action>,
}

pub(super) fn decide(step: &Step<'_>, key: &Key, cron: &Value) -> Decided {
    let jobs = step.objects.list(JOB, Some(&key.ns));
    let jobs = jobs.map(|(at, job)| (at, &**job));
    let mine = jobs.filter(|(_, job)| is_controlled(job, cron)).collect();
    let mut look = Look {
        step,
        key,
        cron,
        jobs: mine,
        status: fields(&cron["status"]),
        actions: Vec::new(),
    };
    look.clean_up("successfulJobsHistoryLimit", "Complete");
    look.clean_up("failedJobsHistoryLimit", "Failed");
    look.follow();
    let next = if is_ending(cron) { None } else { look.next() };
    look.decided(next)
}

fn is_controlled(job: &Value, cron: &Value) -> bool {
    controller(job).is_some_and(|of| of["uid"] == uid(cron))
}

/// What is to be done next.
enum Next {
    /// A Job is to be started for this time.
    Start(Timestamp),
    /// Nothing before then.
    Wait(Timestamp),
}

impl Look<'_> {
    fn say(&mut self, reason: &str, message: String) {
        let (now, by) = (self.step.now, component(CRON_JOB));
        self.actions
            .push(event(now, self.cron, by, (reason, message)));
    }

    fn active(&self) -> Vec<Value> {
        array(&self.status["active"]).cloned().collect()
    }

    fn set_active(&mut self, active: Vec<Value>) {
        self.status
            .as_object_mut()
            .map(|fields| fields.shift_remove("active"));
        if !active.is_empty() {
            self.status["active"] = active.into();
        }
    }

    fn forget(&mut self, uid: &Value) {
        let mut active = self.active();
        active.retain(|job| job["uid"] != *uid);
        self.set_active(active);
    }

    fn delete(&mut self, at: &Key, job: &Value) {
        self.actions.push(Action::Delete(at.clone(), None));
        self.forget(&job["metadata"]["uid"]);
        self.say("SuccessfulDelete", format!("Deleted job {}", name(job)));
    }

    /// Deletes the oldest of the Jobs that have ended this way, beyond as many as are to be kept.
    fn clean_up(&mut self, limit: &str, how: &str) {
        let Some(kept) = self.cron["spec"][limit].as_u64() else {
            return;
        };
        let ended = |job: &Value| finished(job).is_some_and(|told| told["type"] == how);
        let jobs = self.jobs.iter().copied();
        let mut ended: Vec<_> = jobs
            .filter(|(_, job)| ended(job) && !is_ending(job))
            .collect();
        // Those that never began come last.
        ended.sort_by_key(|(_, job)| {
            let began = job["status"]["startTime"].as_str();
            (began.is_none(), began, name(job))
        });
        let many = ended
            .len()
            .saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
        for (at, job) in ended.into_iter().take(many) {
            self.delete(at, job);
        }
    }

    /// Notes what has become of the Jobs.
    fn follow(&mut self) {
        for (_, job) in self.jobs.clone() {
            let is_active = array(&self.status["active"]).any(|active| active["uid"] == uid(job));
            match finished(job) {
                None if !is_active => {
                    let what = "Saw a job that the controller did not create or forgot";
                    self.say("UnexpectedJob", format!("{what}: {}", name(job)));
                }
                None => {}
                Some(told) => {
                    if is_active {
                        let how = told["type"].as_str().unwrap_or_default();
                        self.forget(&job["metadata"]["uid"]);
                        let what = format!("Saw completed job: {}, condition: {how}", name(job));
                        self.say("SawCompletedJob", what);
                    }
                    if told["type"] == "Complete" {
                        self.note_success(&job["status"]["completionTime"]);
                    }
                }
            }
        }
        for job in self.active() {
            if !self.jobs.iter().any(|(_, there)| job["uid"] == uid(there)) {
                let name = job["name"].as_str().unwrap_or_default();
                self.forget(&job["uid"]);
                self.say("MissingJob", format!("Active job went missing: {name}"));
            }
        }
    }

    fn note_success(&mut self, at: &Value) {
        let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        let last = &self.status["lastSuccessfulTime"];
        if time(at) > time(last) {
            self.status["lastSuccessfulTime"] = at.clone();
        }
    }

    /// What is to be done next; `None`: nothing, until something changes.
    fn next(&mut self) -> Option<Next> {
        let zone = zone(&self.cron["spec"]);
        let zone = self.told("UnknownTimeZone", zone)?;
        if self.cron["spec"]["suspend"] == true {
            return None;
        }
        let text = self.cron["spec"]["schedule"].as_str().unwrap_or_default();
        let schedule = Schedule::read(text);
        let schedule = schedule.map_err(|what| format!("unparseable schedule: {text:?} : {what}"));
        let due = Due {
            now: self.step.now,
            schedule: &self.told("UnparseableSchedule", schedule)?,
            zone: &zone,
        };
        let wait = due.after(self.cron).map(Next::Wait);
        if self.is_rescheduled() {
            return wait;
        }
        let missed = due.missed(self.cron);
        let missed = missed.map_err(|what| format!("invalid schedule: {text} : {what}"));
        let Some(missed) = self.told("InvalidSchedule", missed)? else {
            return wait;
        };
        if missed.many {
            let what = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.say("TooManyMissedTimes", what.to_owned());
        }
        self.start(missed.at).or(wait)
    }

    /// What is right; of what is wrong it is said why.
    fn told<T>(&mut self, reason: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|what| self.say(reason, what)).ok()
    }

    /// Whether what has changed is the schedule: what it would have asked for before is not made up for.
    fn is_rescheduled(&self) -> bool {
        let mut changes = self.step.changes.iter();
        changes.any(|change| {
            let old = change.old.as_ref().filter(|_| change.key == *self.key);
            old.is_some_and(|old| {
                ["schedule", "timeZone"]
                    .iter()
                    .any(|field| old["spec"][field] != change.new["spec"][field])
            })
        })
    }

    /// Starts the Job of this time, unless it is too late, done already, or kept away by another.
    fn start(&mut self, at: Timestamp) -> Option<Next> {
        let spec = &self.cron["spec"];
        let latest = spec["startingDeadlineSeconds"].as_i64();
        let latest = latest.and_then(|seconds| due::later(at, seconds));
        if latest.is_some_and(|latest| latest < self.step.now) {
            let time = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
            let what = format!("Missed scheduled time to start a job: {time}");
            self.say("MissSchedule", what);
            return None;
        }
        let active = self.active();
        let named = job_name(self.cron, at);
        let is_done = self.cron["status"]["lastScheduleTime"] == timestamp(at).as_str();
        if is_done || active.iter().any(|job| job["name"] == named.as_str()) {
            return None;
        }
        if spec["concurrencyPolicy"] == "Forbid" && !active.is_empty() {
            let what = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.say("JobAlreadyActive", what.to_owned());
            return None;
        }
        if spec["concurrencyPolicy"] == "Replace" {
            for (key, job) in self.jobs.clone() {
                if active.iter().any(|active| active["uid"] == uid(job)) {
                    self.delete(key, job);
                }
            }
        }
        Some(Next::Start(at))
    }

    fn decided(mut self, next: Option<Next>) -> Decided {
        let status = std::mem::take(&mut self.status);
        let mut actions: Vec<_> = set_status(self.key, self.cron, status)
            .into_iter()
            .collect();
        actions.append(&mut self.actions);
        let now = self.step.now;
        let wake = match next {
            None => None,
            Some(Next::Wait(at)) => Some(at),
            Some(Next::Start(at)) => {
                let job = job_of(self.cron, at);
                actions.push(Action::StartJob(self.key.clone(), job, at));
                // Where it is refused it is tried again, after as long as it has been late.
                let late = Duration::try_from(now.duration_since(at)).unwrap_or_default();
                now.checked_add(late.clamp(AGAIN, LONGEST)).ok()
            }
        };
        Decided { actions, wake }
    }
}

/// The zone that the schedule is in: UTC, where it names none.
fn zone(spec: &Value) -> Result<TimeZone, String> {
    match spec["timeZone"].as_str() {
        None => Ok(TimeZone::UTC),
        Some(named) => cron::zone(named)
            .ok_or_else(|| format!("invalid timeZone: {named:?}: unknown time zone {named}")),
    }
}

/// A Job is called by its minute, so that it is made once.
fn job_name(cron: &Value, at: Timestamp) -> String {
    format!("{}-{}", name(cron), at.as_second().div_euclid(60))
}

fn job_of(cron: &Value, at: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let zone = zone(&cron["spec"]).unwrap_or(TimeZone::UTC);
    let local = at.to_zoned(zone);
    // `Z` is how Go writes the offset of nothing.
    let offset = if local.offset().is_zero() {
        "Z".to_owned()
    } else {
        local.strftime("%:z").to_string()
    };
    let mut annotations = fields(&template["metadata"]["annotations"]);
    annotations[SCHEDULED] = format!("{}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S")).into();
    json!({
        "metadata": {
            "name": job_name(cron, at), "labels": template["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [reference(cron)],
        },
        "spec": template["spec"],
    })
}

/// Makes a Job for its time, notes it in the status of its CronJob, and says there what became of it.
pub(in crate::controllers) fn start(
    state: &mut State,
    now: Timestamp,
    (key, job, at): (&Key, Value, Timestamp),
) {
    let named = Key::new(JOB, &*key.ns, name(&job));
    let outcome = state.create(now, JOB, &key.ns, job, false);
    let Some(cron) = state.objects.get(key).map(|cron| Value::clone(cron)) else {
        return;
    };
    let (made, said) = match outcome {
        Ok(made) => {
            let what = format!("Created job {}", name(&made));
            (Some(made), Some(("SuccessfulCreate", what)))
        }
        Err(status) if status.code == TAKEN => {
            let there = state.objects.get(&named).cloned();
            (there.filter(|job| is_controlled(job, &cron)), None)
        }
        Err(status) => {
            let what = format!("Error creating job: {}", status.message);
            (None, Some(("FailedCreate", what)))
        }
    };
    if let Some(Action::Say(event)) = said.map(|said| event(now, &cron, component(CRON_JOB), said))
    {
        events::say(state, now, event);
    }
    let Some(made) = made else {
        return;
    };
    let mut noted = cron;
    let mut active: Vec<_> = array(&noted["status"]["active"]).cloned().collect();
    if active.iter().all(|job| job["uid"] != uid(&made)) {
        active.push(json!({
            "apiVersion": made["apiVersion"], "kind": made["kind"], "name": name(&made), "namespace": key.ns,
            "resourceVersion": made["metadata"]["resourceVersion"], "uid": uid(&made),
        }));
    }
    noted["status"]["active"] = active.into();
    noted["status"]["lastScheduleTime"] = timestamp(at).into();
    let author = Author::new(MANAGER, now).through(CRON_JOB, "status");
    // Gone in the meantime: then nothing is to be noted.
    drop(state.by(Some(author), |state| {
        state.update(key, Part::Status, noted, false)
    }));
}

//! Indexed Jobs: a Pod for each number, which is its hostname's end and in its environment (KEP-2214), each with its own limit of
//! failures, where the Job has one (KEP-3850).

use std::collections::{BTreeMap, BTreeSet};

use headless_objects::object::{array, has_ended, is_ending, name};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::spec_number;
use super::Look;
use super::failures::{Fate, fate};
use super::pods::{finished_at, has_failed, has_succeeded, is_tracked};
use super::{count, pauses};
use crate::objects::Key;

/// The annotation and the label of a Pod that say which number it has.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How often Pods of the number have failed before this one.
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// The same of failures that count for nothing.
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// What a Pod's programs read their number from.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// The most numbers that are told apart: a status may be written by anybody.
const MOST: i64 = 1_000_000;

/// How long the beginning of a generated name may be: 63 octets, less 5 generated ones (`MaxGeneratedNameLength`).
const LONGEST: usize = 58;

/// Pods with their keys.
type Listed<'a> = Vec<(&'a Key, &'a Value)>;

/// The numbers of an Indexed Job.
pub(super) struct Indexes<'a> {
    /// The numbers are below this.
    pub(super) completions: i64,
    pub(super) succeeded: BTreeSet<i64>,
    /// Those that are not tried again, where each has a limit.
    pub(super) failed: Option<BTreeSet<i64>>,
    active: BTreeSet<i64>,
    /// The last Pod that failed, of each number that has no other.
    kept: BTreeMap<i64, &'a Value>,
}

/// Whether each number has its own limit of failures.
pub(super) fn have_limits(job: &Value) -> bool {
    job["spec"]["backoffLimitPerIndex"].is_i64()
}

pub(super) fn index_of(pod: &Value) -> Option<i64> {
    let index = pod["metadata"]["annotations"][INDEX].as_str()?;
    index.parse().ok().filter(|index| *index >= 0)
}

/// How often Pods of the number have failed before this one, those that count for nothing last.
fn failures(pod: &Value) -> [u32; 2] {
    let annotations = &pod["metadata"]["annotations"];
    [FAILURES, IGNORED].map(|key| {
        let number = annotations[key].as_str();
        number
            .and_then(|text| text.parse::<i32>().ok())
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_default()
    })
}

/// Whether the Pod is the last that is tried of its number.
fn fails_index(job: &Value, pod: &Value) -> bool {
    let limit = spec_number(job, "backoffLimitPerIndex", 0);
    has_failed(job, pod)
        && match fate(job, pod) {
            Fate::FailsIndex => true,
            Fate::Ignored => false,
            Fate::Counts | Fate::FailsJob(_) => i64::from(failures(pod)[0]) >= limit,
        }
}

impl<'a> Indexes<'a> {
    /// `None`: the Job is no Indexed one.
    pub(super) fn of(job: &Value, status: &Value, pods: &[(&'a Key, &'a Value)]) -> Option<Self> {
        if job["spec"]["completionMode"] != "Indexed" {
            return None;
        }
        let completions = spec_number(job, "completions", 0);
        let read = |field: &str| parse(status[field].as_str().unwrap_or_default(), completions);
        let numbered = pods
            .iter()
            .filter_map(|(_, pod)| Some((index_of(pod)?, *pod)));
        let numbered: Vec<_> = numbered.filter(|(index, _)| *index < completions).collect();
        let those = |fits: &dyn Fn(&Value) -> bool| -> BTreeSet<i64> {
            let fitting = numbered.iter().filter(|(_, pod)| fits(pod));
            fitting.map(|(index, _)| *index).collect()
        };
        let mut succeeded = read("completedIndexes");
        succeeded.extend(those(&|pod| is_tracked(pod) && has_succeeded(pod)));
        let failed = have_limits(job).then(|| {
            let mut failed = read("failedIndexes");
            failed.extend(those(&|pod| is_tracked(pod) && fails_index(job, pod)));
            failed
        });
        let mut indexes = Self {
            completions,
            succeeded,
            failed,
            active: those(&|pod| !has_ended(pod) && !is_ending(pod)),
            kept: BTreeMap::new(),
        };
        let held = numbered.iter().filter(|(_, pod)| is_tracked(pod));
        for (index, pod) in held.filter(|(_, pod)| has_failed(job, pod)) {
            if indexes.is_open(*index) && !indexes.active.contains(index) {
                indexes.keep(*index, pod);
            }
        }
        Some(indexes)
    }

    fn keep(&mut self, index: i64, pod: &'a Value) {
        let rank = |pod: &Value| (failures(pod).iter().sum::<u32>(), finished_at(pod));
        let last = self.kept.entry(index).or_insert(pod);
        if rank(pod) >= rank(last) {
            *last = pod;
        }
    }

    /// Whether the number has neither succeeded nor failed for good.
    fn is_open(&self, index: i64) -> bool {
        let failed = self.failed.as_ref();
        !self.succeeded.contains(&index) && !failed.is_some_and(|failed| failed.contains(&index))
    }

    pub(super) fn has(&self, index: i64) -> bool {
        index < self.completions
    }

    /// Whether the Pod is kept until another of its number is there.
    pub(super) fn keeps(&self, pod: &Value) -> bool {
        let kept = index_of(pod).and_then(|index| self.kept.get(&index));
        kept.is_some_and(|kept| kept["metadata"]["uid"] == pod["metadata"]["uid"])
    }

    /// Of Pods in the order in which they are to go: those whose number another has, or that have none; and the others.
    pub(super) fn superfluous<'p>(&self, ranked: Listed<'p>) -> (Listed<'p>, Listed<'p>) {
        let mut seen = BTreeSet::new();
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for (at, pod) in ranked.into_iter().rev() {
            let index = index_of(pod).filter(|index| self.has(*index));
            let list = if index.is_some_and(|index| seen.insert(index)) {
                &mut left
            } else {
                &mut gone
            };
            list.push((at, pod));
        }
        gone.reverse();
        left.reverse();
        (gone, left)
    }

    /// Pods of the first numbers that are neither done nor under way, and when the next may be made of one that failed.
    pub(super) fn pods(
        &self,
        look: &Look<'_>,
        (pod, many): (&Value, usize),
    ) -> (Vec<Value>, Option<Timestamp>) {
        let mut taken = self.active.clone();
        if look.job["spec"]["podReplacementPolicy"] == "Failed" {
            let ending = look.pods.iter().filter(|(_, pod)| is_ending(pod));
            let ending = ending.filter(|(_, pod)| !has_ended(pod));
            taken.extend(ending.filter_map(|(_, pod)| index_of(pod)));
        }
        let free =
            (0..self.completions).filter(|index| !taken.contains(index) && self.is_open(*index));
        let (mut pods, mut later) = (Vec::new(), None::<Timestamp>);
        for index in free.take(many) {
            let mut pod = indexed(pod, name(look.job), index);
            if have_limits(look.job) {
                let last = self.kept.get(&index).copied();
                let due = last.and_then(|last| {
                    pauses::over(finished_at(last)?, failures(last).iter().sum::<u32>() + 1)
                });
                if let Some(due) = due.filter(|due| *due > look.step.now) {
                    later = Some(later.map_or(due, |later| later.min(due)));
                    continue;
                }
                count_failures(look.job, &mut pod, last);
            }
            pods.push(pod);
        }
        (pods, later)
    }

    /// Writes which numbers have succeeded, and which have failed.
    pub(super) fn write(&self, status: &mut Value) {
        if !self.succeeded.is_empty() {
            status["succeeded"] = count(self.succeeded.len()).into();
            status["completedIndexes"] = text(&self.succeeded).into();
        }
        if let Some(failed) = &self.failed {
            status["failedIndexes"] = text(failed).into();
        }
    }
}

/// Has a Pod say how often those before it have failed.
fn count_failures(job: &Value, pod: &mut Value, last: Option<&Value>) {
    let [mut failed, mut ignored] = last.map_or([0, 0], failures);
    if let Some(last) = last {
        if fate(job, last) == Fate::Ignored {
            ignored += 1;
        } else {
            failed += 1;
        }
    }
    let annotations = &mut pod["metadata"]["annotations"];
    annotations[FAILURES] = failed.to_string().into();
    if ignored > 0 {
        annotations[IGNORED] = ignored.to_string().into();
    }
}

/// The numbers of `1,3-5` below `most`.
pub(super) fn parse(text: &str, most: i64) -> BTreeSet<i64> {
    let last = most.min(MOST) - 1;
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
            all.extend(from.max(0)..=to.min(last));
        }
    }
    all
}

/// The numbers as `1,3-5`: what follows one on another is written as its ends, two of them with a comma.
fn text(numbers: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *number => *end = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(from, to): &(i64, i64)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

fn indexed(pod: &Value, job: &str, index: i64) -> Value {
    let mut pod = pod.clone();
    let meta = &mut pod["metadata"];
    meta["annotations"][INDEX] = index.to_string().into();
    meta["labels"][INDEX] = index.to_string().into();
    let end = format!("-{index}-");
    let kept: String = job.chars().take(LONGEST - end.len()).collect();
    meta["generateName"] = format!("{kept}{end}").into();
    let spec = &mut pod["spec"];
    spec["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mut all: Vec<_> = array(&container["env"]).cloned().collect();
            if all.iter().all(|there| there["name"] != VARIABLE) {
                all.push(variable.clone());
            }
            container["env"] = all.into();
        }
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_runs_and_read_again() {
        for written in ["", "0", "0,1", "0-2,4", "1,3-5,7,8"] {
            assert_eq!(text(&parse(written, 100)), written);
        }
    }
}

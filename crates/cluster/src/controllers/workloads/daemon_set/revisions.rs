//! ControllerRevisions of a DaemonSet: the templates it has had, for `kubectl rollout history` and `undo`.

use headless_objects::hash;
use headless_objects::object::{name, uid};
use serde_json::{Value, json};

use super::super::{Action, REVISION, count, reference, spec_number};
use crate::controllers::Step;
use crate::objects::{Key, owners};
use crate::state::Part;

/// The label by which Pods of one template are told from those of another.
pub(super) const HASH: &str = "controller-revision-hash";

/// The hash of the present template, and what is to be written before Pods are made from it.
pub(super) fn current(step: &Step<'_>, key: &Key, set: &Value) -> (String, Vec<Action>) {
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = "replace".into();
    let data = json!({"spec": {"template": template}});
    let all = step.objects.list(REVISION, Some(&key.ns));
    let mine = all.filter(|(_, revision)| owners(revision).any(|o| o["uid"] == uid(set)));
    let mut mine: Vec<(&Key, &Value)> = mine.map(|(key, revision)| (key, &**revision)).collect();
    mine.sort_by_key(|(_, revision)| number(revision));
    let last = mine.last().map_or(0, |(_, revision)| number(revision));
    let Some((at, same)) = mine.iter().find(|(_, revision)| revision["data"] == data) else {
        let (hash, made) = make(step, (key, set), (&data, last + 1));
        return (hash, vec![made]);
    };
    let hash = same["metadata"]["labels"][HASH].as_str();
    let hash = hash.unwrap_or_default().to_owned();
    if number(same) < last {
        let mut newest = (*same).clone();
        newest["revision"] = (last + 1).into();
        return (
            hash,
            vec![Action::Update((*at).clone(), Part::Main, newest)],
        );
    }
    let gone = outdated(step, (key, set), (&mine, &hash));
    (hash, gone)
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or_default()
}

fn make(
    step: &Step<'_>,
    (key, set): (&Key, &Value),
    (data, number): (&Value, i64),
) -> (String, Action) {
    let called = |hash: &str| format!("{}-{hash}", name(set));
    let mut hashes = (0..).map(|collisions| hash(data, collisions));
    let free = hashes.find(|hash| {
        step.objects
            .named(REVISION, &key.ns, &called(hash))
            .is_none()
    });
    let hash = free.unwrap_or_default();
    let mut labels = set["spec"]["template"]["metadata"]["labels"].clone();
    labels[HASH] = hash.as_str().into();
    let revision = json!({
        "metadata": {
            "name": called(&hash), "labels": labels, "annotations": set["metadata"]["annotations"],
            "ownerReferences": [reference(set)],
        },
        "data": data, "revision": number,
    });
    (hash, Action::Create(REVISION, key.ns.clone(), revision))
}

/// Deletes revisions beyond those that are kept, the oldest first, but for those that Pods have.
fn outdated(
    step: &Step<'_>,
    (key, set): (&Key, &Value),
    (all, present): (&[(&Key, &Value)], &str),
) -> Vec<Action> {
    let kept = spec_number(set, "revisionHistoryLimit", 10);
    let pods = step.objects.list(crate::kinds::POD, Some(&key.ns));
    let mine = pods.filter(|(_, pod)| owners(pod).any(|owner| owner["uid"] == uid(set)));
    let used = mine.filter_map(|(_, pod)| pod["metadata"]["labels"][HASH].as_str());
    let used: Vec<_> = used.chain([present]).collect();
    let is_used = |revision: &Value| {
        let of = revision["metadata"]["labels"][HASH].as_str();
        of.is_some_and(|of| used.contains(&of))
    };
    let old: Vec<_> = all
        .iter()
        .filter(|(_, revision)| !is_used(revision))
        .collect();
    let many = usize::try_from(count(old.len()) - kept).unwrap_or_default();
    let gone = old.into_iter().take(many);
    gone.map(|(at, _)| Action::Delete((*at).clone(), None))
        .collect()
}

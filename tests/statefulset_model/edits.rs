//! What people do to a set and its Pods.

use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::cluster::{Cluster, name_of};

/// Any set.
pub(crate) fn set(random: &mut SmallRng) -> Value {
    let policy = if random.random_bool(0.5) {
        "OrderedReady"
    } else {
        "Parallel"
    };
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "x", "namespace": "default", "uid": "the-set", "generation": 1, "resourceVersion": "1", "annotations": {"headless-dns/heal-rollout": "true"}},
        "spec": {
            "replicas": random.random_range(0..5), "serviceName": "x", "podManagementPolicy": policy,
            "revisionHistoryLimit": random.random_range(0..3), "minReadySeconds": random.random_range(0..2) * 5,
            "selector": {"matchLabels": {"app": "x"}}, "updateStrategy": strategy(random),
            "persistentVolumeClaimRetentionPolicy": retention(random),
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
        },
    })
}

fn strategy(random: &mut SmallRng) -> Value {
    match random.random_range(0..6) {
        0 => json!({"type": "OnDelete"}),
        1 => json!({"type": "RollingUpdate"}),
        2 => json!({"type": "Recreate"}),
        _ => json!({"type": "RollingUpdate", "rollingUpdate": {
            "partition": random.random_range(0..3), "maxUnavailable": random.random_range(1..4),
        }}),
    }
}

fn retention(random: &mut SmallRng) -> Value {
    let mut policy = || {
        if random.random_bool(0.5) {
            "Retain"
        } else {
            "Delete"
        }
    };
    json!({"whenDeleted": policy(), "whenScaled": policy()})
}

/// One edit.
pub(crate) fn edit(cluster: &mut Cluster, random: &mut SmallRng) {
    let spec = &mut cluster.set["spec"];
    match random.random_range(0..9) {
        0 | 1 => spec["replicas"] = random.random_range(0..5).into(),
        2 => spec["ordinals"] = json!({"start": random.random_range(0..3)}),
        3 | 4 => {
            spec["template"]["spec"]["containers"][0]["image"] =
                format!("i:{}", random.random_range(1..4)).into()
        }
        5 => spec["updateStrategy"] = strategy(random),
        6 => spec["persistentVolumeClaimRetentionPolicy"] = retention(random),
        7 => return delete(cluster, random, false),
        _ => return delete(cluster, random, true),
    }
    let generation = cluster.set["metadata"]["generation"].as_i64().unwrap();
    cluster.set["metadata"]["generation"] = (generation + 1).into();
    cluster.touch_set();
}

/// Somebody deletes a Pod; by force it is gone at once.
fn delete(cluster: &mut Cluster, random: &mut SmallRng, force: bool) {
    if cluster.pods.is_empty() {
        return;
    }
    let at = random.random_range(0..cluster.pods.len());
    let name = name_of(&cluster.pods[at]).to_owned();
    if force {
        cluster.pods.remove(at);
    } else {
        cluster.delete_pod(&name, None);
    }
    cluster.changed();
}

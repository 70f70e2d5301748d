//! Kinds that are served in two versions, or two groups, and kept in one of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply;
use super::kind::KindId;

/// A version of a kind that is kept as another.
#[derive(Debug)]
pub(crate) struct Version {
    /// The group and version that are served.
    served: (&'static str, &'static str),
    /// Those that its objects are kept in.
    kept: (&'static str, &'static str),
    plural: &'static str,
    to_kept: fn(&mut Value),
    to_served: fn(&mut Value),
}

/// All of them.
static VERSIONS: [Version; 2] = [
    Version {
        served: ("events.k8s.io", "v1"),
        kept: ("", "v1"),
        plural: "events",
        to_kept: |event| rename(event, |(new, old)| (new, old)),
        to_served: |event| rename(event, |(new, old)| (old, new)),
    },
    Version {
        served: ("autoscaling", "v1"),
        kept: ("autoscaling", "v2"),
        plural: "horizontalpodautoscalers",
        to_kept: metrics,
        to_served: percentages,
    },
];

/// What events.k8s.io calls the fields of an Event, and what the core does.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
];

type Names = (&'static str, &'static str);

fn rename(event: &mut Value, way: fn(Names) -> Names) {
    for names in EVENT_FIELDS {
        let (from, to) = way(names);
        move_field(event, from, to);
    }
}

fn move_field(object: &mut Value, from: &str, to: &str) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if let Some(value) = fields.shift_remove(from) {
        fields.insert(to.into(), value);
    }
}

/// `autoscaling/v1` knows one metric, the processor's use.
fn metrics(scaler: &mut Value) {
    let resource = |kind: &str, percent: Value| json!([{"type": "Resource", "resource": {"name": "cpu", kind: percent}}]);
    let target = take(&mut scaler["spec"], "targetCPUUtilizationPercentage");
    if let Some(percent) = target {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        scaler["spec"]["metrics"] = resource("target", target);
    }
    let current = take(&mut scaler["status"], "currentCPUUtilizationPercentage");
    if let Some(percent) = current {
        let current = json!({"averageUtilization": percent});
        scaler["status"]["currentMetrics"] = resource("current", current);
    }
}

/// The other way; other metrics are not shown.
fn percentages(scaler: &mut Value) {
    let percent = |list: Option<Value>, kind: &str| {
        let list = list?;
        let mut list = list.as_array()?.iter();
        let cpu = list.find(|metric| metric["resource"]["name"] == "cpu")?;
        Some(cpu["resource"][kind]["averageUtilization"].clone()).filter(Value::is_number)
    };
    let target = percent(take(&mut scaler["spec"], "metrics"), "target");
    if let Some(target) = target {
        scaler["spec"]["targetCPUUtilizationPercentage"] = target;
    }
    take(&mut scaler["spec"], "behavior");
    let current = percent(take(&mut scaler["status"], "currentMetrics"), "current");
    if let Some(current) = current {
        scaler["status"]["currentCPUUtilizationPercentage"] = current;
    }
}

fn take(object: &mut Value, field: &str) -> Option<Value> {
    object.as_object_mut()?.shift_remove(field)
}

impl KindId {
    fn version(self) -> Option<&'static Version> {
        let info = self.info();
        let is = |v: &&Version| v.served == (info.group, info.version) && v.plural == info.plural;
        VERSIONS.iter().find(is)
    }

    /// The kind that objects of this one are kept as: itself, but for second versions.
    #[must_use]
    pub fn kept(self) -> Self {
        if self.is_defined() {
            return self.first_version();
        }
        let kept = self.version().and_then(|version| {
            let (group, of) = version.kept;
            Self::of_plural(group, of, version.plural)
        });
        kept.unwrap_or(self)
    }

    /// The object as it is kept; one of a defined kind stays in its version until it is written.
    pub(super) fn to_kept(self, object: &mut Value) {
        if self.is_defined() {
            return;
        }
        if let Some(version) = self.version() {
            (version.to_kept)(object);
        }
        if self.kept() != self {
            object["apiVersion"] = self.kept().info().api_version().into();
        }
    }

    /// The object as this version shows it.
    pub(super) fn to_served(self, object: &Arc<Value>) -> Arc<Value> {
        apply::shown(self.converted(object))
    }

    /// The object in this version; its owners are as they are kept.
    pub(super) fn converted(self, object: &Arc<Value>) -> Arc<Value> {
        let is_in_it = if self.is_defined() {
            object["apiVersion"] == *self.info().api_version()
        } else {
            self.kept() == self
        };
        if is_in_it {
            return Arc::clone(object);
        }
        let mut served = Value::clone(object);
        if let Some(version) = self.version() {
            (version.to_served)(&mut served);
        }
        served["apiVersion"] = self.info().api_version().into();
        super::schema::show(self.info().of, &mut served);
        Arc::new(served)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_new_group_is_one_of_the_core() {
        let kind = KindId::of_plural("events.k8s.io", "v1", "events").unwrap();
        let new = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a"}, "regarding": {"name": "a"}, "note": "n",
            "reason": "R", "reportingController": "c", "deprecatedCount": 2, "deprecatedFirstTimestamp": null,
            "deprecatedLastTimestamp": null, "deprecatedSource": {}, "eventTime": null,
        });
        let mut kept = new.clone();
        kind.to_kept(&mut kept);
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "involvedObject": {"name": "a"}, "message": "n",
            "reason": "R", "reportingComponent": "c", "count": 2, "firstTimestamp": null, "lastTimestamp": null, "source": {},
            "eventTime": null,
        });
        assert_eq!(kept, core);
        assert_eq!(kind.kept(), crate::kinds::EVENT);
        assert_eq!(*kind.to_served(&Arc::new(kept)), new);
    }

    #[test]
    fn an_autoscaler_s_percentage_is_a_metric_of_the_newer_version() {
        let kind = KindId::of_plural("autoscaling", "v1", "horizontalpodautoscalers").unwrap();
        let target = json!({"kind": "StatefulSet", "name": "a"});
        let old = json!({
            "apiVersion": "autoscaling/v1", "metadata": {"name": "a"}, "status": {"currentReplicas": 0, "desiredReplicas": 0},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 80},
        });
        let mut kept = old.clone();
        kind.to_kept(&mut kept);
        let percent = json!({"type": "Utilization", "averageUtilization": 80});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": percent}});
        let new = json!({
            "apiVersion": "autoscaling/v2", "metadata": {"name": "a"}, "status": {"currentReplicas": 0, "desiredReplicas": 0},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]},
        });
        assert_eq!(kept, new);
        assert_eq!(*kind.to_served(&Arc::new(kept)), old);
        assert_eq!(crate::kinds::POD.kept(), crate::kinds::POD);
    }
}

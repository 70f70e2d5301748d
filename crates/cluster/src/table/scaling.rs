//! Columns of what scales and limits: HorizontalPodAutoscaler, ResourceQuota.

use headless_objects::object::array;
use serde_json::Value;

use super::AGE;
use crate::kind::Column;

/// How many metrics of an autoscaler are shown: kubectl's.
const SHOWN: usize = 2;

pub(crate) const AUTOSCALER: &[Column] = &[
    ("Reference", false, |o, _| {
        let target = &o["spec"]["scaleTargetRef"];
        let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("kind"), text("name")).into()
    }),
    ("Targets", false, |o, _| targets(o).into()),
    ("MinPods", false, |o, _| {
        let least = o["spec"]["minReplicas"].as_i64();
        least.map_or_else(|| "<unset>".into(), |least| least.to_string().into())
    }),
    ("MaxPods", false, |o, _| o["spec"]["maxReplicas"].clone()),
    ("Replicas", false, |o, _| {
        let replicas = o["status"]["currentReplicas"].as_i64();
        replicas.unwrap_or_default().into()
    }),
    AGE,
];

/// `CURRENT/WANTED` of each metric, with the resource's name where it is one.
fn targets(autoscaler: &Value) -> String {
    let all: Vec<&Value> = array(&autoscaler["spec"]["metrics"]).collect();
    if all.is_empty() {
        return "<none>".into();
    }
    let present = &autoscaler["status"]["currentMetrics"];
    let each = all.iter().enumerate().take(SHOWN);
    let each = each.map(|(i, metric)| target(metric, &present[i]));
    let shown = each.collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn target(metric: &Value, present: &Value) -> String {
    let of = match metric["type"].as_str().unwrap_or_default() {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".into(),
    };
    let (wanted, now) = (&metric[of]["target"], &present[of]["current"]);
    let text = |value: &Value, field: &str| match &value[field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(format!("{number}%")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let average = !wanted["averageValue"].is_null();
    let field = match (average, of) {
        (true, _) => "averageValue",
        (false, "resource" | "containerResource") => "averageUtilization",
        (false, _) => "value",
    };
    let unknown = || "<unknown>".to_owned();
    let now = text(now, field).unwrap_or_else(unknown);
    let wanted = text(wanted, field).unwrap_or_else(|| "<auto>".to_owned());
    match (of, metric[of]["name"].as_str()) {
        ("resource" | "containerResource", Some(name)) => format!("{name}: {now}/{wanted}"),
        ("object" | "external", _) if average => format!("{now}/{wanted} (avg)"),
        _ => format!("{now}/{wanted}"),
    }
}

pub(crate) const QUOTA: &[Column] = &[
    ("Request", false, |o, _| used(o, false)),
    ("Limit", false, |o, _| used(o, true)),
    AGE,
];

/// `RESOURCE: USED/HARD` of the limits, or of all else.
fn used(quota: &Value, limits: bool) -> Value {
    let status = &quota["status"];
    let hard = status["hard"].as_object().into_iter().flatten();
    let mut hard: Vec<_> = hard
        .filter(|(resource, _)| resource.starts_with("limits.") == limits)
        .collect();
    hard.sort_unstable_by_key(|(resource, _)| resource.as_str());
    let text = |value: &Value| value.as_str().unwrap_or("0").to_owned();
    let each = hard.into_iter().map(|(resource, most)| {
        let used = text(&status["used"][resource]);
        format!("{resource}: {used}/{}", text(most))
    });
    each.collect::<Vec<_>>().join(", ").into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_metrics_of_an_autoscaler_are_shown_and_how_many_more_there_are() {
        let resource = |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"averageValue": "10"}}});
        let external = json!({"type": "External", "external": {"metric": {"name": "q"}, "target": {"averageValue": "5"}}});
        let (cpu, memory) = (
            resource("cpu", json!({"averageUtilization": 80})),
            resource("memory", json!({"averageValue": "1Gi"})),
        );
        let shown = |metrics: Value, present: Value| {
            targets(&json!({"spec": {"metrics": metrics}, "status": {"currentMetrics": present}}))
        };
        assert_eq!(
            shown(json!([cpu, memory, pods]), Value::Null),
            "cpu: <unknown>/80%, memory: <unknown>/1Gi + 1 more..."
        );
        let present =
            json!([{"type": "Resource", "resource": {"current": {"averageUtilization": 12}}}]);
        assert_eq!(
            shown(json!([cpu, external]), present),
            "cpu: 12%/80%, <unknown>/5 (avg)"
        );
        assert_eq!(shown(json!([pods]), Value::Null), "<unknown>/10");
        assert_eq!(shown(json!([]), Value::Null), "<none>");
    }

    #[test]
    fn a_quota_shows_what_is_used_of_requests_and_of_limits() {
        let quota =
            json!({"status": {"hard": {"pods": "2", "limits.cpu": "4"}, "used": {"pods": "1"}}});
        assert_eq!(
            [used(&quota, false), used(&quota, true)],
            ["pods: 1/2", "limits.cpu: 0/4"]
        );
    }
}

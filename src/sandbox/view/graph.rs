//! Who selects whom as a small graph: what made a Pod, the Pod, and the Services that select it.

use headless_objects::object::{controller, is_ready, ns};
use headless_objects::selector::Selector;
use serde_json::{Value, json};

use super::place;

/// Pods in it: more is no picture any more.
const PODS: usize = 30;

/// Columns of names, from left to right, and lines between them by their places in two columns that stand side by side.
pub(super) fn graph(services: &[Value], pods: &[Value]) -> Value {
    let shown = &pods[..pods.len().min(PODS)];
    let (mut makers, mut made) = (Vec::<String>::new(), Vec::new());
    let (mut selecting, mut selected) = (Vec::new(), Vec::new());
    for (at, pod) in shown.iter().enumerate() {
        if let Some(maker) = maker(pod) {
            let known = makers.iter().position(|own| *own == maker);
            made.push((known.unwrap_or(makers.len()), at));
            if known.is_none() {
                makers.push(maker);
            }
        }
    }
    for service in services {
        let Some(selector) = selector(service) else {
            continue;
        };
        let is_selected = |pod: &Value| {
            let own = &pod["metadata"]["labels"];
            ns(service) == ns(pod) && selector.matches(|key| own[key].as_str())
        };
        let own: Vec<usize> = (0..shown.len())
            .filter(|at| is_selected(&shown[*at]))
            .collect();
        if !own.is_empty() {
            selected.extend(own.into_iter().map(|at| (at, selecting.len())));
            selecting.push(format!("Service {}", place(service)));
        }
    }
    let of_pod =
        |pod: &Value| json!({"name": format!("Pod {}", place(pod)), "ready": is_ready(pod)});
    let named = |name: &String| json!({"name": name, "ready": true});
    let columns = [
        makers.iter().map(named).collect::<Vec<_>>(),
        shown.iter().map(of_pod).collect(),
        selecting.iter().map(named).collect(),
    ];
    json!({"columns": columns, "lines": [made, selected], "more": pods.len() - shown.len()})
}

/// What made a Pod, where that is an object.
fn maker(pod: &Value) -> Option<String> {
    let owner = controller(pod)?;
    let text = |key: &str| owner[key].as_str().unwrap_or_default();
    Some(format!("{} {}/{}", text("kind"), ns(pod), text("name")))
}

/// Which Pods a Service selects: without a selector none.
fn selector(service: &Value) -> Option<Selector> {
    let labels = service["spec"]["selector"].as_object()?.iter();
    let labels = labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    Some(Selector::equal(labels)).filter(|selector| !selector.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_stands_between_what_made_it_and_the_services_that_select_it() {
        let pod = |name: &str, ready: &str, ns: &str| {
            let owner = json!({"kind": "StatefulSet", "name": "redis", "controller": true});
            json!({
                "metadata": {"name": name, "namespace": ns, "labels": {"app": "redis", "x": "y"}, "ownerReferences": [owner]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            })
        };
        let service = |name: &str, selector: Value| json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"selector": selector}});
        let services = [
            service("kubernetes", Value::Null),
            service("other", json!({"app": "other"})),
            service("redis", json!({"app": "redis"})),
            service("none", json!({})),
        ];
        let mut alone = pod("redis-0", "True", "shop");
        alone["metadata"]["ownerReferences"] = json!([]);
        let pods = [
            pod("redis-0", "True", "default"),
            pod("redis-1", "False", "default"),
            alone,
        ];
        let wanted = json!({
            "columns": [
                [{"name": "StatefulSet default/redis", "ready": true}],
                [
                    {"name": "Pod default/redis-0", "ready": true}, {"name": "Pod default/redis-1", "ready": false},
                    {"name": "Pod shop/redis-0", "ready": true},
                ],
                [{"name": "Service default/redis", "ready": true}],
            ],
            "lines": [[[0, 0], [0, 1]], [[0, 0], [1, 0]]], "more": 0,
        });
        assert_eq!(graph(&services, &pods), wanted);
        let many: Vec<Value> = (0..PODS + 5)
            .map(|_| pod("redis-0", "True", "default"))
            .collect();
        let graph = graph(&services, &many);
        assert_eq!(
            (
                &graph["more"],
                graph["columns"][1].as_array().unwrap().len()
            ),
            (&json!(5), PODS)
        );
    }
}

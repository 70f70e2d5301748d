//! The sandbox's cluster for its page: nodes, Pods with their containers and logs, claims, who selects whom, events; in JSON,
//! as its API tells it.

mod graph;

use std::sync::Arc;

use headless_objects::object::{array, container_statuses, is_ready, name, ns};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admin::Refusal;
use crate::api::{self, Client, explain, text};
use crate::serve::Beside;

/// Objects of a kind that are told; what is counted and drawn is of all there are.
const SHOWN: usize = 100;

/// Lines of a log.
const LINES: usize = 200;

/// What is told of a cluster; `changed` counts what changes of it.
pub(super) fn beside(client: Client, changed: watch::Receiver<u64>) -> Beside {
    Beside {
        paths: &["/cluster", "/log"],
        answers: Arc::new(move |path, asked| {
            let client = client.clone();
            Box::pin(async move {
                let said = match path {
                    "/log" => log(&client, &asked).await?,
                    _ => cluster(&client).await?,
                };
                Ok(format!("{said}\n"))
            })
        }),
        changed,
    }
}

async fn list(client: &Client, kind: &str) -> Result<Vec<Value>, Refusal> {
    let listed = api::list(client, &format!("/api/v1/{kind}")).await;
    listed.map_err(|error| Refusal::Elsewhere(explain(&error)))
}

async fn cluster(client: &Client) -> Result<Value, Refusal> {
    let objects = Objects {
        nodes: list(client, "nodes").await?,
        pods: list(client, "pods").await?,
        claims: list(client, "persistentvolumeclaims").await?,
        services: list(client, "services").await?,
        events: list(client, "events").await?,
    };
    Ok(objects.told())
}

/// All of a cluster.
#[derive(Default)]
struct Objects {
    nodes: Vec<Value>,
    pods: Vec<Value>,
    claims: Vec<Value>,
    services: Vec<Value>,
    events: Vec<Value>,
}

impl Objects {
    fn told(mut self) -> Value {
        // Times as objects have them are in the order of their text.
        self.events
            .sort_by(|a, b| happened_at(b).cmp(happened_at(a)));
        let pods = &self.pods;
        json!({
            "nodes": told(&self.nodes, |node| node_told(node, pods)),
            "pods": told(pods, pod_told),
            "claims": told(&self.claims, |claim| claim_told(claim, pods)),
            "graph": graph::graph(&self.services, pods),
            "events": told(&self.events, event_told),
        })
    }
}

fn told(objects: &[Value], one: impl Fn(&Value) -> Value) -> Value {
    let items: Vec<Value> = objects.iter().take(SHOWN).map(one).collect();
    json!({"total": objects.len(), "items": items})
}

/// An object's name with its namespace, as `NAMESPACE/NAME`.
fn place(object: &Value) -> String {
    format!("{}/{}", ns(object), name(object))
}

fn node_told(node: &Value, pods: &[Value]) -> Value {
    let own = pods
        .iter()
        .filter(|pod| pod["spec"]["nodeName"] == node["metadata"]["name"]);
    let addresses = array(&node["status"]["addresses"]).map(|address| &address["address"]);
    json!({
        "name": name(node), "ready": is_ready(node), "addresses": addresses.collect::<Vec<_>>(), "pods": own.count(),
    })
}

fn pod_told(pod: &Value) -> Value {
    let status = &pod["status"];
    let containers = ["initContainers", "containers"].into_iter();
    let containers = containers.flat_map(|list| array(&pod["spec"][list]));
    let containers: Vec<_> = containers
        .map(|container| container_told(pod, container))
        .collect();
    json!({
        "name": place(pod), "phase": status["phase"], "ready": is_ready(pod), "ip": status["podIP"],
        "node": pod["spec"]["nodeName"], "ending": !pod["metadata"]["deletionTimestamp"].is_null(), "containers": containers,
    })
}

fn container_told(pod: &Value, container: &Value) -> Value {
    let status = container_statuses(pod).find(|status| status["name"] == container["name"]);
    let state = status.and_then(|status| status["state"].as_object()?.iter().next());
    let (state, reason) = state.map_or(("", &Value::Null), |(state, of)| {
        (state.as_str(), &of["reason"])
    });
    json!({
        "name": container["name"], "image": container["image"], "state": state, "reason": reason,
        "restarts": status.map_or(&Value::Null, |status| &status["restartCount"]),
    })
}

fn claim_told(claim: &Value, pods: &[Value]) -> Value {
    let mounts = |pod: &Value| {
        let own = claim["metadata"]["name"].as_str();
        let mut volumes = array(&pod["spec"]["volumes"]);
        ns(pod) == ns(claim)
            && volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"].as_str() == own)
    };
    let pods: Vec<String> = pods.iter().filter(|pod| mounts(pod)).map(place).collect();
    json!({
        "name": place(claim), "phase": claim["status"]["phase"], "size": claim["spec"]["resources"]["requests"]["storage"],
        "volume": claim["spec"]["volumeName"], "pods": pods,
    })
}

/// When an event happened last: in whole seconds, or in microseconds where that is told.
fn happened_at(event: &Value) -> &str {
    let times = [
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    times
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default()
}

fn event_told(event: &Value) -> Value {
    let about = &event["involvedObject"];
    let text = |key: &str| about[key].as_str().unwrap_or_default();
    json!({
        "at": happened_at(event), "type": event["type"], "reason": event["reason"],
        "object": format!("{} {}/{}", text("kind"), text("namespace"), text("name")), "message": event["message"],
        "count": event["count"],
    })
}

/// The last lines of a container's log.
async fn log(client: &Client, asked: &[(String, String)]) -> Result<Value, Refusal> {
    let get = |key: &str| {
        let value = asked
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str());
        value.filter(|value| is_named(value))
    };
    let wrong = |what: &str| Refusal::Wrong(what.to_owned());
    let expected = || wrong("pod: a Pod such as default/redis-0 was expected");
    let (ns, pod) = get("pod")
        .and_then(|pod| pod.split_once('/'))
        .ok_or_else(expected)?;
    let container = get("container").ok_or_else(|| wrong("container: a name was expected"))?;
    let path =
        format!("/api/v1/namespaces/{ns}/pods/{pod}/log?container={container}&tailLines={LINES}");
    let said = text(client, &path).await;
    let said = said.map_err(|error| Refusal::Elsewhere(explain(&error)))?;
    Ok(json!({"text": said}))
}

/// Whether a text has only what names of objects have, and `/` between two (RFC 1123).
fn is_named(text: &str) -> bool {
    let is_own =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-./".contains(&octet);
    text.bytes().all(is_own) && !text.contains("..") && text.matches('/').count() < 2
}

#[cfg(test)]
mod tests;

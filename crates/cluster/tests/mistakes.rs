//! Mistakes that people make, each with what kube-apiserver 1.37.2 says of it: a StatefulSet and a Service with one field changed,
//! sent as kubectl sends them.
#![expect(clippy::unwrap_used, reason = "a test")]

use headless_cluster::{Cluster, Delays};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

/// What is answered otherwise, with the reason.
const LISTED: &[(&str, &str)] = &[];

/// An object with what a case says at its path: `+` adds to a list, and `<deleted>` takes away.
fn changed(base: &Value, path: &[Value], value: &Value) -> Value {
    let (Some(step), rest) = (path.first(), path.get(1..).unwrap_or_default()) else {
        return value.clone();
    };
    let mut object = base.clone();
    if step == "+" {
        object.as_array_mut().unwrap().push(value.clone());
    } else if let Some(at) = step.as_u64() {
        let at = usize::try_from(at).unwrap();
        object[at] = changed(&base[at], rest, value);
    } else {
        let key = step.as_str().unwrap();
        if rest.is_empty() && value == "<deleted>" {
            object.as_object_mut().unwrap().remove(key);
        } else {
            object[key] = changed(&base[key], rest, value);
        }
    }
    object
}

async fn post(cluster: &Cluster, object: &Value) -> (u16, Value) {
    let path = if object["kind"] == "Service" {
        "/api/v1/namespaces/default/services"
    } else {
        "/apis/apps/v1/namespaces/default/statefulsets"
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(Full::new(object.to_string().into()))
        .unwrap();
    let response = cluster.api().call(request).await;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn mistakes_are_refused_in_kube_apiserver_s_words() {
    let all: Value = serde_json::from_str(include_str!("data/mistakes.json")).unwrap();
    let cluster = Cluster::start(Delays::default());
    let mut wrong = Vec::new();
    for case in all["cases"].as_array().unwrap() {
        let (kind, mistake) = (case["kind"].as_str().unwrap(), case["mistake"].as_str());
        let path = case["path"].as_array().unwrap();
        let object = changed(&all["base"][kind], path, &case["value"]);
        let (code, said) = post(&cluster, &object).await;
        let message = if code == 201 {
            &Value::Null
        } else {
            &said["message"]
        };
        let listed = LISTED.iter().any(|(name, _)| Some(*name) == mistake);
        if (case["code"] == code && case["message"] == *message) == listed {
            wrong.push(format!(
                "{kind}: {mistake:?}\n  - {} {}\n  + {code} {message}",
                case["code"], case["message"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} mistakes:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

//! Mistakes that people make, each with what kube-apiserver 1.37.2 says of it: an object with one thing changed, sent as
//! kubectl sends it. `tests/kubernetes/mistakes.rs` asks a real one.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/send.rs"]
mod send;

#[path = "data/cases.rs"]
mod cases;

use cases::{Case, answer};
use headless_cluster::{Cluster, Delays};
use http::Method;
use send::send;
use serde_json::Value;

/// What is answered otherwise, with the reason.
const LISTED: &[(&str, &str)] = &[
    (
        r#"post /spec/updateStrategy {"type":"Recreate"}"#,
        "the strategy is KEP-3541's, and built here",
    ),
    (
        r#"post /spec/behavior {"scaleUp":{"policies":[]}}"#,
        "an empty list is as if there were none, and is filled in",
    ),
    (
        r#"put /spec/volumeClaimTemplates [{"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1"}}}}]"#,
        "the templates are shown as they are sent, and not as Go keeps them",
    ),
    (
        r#"put /spec/template/spec/containers/0/image "x""#,
        "the template is shown as it is sent, and not as Go keeps it",
    ),
];

async fn try_case(cluster: &Cluster, case: &Case) -> (u16, Value) {
    const OPTIONS: &str = "dryRun=All&fieldValidation=Strict";
    let (path, one) = (case.base.path, case.base.one());
    if !case.replaces() {
        let object = case.changed(&case.base.object);
        return send(cluster, Method::POST, &format!("{path}?{OPTIONS}"), &object).await;
    }
    send(cluster, Method::POST, path, &case.base.object).await;
    let (_, present) = send(cluster, Method::GET, &one, &Value::Null).await;
    let object = case.changed(&present);
    send(cluster, Method::PUT, &format!("{one}?{OPTIONS}"), &object).await
}

#[tokio::test]
async fn mistakes_are_refused_in_kube_apiserver_s_words() {
    let cluster = Cluster::start(Delays::default());
    let (mut wrong, mut kind) = (Vec::new(), "");
    let all = cases::all();
    for case in &all {
        let (code, said) = try_case(&cluster, case).await;
        let said = answer(code, &said);
        let listed = LISTED.iter().any(|(line, _)| *line == case.line);
        if (said == case.answer) == listed {
            if kind != case.base.path {
                kind = case.base.path;
                wrong.push(kind.to_owned());
            }
            wrong.push(format!("{}\n  - {}\n  + {said}", case.line, case.answer));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} mistakes:\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}

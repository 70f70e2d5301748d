//! Mistakes that the embedded cluster's own test makes, made to a real API server: what that file has of it is what it says.
//! `UPDATE_MISTAKES=1` writes it.

use futures::FutureExt;
use http::Request;
use serde_json::Value;

use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::{Needs, Test};

#[path = "../../crates/cluster/tests/data/cases.rs"]
mod cases;

use cases::{Case, answer};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "mistakes_are_refused_as_they_are_said_to_be",
    needs: Needs::ApiServer,
    run: |p| compare(p).boxed_local(),
}];

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/crates/cluster/tests/data/mistakes.txt"
);

async fn send(plane: &ControlPlane, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = kube::client::Body::from(body.to_string().into_bytes());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body);
    let response = plane.client.send(request.unwrap()).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&body).unwrap())
}

async fn asked(plane: &ControlPlane, case: &Case) -> String {
    const OPTIONS: &str = "dryRun=All&fieldValidation=Strict";
    let (path, one) = (case.base.path, case.base.one());
    let (code, said) = if case.replaces() {
        send(plane, "POST", path, &case.base.object).await;
        let (_, present) = send(plane, "GET", &one, &Value::Null).await;
        let path = format!("{one}?{OPTIONS}");
        send(plane, "PUT", &path, &case.changed(&present)).await
    } else {
        let object = case.changed(&case.base.object);
        send(plane, "POST", &format!("{path}?{OPTIONS}"), &object).await
    };
    answer(code, &said)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the tests are told of the environment"
)]
async fn compare(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let all = cases::all();
    let mut answers = Vec::new();
    for case in &all {
        answers.push(asked(&plane, case).await);
    }
    if std::env::var("UPDATE_MISTAKES").is_ok() {
        let mut new = answers.iter();
        let line = |line: &str| match line.starts_with("  ") {
            true => format!("  {}\n", new.next().unwrap()),
            false => format!("{line}\n"),
        };
        let text: String = cases::TEXT.lines().map(line).collect();
        return std::fs::write(FILE, text).unwrap();
    }
    let wrong = all.iter().zip(&answers);
    let wrong = wrong.filter(|(case, answer)| case.answer != **answer);
    let wrong: Vec<_> = wrong
        .map(|(case, answer)| format!("{}\n  - {}\n  + {answer}", case.line, case.answer))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: UPDATE_MISTAKES=1\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}

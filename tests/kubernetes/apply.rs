//! `crates/cluster/tests/{apply,custom_kinds}/cases.txt`: what a real API server answers to their requests. `UPDATE_CASES=1`
//! writes them; the embedded cluster is held against them in crates/cluster/tests/apply.rs.

use std::time::Duration;

use futures::FutureExt;
use headless_dns::api::Client;
use http::Request;
use kube::client::Body;

use crate::cases::{self, Answers, Case, Sent};
use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "the_cases_of_server_side_apply_are_what_kube_apiserver_answers",
    needs: Needs::ApiServer,
    run: |p| compare(p).boxed_local(),
}];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/cluster/tests");

/// How often it is asked again whether a definition is served.
const ASK_AGAIN: Duration = Duration::from_millis(50);

async fn send(client: &Client, sent: Sent) -> (u16, Vec<u8>) {
    let request = Request::builder()
        .method(sent.method)
        .uri(sent.path)
        .header("content-type", sent.media_type)
        .header("user-agent", sent.agent)
        .body(Body::from(sent.body.into_bytes()))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await.unwrap();
    (code, body.to_vec())
}

async fn compare(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    for folder in ["apply", "custom_kinds"] {
        let file = format!("{FOLDER}/{folder}/cases.txt");
        let (head, mut all) = cases::read(&std::fs::read_to_string(&file).unwrap());
        for (case, number) in all.iter_mut().zip(0..) {
            let ns = format!("{}-{number}", folder.replace('_', "-"));
            answer(&plane.client, case, &ns).await;
        }
        let text = write(&head, &all);
        #[expect(
            clippy::disallowed_methods,
            reason = "where the tests are told of the environment"
        )]
        if std::env::var("UPDATE_CASES").is_ok() {
            std::fs::write(&file, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&file).unwrap() == text,
            "{folder}/cases.txt is not up to date: UPDATE_CASES=1"
        );
    }
}

/// Asks the requests of a case in a namespace of its own.
async fn answer(client: &Client, case: &mut Case, ns: &str) {
    send(client, cases::namespace(ns)).await;
    let mut answers = Answers::default();
    for ask in &mut case.asks {
        let waits = ask.line.starts_with(cases::WAIT);
        let (code, body) = loop {
            let answered = send(client, ask.sent(ns)).await;
            if !waits || answered.0 == 200 {
                break answered;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        ask.answer = if waits {
            code.to_string()
        } else {
            answers.line(ns, code, &body)
        };
    }
}

/// The file of cases.
fn write(head: &str, cases: &[Case]) -> String {
    let mut text = head.trim_end().to_owned() + "\n";
    for case in cases {
        text += &format!("\n== {}\n", case.name);
        for ask in &case.asks {
            if let Some(reason) = &ask.reason {
                text += &format!("! {reason}\n");
            }
            text += &format!("> {}\n< {}\n", ask.line, ask.answer);
        }
    }
    text
}

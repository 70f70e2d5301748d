//! Server-side apply and `managedFields`, and custom kinds: each case as kube-apiserver answered it.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/cases.rs"]
mod cases;

use ask::ask;
use cases::{Answers, Sent};
use headless_cluster::Cluster;
use http::Request;

async fn send(cluster: &Cluster, sent: Sent) -> (u16, Vec<u8>) {
    let request = Request::builder().method(sent.method).uri(sent.path);
    let request = request.header("content-type", sent.media_type);
    let request = request.header("user-agent", sent.agent);
    let (head, body) = ask(cluster, request, sent.body).await;
    (head.status.as_u16(), body.to_vec())
}

#[tokio::test]
async fn an_apply_is_answered_as_kube_apiserver_answered_it() {
    compare(include_str!("apply/cases.txt")).await;
}

#[tokio::test]
async fn a_custom_kind_is_answered_as_kube_apiserver_answered_it() {
    compare(include_str!("custom_kinds/cases.txt")).await;
}

async fn compare(text: &str) {
    let (_, all) = cases::read(text);
    let cluster = Cluster::holding(&[]);
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (case, number) in all.iter().zip(0..) {
        let ns = format!("case-{number}");
        send(&cluster, cases::namespace(&ns)).await;
        let mut answers = Answers::default();
        for ask in &case.asks {
            let (code, body) = send(&cluster, ask.sent(&ns)).await;
            let ours = if ask.line.starts_with(cases::WAIT) {
                code.to_string()
            } else {
                answers.line(&ns, code, &body)
            };
            asked += 1;
            if (ours == ask.answer) == ask.reason.is_some() {
                let (theirs, reason) = (&ask.answer, &ask.reason);
                wrong.push(format!(
                    "{}: {}\n  - {theirs}\n  + {ours}\n  listed: {reason:?}",
                    case.name, ask.line
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked} answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

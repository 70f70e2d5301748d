//! Every corpus case that the zone alone decides, without sockets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use support::corpus::{ask, cases};

#[test]
fn the_zone_answers_every_case_that_it_alone_decides() {
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|c| c.needs_only_the_zone())
        .collect();
    let mut failed = Vec::new();
    for case in &cases {
        let (wanted, got) = (case.wanted(), ask(case));
        if wanted != got {
            failed.push(format!(
                "{} {} {} {:?}\n  wanted {wanted:?}\n  got    {got:?}",
                case.id, case.qname, case.qtype, case.config
            ));
        }
    }
    support::report(&format!("{} cases, {} failed", cases.len(), failed.len()));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        cases.len() >= 330,
        "the corpus has shrunk to {}",
        cases.len()
    );
}

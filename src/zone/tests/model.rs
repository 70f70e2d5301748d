//! Who asks while names change sees what was or what is, in whatever order the two come to the zone's maps: a scheduler
//! tries many orders (`just model`).

use std::sync::Arc;

use crate::answer::compose;
use crate::build::event;
use crate::message::question::{Question, RecordType};
use crate::message::rcode_name;
use crate::name::absolute;
use crate::store::{List, Store};
use crate::zone::{View, Zone};

/// How many orders are tried.
const ORDERS: usize = 20_000;

/// How deep an order may hide (Burckhardt and others, "A randomized scheduler with probabilistic guarantees", 2010).
const DEPTH: usize = 3;

/// The data of the answer, sorted, or the code.
fn said(zone: &Zone, qname: &str, qtype: RecordType) -> String {
    let zones = ["cluster.local", "in-addr.arpa"].map(|zone| absolute(zone).unwrap());
    let view = View {
        origins: zones.to_vec().into(),
        ..View::default()
    };
    let question = Question::new(absolute(qname).unwrap(), qtype);
    let reply = compose(zone, &view.into(), &question).unwrap();
    if reply.answer.is_empty() {
        return rcode_name(reply.rcode);
    }
    let mut data: Vec<_> = reply
        .answer
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    data.sort();
    data.join(" | ")
}

/// While these lines are told, each answer to this question is one of those.
fn holds(before: &[&str], then: &[&str], asked: (&str, RecordType), answers: &[&str]) {
    let lines = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    let (before, then, answers) = (lines(before), lines(then), lines(answers));
    let (name, qtype) = (asked.0.to_owned(), asked.1);
    let tried = move || {
        let zone = Arc::new(Zone::default());
        let mut store = Store::new(Arc::clone(&zone), [] as [List; 0]);
        for line in &before {
            store.handle(1, event(line).unwrap());
        }
        let then = then.clone();
        let tells = shuttle::thread::spawn(move || {
            for line in &then {
                store.handle(2, event(line).unwrap());
            }
        });
        for _ in 0..3 {
            let answer = said(&zone, &name, qtype);
            assert!(answers.contains(&answer), "{answer}");
        }
        tells.join().unwrap();
        assert_eq!(said(&zone, &name, qtype), *answers.last().unwrap());
    };
    shuttle::check_random(tried.clone(), ORDERS);
    shuttle::check_pct(tried, ORDERS, DEPTH);
}

const CLUSTER: [&str; 3] = [
    "apply namespace default",
    "apply service default/web headless",
    "apply slice default/web-a of web web-0=10.0.0.1",
];

#[test]
fn an_address_that_moves_to_another_slice_has_its_name_throughout() {
    holds(
        &CLUSTER,
        &[
            "apply slice default/web-b of web web-0=10.0.0.1",
            "apply slice default/web-a of web web-1=10.0.0.2",
        ],
        ("1.0.0.10.in-addr.arpa", RecordType::PTR),
        &["web-0.web.default.svc.cluster.local."],
    );
}

#[test]
fn an_address_that_moves_to_another_service_has_one_of_the_two_names() {
    let before = [&CLUSTER[..], &["apply service default/db headless"]].concat();
    holds(
        &before,
        &[
            "apply slice default/db-a of db db-0=10.0.0.1",
            "delete slice default/web-a",
        ],
        ("1.0.0.10.in-addr.arpa", RecordType::PTR),
        &[
            "web-0.web.default.svc.cluster.local.",
            "db-0.db.default.svc.cluster.local. | web-0.web.default.svc.cluster.local.",
            "db-0.db.default.svc.cluster.local.",
        ],
    );
}

#[test]
fn a_pod_that_is_made_again_has_its_old_address_or_its_new_one() {
    holds(
        &CLUSTER,
        &["apply slice default/web-a of web web-0=10.0.0.2"],
        ("web-0.web.default.svc.cluster.local", RecordType::A),
        &["10.0.0.1", "10.0.0.2"],
    );
}

#[test]
fn a_service_that_becomes_another_kind_is_one_or_the_other() {
    holds(
        &CLUSTER,
        &["apply service default/web 10.96.0.1"],
        ("web.default.svc.cluster.local", RecordType::A),
        &["10.0.0.1", "10.96.0.1"],
    );
}

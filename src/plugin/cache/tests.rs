use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::message::question::Edns;
use crate::message::record;
use crate::name::{Name, absolute};
use crate::plugin::tests::{block, query};
use crate::plugin::{Parts, Router};

/// An upstream that has another address for each question; nothing, where it is not to look for it.
#[derive(Default)]
struct Upstream(AtomicU32);

impl Plugin for Upstream {
    fn handle<'a>(&'a self, query: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let mut reply = Composed::empty(ResponseCode::NoError);
        if query.recursion_desired {
            let owner = query.question.qname.to_name(0);
            reply.answer = vec![record::address(owner, 60, number.to_be_bytes().into())];
            let victim = absolute("victim.cluster.local").unwrap();
            reply.additional = vec![record::address(victim, 60, [6, 6, 6, 6].into())];
        }
        futures::future::ready(Ok(reply.into())).boxed()
    }
}

/// What each of these queries is answered with, one after the other.
fn answers(queries: &[&Query]) -> Vec<String> {
    let link = block("cache").links.remove(0).1;
    let cache = link.build(&Parts::default()).unwrap();
    let chain = Arc::from([cache, Arc::new(Upstream::default()) as Arc<dyn Plugin>]);
    let router = Router::new(vec![(Name::root(), chain)], false);
    let answer = |query: &&Query| {
        let reply = futures::executor::block_on(router.answer(query));
        let reply = reply.into_composed(&query.question).unwrap();
        let data = reply.answer.iter().map(|record| record.data.to_string());
        data.collect::<String>()
    };
    queries.iter().map(answer).collect()
}

#[test]
fn what_was_answered_to_somebody_in_particular_is_not_answered_to_others() {
    let plain = Query {
        recursion_desired: true,
        ..query("a.cluster.local", RecordType::A)
    };
    let not_looked_for = Query {
        recursion_desired: false,
        ..plain.clone()
    };
    let of_network = Query {
        edns: Some(Edns {
            udp_size: 1232,
            dnssec_ok: false,
        }),
        options: options::written(options::CLIENT_SUBNET, &[0, 1, 8, 0, 10]).unwrap(),
        ..plain.clone()
    };
    assert_eq!(answers(&[&plain, &plain]), ["0.0.0.0", "0.0.0.0"]);
    assert_eq!(answers(&[&not_looked_for, &plain]), ["", "0.0.0.1"]);
    assert_eq!(answers(&[&of_network, &plain]), ["0.0.0.0", "0.0.0.1"]);
    assert_eq!(answers(&[&plain, &not_looked_for]), ["0.0.0.0", "0.0.0.0"]);
}

/// The kind of CVE-2025-40778 and CVE-2025-11411.
#[test]
fn a_record_that_nobody_asked_for_is_no_answer_to_anybody() {
    let (other, victim) = (
        query("other.cluster.local", RecordType::A),
        query("victim.cluster.local", RecordType::A),
    );
    assert_eq!(answers(&[&other, &victim]), ["0.0.0.0", "0.0.0.1"]);
}

/// Somebody who fails; counts how often he is asked.
#[derive(Default)]
struct Broken(AtomicU32, bool);

impl Plugin for Broken {
    fn handle<'a>(&'a self, _: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let failure = Failure::servfail(format_args!("failed {number}"));
        let failure = if self.1 { failure.live() } else { failure };
        futures::future::ready(Err(failure)).boxed()
    }
}

/// RFC 9520 section 3.2.
#[test]
fn who_has_failed_is_not_asked_again_at_once_unless_the_cluster_s_zone_may_know_by_then() {
    for (is_live, asked) in [(false, 1), (true, 2)] {
        let link = block("cache").links.remove(0).1;
        let cache = link.build(&Parts::default()).unwrap();
        let broken = Arc::new(Broken(AtomicU32::new(0), is_live));
        let chain = Arc::from([cache, Arc::clone(&broken) as Arc<dyn Plugin>]);
        let router = Router::new(vec![(Name::root(), chain)], false);
        let query = Query {
            recursion_desired: true,
            ..query("a.cluster.local", RecordType::A)
        };
        for _ in 0..2 {
            let reply = futures::executor::block_on(router.answer(&query));
            assert_eq!(reply.rcode(), ResponseCode::ServFail);
        }
        assert_eq!(broken.0.load(Ordering::Relaxed), asked);
    }
}

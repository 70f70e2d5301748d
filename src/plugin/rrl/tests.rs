use super::*;
use crate::message::record;
use crate::message::reply::Failure;
use crate::name::Name;
use crate::plugin::Router;
use crate::plugin::tests::{Fixed, block, query};

/// Before this, `rrl` with these lines; the n-th query of the same client, its name ending in the block's zone.
fn router(lines: &str, handled: Handled) -> Arc<Router> {
    let link = block(&format!("rrl {{\n{lines}\n}}")).links.remove(0).1;
    let rrl = link.build(&Parts::default()).unwrap();
    let chain = Arc::from([rrl, Arc::new(Fixed(handled)) as Arc<dyn Plugin>]);
    Router::new(vec![(Name::root(), chain)], false)
}

fn address() -> Handled {
    let owner = query("a.cluster.local", RecordType::A)
        .question
        .qname
        .to_name(0);
    Ok(Composed {
        answer: vec![record::address(owner, 5, [192, 0, 2, 1].into())],
        ..Composed::empty(ResponseCode::NoError)
    }
    .into())
}

/// What becomes of queries one after the other: the code and whether it is cut, or nothing.
fn said(router: &Router, queries: impl IntoIterator<Item = Query>) -> Vec<String> {
    let answer = |query: Query| {
        let reply = futures::executor::block_on(router.answer(&query));
        let wire = reply.encode(&query).into_first()?;
        let cut = if wire[2] & 2 == 0 { "" } else { " cut" };
        Some(format!("{}{cut}", wire[3] & 0x0f))
    };
    let said = queries.into_iter().map(answer);
    said.map(|said| said.unwrap_or_else(|| "nothing".into()))
        .collect()
}

fn named(qname: &str) -> Query {
    query(qname, RecordType::A)
}

#[test]
fn replies_alike_beyond_the_rate_are_dropped_and_some_slip_cut() {
    let router = router("responses-per-second 2\nslip-ratio 2", address());
    let same = || (0..6).map(|_| named("a.cluster.local"));
    assert_eq!(
        said(&router, same()),
        ["0", "0", "nothing", "0 cut", "nothing", "0 cut"]
    );
    // Another name's, another network's, over TCP, of a known client: each passes.
    let other = |change: fn(&mut Query)| {
        let mut query = named("a.cluster.local");
        change(&mut query);
        said(&router, [query])
    };
    assert_eq!(said(&router, [named("b.cluster.local")]), ["0"]);
    assert_eq!(
        other(|q| q.route = std::net::SocketAddr::from(([127, 0, 1, 1], 1)).into()),
        ["0"]
    );
    assert_eq!(other(|q| q.transport = Transport::Tcp), ["0"]);
    assert_eq!(other(|q| q.has_cookie = true), ["0"]);
    assert_eq!(
        other(|q| q.route = std::net::SocketAddr::from(([127, 0, 0, 9], 1)).into()),
        ["nothing"]
    );
}

#[test]
fn denials_are_alike_by_their_zone_and_errors_all() {
    let zone = || named("cluster.local").question.qname.to_name(0);
    let soa = record::authority(zone(), 5, zone(), zone());
    let denial = Composed {
        authority: vec![soa],
        ..Composed::empty(ResponseCode::NXDomain)
    };
    let names = || ["a", "b", "c"].map(|label| named(&format!("{label}.cluster.local")));
    let denies = router("nxdomains-per-second 1", Ok(denial.into()));
    assert_eq!(said(&denies, names()), ["3", "nothing", "nothing"]);
    let fails = router("errors-per-second 1", Err(Failure::servfail("as told")));
    assert_eq!(said(&fails, names()), ["2", "nothing", "nothing"]);
    let only_reports = router(
        "errors-per-second 1\nreport-only",
        Err(Failure::servfail("as told")),
    );
    assert_eq!(said(&only_reports, names()), ["2", "2", "2"]);
    let requests = router("requests-per-second 1", address());
    assert_eq!(said(&requests, names()), ["0", "nothing", "nothing"]);
}

/// Asks for the name behind each alias.
struct Aliases;

impl Plugin for Aliases {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let target = named("target.cluster.local").question.qname;
            if query.question.qname == target {
                return address();
            }
            let reply = next.ask(query, target.to_name(0)).await?;
            reply
                .map(Reply::from)
                .ok_or_else(|| Failure::servfail("there is no reply"))
        }
        .boxed()
    }
}

#[test]
fn what_is_asked_for_a_client_s_question_is_no_question_of_its_own() {
    let link = block("rrl {\nresponses-per-second 1\n}").links.remove(0).1;
    let rrl = link.build(&Parts::default()).unwrap();
    let chain = Arc::from([rrl, Arc::new(Aliases) as Arc<dyn Plugin>]);
    let router = Router::new(vec![(Name::root(), chain)], false);
    let aliases = ["a", "b", "c"].map(|label| named(&format!("{label}.cluster.local")));
    assert_eq!(said(&router, aliases), ["0", "0", "0"]);
}

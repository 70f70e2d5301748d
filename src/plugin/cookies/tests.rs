use super::*;
use crate::message::question::{Edns, RecordType};
use crate::message::record;
use crate::message::skim::places;
use crate::name::Name;
use crate::plugin::Router;
use crate::plugin::tests::{Fixed, block, error, query};

/// `cookies` before a name with so many addresses.
fn router(addresses: u8) -> Arc<Router> {
    let owner = query("a.test", RecordType::A).question.qname.to_name(0);
    let address = |n| record::address(owner.clone(), 5, [192, 0, 2, n].into());
    let answer = Composed {
        answer: (0..addresses).map(address).collect(),
        ..Composed::empty(ResponseCode::NoError)
    };
    before(Ok(answer.into()))
}

/// `cookies` before this.
fn before(handled: Handled) -> Arc<Router> {
    let link = block("cookies").links.remove(0).1;
    let cookies = link.build(&Parts::default()).unwrap();
    let chain = Arc::from([cookies, Arc::new(Fixed(handled)) as Arc<dyn Plugin>]);
    Router::new(vec![(Name::root(), chain)], false)
}

fn with_cookie(cookie: &[u8]) -> Query {
    Query {
        edns: Some(Edns {
            udp_size: 1232,
            dnssec_ok: false,
        }),
        options: options::written(COOKIE, cookie).unwrap(),
        size: 60,
        ..query("a.test", RecordType::A)
    }
}

/// Code with its upper bits, TC, addresses, octets, and the cookie.
fn said(router: &Router, query: &Query) -> (u16, bool, u8, usize, Option<Vec<u8>>) {
    let reply = futures::executor::block_on(router.answer(query));
    let wire = reply.encode(query).into_first().unwrap();
    let opt = places(&wire)
        .unwrap()
        .into_iter()
        .find(|place| place.rtype == 41);
    let upper = opt.as_ref().map_or(0, |opt| wire[opt.ttl]);
    let cookie = opt.and_then(|opt| {
        let mut options = options::each(&wire[opt.data..opt.end]);
        options
            .find(|(code, _)| *code == COOKIE)
            .map(|(_, octets)| octets.to_vec())
    });
    let rcode = u16::from(upper) << 4 | u16::from(wire[3] & 0x0f);
    (rcode, wire[2] & 2 != 0, wire[7], wire.len(), cookie)
}

#[test]
fn a_client_without_cookie_gets_three_times_as_much_as_it_sent() {
    let (few, many) = (router(1), router(20));
    let plain = Query {
        size: 24,
        ..query("a.test", RecordType::A)
    };
    assert_eq!(said(&few, &plain), (0, false, 1, 40, None));
    assert_eq!(said(&many, &plain), (0, true, 0, 24, None));
    let over_tcp = Query {
        transport: Transport::Tcp,
        ..plain
    };
    assert_eq!(said(&many, &over_tcp), (0, false, 20, 344, None));
}

#[test]
fn a_client_that_comes_with_the_cookie_it_was_given_gets_all() {
    let many = router(20);
    let (rcode, cut, addresses, octets, cookie) = said(&many, &with_cookie(&[1; 8]));
    assert_eq!((rcode, cut, addresses), (23, false, 0));
    assert!(octets <= 180, "{octets}");
    let cookie = cookie.unwrap();
    assert_eq!(cookie[..8], [1; 8]);
    let (rcode, cut, addresses, _, again) = said(&many, &with_cookie(&cookie));
    assert_eq!((rcode, cut, addresses), (0, false, 20));
    assert_eq!(again, Some(cookie.clone()));
    // From another address it is worth nothing.
    let elsewhere = Query {
        route: std::net::SocketAddr::from(([127, 0, 0, 9], 53)).into(),
        ..with_cookie(&cookie)
    };
    assert_eq!(said(&many, &elsewhere).0, 23);
    assert_eq!(said(&many, &with_cookie(&[1; 9])).0, 1);
}

#[test]
fn the_cookie_counts_in_what_is_three_times_as_much() {
    // 51 octets with two addresses' records and OPT, and 28 of the cookie.
    let two = router(2);
    let asked = |size| Query {
        size,
        ..with_cookie(&[1; 8])
    };
    let (_, _, _, whole, _) = said(&two, &asked(100));
    let least = whole.div_ceil(3);
    let said = |size| {
        let (rcode, _, addresses, octets, _) = said(&two, &asked(size));
        (rcode, addresses, octets <= 3 * size)
    };
    assert_eq!(said(least), (0, 2, true));
    assert_eq!(said(least - 1), (23, 0, true));
}

#[test]
fn a_reply_that_says_that_it_failed_has_a_cookie_too() {
    let fails = before(Err(Failure::servfail("as told")));
    let (rcode, _, _, _, cookie) = said(&fails, &with_cookie(&[1; 8]));
    assert_eq!((rcode, cookie.map(|cookie| cookie.len())), (2, Some(24)));
}

#[test]
fn a_secret_has_32_digits() {
    block("cookies {\n secret e5e973e5a6b2a43f48e7dc849e37bfcf\n}");
    for odd in [
        "e5",
        "e5e973e5a6b2a43f48e7dc849e37bfcg",
        "é5e973e5a6b2a43f48e7dc849e37bfc",
    ] {
        assert_eq!(
            error(&format!("cookies {{\n secret {odd}\n}}")),
            "this is no secret"
        );
    }
}

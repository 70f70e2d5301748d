use std::net::SocketAddr;

use hickory_proto::op::{Message, OpCode, ResponseCode};

use super::*;
use crate::message::question::{Query, Question, RecordType, Transport};
use crate::message::record::{self, Record};
use crate::message::reply::{Composed, Said};
use crate::name::{Name, absolute};

const CLIENT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5353);

/// `redis.default.svc.cluster.local. A`, id 0x1234, RD.
fn request(opt: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x12,
        0x34,
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(!opt.is_empty()),
    ];
    for label in ["Redis", "default", "svc", "cluster", "local", ""] {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.bytes());
    }
    packet.extend([0, 1, 0, 1]);
    packet.extend(opt);
    packet
}

/// An OPT record: UDP size 4096, version, DO, an option 65001.
fn opt(version: u8) -> Vec<u8> {
    vec![
        0, 0, 41, 0x10, 0, 0, version, 0x80, 0, 0, 6, 0xfd, 0xe9, 0, 2, 1, 2,
    ]
}

fn query(packet: &[u8]) -> Query {
    let Screened::Query(query) = screen(packet, Transport::Udp, CLIENT.into()) else {
        panic!("not taken as a query: {packet:?}");
    };
    query
}

fn error(packet: &[u8]) -> Option<Vec<u8>> {
    match screen(packet, Transport::Udp, CLIENT.into()) {
        Screened::Error(reply) => Some(reply),
        Screened::Ignore => None,
        Screened::BadVersion(query) | Screened::Query(query) => panic!("{query:?}"),
    }
}

fn reply(n: u16) -> Composed {
    let owner: Name = absolute("Redis.default.svc.cluster.local").unwrap();
    let record = |i| {
        record::address(owner.clone(), 5, {
            let [high, low] = u16::to_be_bytes(i);
            [10, 0, high, low].into()
        })
    };
    Composed {
        authoritative: true,
        answer: (0..n).map(record).collect(),
        ..Composed::empty(ResponseCode::NoError)
    }
}

#[test]
fn a_plain_query_is_read_as_sent() {
    let query = query(&request(&[]));
    let question = Question::new(
        absolute("Redis.default.svc.cluster.local").unwrap(),
        RecordType::A,
    );
    assert_eq!(
        (
            query.question,
            query.id,
            query.recursion_desired,
            query.edns
        ),
        (question, 0x1234, true, None)
    );
    assert_eq!(query.opcode, OpCode::Query);
}

#[test]
fn what_is_no_request_gets_no_reply() {
    assert_eq!(error(&request(&[])[..11]), None);
    let mut packet = request(&[]);
    packet[2] |= 0x80;
    assert_eq!(error(&packet), None);
    assert_eq!(error(&[0xff; 12]), None);
}

#[test]
fn malformed_requests_get_a_header_that_says_so() {
    let formerr = |packet: &[u8]| {
        assert_eq!(
            error(packet),
            Some(vec![0x12, 0x34, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        )
    };
    for (at, value) in [(5, 0), (5, 2), (4, 0xff), (7, 2), (9, 2), (11, 3)] {
        let mut packet = request(&[]);
        packet[at] = value;
        formerr(&packet);
    }
    let header = &request(&[])[..12];
    formerr(header);
    // A pointer to itself, a pointer ahead, a label of 64 octets, a name that never ends.
    for name in [
        vec![0xc0, 12],
        vec![0xc0, 0xff],
        [&[64][..], &[b'a'; 64], &[0]].concat(),
        vec![3, b'a'],
    ] {
        formerr(&[header, &name, &[0, 1, 0, 1]].concat());
    }
    let name_of_256 = [9, b'a', b'a', b'a', b'a', b'a', b'a', b'a', b'a', b'a'].repeat(26);
    formerr(&[header, &name_of_256, &[0, 0, 1, 0, 1]].concat());
}

#[test]
fn an_opcode_that_is_not_spoken_is_notimp() {
    let mut packet = request(&[]);
    packet[2] = 5 << 3 | 1;
    assert_eq!(
        error(&packet),
        Some(vec![0x12, 0x34, 0xa9, 4, 0, 0, 0, 0, 0, 0, 0, 0])
    );
}

#[test]
fn a_reply_reads_back_and_its_owner_names_point_at_the_question() {
    let query = query(&request(&[]));
    let wire = encode(&query, &reply(3));
    assert_eq!(wire.len(), request(&[]).len() + 3 * 16);
    let message = Message::from_vec(&wire).unwrap();
    assert_eq!(message.answers, reply(3).answer);
    let m = message.metadata;
    assert!(
        m.authoritative
            && m.recursion_desired
            && !m.recursion_available
            && !m.truncation
            && !m.authentic_data
    );
    assert_eq!((m.id, message.edns), (0x1234, None));
}

#[test]
fn a_reply_too_large_keeps_whole_records_and_opt_and_says_tc() {
    let plain = encode(&query(&request(&[])), &reply(200));
    assert_eq!((plain.len() <= 512, plain.len() + 16 > 512), (true, true));
    let message = Message::from_vec(&plain).unwrap();
    assert!(message.metadata.truncation);
    assert_eq!(
        message.answers[..],
        reply(200).answer[..message.answers.len()]
    );

    let edns = encode(&query(&request(&opt(0))), &reply(300));
    assert_eq!((edns.len() <= 4096, edns.len() + 16 > 4096), (true, true));
    let message = Message::from_vec(&edns).unwrap();
    assert!(message.metadata.truncation && message.edns.unwrap().flags().dnssec_ok);
}

#[test]
fn tcp_has_no_limit_but_that_of_the_length_field() {
    let query = Query {
        transport: Transport::Tcp,
        ..query(&request(&[]))
    };
    let message = Message::from_vec(&encode(&query, &reply(200))).unwrap();
    assert_eq!(
        (message.answers.len(), message.metadata.truncation),
        (200, false)
    );
}

#[test]
fn unknown_options_are_not_echoed_and_a_reason_goes_out_as_an_extended_error() {
    let negative = Composed {
        error: Some(Said {
            code: 14,
            text: "not synced".into(),
        }),
        ..Composed::empty(ResponseCode::ServFail)
    };
    let message = Message::from_vec(&encode(&query(&request(&opt(0))), &negative)).unwrap();
    let edns = message.edns.unwrap();
    assert_eq!((edns.max_payload(), edns.version()), (4096, 0));
    let options: Vec<_> = edns
        .options()
        .as_ref()
        .iter()
        .map(|(code, option)| {
            (
                u16::from(*code),
                hickory_proto::serialize::binary::BinEncodable::to_bytes(option).unwrap(),
            )
        })
        .collect();
    assert_eq!(options, [(15, [&[0, 14][..], b"not synced"].concat())]);
}

#[test]
fn another_edns_version_is_badvers_and_keeps_do() {
    let Screened::BadVersion(query) = screen(&request(&opt(1)), Transport::Udp, CLIENT.into())
    else {
        panic!("version 1 was taken");
    };
    let message = Message::from_vec(&bad_version(&query)).unwrap();
    let edns = message.edns.unwrap();
    assert_eq!(
        (edns.rcode_high(), edns.version(), edns.flags().dnssec_ok),
        (1, 0, true)
    );
    assert_eq!(message.metadata.response_code.low(), 0);
}

#[test]
fn an_upstream_s_message_is_cut_only_where_it_must_be() {
    let query = query(&request(&[]));
    let whole = encode(
        &Query {
            transport: Transport::Tcp,
            ..query.clone()
        },
        &reply(100),
    );
    let cut = truncate(&query, whole.clone());
    let message = Message::from_vec(&cut).unwrap();
    assert!(cut.len() <= 512 && message.metadata.truncation);
    let kept: Vec<Record> = message.answers;
    assert_eq!(kept[..], reply(100).answer[..kept.len()]);
    assert_eq!(
        truncate(
            &Query {
                transport: Transport::Tcp,
                ..query
            },
            whole.clone()
        ),
        whole
    );
}

//! RFC 8906 section 8: what a server must do with unusual but legal requests. The tests of that section by their number,
//! over UDP and TCP, IPv4 and IPv6, for the cluster's zone, both reverse zones and a forwarded name.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::net::{IpAddr, SocketAddr};

use headless_cluster::{Cluster, Delays};
use headless_dns::serve::{Ambient, Program, Setup};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::RecordType;
use support::dns::{exchange, question, udp};
use support::names::setup;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

const QR: u8 = 0x80;
const AD: u8 = 0x20;
const NOERROR: u8 = 0;
const NOTIMP: u8 = 4;

/// A server over an empty cluster, with an upstream for everything else.
async fn server() -> (Vec<SocketAddr>, CancellationToken, Cluster) {
    let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let text = format!(
        ".:0 {{\n kubernetes cluster.local in-addr.arpa ip6.arpa\n forward . {} {{\n prefer_udp\n }}\n}}",
        upstream.local_addr().unwrap()
    );
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        loop {
            let (size, peer) = upstream.recv_from(&mut packet).await.unwrap();
            let mut reply = Message::from_vec(&packet[..size]).unwrap();
            reply.metadata.message_type = MessageType::Response;
            // What it does not know it does not echo.
            reply.edns = None;
            upstream
                .send_to(&reply.to_vec().unwrap(), peer)
                .await
                .unwrap();
        }
    });
    let cluster = Cluster::start(Delays::default());
    let api = Ambient::Client(cluster.client());
    let setup = Setup {
        interfaces: vec![],
        ..setup(&text, api)
    };
    let program = Program::bind(setup).await.unwrap();
    let mut addresses = Vec::new();
    for bound in program.addresses() {
        let ip: IpAddr = if bound.is_ipv4() {
            "127.0.0.1".parse().unwrap()
        } else {
            "::1".parse().unwrap()
        };
        addresses.push(SocketAddr::new(ip, bound.port()));
    }
    let stop = CancellationToken::new();
    tokio::spawn(program.run(stop.clone()));
    (addresses, stop, cluster)
}

/// One test of section 8: how the plain query for the zone's SOA is changed, and what the reply must be.
struct Probe {
    section: &'static str,
    /// Changes the header's flags: octets 2 and 3.
    flags: [u8; 2],
    qtype: RecordType,
    /// OPT: version, flags (DO), options.
    opt: Option<(u8, u16, &'static [u8])>,
    /// The rcode, and the extended part where there is an OPT.
    rcode: (u8, u8),
}

const PLAIN: Probe = Probe {
    section: "8.1.1",
    flags: [0, 0],
    qtype: RecordType::SOA,
    opt: None,
    rcode: (NOERROR, 0),
};

/// An unknown option, 100, of no length.
const UNKNOWN_OPTION: &[u8] = &[0, 100, 0, 0];
const DO: u16 = 0x8000;
const ALL_FLAGS_BUT_DO: u16 = 0x4000;
const BADVERS: (u8, u8) = (0, 1);

const PROBES: &[Probe] = &[
    PLAIN,
    Probe {
        section: "8.1.2",
        qtype: RecordType::Unknown(1000),
        ..PLAIN
    },
    // CD, AD, the reserved bit, RD.
    Probe {
        section: "8.1.3.1",
        flags: [0, 0x10],
        ..PLAIN
    },
    Probe {
        section: "8.1.3.2",
        flags: [0, AD],
        ..PLAIN
    },
    Probe {
        section: "8.1.3.3",
        flags: [0, 0x40],
        ..PLAIN
    },
    Probe {
        section: "8.1.3.4",
        flags: [1, 0],
        ..PLAIN
    },
    Probe {
        section: "8.1.4",
        flags: [15 << 3, 0],
        rcode: (NOTIMP, 0),
        ..PLAIN
    },
    Probe {
        section: "8.2.1",
        opt: Some((0, 0, &[])),
        ..PLAIN
    },
    Probe {
        section: "8.2.2",
        opt: Some((1, 0, &[])),
        rcode: BADVERS,
        ..PLAIN
    },
    Probe {
        section: "8.2.3",
        opt: Some((0, 0, UNKNOWN_OPTION)),
        ..PLAIN
    },
    Probe {
        section: "8.2.4",
        opt: Some((0, ALL_FLAGS_BUT_DO, &[])),
        ..PLAIN
    },
    Probe {
        section: "8.2.5",
        opt: Some((1, ALL_FLAGS_BUT_DO, &[])),
        rcode: BADVERS,
        ..PLAIN
    },
    Probe {
        section: "8.2.6",
        opt: Some((1, 0, UNKNOWN_OPTION)),
        rcode: BADVERS,
        ..PLAIN
    },
    // A reply that may be cut keeps its OPT; here the plain one.
    Probe {
        section: "8.2.7",
        opt: Some((0, DO, &[])),
        qtype: RecordType::DNSKEY,
        ..PLAIN
    },
    Probe {
        section: "8.2.8",
        opt: Some((0, DO, &[])),
        ..PLAIN
    },
    Probe {
        section: "8.2.9",
        opt: Some((1, DO, &[])),
        rcode: BADVERS,
        ..PLAIN
    },
    // NSID, client subnet, expire and cookie, all at once.
    Probe {
        section: "8.2.10",
        opt: Some((
            0,
            0,
            &[
                0, 3, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0, 9, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
            ],
        )),
        ..PLAIN
    },
];

fn packet(probe: &Probe, qname: &str) -> Vec<u8> {
    let mut packet = question(0x1234, qname, probe.qtype);
    packet[2] = probe.flags[0];
    packet[3] = probe.flags[1];
    if let Some((version, flags, options)) = probe.opt {
        packet[11] = 1;
        packet.extend([0, 0, 41, 0x10, 0, 0, version]);
        packet.extend(flags.to_be_bytes());
        packet.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        packet.extend(options);
    }
    packet
}

fn check(probe: &Probe, context: &str, reply: &[u8]) {
    assert_eq!(
        (&reply[..2], reply[2] & QR),
        (&[0x12, 0x34][..], QR),
        "{context}: id and QR"
    );
    assert_eq!(reply[3] & 0x0f, probe.rcode.0, "{context}: rcode");
    assert_eq!(reply[3] & 0x40, 0, "{context}: the reserved bit is clear");
    if probe.rcode.0 == NOTIMP {
        assert_eq!(reply.len(), 12, "{context}: the header alone");
        return;
    }
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(message.metadata.op_code, OpCode::Query, "{context}");
    match (probe.opt, message.edns) {
        (None, None) => {}
        (Some((_, flags, _)), Some(edns)) => {
            assert_eq!(
                (edns.version(), edns.rcode_high()),
                (0, probe.rcode.1),
                "{context}: version and extended rcode"
            );
            assert_eq!(
                edns.flags().dnssec_ok,
                flags & DO != 0,
                "{context}: DO is copied"
            );
            assert_eq!(edns.flags().z, 0, "{context}: unknown flags are clear");
            // An extended error may be there; nothing of the request comes back.
            let codes: Vec<u16> = edns
                .options()
                .as_ref()
                .iter()
                .map(|(code, _)| u16::from(*code))
                .filter(|code| *code != 15)
                .collect();
            assert_eq!(codes, [0u16; 0], "{context}: options are not echoed");
        }
        (asked, got) => panic!("{context}: OPT asked {asked:?}, got {got:?}"),
    }
}

#[tokio::test]
async fn every_probe_of_section_8_is_answered_as_it_must_be() {
    let (addresses, stop, _cluster) = server().await;
    let mut asked = 0;
    for address in addresses {
        for qname in [
            "cluster.local.",
            "in-addr.arpa.",
            "ip6.arpa.",
            "example.com.",
        ] {
            for probe in PROBES {
                let packet = packet(probe, qname);
                let context = format!("{} {qname} at {address}", probe.section);
                check(
                    probe,
                    &format!("{context} udp"),
                    &exchange(&udp(address).await, &packet).await,
                );
                let mut stream = TcpStream::connect(address).await.unwrap();
                // 8.1.5: DNS is answered over TCP.
                stream
                    .write_u16(u16::try_from(packet.len()).unwrap())
                    .await
                    .unwrap();
                stream.write_all(&packet).await.unwrap();
                let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut reply).await.unwrap();
                check(probe, &format!("{context} tcp"), &reply);
                asked += 2;
            }
        }
    }
    stop.cancel();
    assert!(asked >= PROBES.len() * 8, "only {asked} probes");
}

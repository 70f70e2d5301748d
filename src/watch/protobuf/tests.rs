use headless_objects::envelope::MAGIC;

use super::*;

/// A field of a message: its number, with a length.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2, u8::try_from(value.len()).unwrap()],
        value,
    ]
    .concat()
}

fn framed(kind: &str, object_kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, b"v1"), field(2, object_kind.as_bytes())].concat();
    let unknown = [MAGIC.to_vec(), field(1, &type_meta), field(2, object)].concat();
    let event = [field(1, kind.as_bytes()), field(2, &field(1, &unknown))].concat();
    [
        &u32::try_from(event.len()).unwrap().to_be_bytes()[..],
        &event,
    ]
    .concat()
}

fn lines(packets: &[&[u8]]) -> io::Result<String> {
    let packets: Vec<_> = packets
        .iter()
        .map(|packet| Ok::<_, io::Error>(http_body::Frame::data(Bytes::copy_from_slice(packet))))
        .collect();
    let body = StreamBody::new(futures::stream::iter(packets));
    let mut frames = Frames {
        body,
        buffer: BytesMut::new(),
    };
    let mut all = String::new();
    futures::executor::block_on(async {
        while let Some(lines) = frames.next().await? {
            all += std::str::from_utf8(&lines).unwrap();
        }
        Ok(all)
    })
}

#[test]
fn a_slice_becomes_the_json_that_is_read_wherever_its_packets_are_cut() {
    let meta = [field(1, b"s"), field(3, b"ns"), field(6, b"7")].concat();
    let conditions = [1 << 3, 1, 3 << 3, 0];
    let endpoint = [
        field(1, b"10.0.0.1"),
        field(2, &conditions),
        field(3, b"web-0"),
    ]
    .concat();
    let port = [field(1, b"http"), field(2, b"TCP"), vec![3 << 3, 80]].concat();
    let slice = [
        field(1, &meta),
        field(2, &endpoint),
        field(3, &port),
        field(4, b"IPv4"),
    ]
    .concat();
    let event = framed("ADDED", "EndpointSlice", &slice);
    let wanted = concat!(
        r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"EndpointSlice","#,
        r#""metadata":{"name":"s","namespace":"ns","resourceVersion":"7"},"#,
        r#""endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"hostname":"web-0"}],"#,
        r#""ports":[{"name":"http","protocol":"TCP","port":80}],"addressType":"IPv4"}}"#,
        "\n"
    );
    for cut in 0..event.len() {
        let (head, tail) = event.split_at(cut);
        assert_eq!(lines(&[head, tail]).unwrap(), wanted, "cut at {cut}");
    }
    let two = [event.clone(), event].concat();
    assert_eq!(lines(&[&two]).unwrap(), wanted.repeat(2));
}

/// What the unreadable object of the only line says: problem, field, name.
fn said(packet: &[u8]) -> (String, String, String) {
    let line: serde_json::Value = serde_json::from_str(&lines(&[packet]).unwrap()).unwrap();
    let object = &line["object"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&object["unreadable"]),
        text(&object["field"]),
        text(&object["metadata"]["name"]),
    )
}

fn words(problem: &str, field: &str, name: &str) -> (String, String, String) {
    (problem.into(), field.into(), name.into())
}

#[test]
fn an_annotation_that_is_not_utf_8_is_nobody_s_business() {
    let annotation = [field(1, b"a/b"), field(2, b"bad \xff\xfe")].concat();
    let label = [field(1, b"l"), field(2, b"x")].concat();
    let meta = [field(1, b"web"), field(11, &label), field(12, &annotation)].concat();
    let event = framed("ADDED", "Service", &field(1, &meta));
    let wanted = concat!(
        r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"Service","metadata":"#,
        r#"{"name":"web","labels":{"l":"x"},"annotations":{}}}}"#,
        "\n"
    );
    assert_eq!(lines(&[&event]).unwrap(), wanted);
}

#[test]
fn what_cannot_be_read_costs_itself_and_says_where() {
    let meta = field(1, &[field(1, b"web"), field(6, b"7")].concat());
    let spec = |spec: &[u8]| [meta.clone(), field(2, spec)].concat();
    for (kind, object, wanted) in [
        (
            "Service",
            spec(&field(1, &[0x18])),
            words("invalid varint", "spec.ports.port", "web"),
        ),
        (
            "Service",
            spec(&[0x1a, 0x7f]),
            words("buffer underflow", "spec.cluster_ip", "web"),
        ),
        (
            "Service",
            vec![0x0a, 0x7f],
            words("buffer underflow", "metadata", ""),
        ),
    ] {
        let good = framed("ADDED", "Service", &meta);
        let bad = framed("MODIFIED", kind, &object);
        assert_eq!(said(&bad), wanted);
        let around = lines(&[&[good.clone(), bad, good].concat()]).unwrap();
        let around: Vec<_> = around
            .lines()
            .map(|line| line.contains("unreadable"))
            .collect();
        assert_eq!(around, [false, true, false]);
    }
    let bytes = lines(&[&framed("ADDED", "Service", &spec(&field(10, b"a\xff")))]).unwrap();
    assert!(bytes.contains(r#""externalName":[97,255]"#), "{bytes}");
    let no_magic = [field(1, b"ADDED"), field(2, &field(1, b"{}"))].concat();
    let length = u32::try_from(no_magic.len()).unwrap().to_be_bytes();
    let packet = [&length[..], &no_magic].concat();
    assert_eq!(
        said(&packet),
        words("an object that is no protobuf", "", "")
    );
    assert_eq!(said(&[0, 0, 0, 1, 0xff]).2, "");
}

#[test]
fn an_event_that_is_too_long_ends_the_watch() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    assert!(lines(&[&huge]).is_err());
}

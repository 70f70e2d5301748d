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
        r#""endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true,"terminating":false},"hostname":"web-0"}],"#,
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

#[test]
fn what_is_no_event_is_an_error_and_not_an_empty_object() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    assert!(lines(&[&huge]).is_err());
    let no_magic = [field(1, b"ADDED"), field(2, &field(1, b"{}"))].concat();
    let length = u32::try_from(no_magic.len()).unwrap().to_be_bytes();
    assert!(lines(&[&length, &no_magic]).is_err());
    let mut cut = framed("ADDED", "Service", &field(1, &field(1, b"s")));
    let at = cut.len() - 2;
    cut[at] = 0x7f; // a length beyond the message
    assert!(lines(&[&cut]).is_err());
}

//! Frames of SPDY/3.1 (SPDY draft 3 section 2.2): octets, nothing else.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::headers::{Deflater, Headers, Inflater, bad};

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;

/// A control frame, of version 3.
const CONTROL: u16 = 0x8003;

/// The last frame of a stream in this direction.
const FIN: u8 = 1;

/// Octets before what a frame carries.
const HEADER: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A client opens a stream. `end`: it will send nothing there.
    Open {
        stream: u32,
        headers: Headers,
        end: bool,
    },
    /// A stream has been opened.
    Reply(u32),
    Data {
        stream: u32,
        octets: Bytes,
        end: bool,
    },
    /// A stream ends in both directions.
    Reset(u32),
    /// To be sent back as it is.
    Ping(u32),
    /// No stream will be opened any more.
    Away,
    /// What no server needs: windows and settings.
    Other,
}

/// Frames that a client sends.
#[derive(Default)]
pub(super) struct Reading(Inflater);

/// Frames that a server sends.
#[derive(Default)]
pub(super) struct Writing(Deflater);

impl Decoder for Reading {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, octets: &mut BytesMut) -> io::Result<Option<Frame>> {
        let Some(header) = octets.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let mut header = &header[..];
        let (first, flagged) = (header.get_u32(), header.get_u32());
        let length = usize::try_from(flagged & 0xff_ffff).unwrap_or(usize::MAX);
        if octets.len() < HEADER + length {
            octets.reserve(HEADER + length - octets.len());
            return Ok(None);
        }
        octets.advance(HEADER);
        let body = octets.split_to(length).freeze();
        let [flags, ..] = flagged.to_be_bytes();
        let end = flags & FIN != 0;
        if first >> 31 == 0 {
            let (stream, octets) = (first, body);
            return Ok(Some(Frame::Data {
                stream,
                octets,
                end,
            }));
        }
        let [version @ .., high, low] = first.to_be_bytes();
        if u16::from_be_bytes(version) != CONTROL {
            return Err(bad("frames of another version"));
        }
        self.control(u16::from_be_bytes([high, low]), end, body)
            .map(Some)
    }
}

impl Reading {
    fn control(&mut self, kind: u16, end: bool, mut body: Bytes) -> io::Result<Frame> {
        let mut number = || {
            body.try_get_u32()
                .map_err(|_| bad("a frame that is cut off"))
        };
        Ok(match kind {
            SYN_STREAM => {
                let (stream, _associated) = (number()?, number()?);
                // Priority and slot.
                body.try_get_u16()
                    .map_err(|_| bad("a frame that is cut off"))?;
                let headers = self.0.read(&body)?;
                Frame::Open {
                    stream,
                    headers,
                    end,
                }
            }
            SYN_REPLY => Frame::Reply(number()?),
            RST_STREAM => Frame::Reset(number()?),
            PING => Frame::Ping(number()?),
            GOAWAY => Frame::Away,
            _ => Frame::Other,
        })
    }
}

impl Encoder<Frame> for Writing {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, octets: &mut BytesMut) -> io::Result<()> {
        match frame {
            Frame::Data {
                stream,
                octets: data,
                end,
            } => {
                octets.put_u32(stream);
                put_length(octets, if end { FIN } else { 0 }, data.len());
                octets.put(data);
            }
            Frame::Reply(stream) => {
                let headers = self.0.write(&Headers::new())?;
                let stream = stream.to_be_bytes();
                put_control(octets, SYN_REPLY, &[&stream, &headers[..]].concat());
            }
            Frame::Reset(stream) => {
                // CANCEL.
                let fields = [stream, 5].map(u32::to_be_bytes);
                put_control(octets, RST_STREAM, fields.as_flattened());
            }
            Frame::Ping(id) => put_control(octets, PING, &id.to_be_bytes()),
            // The last stream that was good is not counted; all went well.
            Frame::Away => put_control(octets, GOAWAY, &[0; 8]),
            Frame::Open { .. } | Frame::Other => return Err(bad("a frame that no server sends")),
        }
        Ok(())
    }
}

fn put_control(octets: &mut BytesMut, kind: u16, body: &[u8]) {
    octets.put_u16(CONTROL);
    octets.put_u16(kind);
    put_length(octets, 0, body.len());
    octets.put(body);
}

/// Flags, and a length of three octets: pieces are far shorter.
fn put_length(octets: &mut BytesMut, flags: u8, length: usize) {
    octets.put_u8(flags);
    octets.put_uint(length as u64, 3);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The octets with which a client opens a stream.
    pub(crate) fn opening(deflater: &mut Deflater, stream: u32, headers: &Headers) -> Vec<u8> {
        let block = deflater.write(headers).unwrap();
        let mut octets = BytesMut::new();
        let body = [&stream.to_be_bytes()[..], &[0; 6], &block].concat();
        put_control(&mut octets, SYN_STREAM, &body);
        octets.into()
    }

    fn decoded(octets: &[u8]) -> Vec<Frame> {
        let (mut reading, mut octets) = (Reading::default(), BytesMut::from(octets));
        std::iter::from_fn(|| reading.decode(&mut octets).unwrap()).collect()
    }

    #[test]
    fn frames_are_read_one_after_another_and_half_a_frame_waits() {
        let headers = Headers::from([("port".to_owned(), "80".to_owned())]);
        let mut octets = opening(&mut Deflater::default(), 1, &headers);
        octets.extend([0, 0, 0, 1, FIN, 0, 0, 2, b'h', b'i']);
        octets.extend([0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]);
        octets.extend([0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1]);
        octets.extend([0, 0, 0, 1, 0, 0, 0, 2, b'h']);
        let opened = Frame::Open {
            stream: 1,
            headers,
            end: false,
        };
        let said = Frame::Data {
            stream: 1,
            octets: "hi".into(),
            end: true,
        };
        assert_eq!(
            decoded(&octets),
            [opened, said, Frame::Ping(9), Frame::Other]
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refused = |octets: &[u8]| {
            let decoded = Reading::default().decode(&mut BytesMut::from(octets));
            decoded.unwrap_err().to_string()
        };
        let version = [0x80, 2, 0, 6, 0, 0, 0, 0];
        assert_eq!(refused(&version), "SPDY: frames of another version");
        let short = [0x80, 3, 0, 6, 0, 0, 0, 1, 0];
        assert_eq!(refused(&short), "SPDY: a frame that is cut off");
    }

    #[test]
    fn what_a_server_sends_can_be_read() {
        let (mut writing, mut octets) = (Writing::default(), BytesMut::new());
        let data = Frame::Data {
            stream: 3,
            octets: "out".into(),
            end: true,
        };
        let sent = [Frame::Reply(3), data, Frame::Reset(5), Frame::Away];
        for frame in sent.clone() {
            writing.encode(frame, &mut octets).unwrap();
        }
        assert_eq!(decoded(&octets), sent);
    }
}

//! SPDY/3.1, as servers of Kubernetes speak it: streams that the client opens, without windows.

mod connection;
mod frame;
mod headers;
pub(super) mod program;

pub(super) use connection::{Opened, Piece, Sayer, start};

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use bytes::BytesMut;
    use tokio::io::{AsyncRead, AsyncReadExt};
    use tokio_util::codec::Decoder;

    use super::frame::{self, Frame, Reading};
    use super::headers::{Deflater, Headers};

    /// A client of a connection.
    #[derive(Default)]
    pub(crate) struct Client {
        deflater: Deflater,
        reading: Reading,
    }

    /// What a server has said.
    #[derive(Default)]
    pub(crate) struct Heard {
        /// Streams that have ended, with all that was said there.
        pub(crate) said: BTreeMap<u32, String>,
        pub(crate) reset: Vec<u32>,
    }

    impl Client {
        /// The octets with which a stream is opened.
        pub(crate) fn open(&mut self, stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| ((*name).into(), (*value).into()));
            frame::tests::opening(&mut self.deflater, stream, &Headers::from_iter(headers))
        }

        /// Reads until so many streams have ended.
        pub(crate) async fn until(
            &mut self,
            from: &mut (impl AsyncRead + Unpin),
            ends: usize,
        ) -> Heard {
            let (mut heard, mut octets) = (Heard::default(), BytesMut::new());
            let mut open = BTreeMap::<u32, String>::new();
            while heard.said.len() + heard.reset.len() < ends {
                match self.reading.decode(&mut octets).unwrap() {
                    Some(Frame::Data {
                        stream,
                        octets,
                        end,
                    }) => {
                        let said = open.entry(stream).or_default();
                        said.push_str(std::str::from_utf8(&octets).unwrap());
                        if end {
                            heard.said.extend(open.remove_entry(&stream));
                        }
                    }
                    Some(Frame::Reset(stream)) => heard.reset.push(stream),
                    Some(_) => {}
                    None => assert_ne!(from.read_buf(&mut octets).await.unwrap(), 0),
                }
            }
            heard
        }
    }
}

//! Names and values of a stream (SPDY draft 3 section 2.6.10): compressed, all of a connection's as one zlib stream.

use std::collections::BTreeMap;
use std::io;

use bytes::{Buf, BufMut, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What every such zlib stream begins with (section 2.6.10.1).
const DICTIONARY: &[u8] = include_bytes!("dictionary");

/// The most octets of one stream's headers: what clients send takes less than a hundred.
const MOST: usize = 16 << 10;

/// Values by names in small letters.
pub(in super::super) type Headers = BTreeMap<String, String>;

/// Reads the headers of a connection's streams, in the order in which these come.
pub(super) struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Inflater {
    pub(super) fn read(&mut self, mut block: &[u8]) -> io::Result<Headers> {
        let mut text = Vec::with_capacity(MOST);
        while !block.is_empty() {
            let before = (self.0.total_in(), text.len());
            match self
                .0
                .decompress_vec(block, &mut text, FlushDecompress::Sync)
            {
                Ok(Status::Ok | Status::BufError) => {}
                Ok(Status::StreamEnd) => return Err(bad("headers that end")),
                Err(error) if error.needs_dictionary().is_some() => {
                    let set = self.0.set_dictionary(DICTIONARY);
                    set.map_err(|_| bad("headers of another dictionary"))?;
                }
                Err(_) => return Err(bad("headers that are not compressed")),
            }
            let read = usize::try_from(self.0.total_in() - before.0).unwrap_or(block.len());
            if read == 0 && before.1 == text.len() {
                return Err(bad("headers that are too long"));
            }
            block = &block[read.min(block.len())..];
        }
        parse(text.into()).ok_or_else(|| bad("headers that are cut off"))
    }
}

/// Pairs of names and values, each with its length first.
fn parse(mut text: Bytes) -> Option<Headers> {
    let mut headers = Headers::new();
    for _ in 0..text.try_get_u32().ok()? {
        let mut word = || {
            let length = usize::try_from(text.try_get_u32().ok()?).ok()?;
            let octets = (length <= text.len()).then(|| text.split_to(length))?;
            String::from_utf8(octets.to_vec()).ok()
        };
        let (name, value) = (word()?, word()?);
        headers.insert(name.to_ascii_lowercase(), value);
    }
    Some(headers)
}

/// Writes headers; only a client has any, so a server's are empty.
pub(super) struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        let set = compress.set_dictionary(DICTIONARY);
        set.expect("a dictionary is set before anything is compressed");
        Self(compress)
    }
}

impl Deflater {
    pub(super) fn write(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        text.put_u32(length(headers.len()));
        for word in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.put_u32(length(word.len()));
            text.put(word.as_bytes());
        }
        // A block takes little more than its text; the zlib header and the marks of a flush need some.
        let mut block = Vec::with_capacity(text.len() + 64);
        let done = self
            .0
            .compress_vec(&text, &mut block, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        match done {
            Status::Ok => Ok(block),
            Status::BufError | Status::StreamEnd => Err(bad("headers that do not fit")),
        }
    }
}

/// What a client must not send.
pub(super) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("SPDY: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_through_one_after_another() {
        let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
        for kind in ["error", "stdout"] {
            let headers = Headers::from([("streamtype".to_owned(), kind.to_owned())]);
            let block = deflater.write(&headers).unwrap();
            assert_eq!(inflater.read(&block).unwrap(), headers);
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let read = |block: &[u8]| Inflater::default().read(block).unwrap_err().to_string();
        assert_eq!(read(b"hello"), "SPDY: headers that are not compressed");
        let long = Headers::from([("a".to_owned(), "x".repeat(MOST))]);
        let block = Deflater(Compress::new(Compression::best(), true)).write(&long);
        assert_eq!(read(&block.unwrap()), "SPDY: headers that are too long");
        let cut = |text: &[u8]| parse(Bytes::copy_from_slice(text));
        assert_eq!(cut(&[0, 0, 0, 1, 0, 0, 0, 9, b'a']), None);
        assert_eq!(cut(&[0, 0]), None);
    }
}

//! Text that is not UTF-8, mended as it passes: each sequence that is none becomes U+FFFD, as in Go's JSON.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

/// What a mended body is.
pub(super) type Mended<E> = http_body_util::combinators::UnsyncBoxBody<Bytes, E>;

/// The body with only UTF-8 in it.
pub(super) fn mend<B>(body: B) -> Mended<B::Error>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let frames =
        futures::stream::try_unfold((body, Mender::default()), |(mut body, mut mender)| async {
            let frame = body.frame().await.transpose()?;
            let data = match frame.map(Frame::into_data) {
                Some(Ok(data)) => mender.take(data),
                // Trailers say nothing to anybody here.
                Some(Err(_)) => Bytes::new(),
                None if mender.half.is_empty() => return Ok(None),
                None => mender.end(),
            };
            Ok(Some((Frame::data(data), (body, mender))))
        });
    StreamBody::new(frames).boxed_unsync()
}

/// A sequence may be cut between two frames.
#[derive(Default)]
struct Mender {
    half: Vec<u8>,
}

impl Mender {
    fn take(&mut self, data: Bytes) -> Bytes {
        if self.half.is_empty() && std::str::from_utf8(&data).is_ok() {
            return data;
        }
        let whole = [&std::mem::take(&mut self.half)[..], &data].concat();
        let mut text = String::with_capacity(whole.len());
        let mut chunks = whole.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let rest = chunk.invalid();
            let cut = std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
            if cut && chunks.peek().is_none() {
                self.half = rest.to_vec();
            } else if !rest.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text.into()
    }

    fn end(&mut self) -> Bytes {
        self.half.clear();
        char::REPLACEMENT_CHARACTER.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn mended(frames: &[&[u8]]) -> String {
        let frames: Vec<_> = frames
            .iter()
            .map(|data| {
                Ok::<_, std::convert::Infallible>(Frame::data(Bytes::copy_from_slice(data)))
            })
            .collect();
        let body = mend(StreamBody::new(futures::stream::iter(frames)));
        let whole = futures::executor::block_on(body.collect())
            .unwrap()
            .to_bytes();
        String::from_utf8(whole.into()).unwrap()
    }

    #[test]
    fn what_is_no_utf_8_is_replaced_and_nothing_else_is_wherever_frames_are_cut() {
        let text = "aé\u{10348}z".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(
                mended(&[&text[..cut], &text[cut..]]),
                "aé\u{10348}z",
                "{cut}"
            );
        }
        assert_eq!(mended(&[b"a\xff\xfeb", b"c"]), "a\u{fffd}\u{fffd}bc");
        assert_eq!(mended(&[b"a\xc3", b"b"]), "a\u{fffd}b");
        assert_eq!(mended(&[b"a\xf0\x90"]), "a\u{fffd}");
    }
}

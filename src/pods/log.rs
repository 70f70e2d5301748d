//! What a container has written: the last of it, line by line, and all of it as it comes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use headless_cluster::runtime::{Line, Stream};
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use super::locked;

/// What is kept of a run's output, in octets of memory: what is older goes, so that no program can fill it.
const KEPT: usize = 4 << 20;

/// Pieces of output that a reader may be behind before it loses some.
const BEHIND: usize = 1024;

/// The longest line: the rest is another, as containerd has it.
const LONGEST: usize = 16 << 10;

/// The output of one run of a container.
#[derive(Debug)]
pub(super) struct Log {
    kept: Mutex<Kept>,
    /// Rings when there is something new to read.
    changed: watch::Sender<()>,
    /// Output as it comes.
    live: broadcast::Sender<(Stream, Bytes)>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    octets: usize,
    /// Lines that are no longer kept.
    gone: u64,
    /// Lines without an end, of each stream.
    open: [Vec<u8>; 2],
    ended: bool,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            kept: Mutex::default(),
            changed: watch::Sender::new(()),
            live: broadcast::Sender::new(BEHIND),
        }
    }

    /// Takes what has been written.
    pub(super) fn take(&self, now: Timestamp, stream: Stream, octets: &[u8]) {
        // Mostly nobody is attached.
        let _alone = self.live.send((stream, Bytes::copy_from_slice(octets)));
        locked(&self.kept).take(now, stream, octets);
        self.changed.send_replace(());
    }

    /// Nothing more will be written.
    pub(super) fn end(&self, now: Timestamp) {
        let mut kept = locked(&self.kept);
        kept.ended = true;
        for stream in [Stream::Out, Stream::Err] {
            kept.close(now, stream);
        }
        drop(kept);
        self.changed.send_replace(());
    }

    /// The lines from number `from` on, the number of the next one, and whether there will be more.
    pub(super) fn read(&self, from: u64) -> (Vec<Line>, u64, bool) {
        let kept = locked(&self.kept);
        let skip = usize::try_from(from.saturating_sub(kept.gone)).unwrap_or(usize::MAX);
        let lines = kept.lines.iter().skip(skip).cloned().collect();
        (lines, kept.count(), !kept.ended)
    }

    /// The lines from number `from` on, as they come, until the last.
    pub(super) fn follow(self: Arc<Self>, from: u64) -> impl futures::Stream<Item = Line> + Send {
        let changed = self.changed.subscribe();
        let start = (self, changed, from, VecDeque::new());
        futures::stream::unfold(
            start,
            |(log, mut changed, mut from, mut lines)| async move {
                loop {
                    if let Some(line) = lines.pop_front() {
                        return Some((line, (log, changed, from, lines)));
                    }
                    changed.borrow_and_update();
                    let (new, next, more) = log.read(from);
                    (lines, from) = (new.into(), next);
                    if lines.is_empty() {
                        if !more {
                            return None;
                        }
                        // The sender is part of the log.
                        let _ended = changed.changed().await;
                    }
                }
            },
        )
    }

    /// Output from now on.
    pub(super) fn live(&self) -> broadcast::Receiver<(Stream, Bytes)> {
        self.live.subscribe()
    }
}

impl Kept {
    fn count(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }

    fn take(&mut self, now: Timestamp, stream: Stream, octets: &[u8]) {
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            self.open[stream as usize].extend(piece);
            if piece.ends_with(b"\n") || self.open[stream as usize].len() >= LONGEST {
                self.close(now, stream);
            }
        }
    }

    /// Makes a line of what has no end yet.
    fn close(&mut self, now: Timestamp, stream: Stream) {
        let text = std::mem::take(&mut self.open[stream as usize]);
        if text.is_empty() {
            return;
        }
        let line = Line {
            at: now,
            text: text.into(),
        };
        self.octets += size(&line);
        self.lines.push_back(line);
        while self.octets > KEPT
            && let Some(oldest) = self.lines.pop_front()
        {
            self.octets -= size(&oldest);
            self.gone += 1;
        }
    }
}

/// What a line takes: a short one is mostly what is around its text.
fn size(line: &Line) -> usize {
    size_of::<Line>() + line.text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &Log, from: u64) -> Vec<String> {
        let lines = log.read(from).0;
        let text = |line: Line| String::from_utf8(line.text.to_vec()).unwrap();
        lines.into_iter().map(text).collect()
    }

    #[test]
    fn pieces_become_lines_and_the_last_one_needs_no_end() {
        let (log, now) = (Log::new(), Timestamp::UNIX_EPOCH);
        log.take(now, Stream::Out, b"one\ntw");
        log.take(now, Stream::Err, b"oops\n");
        log.take(now, Stream::Out, b"o\nthree");
        assert_eq!(texts(&log, 0), ["one\n", "oops\n", "two\n"]);
        assert_eq!(log.read(2).1, 3);
        assert!(log.read(0).2);
        log.end(now);
        assert_eq!(texts(&log, 3), ["three"]);
        assert!(!log.read(0).2);
    }

    #[test]
    fn what_is_old_goes() {
        let (log, now) = (Log::new(), Timestamp::UNIX_EPOCH);
        let line = [vec![b'x'; LONGEST - 1], vec![b'\n']].concat();
        let fits = KEPT / (line.len() + size_of::<Line>());
        (0..fits + 2).for_each(|_| log.take(now, Stream::Out, &line));
        let (lines, next, _) = log.read(0);
        assert_eq!((lines.len(), next), (fits, fits as u64 + 2));
    }
}

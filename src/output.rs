//! Lines for a reader. A thread of their own writes them and may wait for the reader; no other thread does, but for the end of
//! a program that says something and is done.
//!
//! This is not done by `tracing-appender`: when that cannot end, it says so with `println!`, which waits for the reader
//! after all, and panics where there is none.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets that may wait to be written where the program has more to do than to be read; lines beyond that are lost, and
/// counted. Some thousand lines.
const MOST: usize = 1 << 20;

/// How long such a program waits at its end for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    /// What is said is all that the program is for: nothing is lost, and its end waits for the reader.
    is_whole: bool,
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// All is written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    octets: usize,
    /// Lines that were not written, and not told of yet.
    lost: u64,
    /// Why the last of these were not.
    failure: Option<io::Error>,
    writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines for a person, of a program that goes on.
pub(crate) fn stdout() -> Lines {
    Lines::to(io::stdout(), false, told)
}

/// Those of a program that says something and ends.
pub(crate) fn whole_stdout() -> Lines {
    Lines::to(io::stdout(), true, told)
}

fn told(lost: u64) -> String {
    format!("({lost} lines were lost here)\n")
}

/// The log; `json`: its lines are JSON.
pub(crate) fn stderr(json: bool) -> Lines {
    let notice = if json {
        |lost| {
            format!(
                "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"log lines were lost\",\"lost\":{lost}}}}}\n"
            )
        }
    } else {
        |lost| format!("WARN {lost} log lines were lost here\n")
    };
    Lines::to(io::stderr(), false, notice)
}

impl Lines {
    /// Starts to write to `out`; `is_whole`: all of it, however long the reader takes; `notice`: the line that tells how many
    /// were lost, once there is room again.
    pub(crate) fn to(
        out: impl Write + Send + 'static,
        is_whole: bool,
        notice: fn(u64) -> String,
    ) -> Self {
        let shared = Arc::new(Shared {
            is_whole,
            state: Mutex::default(),
            filled: Condvar::new(),
            idle: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || write(&writer, out, notice));
        Self(shared)
    }

    /// Adds a line, with its line feed, unless too much waits.
    pub(crate) fn push(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        // A line that is longer than all that may wait has to wait for nothing.
        if !self.0.is_whole && state.octets > 0 && state.octets + line.len() > MOST {
            state.lost += 1;
            return;
        }
        state.octets += line.len();
        state.waiting.push_back(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until all is written; not for ever, where the program has done more than to say it.
    ///
    /// # Errors
    /// Why a line was not written that shall not be lost.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let state = self.0.lock();
        if !self.0.is_whole {
            let waited = self.0.idle.wait_timeout_while(state, LAST_WORDS, busy);
            drop(waited);
            return Ok(());
        }
        let state = self.0.idle.wait_while(state, busy);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.failure.take().map_or(Ok(()), Err)
    }
}

/// One event of the log is one write.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(shared: &Shared, mut out: impl Write, notice: fn(u64) -> String) {
    loop {
        let mut state = shared.lock();
        state.writing = false;
        if state.waiting.is_empty() {
            shared.idle.notify_all();
        }
        let mut state = shared
            .filled
            .wait_while(state, |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        state.octets = 0;
        let lines = std::mem::take(&mut state.waiting);
        let mut lost = std::mem::take(&mut state.lost);
        drop(state);
        let mut failure = None;
        for line in lines {
            if lost > 0 && out.write_all(notice(lost).as_bytes()).is_ok() {
                lost = 0;
            }
            if let Err(error) = out.write_all(&line) {
                (lost, failure) = (lost + 1, Some(error));
            }
        }
        if let Err(error) = out.flush() {
            (lost, failure) = (lost + 1, Some(error));
        }
        let mut state = shared.lock();
        state.lost += lost;
        state.failure = failure.or_else(|| state.failure.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A reader who shows each line that is to be written, and takes or refuses it when told to.
    struct Reader {
        shown: Sender<String>,
        takes: Receiver<bool>,
    }

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(&line[..line.len().min(8)]);
            self.shown
                .send(text.into_owned())
                .map_err(io::Error::other)?;
            match self.takes.recv() {
                Ok(true) => Ok(line.len()),
                Ok(false) | Err(_) => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Test {
        lines: Lines,
        shown: Receiver<String>,
        take: Sender<bool>,
    }

    impl Test {
        fn new(is_whole: bool) -> Self {
            let (show, shown) = channel();
            let (take, takes) = channel();
            let reader = Reader { shown: show, takes };
            let lines = Lines::to(reader, is_whole, |lost| format!("{lost} lost"));
            Self { lines, shown, take }
        }

        fn push(&self, line: &str) {
            self.lines.push(line.as_bytes().to_vec());
        }

        /// The line that is being written; the reader takes or refuses it.
        fn next(&self, take: bool) -> String {
            let line = self.shown.recv().unwrap();
            self.take.send(take).unwrap();
            line
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_meanwhile_is_told() {
        let test = Test::new(false);
        test.push("a");
        assert_eq!(test.shown.recv().unwrap(), "a");
        // While nobody takes it, `MOST` octets may wait, no more.
        test.push(&"b".repeat(MOST));
        test.push("c");
        test.push("d");
        test.take.send(true).unwrap();
        assert_eq!([test.next(true), test.next(true)], ["2 lost", "bbbbbbbb"]);
        test.push("e");
        assert_eq!(test.next(true), "e");
        test.lines.finish().unwrap();
    }

    #[test]
    fn a_line_that_cannot_be_written_is_told_of_and_the_next_is_tried() {
        let test = Test::new(false);
        test.push("a");
        assert_eq!(test.next(false), "a");
        test.lines.finish().unwrap();
        test.push("b");
        assert_eq!([test.next(false), test.next(false)], ["1 lost", "b"]);
        test.lines.finish().unwrap();
        test.push("c");
        assert_eq!([test.next(true), test.next(true)], ["2 lost", "c"]);
    }

    #[test]
    fn where_nothing_may_be_lost_all_waits_for_the_reader_and_what_is_not_written_is_an_error() {
        let test = Test::new(true);
        test.push("a");
        assert_eq!(test.shown.recv().unwrap(), "a");
        test.push(&"b".repeat(MOST));
        test.push("c");
        test.take.send(true).unwrap();
        assert_eq!([test.next(true), test.next(true)], ["bbbbbbbb", "c"]);
        test.lines.finish().unwrap();
        test.push("d");
        assert_eq!(test.next(false), "d");
        let kind = test.lines.finish().unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
    }
}

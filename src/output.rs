//! Lines for a reader. A thread of their own writes them and may wait for the reader; no other thread ever does.
//!
//! This is not done by `tracing-appender`: when that cannot end, it says so with `println!`, which waits for the reader
//! after all, and panics where there is none.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets that may wait to be written; lines beyond that are lost, and counted. Some thousand lines.
const MOST: usize = 1 << 20;

/// How long the program waits at its end for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
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
    writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines for a person.
pub(crate) fn stdout() -> Lines {
    Lines::to(io::stdout(), |lost| {
        format!("({lost} lines were lost here)\n")
    })
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
    Lines::to(io::stderr(), notice)
}

impl Lines {
    /// Starts to write to `out`; `notice`: the line that tells how many were lost, once there is room again.
    pub(crate) fn to(out: impl Write + Send + 'static, notice: fn(u64) -> String) -> Self {
        let shared = Arc::new(Shared {
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
        if state.octets > 0 && state.octets + line.len() > MOST {
            state.lost += 1;
            return;
        }
        state.octets += line.len();
        state.waiting.push_back(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until all is written, but not for ever.
    pub(crate) fn finish(&self) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let state = self.0.lock();
        let waited = self.0.idle.wait_timeout_while(state, LAST_WORDS, busy);
        drop(waited);
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
        for line in lines {
            if lost > 0 && out.write_all(notice(lost).as_bytes()).is_ok() {
                lost = 0;
            }
            lost += u64::from(out.write_all(&line).is_err());
        }
        lost += u64::from(out.flush().is_err());
        shared.lock().lost += lost;
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
        fn new() -> Self {
            let (show, shown) = channel();
            let (take, takes) = channel();
            let lines = Lines::to(Reader { shown: show, takes }, |lost| format!("{lost} lost"));
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
        let test = Test::new();
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
        test.lines.finish();
    }

    #[test]
    fn a_line_that_cannot_be_written_is_told_of_and_the_next_is_tried() {
        let test = Test::new();
        test.push("a");
        assert_eq!(test.next(false), "a");
        test.lines.finish();
        test.push("b");
        assert_eq!([test.next(false), test.next(false)], ["1 lost", "b"]);
        test.lines.finish();
        test.push("c");
        assert_eq!([test.next(true), test.next(true)], ["2 lost", "c"]);
    }
}

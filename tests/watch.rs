//! `watch` under a terminal of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use support::sandbox::sandbox;
use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_headless-dns");

/// How long something may take to be shown.
const PATIENCE: Duration = Duration::from_secs(30);

/// What leaves the screen that a program draws on, as xterm has it.
const LEAVE: &str = "\u{1b}[?1049l";

/// A terminal with the program in it.
struct Terminal {
    child: Child,
    keys: File,
    /// The program's side, which keeps the terminal open, and how it was before.
    own: OwnedFd,
    before: Termios,
    /// What comes from the program.
    written: Receiver<Vec<u8>>,
    all: Vec<u8>,
}

impl Terminal {
    fn start(admin: SocketAddr, (columns, rows): (u16, u16), variables: &[(&str, &str)]) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let before = tcgetattr(&pty.slave).unwrap();
        let child = Command::new("setsid")
            .args(["--ctty", PROGRAM, "watch", "--server", &admin.to_string()])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let (tell, written) = channel();
        let keys = File::from(pty.master);
        let mut reader = keys.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(size @ 1..) = reader.read(&mut octets) {
                if tell.send(octets[..size].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            own: pty.slave,
            before,
            written,
            all: Vec::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen of this size has all of these.
    fn shows(&mut self, size: (u16, u16), wanted: &[&str]) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = shown(&String::from_utf8_lossy(&self.all), size);
            if wanted.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            let more = self
                .written
                .recv_timeout(until.saturating_duration_since(Instant::now()));
            let more = more.unwrap_or_else(|_| panic!("no {wanted:?} comes:\n{screen}"));
            self.all.extend(more);
        }
    }

    /// Waits for the end, which leaves the terminal as it was.
    fn ends(mut self) -> String {
        assert!(self.child.wait().unwrap().success());
        assert_eq!(tcgetattr(&self.own).unwrap(), self.before);
        while !String::from_utf8_lossy(&self.all).contains(LEAVE) {
            self.all
                .extend(self.written.recv_timeout(PATIENCE).unwrap());
        }
        String::from_utf8(self.all).unwrap()
    }
}

/// What a terminal shows that was told this: places and letters count, colours do not.
fn shown(written: &str, (columns, rows): (u16, u16)) -> String {
    let mut cells = vec![vec![' '; columns.into()]; rows.into()];
    let (mut x, mut y) = (0, 0);
    let mut rest = written.chars();
    while let Some(letter) = rest.next() {
        if letter != '\u{1b}' {
            if let Some(cell) = cells
                .get_mut(y)
                .and_then(|row: &mut Vec<char>| row.get_mut(x))
            {
                *cell = letter;
            }
            x += 1;
            continue;
        }
        // CSI, its parameters, and what is done (ECMA-48 section 5.4).
        rest.next();
        let mut parameters = String::new();
        let done = loop {
            match rest.next() {
                Some(letter @ ('@'..='~')) => break letter,
                Some(letter) => parameters.push(letter),
                None => return cells_of(&cells),
            }
        };
        if done == 'H' {
            let (row, column) = parameters.split_once(';').unwrap_or(("1", "1"));
            (y, x) = (
                row.parse::<usize>().unwrap() - 1,
                column.parse::<usize>().unwrap() - 1,
            );
        } else if done == 'J' {
            cells.iter_mut().flatten().for_each(|cell| *cell = ' ');
        }
    }
    cells_of(&cells)
}

fn cells_of(cells: &[Vec<char>]) -> String {
    let line = |row: &Vec<char>| format!("{}\n", row.iter().collect::<String>().trim_end());
    cells.iter().map(line).collect()
}

const SMALL: (u16, u16) = (80, 24);

#[tokio::test(flavor = "multi_thread")]
async fn names_are_unfolded_changes_come_and_a_name_is_explained_by_keyboard() {
    let (sandbox, admin) = sandbox().await;
    let mut terminal = Terminal::start(admin, SMALL, &[]);
    terminal.shows(
        SMALL,
        &["live: 2 Services", "redis.default", "3 of 3 ready"],
    );
    terminal.press("\u{1b}[B\r");
    let name = "redis-2.redis.default.svc.cluster.local";
    terminal.shows(SMALL, &[name, "10.244.0.4"]);
    let late = "apiVersion: v1\nkind: Service\nmetadata: {name: late}\nspec: {clusterIP: 10.96.0.77, ports: [{port: 80}]}\n";
    sandbox.cluster().apply("late", late).unwrap();
    terminal.shows(
        SMALL,
        &[
            "late.default.svc +10.96.0.77",
            "▸ late.default",
            "live: 3 Services",
        ],
    );
    terminal.press("aredis-7.redis\r");
    terminal.shows(
        SMALL,
        &["NXDOMAIN: the StatefulSet redis has 3 Pods", "mend: "],
    );
    terminal.press("\u{1b}[6~");
    terminal.shows(SMALL, &["this server answers NXDOMAIN"]);
    // Beyond the end there is nothing to come back from.
    terminal.press("\u{1b}[F\u{1b}[F");
    terminal.press(&"\u{1b}[A".repeat(8));
    terminal.shows(SMALL, &["mend: "]);
    terminal.press("\u{1b}[Z\u{1b}[Z\u{3}");
    let written = terminal.ends();
    assert!(written.contains("\u{1b}[38;5;"), "{written}");
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_is_said_and_a_signal_leaves_the_terminal_as_it_was() {
    let (sandbox, admin) = sandbox().await;
    let mut terminal = Terminal::start(admin, SMALL, &[("NO_COLOR", "1")]);
    terminal.shows(SMALL, &["redis.default"]);
    sandbox.stop().await.unwrap();
    terminal.shows(SMALL, &["no connection (", "redis.default"]);
    let child = Pid::from_raw(terminal.child.id().cast_signed());
    kill(child, Signal::SIGTERM).unwrap();
    let written = terminal.ends();
    assert!(!written.contains("\u{1b}[38;5;"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_grows_has_all_panes() {
    let (sandbox, admin) = sandbox().await;
    let mut terminal = Terminal::start(admin, SMALL, &[]);
    let screen = terminal.shows(SMALL, &["redis.default", "What has changed"]);
    assert!(!screen.contains("Who asks what"), "{screen}");
    let large = (200, 60);
    let resized = Command::new("stty")
        .args(["rows", "60", "cols", "200"])
        .stdin(terminal.own.try_clone().unwrap())
        .status();
    assert!(resized.unwrap().success());
    terminal.shows(
        large,
        &["What has changed", "Who asks what", "Why a name answers"],
    );
    terminal.press("q");
    terminal.ends();
    sandbox.stop().await.unwrap();
}

#[test]
fn without_a_terminal_it_says_so() {
    let output = Command::new(PROGRAM)
        .args(["watch"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = "standard output is no terminal, which `watch` draws on: `top`, `history` and `why --server` say the same in lines\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
}

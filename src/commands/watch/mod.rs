//! `watch`: what a server knows of names, live in a terminal; asked for as the page asks.

mod draw;
mod names;
mod screen;

use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::time::Duration;

use anyhow::{Context, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::asked::Admin;
use crate::process::whole;
use crate::signals::{Program, stop_signal};
use draw::{Looks, draw};
use screen::{Screen, Told, Wish};

/// How often the Services are read again at most, however much changes.
const PACE: Duration = Duration::from_millis(500);

/// So many times that pass between two looks at who asks what.
const TOP: u32 = 10;

/// Until a server that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is heard and typed, and not looked at yet.
const WAITING: usize = 64;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys are told in the last line. Colours are left out where NO_COLOR is set."
)]
pub(crate) struct Watch {
    #[command(flatten)]
    admin: Admin,
    /// Anything: without colours (https://no-color.org).
    #[arg(long, env = "NO_COLOR", hide = true, default_value = "")]
    no_color: String,
    /// What the terminal is (terminfo(5)).
    #[arg(long, env = "TERM", hide = true, default_value = "")]
    term: String,
}

impl Watch {
    /// Shows it until the reader is done, or the program is told to stop.
    ///
    /// # Errors
    /// There is no terminal, or it goes away.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        check_terminal(&self.term)?;
        let stop = stop_signal(Program::Sandbox)?;
        let looks = Looks::new(self.no_color.is_empty());
        let mut shown = Shown::start().context("cannot use the terminal")?;
        self.show(&mut shown.0, looks, &stop).await
    }

    async fn show(
        self,
        terminal: &mut DefaultTerminal,
        looks: Looks,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut screen = Screen::of(self.admin.server.to_string());
        let (tell, mut told) = channel(WAITING);
        let mut typed = typed();
        tokio::spawn(listen(self.admin.clone(), tell.clone()));
        let (mut pace, mut passed) = (interval(PACE), 0);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !screen.is_over {
            let mut most = 0;
            terminal.draw(|frame| most = draw(&screen, looks, frame))?;
            screen.scroll = screen.scroll.min(most);
            let wishes = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                event = typed.recv() => match event.context("the terminal is gone")?? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => screen.key(key),
                    // The next drawing is of the new size.
                    Event::Key(_)
                    | Event::Resize(..)
                    | Event::FocusGained
                    | Event::FocusLost
                    | Event::Mouse(_)
                    | Event::Paste(_) => Vec::new(),
                },
                Some(told) = told.recv() => {
                    screen.hear(told);
                    Vec::new()
                }
                _ = pace.tick() => {
                    let top = (passed % TOP == 0).then_some(Wish::Top(screen.by));
                    passed += 1;
                    screen.refresh().into_iter().chain(top).collect()
                }
            };
            for wish in wishes {
                tokio::spawn(ask(self.admin.clone(), wish, tell.clone()));
            }
        }
        Ok(())
    }
}

/// Refuses where nobody would see it, or could say anything.
fn check_terminal(kind: &str) -> anyhow::Result<()> {
    let lines = "`top`, `history` and `why --server` say the same in lines";
    if !io::stdout().is_terminal() {
        bail!("standard output is no terminal, which `watch` draws on: {lines}");
    }
    if !io::stdin().is_terminal() {
        bail!("standard input is no terminal, where `watch` reads keys: {lines}");
    }
    if kind.is_empty() || kind == "dumb" {
        bail!("this terminal cannot be drawn on (TERM is '{kind}'): {lines}");
    }
    Ok(())
}

/// A terminal that is drawn on; it is as it was where this is dropped, and where anything panics.
struct Shown(ManuallyDrop<DefaultTerminal>);

impl Shown {
    fn start() -> io::Result<Self> {
        let started = ratatui::try_init().map(|terminal| Self(ManuallyDrop::new(terminal)));
        started.inspect_err(|_| {
            // It may have been changed half.
            let _gone = ratatui::try_restore();
        })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing; ratatui's own end would say so where nobody may be, and panic.
        let _gone = self.0.show_cursor();
        let _gone = ratatui::try_restore();
    }
}

/// What is typed, and how the size changes: read by a thread of its own, which ends with the program.
fn typed() -> Receiver<io::Result<Event>> {
    let (tell, typed) = channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_gone = event.is_err();
            if tell.blocking_send(event).is_err() || is_gone {
                return;
            }
        }
    });
    typed
}

async fn ask(admin: Admin, wish: Wish, tell: Sender<Told>) {
    let (path, pairs) = wish.request();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (*key, &**value)).collect();
    let answer = admin.ask(path, &pairs).await;
    let answer = answer.map_err(|error| whole(error.as_ref()));
    // The reader may be done.
    let _done = tell.send(Told::Answer(wish, answer)).await;
}

/// Tells what changes until nobody listens; a server that goes is asked again.
async fn listen(admin: Admin, tell: Sender<Told>) {
    while !tell.is_closed() {
        let why = match admin.follow("/changes", (&tell, Told::Changes)).await {
            Ok(()) => "the server has ended".to_owned(),
            Err(error) => whole(error.as_ref()),
        };
        if tell.send(Told::Lost(why)).await.is_err() {
            return;
        }
        sleep(AGAIN).await;
    }
}

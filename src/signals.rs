//! Signals: which end a program, and what becomes of the others, none of which may end it unasked.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Who is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// One that runs until it is told to stop: a terminal that goes away is no reason to, as in CoreDNS.
    Server,
    /// One that belongs to a terminal, and tidies up when that goes.
    Sandbox,
}

/// Cancelled by the signals that end the program: SIGINT, SIGTERM and SIGQUIT, for a sandbox SIGHUP too.
///
/// # Errors
/// A signal that cannot be handled.
pub(crate) fn stop_signal(program: Program) -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut reload = signal(SignalKind::user_defined1())?;
    let mut other = signal(SignalKind::user_defined2())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = quit.recv() => break,
                _ = hangup.recv() => match program {
                    Program::Sandbox => break,
                    Program::Server => info!("SIGHUP is ignored"),
                },
                _ = reload.recv() => warn!("SIGUSR1: the Corefile is not read again; start anew to have a changed one"),
                _ = other.recv() => info!("SIGUSR2 is ignored"),
            }
        }
        stop.cancel();
    });
    Ok(token)
}

//! Signals: which end a program, and what becomes of the others, none of which may end it unasked.

use std::io;
use std::sync::Arc;

use nix::sys::signal::Signal;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::process::own_status;

/// Who is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// One that runs until it is told to stop: a terminal that goes away is no reason to, as in CoreDNS.
    Server,
    /// One that belongs to a terminal, and tidies up when that goes.
    Sandbox,
}

/// Cancelled by the signals that end the program: SIGINT, SIGTERM and SIGQUIT, for a sandbox SIGHUP too unless it was
/// started to ignore that (nohup(1)).
///
/// # Errors
/// A signal that cannot be handled.
pub(crate) fn stop_signal(program: Program) -> io::Result<CancellationToken> {
    signals(program).map(|signals| signals.stop)
}

/// What signals ask for.
pub(crate) struct Signals {
    /// Cancelled by those that end the program.
    pub(crate) stop: CancellationToken,
    /// Notified by SIGUSR1: the configuration is to be read again.
    pub(crate) reload: Arc<Notify>,
}

/// What signals ask for; see [`stop_signal`].
///
/// # Errors
/// A signal that cannot be handled.
pub(crate) fn signals(program: Program) -> io::Result<Signals> {
    let ends_at_hangup = program == Program::Sandbox && !is_ignored(Signal::SIGHUP);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut reload = signal(SignalKind::user_defined1())?;
    let mut other = signal(SignalKind::user_defined2())?;
    // A log file that has reached the limit of its size costs lines, not the program.
    let mut full = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))?;
    let token = CancellationToken::new();
    let asked = Arc::new(Notify::new());
    let (stop, notify) = (token.clone(), Arc::clone(&asked));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = quit.recv() => break,
                _ = hangup.recv() => if ends_at_hangup {
                    break
                } else {
                    info!("SIGHUP is ignored")
                },
                _ = full.recv() => {}
                _ = reload.recv() => notify.notify_one(),
                _ = other.recv() => info!("SIGUSR2 is ignored"),
            }
        }
        stop.cancel();
    });
    Ok(Signals {
        stop: token,
        reload: asked,
    })
}

/// Whether the signal was ignored when the program began: read before it is handled.
fn is_ignored(signal: Signal) -> bool {
    let ignored = own_status("SigIgn:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    ignored.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

/// The outcome of `work`, which may block as long as it likes; `None` where the program is to stop before it is there.
///
/// # Errors
/// It panics.
pub(crate) async fn unless_stopped<T: Send + 'static, W: Future<Output = T>>(
    stop: &CancellationToken,
    work: impl FnOnce() -> W + Send + 'static,
) -> io::Result<Option<T>> {
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || runtime.block_on(work()));
    tokio::select! {
        outcome = work => Ok(Some(outcome?)),
        () = stop.cancelled() => Ok(None),
    }
}

//! What every command needs of its process: a log, a last word where something goes wrong, and how much memory is held.

use std::error::Error;
use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::output::Lines;

/// Writes the log to `lines`. `filter`: what is logged, as `RUST_LOG` would say it.
///
/// # Errors
/// A filter that is none.
pub(crate) fn log(lines: &Lines, filter: &str, json: bool) -> anyhow::Result<()> {
    let read = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(read)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || writer.clone());
    if json {
        subscriber.json().init()
    } else {
        subscriber.init()
    }
    log_panics();
    Ok(())
}

/// Logs panics like other events: writing them to standard error could wait for its reader.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "panicked: {message}");
    }));
}

/// The error and what caused it, each said once.
pub(crate) fn whole(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// What this process holds in memory, in KiB, where the system says so.
pub(crate) fn resident_memory() -> Option<u64> {
    own_status("VmRSS:")?.trim_end_matches(" kB").parse().ok()
}

/// What the system says of this process in the line that begins with `field` (proc_pid_status(5)).
pub(crate) fn own_status(field: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

//! What every command needs of its process: a log, a last word where something goes wrong, and how much memory is held.

use std::error::Error;
use std::io::IsTerminal;

use anyhow::Context;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::Lines;

/// The target of lines that `log` and `errors` write: they are CoreDNS's, for people's parsers.
const DNS: &str = "dns";

/// The target of a line that is the last one.
const FATAL: &str = "dns_fatal";

/// Writes the log to `err`, and the lines of `log` and `errors` to `out`. `filter`: what is logged, as `RUST_LOG` would
/// say it; `json`: all of it as JSON, to `err`.
///
/// # Errors
/// A filter that is none.
pub(crate) fn log(out: &Lines, err: &Lines, filter: &str, json: bool) -> anyhow::Result<()> {
    let read = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let (out, err) = (out.clone(), err.clone());
    let registry = tracing_subscriber::registry().with(read);
    if json {
        let all = fmt::layer().json().with_writer(move || err.clone());
        registry.with(all).init();
    } else {
        let is_dns = |metadata: &Metadata<'_>| metadata.target().starts_with(DNS);
        let own = fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(move || err.clone())
            .with_filter(filter_fn(move |metadata| !is_dns(metadata)));
        let dns = fmt::layer()
            .event_format(CorednsLine)
            .with_writer(move || out.clone())
            .with_filter(filter_fn(is_dns));
        registry.with(own).with(dns).init();
    }
    log_panics();
    Ok(())
}

/// `[LEVEL] message`, as CoreDNS has it.
struct CorednsLine;

impl<S, N> FormatEvent<S, N> for CorednsLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR if event.metadata().target() == FATAL => "FATAL",
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        write!(writer, "[{level}] ")?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
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

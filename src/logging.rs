//! The log: what the program says of itself, and the lines of the plugins `log` and `errors`, which are CoreDNS's.

use std::fmt::{self, Write};
use std::io::IsTerminal;

use anyhow::Context;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::Lines;

/// The target of the plugins' lines: people's parsers know them.
const DNS: &str = "dns";

/// The target of a line that is the last one.
const FATAL: &str = "dns_fatal";

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text; the plugins' lines to standard output.
    Text,
    /// All as JSON to standard error.
    Json,
    /// All as JSON; the plugins' lines to standard output, in the form of CoreDNS's `-log-format=json`.
    CorednsJson,
}

/// Writes the log to `err`, and the plugins' lines to `out`. `filter`: what is logged, as `RUST_LOG` would say it.
///
/// # Errors
/// A filter that is none.
pub(crate) fn start(out: &Lines, err: &Lines, filter: &str, form: Form) -> anyhow::Result<()> {
    let read = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let (out, err) = (out.clone(), err.clone());
    let is_dns = |metadata: &Metadata<'_>| metadata.target().starts_with(DNS);
    let of_plugins = filter_fn(move |metadata| form != Form::Json && is_dns(metadata));
    let own = filter_fn(move |metadata| form == Form::Json || !is_dns(metadata));
    let lines = layer()
        .event_format(Line { form })
        .with_writer(move || out.clone())
        .with_filter(of_plugins);
    let registry = tracing_subscriber::registry().with(read).with(lines);
    let layer = layer().with_ansi(form == Form::Text && std::io::stderr().is_terminal());
    if form == Form::Text {
        let text = layer.with_writer(move || err.clone());
        registry.with(text.with_filter(own)).init();
    } else {
        let json = layer.json().with_writer(move || err.clone());
        registry.with(json.with_filter(own)).init();
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

/// A plugin's line, as CoreDNS has it.
struct Line {
    form: Form,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        if self.form == Form::CorednsJson {
            let mut time = String::new();
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            return said.write_json(&mut writer, event.metadata(), &time);
        }
        let level = match *event.metadata().level() {
            Level::ERROR if event.metadata().target() == FATAL => "FATAL",
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        writeln!(writer, "[{level}] {}", said.message)
    }
}

/// An event's message, and its other fields as members of a JSON object, each with a comma before it.
#[derive(Default)]
struct Said {
    message: String,
    members: String,
}

impl Said {
    /// The form of Go's `slog`. A line that begins with its plugin's name has that in a member of its own.
    fn write_json(&self, out: &mut impl Write, metadata: &Metadata<'_>, time: &str) -> fmt::Result {
        let level = match *metadata.level() {
            Level::ERROR if metadata.target() == FATAL => "FATAL",
            Level::TRACE => "DEBUG",
            ref other => other.as_str(),
        };
        let named = self.message.strip_prefix("plugin/");
        let (plugin, message) = match named.and_then(|rest| rest.split_once(": ")) {
            Some((plugin, message)) => (format!(r#","plugin":{}"#, json(plugin)), message),
            None => (String::new(), &self.message[..]),
        };
        let message = json(message);
        let members = &self.members;
        writeln!(
            out,
            r#"{{"time":"{time}","level":"{level}","msg":{message}{plugin}{members}}}"#
        )
    }

    fn member(&mut self, field: &Field, value: impl fmt::Display) {
        // A text takes whatever is written to it.
        let _ = write!(self.members, ",{}:{value}", json(field.name()));
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.member(field, json(&format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.member(field, json(value));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, value);
    }
}

/// A text as JSON has it.
fn json(text: &str) -> serde_json::Value {
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What the plugins' lines are in this form, without times.
    fn lines(form: Form) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let line = layer()
            .event_format(Line { form })
            .with_writer(move || writer.clone());
        let registry = tracing_subscriber::registry().with(line);
        tracing::subscriber::with_default(registry, || {
            tracing::info!(target: "dns", plugin = "log", client_ip = %"::1", id = 7, dnssec_ok = false, "a \"b\"");
            tracing::error!(target: "dns", "plugin/errors: 2 a. A: no");
            tracing::error!(target: "dns_fatal", "plugin/loop: Loop");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let untimed = |line: &str| match line.split_once(r#","level""#) {
            Some((time, rest)) => {
                assert!(time.starts_with(r#"{"time":"2"#), "{time}");
                format!(r#"{{"level"{rest}"#)
            }
            None => line.to_owned(),
        };
        text.lines().map(untimed).collect()
    }

    #[test]
    fn a_plugin_s_line_is_coredns_s_in_each_form() {
        assert_eq!(
            lines(Form::Text),
            [
                r#"[INFO] a "b""#,
                "[ERROR] plugin/errors: 2 a. A: no",
                "[FATAL] plugin/loop: Loop"
            ]
        );
        assert_eq!(
            lines(Form::CorednsJson),
            [
                r#"{"level":"INFO","msg":"a \"b\"","plugin":"log","client_ip":"::1","id":7,"dnssec_ok":false}"#,
                r#"{"level":"ERROR","msg":"2 a. A: no","plugin":"errors"}"#,
                r#"{"level":"FATAL","msg":"Loop","plugin":"loop"}"#
            ]
        );
    }
}

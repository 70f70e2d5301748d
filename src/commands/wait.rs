//! `wait`: until names answer as they shall.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::{duration, print, server_address};
use crate::goal::{Goal, Verdict};
use crate::name::absolute;
use crate::output::Lines;
use crate::process::whole;
use crate::serve::asking::{Asker, Waiting, Wanted, search_list};
use crate::serve::files::Files;
use crate::signals::{Program, stop_signal};

/// No server has answered when the time was up, or there is none to ask.
const NOBODY: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every name has answered so; 1 the time was up, or it was told to end; 2 the command line \
    is wrong; 3 no server has answered, or there is none to ask."
)]
pub(crate) struct Wait {
    /// Names as a program in this place would look them up: without a final dot the search list of /etc/resolv.conf counts.
    #[arg(required = true, value_parser = name)]
    name: Vec<String>,
    /// What they shall answer: `address` (any), `gone` (none), `count=N` (so many addresses of one family, or more),
    /// `address=IP` (this one, among others or alone), `srv` (an SRV record).
    #[arg(long = "for", value_name = "WHAT", default_value = "address")]
    goal: Goal,
    /// How long it waits; `0s` looks once.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// The DNS server to ask; without it those of /etc/resolv.conf, in their order.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = server_address)]
    server: Option<SocketAddr>,
}

/// A name that can be asked for.
fn name(text: &str) -> Result<String, String> {
    let name = absolute(text).map_err(|error| error.to_string());
    name.map(|_| text.to_owned())
}

impl Wait {
    /// Waits, and says on `out` what each name comes to whenever that is something else; on `err` what was missing when the
    /// time was up.
    ///
    /// # Errors
    /// A signal that cannot be handled.
    pub(crate) async fn run(self, out: &Lines, err: &Lines) -> anyhow::Result<ExitCode> {
        let stop = stop_signal(Program::Sandbox)?;
        let search = search_list(&Files);
        let wanted = self.name.iter().map(|name| Wanted::new(name, &search));
        let wanted = wanted.collect::<anyhow::Result<Vec<_>>>()?;
        let asker = match Asker::new(self.server, &Files).await {
            Ok(asker) => asker,
            Err(error) => {
                print(err, [whole(error.as_ref())]);
                return Ok(NOBODY.into());
            }
        };
        let mut waiting = Waiting::new(asker, self.goal, wanted);
        let tell = |wanted: &Wanted, verdict: &Verdict| {
            print(out, [format!("{}  {}", wanted.text, verdict.words())]);
        };
        if self.timeout.is_zero() {
            waiting.look(tell).await;
        } else {
            tokio::select! {
                () = waiting.finish(tell) => {}
                () = tokio::time::sleep(self.timeout) => {}
                () = stop.cancelled() => {}
            }
        }
        let missing = waiting.missing();
        let missing: Vec<_> = missing
            .map(|(name, verdict)| format!("missing: {}: {}", name.text, verdict.words()))
            .collect();
        print(err, &missing);
        Ok(match (missing.is_empty(), waiting.is_silent()) {
            (true, _) => ExitCode::SUCCESS,
            (false, false) => ExitCode::FAILURE,
            (false, true) => NOBODY.into(),
        })
    }
}

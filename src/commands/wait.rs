//! `wait`: until names answer as they shall.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;

use super::asked::{Admin, Refused};
use super::{admin_address, duration, print, server_address};
use crate::goal::{Goal, Verdict};
use crate::name::absolute;
use crate::output::Lines;
use crate::process::whole;
use crate::serve::asking::{Asker, Look, Waiting, Wanted, search_list};
use crate::serve::files::Files;
use crate::signals::{Program, stop_signal};

/// No server has answered when the time was up, there is none to ask, or it refuses.
const NOBODY: u8 = 3;

/// How long one look may take: longer than a question, so that it is said why there is no reply.
const ONE_LOOK: Duration = Duration::from_secs(6);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every name has answered so; 1 the time was up, or it was told to end; 2 the command line \
    is wrong; 3 no server has answered, there is none to ask, or it refuses to say."
)]
pub(crate) struct Wait {
    /// Names as a program in this place would look them up: without a final dot the search list of /etc/resolv.conf counts.
    #[arg(required = true, value_parser = name)]
    name: Vec<String>,
    /// What they shall answer: `address` (any), `gone` (none), `count=N` (so many addresses of one family, or more),
    /// `address=IP` (this one, among others or alone), `srv` (an SRV record).
    #[arg(long = "for", value_name = "WHAT", default_value = "address", value_parser = goal)]
    goal: String,
    /// How long it waits; `0s` looks once, for 6 s at most.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// The DNS server to ask; without it those of /etc/resolv.conf, in their order.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = server_address)]
    server: Option<SocketAddr>,
    /// The `admin` of a server of ours, which says when a name answers so; names are complete then.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "server", value_parser = admin_address)]
    admin: Option<SocketAddr>,
    /// A file that holds the token, where that server wants one.
    #[arg(long, value_name = "FILE", requires = "admin")]
    token: Option<PathBuf>,
}

/// What can be waited for.
fn goal(text: &str) -> Result<String, String> {
    text.parse().map(|_: Goal| text.to_owned())
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
        let (refuse, mut refused) = channel(1);
        let look = match self.looking(refuse).await {
            Ok(look) => look,
            Err(error) => {
                print(err, [whole(error.as_ref())]);
                return Ok(NOBODY.into());
            }
        };
        let mut waiting = Waiting::new(look, wanted);
        let tell = |wanted: &Wanted, verdict: &Verdict| {
            print(out, [format!("{}  {}", wanted.text, verdict.words())]);
        };
        // What is not known by then is missing.
        let looking = async {
            let _late = match self.timeout {
                Duration::ZERO => timeout(ONE_LOOK, waiting.look(Duration::ZERO, tell)).await,
                long => timeout(long, waiting.finish(tell)).await,
            };
        };
        tokio::select! {
            () = looking => {}
            Some(why) = refused.recv() => {
                print(err, [why]);
                return Ok(NOBODY.into());
            }
            () = stop.cancelled() => {}
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

    /// How names are looked at; `refuse`: takes why a server of ours refuses to say.
    async fn looking(&self, refuse: Sender<String>) -> anyhow::Result<Look> {
        let Some(server) = self.admin else {
            let asker = Asker::new(self.server, &Files).await?;
            return Ok(asker.looking(self.goal.parse().map_err(anyhow::Error::msg)?));
        };
        let token = self.token.clone();
        let (admin, goal) = (Admin { server, token }, self.goal.clone());
        Ok(Arc::new(move |wanted, patience| {
            let (admin, goal, refuse) = (admin.clone(), goal.clone(), refuse.clone());
            Box::pin(async move {
                match polled(&admin, &wanted.text, &goal, patience).await {
                    Ok(verdict) => verdict,
                    Err(error) if error.is::<Refused>() => {
                        // The first is told, and the waiting ends with it.
                        let _told = refuse.try_send(error.to_string());
                        std::future::pending().await
                    }
                    Err(error) => Verdict::Silent(whole(error.as_ref())),
                }
            })
        }))
    }
}

/// What a name comes to, as the server says when it answers so, or when it is out of patience.
async fn polled(
    admin: &Admin,
    name: &str,
    goal: &str,
    patience: Duration,
) -> anyhow::Result<Verdict> {
    let timeout = format!("{}ms", patience.as_millis());
    let asked = [("name", name), ("for", goal), ("timeout", &timeout)];
    let said = admin.ask("/wait", &asked).await?;
    let words = said["says"].as_str().unwrap_or_default().to_owned();
    Ok(match said["met"].as_bool() {
        Some(true) => Verdict::Met(words),
        Some(false) | None => Verdict::Missing(words),
    })
}

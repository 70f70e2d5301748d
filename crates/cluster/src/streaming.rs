//! `exec`, `attach` and `portforward`: a connection that stops to be HTTP once it is asked for.
//!
//! ```text
//!  upgrade     which dialect: channels of a WebSocket, SPDY/3.1, or SPDY/3.1 in a WebSocket
//!     ├─ channels, spdy::program   what a client says to a program, and is told
//!     │     └─ carry               a program's streams, whatever the client speaks
//!     └─ forward                   connections to a Pod's ports
//! ```

mod carry;
mod channels;
mod forward;
mod spdy;
mod upgrade;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tracing::debug;

use crate::call::{Body, failure};
use crate::kinds;
use crate::logs;
use crate::request::{Parameters, Target, parts};
use crate::runtime::{Exec, Place, Runtime, Session};
use crate::server::Api;
use crate::status::ApiStatus;
use channels::Socket;
use forward::Forward;
use headless_objects::object::{name, uid};
use upgrade::{Dialect, Upgrade};

/// A request that is answered here.
pub(super) struct Asked {
    target: Target,
    verb: Verb,
    runtime: Arc<dyn Runtime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Exec,
    Attach,
    Forward,
}

/// Whether a request is for a stream, where Pods run.
pub(super) fn asked<B>(api: &Api, request: &Request<B>) -> Option<Asked> {
    let runtime = api.shared.runtime.clone()?;
    let target =
        Target::parse(&parts(request.uri().path())).filter(|target| target.kind == kinds::POD)?;
    let verb = match target.subresource.as_deref() {
        Some("exec") => Verb::Exec,
        Some("attach") => Verb::Attach,
        Some("portforward") => Verb::Forward,
        _ => return None,
    };
    Some(Asked {
        target,
        verb,
        runtime,
    })
}

/// Starts what is asked for, and turns the connection into its streams.
pub(super) async fn answer(api: &Api, asked: &Asked, request: Request<Incoming>) -> Response<Body> {
    match begin(api, asked, request).await {
        Ok(response) => response,
        Err(status) => failure(&status),
    }
}

async fn begin(
    api: &Api,
    asked: &Asked,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, ApiStatus> {
    // What is wrong with the request is said first: a client whose upgrade is refused tries another, and says what it hears then.
    let wanted = Wanted::parse(request.uri().query().unwrap_or_default());
    let (upgrade, streams) = if asked.verb == Verb::Forward {
        let forward = wanted.forward(api, asked)?;
        let upgrade = Upgrade::of(request.headers(), upgrade::FORWARD)?;
        if let Dialect::Channels(_) = upgrade.dialect {
            forward.check()?;
        }
        (upgrade, Streams::Ports(forward))
    } else {
        let place = wanted.place(api, asked)?;
        let upgrade = Upgrade::of(request.headers(), upgrade::PROGRAM)?;
        let session = wanted.session(asked, &place).await?;
        (upgrade, Streams::Program(session, wanted.streams()))
    };
    let dialect = upgrade.dialect;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => streams.serve(TokioIo::new(upgraded), dialect).await,
            Err(error) => debug!(%error, "a connection did not become a stream"),
        }
    });
    Ok(upgrade.accepted())
}

/// What a connection carries.
enum Streams {
    Program(Session, carry::Wanted),
    Ports(Forward),
}

impl Streams {
    async fn serve(self, io: TokioIo<hyper::upgrade::Upgraded>, dialect: Dialect) {
        match (self, dialect) {
            (Self::Program(session, wanted), Dialect::Channels(version)) => {
                let socket = channels::socket(io).await;
                channels::serve(socket, (version, wanted), session).await;
            }
            (Self::Program(session, wanted), Dialect::Spdy) => {
                spdy::program::serve(tokio::io::split(io), wanted, session).await;
            }
            (Self::Program(session, wanted), Dialect::Tunnel) => {
                let socket: Socket<_> = channels::socket(io).await;
                spdy::program::serve(channels::tunnel(socket), wanted, session).await;
            }
            (Self::Ports(forward), Dialect::Channels(version)) => {
                let socket = channels::socket(io).await;
                forward::channels(socket, version, forward).await;
            }
            (Self::Ports(forward), Dialect::Spdy) => {
                forward::spdy(tokio::io::split(io), forward).await;
            }
            (Self::Ports(forward), Dialect::Tunnel) => {
                let socket = channels::socket(io).await;
                forward::spdy(channels::tunnel(socket), forward).await;
            }
        }
    }
}

/// The query of a request (`PodExecOptions`, `PodAttachOptions`, `PodPortForwardOptions`).
struct Wanted {
    parameters: Parameters,
    /// It stands once for each word.
    command: Vec<String>,
    /// Each may be a list.
    ports: Vec<String>,
}

impl Wanted {
    fn parse(query: &str) -> Self {
        let all = |wanted: &str| {
            let all = form_urlencoded::parse(query.as_bytes());
            let words = all.filter(|(name, _)| name == wanted);
            words.map(|(_, word)| word.into_owned()).collect::<Vec<_>>()
        };
        let ports = all("ports");
        let ports = ports.iter().flat_map(|list| list.split(','));
        Self {
            command: all("command"),
            ports: ports.map(str::to_owned).collect(),
            parameters: Parameters::parse(query),
        }
    }

    /// Which streams there are.
    fn streams(&self) -> carry::Wanted {
        carry::Wanted {
            input: self.parameters.flag("stdin"),
            output: ["stdout", "stderr"].map(|stream| self.parameters.flag(stream)),
            tty: self.parameters.flag("tty"),
        }
    }

    /// The Pod whose ports are wanted, which runs.
    fn forward(&self, api: &Api, asked: &Asked) -> Result<Forward, ApiStatus> {
        let state = api.shared.read();
        let pod = state.get(&asked.target.key())?;
        let phase: &Value = &pod["status"]["phase"];
        if phase != "Running" {
            let (pod, phase) = (name(pod), phase.as_str().unwrap_or_default());
            return Err(ApiStatus::bad_request(format!(
                "unable to forward ports: pod {pod} does not run, its phase is {phase:?}"
            )));
        }
        let port = |text: &String| match text.parse::<u16>() {
            Ok(port @ 1..) => Ok(port),
            Ok(0) | Err(_) => Err(ApiStatus::bad_request(format!(
                "ports: numbers from 1 to 65535 were expected, and not {text:?}"
            ))),
        };
        Ok(Forward {
            runtime: Arc::clone(&asked.runtime),
            pod: uid(pod).to_owned(),
            ports: self.ports.iter().map(port).collect::<Result<_, _>>()?,
        })
    }

    /// The container, which runs.
    fn place(&self, api: &Api, asked: &Asked) -> Result<Place, ApiStatus> {
        let state = api.shared.read();
        let pod = state.get(&asked.target.key())?;
        let container = logs::asked(pod, self.parameters.text("container"))?;
        let pod = uid(pod).to_owned();
        let name = container.container.to_owned();
        let state = &container.status["state"];
        let attach = asked.verb == Verb::Attach;
        // Of one that has ended kubectl reads the log instead, where it hears so.
        if !state["running"].is_object() {
            return Err(ApiStatus::bad_request(format!(
                "container {name} does not run"
            )));
        }
        if !attach && self.command.is_empty() {
            let missing = "you must specify at least 1 command for the container";
            return Err(ApiStatus::bad_request(missing));
        }
        Ok(Place {
            pod,
            container: name,
        })
    }

    async fn session(&self, asked: &Asked, place: &Place) -> Result<Session, ApiStatus> {
        let runtime = &asked.runtime;
        if asked.verb == Verb::Attach {
            let mut session = runtime.attach(place).map_err(ApiStatus::bad_request)?;
            session.input = session.input.filter(|_| self.parameters.flag("stdin"));
            return Ok(session);
        }
        let exec = Exec {
            command: self.command.clone(),
            stdin: self.parameters.flag("stdin"),
            tty: self.parameters.flag("tty"),
        };
        let session = runtime.exec(place, exec).await;
        session.map_err(|why| ApiStatus::bad_request(format!("unable to run: {why}")))
    }
}

//! `exec` and `attach`: a connection that stops to be HTTP once it is asked for.

mod channels;

use std::sync::Arc;

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ring::digest;
use tracing::debug;

use crate::call::{Body, failure};
use crate::kinds;
use crate::logs;
use crate::request::{Parameters, Target, parts};
use crate::runtime::{Exec, Place, Runtime, Session};
use crate::server::Api;
use crate::status::ApiStatus;
use channels::Version;
use headless_objects::object::uid;

/// What a WebSocket's key is hashed with (RFC 6455 section 1.3).
const WEBSOCKET: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that is answered here.
pub(super) struct Asked {
    target: Target,
    attach: bool,
    runtime: Arc<dyn Runtime>,
}

/// Whether a request is for a stream, where Pods run.
pub(super) fn asked<B>(api: &Api, request: &Request<B>) -> Option<Asked> {
    let runtime = api.shared.runtime.clone()?;
    let target =
        Target::parse(&parts(request.uri().path())).filter(|target| target.kind == kinds::POD)?;
    let attach = match target.subresource.as_deref() {
        Some("exec") => false,
        Some("attach") => true,
        _ => return None,
    };
    Some(Asked {
        target,
        attach,
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
    let place = wanted.place(api, asked)?;
    let upgrade = Upgrade::of(request.headers())?;
    let session = wanted.session(asked, &place).await?;
    let version = upgrade.version;
    let upgraded = hyper::upgrade::on(&mut request);
    let streams = channels::Wanted {
        version,
        output: ["stdout", "stderr"].map(|stream| wanted.parameters.flag(stream)),
    };
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => channels::serve(TokioIo::new(upgraded), streams, session).await,
            Err(error) => debug!(%error, "a connection did not become a stream"),
        }
    });
    Ok(upgrade.accepted())
}

/// An upgrade that a client asks for.
struct Upgrade {
    version: Version,
    /// What shows that it was read.
    accept: HeaderValue,
}

impl Upgrade {
    fn of(headers: &HeaderMap) -> Result<Self, ApiStatus> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let protocol = text(header::UPGRADE).unwrap_or_default();
        if !protocol.eq_ignore_ascii_case("websocket") {
            return Err(ApiStatus::bad_request(format!(
                "unable to upgrade: a WebSocket was expected, which kubectl 1.30 and later speak, and not {protocol:?}"
            )));
        }
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offered = offered.filter_map(|value| value.to_str().ok());
        let offered: Vec<_> = offered
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .collect();
        let version = Version::best(&offered).ok_or_else(|| {
            let known = "v5.channel.k8s.io or v4.channel.k8s.io";
            ApiStatus::bad_request(format!(
                "unable to upgrade: {known} was expected of {offered:?}"
            ))
        })?;
        let key = text(header::SEC_WEBSOCKET_KEY).unwrap_or_default();
        let hash = digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!("{key}{WEBSOCKET}").as_bytes(),
        );
        let accept = base64::engine::general_purpose::STANDARD.encode(hash);
        let accept = HeaderValue::from_str(&accept).expect("base64 is text of a header");
        Ok(Self { version, accept })
    }

    fn accepted(self) -> Response<Body> {
        let mut response = Response::new(Empty::new().boxed_unsync());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        let protocol = HeaderValue::from_static(self.version.name());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        response
    }
}

/// The query of a request (`PodExecOptions`).
struct Wanted {
    parameters: Parameters,
    /// It stands once for each word.
    command: Vec<String>,
}

impl Wanted {
    fn parse(query: &str) -> Self {
        let all = form_urlencoded::parse(query.as_bytes());
        let words = all.filter(|(name, _)| name == "command");
        Self {
            command: words.map(|(_, word)| word.into_owned()).collect(),
            parameters: Parameters::parse(query),
        }
    }

    /// The container, which runs.
    fn place(&self, api: &Api, asked: &Asked) -> Result<Place, ApiStatus> {
        let state = api.shared.read();
        let pod = state.get(&asked.target.key())?;
        let container = logs::asked(pod, self.parameters.text("container"))?;
        let pod = uid(pod).to_owned();
        let name = container.container.to_owned();
        let state = &container.status["state"];
        let has_run =
            state["running"].is_object() || asked.attach && state["terminated"].is_object();
        if !has_run {
            return Err(ApiStatus::bad_request(format!(
                "container {name} does not run"
            )));
        }
        if !asked.attach && self.command.is_empty() {
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
        if asked.attach {
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

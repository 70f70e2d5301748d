//! The watch against a real API server that fails: what was true is answered throughout, and what has changed is there
//! within a second of the server's return.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use headless_dns::answer::transfer;
use headless_dns::api::{self, Client};
use headless_dns::apiserver::ApiServer;
use headless_dns::name::absolute;
use headless_dns::serve::Ambient;
use headless_dns::watch::{Options as Watched, Watches};
use headless_dns::zone::Zone;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http::{Method, Request};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::names::service_account;
use crate::support::api::{FakeApi, Fate};
use crate::support::control_plane::{ControlPlane, Options, Programs, write_kubeconfig};
use crate::support::dns::{data, exchange, question, udp};
use crate::support::kubelet::call;
use crate::support::names::{Names, eventually};
use crate::support::proxy::{Line, Proxy};
use crate::support::report;
use crate::support::zone::shown;
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "an_api_server_that_is_killed_and_comes_back_is_followed_at_once",
        needs: Needs::ApiServer,
        run: |p| killed(p).boxed_local(),
    },
    Test {
        name: "a_history_that_was_compacted_meanwhile_is_listed_again",
        needs: Needs::ApiServer,
        run: |p| compacted(p).boxed_local(),
    },
    Test {
        name: "a_token_that_is_refused_is_read_again_from_its_file",
        needs: Needs::ApiServer,
        run: |p| token(p).boxed_local(),
    },
    Test {
        name: "certificates_of_both_sides_may_be_replaced_while_it_runs",
        needs: Needs::ApiServer,
        run: |p| certificates(p).boxed_local(),
    },
    Test {
        name: "a_server_that_says_429_is_asked_again_when_it_says",
        needs: Needs::ApiServer,
        run: |p| too_many_requests(p).boxed_local(),
    },
    Test {
        name: "a_watch_that_times_out_is_opened_again_and_one_that_stalls_is_found",
        needs: Needs::ApiServer,
        run: |p| stalled(p).boxed_local(),
    },
    Test {
        name: "a_server_without_streaming_lists_is_listed_in_pages",
        needs: Needs::ApiServer,
        run: |p| no_streaming_lists(p).boxed_local(),
    },
];

/// What a change takes at most, from the API server's return to the answer.
const AT_ONCE: Duration = Duration::from_secs(1);

const STABLE: &str = "pod-0.stable.default.svc.cluster.local.";

const KUBERNETES: &str = "kubernetes.default.svc.cluster.local.";

/// An API server without controllers, a proxy before it, and a server whose answers are watched all the time.
struct World {
    plane: ControlPlane,
    proxy: Proxy,
    names: Names,
    prober: Prober,
}

impl World {
    async fn start(
        programs: &Programs,
        api_flags: Vec<&'static str>,
        user: impl FnOnce(&ControlPlane) -> Value,
    ) -> Self {
        let options = Options {
            api_flags,
            ..Options::default()
        };
        let plane = ControlPlane::start(programs, options).await;
        service(&plane.client, "stable", "10.0.0.1").await;
        service(&plane.client, "leaves", "10.0.0.2").await;
        let proxy = Proxy::start(plane.address()).await;
        let (file, ca) = (plane.path("serve.kubeconfig"), plane.path("ca.crt"));
        write_kubeconfig(&file, proxy.address.port(), &ca, &user(&plane));
        let names = Names::serve(&file).await;
        // The API server makes a Service of its own when it gets to it: a fresh list must not come before.
        for (qname, address) in [(STABLE, "10.0.0.1"), (KUBERNETES, "10.96.0.1")] {
            let address = [address.to_owned()];
            names.until(qname, RecordType::A, &address).await;
        }
        let prober = Prober::start(&names);
        Self {
            plane,
            proxy,
            names,
            prober,
        }
    }

    /// One Service comes, one goes, one changes.
    async fn change(&self) {
        let client = &self.plane.client;
        service(client, "comes", "10.0.0.3").await;
        for path in [
            "/api/v1/namespaces/default/services/leaves",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/leaves",
        ] {
            call(client, Method::DELETE, path, &json!({}))
                .await
                .unwrap();
        }
        let slice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/stable";
        let endpoints = [endpoint("pod-0", "10.0.0.1"), endpoint("pod-1", "10.0.0.4")];
        call(
            client,
            Method::PATCH,
            slice,
            &json!({"endpoints": endpoints}),
        )
        .await
        .unwrap();
    }

    /// Waits until the names are those of a fresh list; how much longer than that list it took.
    async fn caught_up(&self) -> Duration {
        let fresh = Watches::start(&self.plane.client, &Watched::default());
        fresh.synced().await;
        let (wanted, listed) = (records(&fresh.zone), Instant::now());
        eventually("the names of a fresh list", async || {
            (records(&self.names.zone) == wanted).then_some(())
        })
        .await;
        let late = listed.elapsed();
        report(&format!("caught up {late:?} after a fresh list"));
        late
    }

    /// Ends the server; not one answer was wrong.
    async fn end(self) {
        self.prober.end().await;
        self.names.stop().await;
    }
}

fn endpoint(hostname: &str, address: &str) -> Value {
    json!({"addresses": [address], "hostname": hostname, "conditions": {"ready": true}})
}

/// A headless Service with one endpoint.
async fn service(client: &Client, name: &str, address: &str) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [endpoint("pod-0", address)], "ports": [{"name": "http", "port": 80}],
    });
    for (path, object) in [
        ("/api/v1/namespaces/default/services", service),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            slice,
        ),
    ] {
        call(client, Method::POST, path, &object).await.unwrap();
    }
}

/// All records of a zone but its SOA, whose serial says when.
fn records(zone: &Arc<Zone>) -> Vec<String> {
    let (shown, apex) = (shown(), absolute("cluster.local").unwrap().into());
    let asked = shown.place(&apex, RecordType::AXFR).unwrap();
    let records = transfer(zone, &asked);
    let mut lines: Vec<_> = records[1..records.len() - 1]
        .iter()
        .map(|record| format!("{record:?}"))
        .collect();
    lines.sort();
    lines
}

/// Asks a name that exists all the time, again and again.
struct Prober {
    stop: CancellationToken,
    task: JoinHandle<(usize, Vec<String>)>,
}

impl Prober {
    fn start(names: &Names) -> Self {
        let (stop, server) = (CancellationToken::new(), names.server);
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let socket = udp(server).await;
            let (mut asked, mut wrong) = (0, Vec::new());
            let mut pause = tokio::time::interval(Duration::from_millis(1));
            while !stopped.is_cancelled() {
                pause.tick().await;
                let reply = exchange(&socket, &question(1, STABLE, RecordType::A)).await;
                let reply = hickory_proto::op::Message::from_vec(&reply).unwrap();
                asked += 1;
                if (reply.metadata.response_code, &data(&reply)[..])
                    != (ResponseCode::NoError, &["10.0.0.1".to_owned()])
                {
                    wrong.push(format!("{reply}"));
                }
            }
            (asked, wrong)
        });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        let (asked, wrong) = self.task.await.unwrap();
        assert!(asked > 0);
        assert_eq!(wrong, Vec::<String>::new(), "of {asked}");
    }
}

/// Waits until the API server counts something whose line has all of these.
async fn counted(client: &Client, parts: &[&str]) {
    eventually(parts[0], async || {
        let request = Request::get("/metrics").body(Vec::new()).unwrap();
        let metrics = client.request_text(request).await.unwrap();
        let fits = |line: &str| parts.iter().all(|part| line.contains(part));
        metrics.lines().any(fits).then_some(())
    })
    .await;
}

/// The account of `deploy/`.
fn account(plane: &ControlPlane) -> Value {
    service_account(plane, "beside", "headless-dns");
    json!({"tokenFile": plane.path("token")})
}

async fn killed(programs: Programs) {
    let mut world = World::start(&programs, Vec::new(), account).await;
    world.plane.kill_api();
    world.plane.start_api().await;
    world.change().await;
    let late = world.caught_up().await;
    assert!(late < AT_ONCE, "{late:?}");
    world.end().await;
}

async fn compacted(programs: Programs) {
    let mut world = World::start(&programs, Vec::new(), account).await;
    world.proxy.set(Line::Cut);
    world.change().await;
    world.plane.compact().await;
    // An API server that starts anew has no history of its own either.
    world.plane.kill_api();
    world.plane.start_api().await;
    world.proxy.set(Line::Up);
    let late = world.caught_up().await;
    assert!(late < AT_ONCE, "{late:?}");
    world.end().await;
}

async fn token(programs: Programs) {
    let mut world = World::start(&programs, Vec::new(), account).await;
    // The account is another one of the same name: its old tokens are refused, once no server remembers them.
    let account = "/api/v1/namespaces/kube-system/serviceaccounts/headless-dns";
    let client = world.plane.client.clone();
    call(&client, Method::DELETE, account, &json!({}))
        .await
        .unwrap();
    world.plane.kill_api();
    world.plane.start_api().await;
    world.change().await;
    counted(&client, &["authentication_attempts{result=\"error\"}"]).await;
    service_account(&world.plane, "beside", "headless-dns");
    let late = world.caught_up().await;
    assert!(late < AT_ONCE, "{late:?}");
    world.end().await;
}

async fn certificates(programs: Programs) {
    let write = |plane: &ControlPlane| {
        let serve = plane
            .authority
            .client("serve", Some("system:masters"))
            .unwrap();
        let files: [PathBuf; 2] = ["serve.crt", "serve.key"].map(|name| plane.path(name));
        std::fs::write(&files[0], serve.certificate).unwrap();
        std::fs::write(&files[1], serve.key).unwrap();
        json!({"client-certificate": files[0], "client-key": files[1]})
    };
    let mut world = World::start(&programs, Vec::new(), write).await;
    world.plane.kill_api();
    world.plane.renew_authority();
    world.plane.start_api().await;
    write(&world.plane);
    world.change().await;
    let late = world.caught_up().await;
    assert!(late < AT_ONCE, "{late:?}");
    world.end().await;
}

async fn too_many_requests(programs: Programs) {
    let mut world = World::start(&programs, Vec::new(), account).await;
    let server = ApiServer::Kubeconfig {
        file: world.plane.path("serve.kubeconfig"),
        context: None,
    };
    let busy = FakeApi::before_server(&api::connect(&server, None).await.unwrap());
    let names = Names::of(Ambient::Client(busy.client())).await;
    let stable = ["10.0.0.1".to_owned()];
    names.until(STABLE, RecordType::A, &stable).await;
    let prober = Prober::start(&names);
    std::mem::replace(&mut world.prober, prober).end().await;
    std::mem::replace(&mut world.names, names).stop().await;

    let refused = watch::Sender::new(0);
    let count = refused.clone();
    busy.rule(move |_| {
        count.send_modify(|count| *count += 1);
        Fate::Busy
    });
    world.proxy.set(Line::Cut);
    world.change().await;
    world.proxy.set(Line::Up);
    let all = |count: &i32| *count >= 3;
    refused.subscribe().wait_for(all).await.unwrap();
    busy.all(Fate::Serve);
    let late = world.caught_up().await;
    // The server asks for a second.
    assert!(late < AT_ONCE + Duration::from_secs(1), "{late:?}");
    world.end().await;
}

async fn stalled(programs: Programs) {
    let world = World::start(&programs, Vec::new(), account).await;
    let client = &world.plane.client;
    let metric = "apiserver_request_total{code=\"200\"";
    counted(
        client,
        &[metric, "resource=\"endpointslices\"", "verb=\"WATCH\""],
    )
    .await;
    // A connection that all watches share, on which PING finds what stalls.
    let request = Request::get("/version").body(Body::empty()).unwrap();
    let version = client.send(request).await.unwrap().version();
    assert_eq!(version, http::Version::HTTP_2);
    world.proxy.stall();
    world.change().await;
    let late = world.caught_up().await;
    assert!(late < Duration::from_secs(15), "{late:?}");
    world.end().await;
}

async fn no_streaming_lists(programs: Programs) {
    let world = World::start(&programs, vec!["--feature-gates=WatchList=false"], account).await;
    world.change().await;
    let late = world.caught_up().await;
    assert!(late < AT_ONCE, "{late:?}");
    world.end().await;
}

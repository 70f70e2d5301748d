//! `apiserver`: the embedded cluster in the place of kube-apiserver, for test suites that start one (controller-runtime's `envtest`).

mod assets;
mod certificates;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use headless_cluster::addresses::Ranges;
use headless_cluster::plane::{Authorization, Plane, Plugin};
use headless_cluster::{Certificates, Cluster};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::flags::{Idle, KubeApiserver};
use super::print;
use crate::output::Lines;
use crate::sandbox::{Api, Options, Sandbox};
use crate::signals::{Program, stop_signal};

/// Takes kube-apiserver's flags; `--assets DIR` makes the folder that `KUBEBUILDER_ASSETS` names.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(crate) struct Apiserver {
    /// Makes a folder in which this program is called kube-apiserver and etcd, and kubectl is the one of PATH, where there is one;
    /// says what to set, and ends.
    #[arg(long, value_name = "DIR", exclusive = true)]
    assets: Option<PathBuf>,
    /// Says which version of Kubernetes it is like, and ends.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "raw")]
    version: Option<String>,
    /// Where the API is served, over TLS.
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// Its port; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// Where apiserver.crt and apiserver.key are looked for, and made where they are not there.
    #[arg(long, value_name = "DIR", default_value = "/var/run/kubernetes")]
    cert_dir: PathBuf,
    /// The server's certificate (PEM), and those that lead to its authority.
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// The authorities (PEM) whose clients may come in.
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// The addresses of Services.
    #[arg(long, value_name = "CIDR", default_value = "10.0.0.0/24")]
    service_cluster_ip_range: Ranges,
    /// Where the Service `kubernetes` leads, where an endpoint may have that address; without it where the API is served.
    #[arg(long, value_name = "IP")]
    advertise_address: Option<IpAddr>,
    /// What users may do: RBAC (what roles say, Node with it) or AlwaysAllow.
    #[arg(
        long,
        value_name = "MODE",
        value_delimiter = ',',
        default_value = "AlwaysAllow"
    )]
    authorization_mode: Vec<String>,
    /// Admission plugins that shall do nothing, such as ServiceAccount.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    disable_admission_plugins: Vec<String>,
    /// Admission plugins that shall do their work, as those that are here do anyway.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    enable_admission_plugins: Vec<String>,
    /// Controllers, a kubelet and DNS too: Pods become Ready, and names answer. kube-apiserver does not have this.
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", value_name = "BOOL")]
    controllers: bool,
    /// Where DNS is answered, with controllers; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    dns: SocketAddr,
    #[command(flatten)]
    idle: Idle<KubeApiserver>,
}

impl Apiserver {
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        if let Some(folder) = &self.assets {
            print(out, assets::make(folder)?);
            return Ok(());
        }
        if self.version.is_some() {
            print(
                out,
                [format!("Kubernetes {}", headless_cluster::GIT_VERSION)],
            );
            return Ok(());
        }
        let stop = stop_signal(Program::Server)?;
        self.idle.say();
        let certificates = certificates::read(&self)?;
        let address = SocketAddr::new(self.bind_address, self.secure_port);
        let plane = self.plane()?;
        if self.controllers {
            let api = Api::As(certificates);
            return run_all((address, api, plane), self.dns, &stop, out).await;
        }
        serve((address, certificates, plane), &stop, out).await
    }

    /// What of a control plane is asked for.
    fn plane(&self) -> anyhow::Result<Plane> {
        let flags = [
            ("enable", &self.enable_admission_plugins),
            ("disable", &self.disable_admission_plugins),
        ];
        let all = flags.iter().flat_map(|(flag, names)| {
            let unknown = names.iter().filter(|name| !Plugin::is_known(name));
            unknown.map(move |name| format!("{flag}-admission-plugins plugin {name:?} is unknown"))
        });
        let unknown: Vec<_> = all.collect();
        anyhow::ensure!(unknown.is_empty(), unknown.join(", "));
        let named = |names: &[String]| -> Vec<Plugin> {
            let known = names.iter().filter_map(|name| Plugin::named(name));
            known.collect()
        };
        let enabled = named(&self.enable_admission_plugins);
        let mut disabled = named(&self.disable_admission_plugins);
        disabled.retain(|plugin| !enabled.contains(plugin));
        let asked = self.enable_admission_plugins.iter();
        let missing: Vec<_> = asked.filter(|name| Plugin::named(name).is_none()).collect();
        if !missing.is_empty() {
            warn!(?missing, "these admission plugins are not here");
        }
        let asked = [self.advertise_address, Some(self.bind_address)];
        let ip = asked.into_iter().flatten().find(is_fit);
        let ip = ip.unwrap_or_else(|| Plane::default().advertised.ip());
        Ok(Plane {
            controllers: self.controllers,
            disabled,
            services: self.service_cluster_ip_range.clone(),
            advertised: SocketAddr::new(ip, self.secure_port),
            authorization: authorization(&self.authorization_mode)?,
        })
    }
}

/// Who may do what, by kube-apiserver's modes.
fn authorization(modes: &[String]) -> anyhow::Result<Authorization> {
    for mode in modes {
        match mode.as_str() {
            "AlwaysAllow" | "RBAC" | "Node" => {}
            "ABAC" | "AlwaysDeny" | "Webhook" => {
                anyhow::bail!(
                    "authorization-mode {mode:?} is not here: RBAC, Node or AlwaysAllow was expected"
                )
            }
            _ => anyhow::bail!("authorization-mode {mode:?} is not a valid mode"),
        }
    }
    let is_open = modes.iter().any(|mode| mode == "AlwaysAllow");
    Ok(if is_open {
        Authorization::Everybody
    } else {
        Authorization::Roles
    })
}

/// Whether an endpoint may have this address.
fn is_fit(ip: &IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !is_link_local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

/// The API server alone, until `stop`.
async fn serve(
    (address, certificates, plane): (SocketAddr, Certificates, Plane),
    stop: &CancellationToken,
    out: &Lines,
) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(headless_cluster::Options {
        plane,
        ..headless_cluster::Options::default()
    });
    let address = cluster.listen_as(address, &certificates).await?;
    print(out, [format!("api   https://{address}")]);
    tokio::select! {
        why = cluster.broken() => anyhow::bail!(why),
        () = stop.cancelled() => {}
    }
    cluster.stop().await;
    Ok(())
}

/// The same with all that works beside it.
async fn run_all(
    (address, api, plane): (SocketAddr, Api, Plane),
    dns: SocketAddr,
    stop: &CancellationToken,
    out: &Lines,
) -> anyhow::Result<()> {
    let options = Options {
        manifests: Vec::new(),
        dns,
        address,
        api,
        plane,
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await.context("with controllers")?;
    print(
        out,
        [
            format!("api   https://{}", sandbox.api()),
            format!("dns   {} (udp and tcp)", sandbox.dns()),
        ],
    );
    tokio::select! {
        why = sandbox.broken() => anyhow::bail!(why),
        () = stop.cancelled() => {}
    }
    sandbox.stop().await
}

//! `sandbox`: a small cluster with its names, told of line by line.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use headless_cluster::Delays;
use headless_cluster::addresses::API;
use headless_cluster::plane::Plane;
use headless_cluster::published::Published;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::TemporaryFile;
use super::lifetime::end_with;
use super::names::Names;
use super::shell::{self, Shell};
use super::{duration, print};
use crate::output::Lines;
use crate::pods::{DNS, Image, Images};
use crate::process::resident_memory;
use crate::sandbox::{self, Options, Runtime};
use crate::signals::{Program, stop_signal, unless_stopped};
use crate::store::Change;

/// How long a sandbox is waited for before it is said for what, and how often it is looked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most lines of it at a time.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    inside: Option<Inside>,
    /// What to apply: files, folders of them, `-` for the standard input; without it a headless Service and a StatefulSet of three
    /// redis Pods.
    manifest: Vec<PathBuf>,
    /// A kustomize folder to apply, built by kubectl; may be given several times.
    #[arg(short = 'k', long = "kustomize", value_name = "DIR")]
    kustomize: Vec<PathBuf>,
    /// Goes on without objects of kinds that the sandbox does not have, and names them.
    #[arg(long)]
    skip_unknown: bool,
    /// Where DNS is answered, over UDP and TCP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1053")]
    dns: SocketAddr,
    /// Where the Kubernetes API is served, over TLS, to holders of the kubeconfig. Port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    api: SocketAddr,
    /// Where it is shown, on a page and over HTTP, what is known of names; without it nowhere. An address of this machine alone.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:8054", value_parser = loopback)]
    admin: Option<SocketAddr>,
    /// The kubeconfig to write; it goes when the sandbox ends.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// How long a Pod takes to become Ready, such as `300ms`.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    start_delay: Duration,
    /// How long a Pod takes to end.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    stop_delay: Duration,
    /// Run the programs of Pods, instead of pretending: Linux, without a container engine and without root.
    #[arg(long)]
    run: bool,
    /// What of this machine stands for an image, without a tag for every tag: a program, with what it is always given, such as
    /// `redis:6.2=redis-server`; or a path, of an OCI layout, an archive of `docker save`, or a folder with all its files. `busybox`
    /// is there by itself.
    #[arg(long, value_name = "NAME=PROGRAM", requires = "run")]
    image: Vec<Image>,
    /// A file of such images, one a line; its paths begin at its folder.
    #[arg(long, value_name = "FILE", requires = "run")]
    images: Vec<PathBuf>,
    /// A Service to reach from this machine, such as `8080:web:80`: at 127.0.0.1, unless an address comes first.
    #[arg(long, value_name = "[ADDR:]PORT:SERVICE[.NS][:PORT]", requires = "run")]
    publish: Vec<Published>,
    /// A folder for what claims keep, which a later sandbox finds again: each claim by its namespace and its name. Without it everything goes
    /// with the sandbox.
    #[arg(long, value_name = "DIR", requires = "run")]
    data: Option<PathBuf>,
    /// Where SOCKS 5 is served, by which programs of this machine reach every name and address of the cluster. Port 0 is any free one.
    #[arg(long, value_name = "ADDR", requires = "run")]
    socks: Option<SocketAddr>,
    /// A descriptor, such as 3, to write one line of JSON to once everything is ready: `dns`, `api`, `kubeconfig`, `socks`, `names`.
    #[arg(long, value_name = "FD")]
    ready_fd: Option<i32>,
    /// A descriptor, such as 0, of a pipe: the sandbox ends when its other end is closed, as it is when the program that holds it has ended,
    /// however it has.
    #[arg(long, value_name = "FD")]
    end_fd: Option<i32>,
    /// Where those programs are looked for.
    #[arg(long, env = "PATH", hide = true, default_value = "")]
    path: String,
}

/// What is done in a sandbox that is there.
#[derive(Debug, clap::Subcommand)]
enum Inside {
    /// Become a shell, or another program, in the network of the node of a sandbox with `--run`: it reaches Pods and Services, and looks
    /// names up as Pods do.
    Shell(Shell),
}

impl Sandbox {
    pub(crate) async fn run(mut self, out: &Lines) -> anyhow::Result<()> {
        if let Some(Inside::Shell(shell)) = self.inside.take() {
            return shell.run();
        }
        let stop = stop_signal(Program::Sandbox)?;
        if let Some(descriptor) = self.end_fd {
            end_with(descriptor, stop.clone())?;
        }
        let started = Instant::now();
        let outside = Outside {
            kubeconfig: self.kubeconfig.clone(),
            ready: self.ready_fd,
        };
        let Some(begun) = unless_stopped(&stop, || self.begin()).await? else {
            return Ok(());
        };
        let (sandbox, changes) = begun?;
        let told = narrate(
            &sandbox,
            (Names::new(changes), started),
            outside,
            &stop,
            |line| {
                print(out, [line]);
            },
        )
        .await;
        let stopped = sandbox.stop().await;
        told.and(stopped)
    }

    /// The sandbox, and the changes of its names.
    async fn begin(self) -> anyhow::Result<(sandbox::Sandbox, Receiver<Change>)> {
        let mut manifests = Vec::new();
        for path in &self.manifest {
            manifests
                .extend(read(path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        for folder in &self.kustomize {
            manifests.push((folder.display().to_string(), build(folder)?));
        }
        if manifests.is_empty() {
            manifests.push(("config/redis.yaml".into(), sandbox::REDIS.into()));
        }
        let run = self
            .run
            .then(|| images((self.image, &self.images), &self.path))
            .transpose()?
            .map(|images| runtime(images, self.data, (self.publish, self.socks)))
            .transpose()?;
        let options = Options {
            run,
            manifests,
            dns: self.dns,
            address: self.api,
            api: sandbox::Api::Own,
            plane: Plane::default(),
            admin: self.admin,
            delays: Delays {
                start: self.start_delay,
                stop: self.stop_delay,
            },
            skip_unknown: self.skip_unknown,
        };
        sandbox::Sandbox::begin(options).await
    }
}

/// An address that nobody else reaches.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    let own = address.filter(|address| address.ip().is_loopback());
    own.ok_or_else(|| {
        "an address of this machine alone was expected, such as 127.0.0.1:8054".into()
    })
}

/// The manifest that a kustomize folder makes.
fn build(folder: &Path) -> anyhow::Result<String> {
    let mut kubectl = std::process::Command::new("kubectl");
    let output = kubectl.arg("kustomize").arg(folder).output();
    let output = output.context("cannot run kubectl, which builds kustomize folders")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let (folder, said) = (folder.display(), said.trim());
    anyhow::ensure!(
        output.status.success(),
        "kubectl kustomize {folder}: {said}"
    );
    String::from_utf8(output.stdout).with_context(|| format!("kubectl kustomize {folder}"))
}

/// What stands for images, as the command line says and then as files do.
fn images((mut images, files): (Vec<Image>, &[PathBuf]), path: &str) -> anyhow::Result<Images> {
    for file in files {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        images.extend(Image::list(file, &text)?);
    }
    Ok(Images::new(images, path)?)
}

/// What runs Pods: this program.
fn runtime(
    images: Images,
    data: Option<PathBuf>,
    (published, socks): (Vec<Published>, Option<SocketAddr>),
) -> anyhow::Result<Runtime> {
    // The node's processes are elsewhere.
    let absolute = |folder: PathBuf| {
        let made = std::fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
        made.with_context(|| format!("cannot use {} (--data)", folder.display()))
    };
    Ok(Runtime {
        program: std::env::current_exe().context("cannot find this program")?,
        images,
        published,
        data: data.map(absolute).transpose()?,
        socks,
    })
}

/// Manifests with the names that errors call them: of a folder each file that kubectl would take, in the order of their names.
fn read(path: &Path) -> io::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        return Ok(vec![("-".into(), io::read_to_string(io::stdin())?)]);
    }
    if !path.is_dir() {
        let text = std::fs::read_to_string(path)?;
        return Ok(vec![(path.display().to_string(), text)]);
    }
    let entries: io::Result<Vec<_>> = std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect();
    let mut files = entries?;
    let is_manifest = |file: &PathBuf| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        file.is_file() && extension.is_some_and(|e| ["json", "yaml", "yml"].contains(&e))
    };
    files.retain(is_manifest);
    files.sort();
    if files.is_empty() {
        let what = "no file in this folder ends in .json, .yaml or .yml";
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    let read = |file: PathBuf| Ok((file.display().to_string(), std::fs::read_to_string(file)?));
    files.into_iter().map(read).collect()
}

/// Tells a person what happens in a sandbox until `stop`.
///
/// # Errors
/// A kubeconfig that is there already or cannot be written; a sandbox that breaks.
async fn narrate(
    sandbox: &sandbox::Sandbox,
    names: (Names, Instant),
    outside: Outside,
    stop: &CancellationToken,
    tell: impl Fn(&str),
) -> anyhow::Result<()> {
    let path = outside.kubeconfig.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("headless-dns-{}.kubeconfig", std::process::id()))
    });
    let mut config = sandbox.kubeconfig().clone();
    if let Some(node) = sandbox.node() {
        shell::note(&mut config, node);
    }
    let config = serde_saphyr::to_string(&config)?;
    if is_left_over(&path) {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let file = TemporaryFile::create(path.clone(), &config).with_context(|| {
        format!(
            "cannot write {}: give --kubeconfig another path",
            path.display()
        )
    })?;
    sandbox.remarks().iter().for_each(|line| tell(line));
    tell(&format!("dns   {} (udp and tcp)", sandbox.dns()));
    tell(&format!("api   https://{}", sandbox.api()));
    if let Some(admin) = sandbox.admin() {
        tell(&format!("page  http://{admin}"));
    }
    if sandbox.node().is_some() {
        tell(&format!(
            "run   programs of Pods, which find DNS at {DNS} and the api at {API}"
        ));
        tell("try   headless-dns sandbox shell");
    }
    if let Some(socks) = sandbox.socks() {
        tell(&format!(
            "socks {socks} (every name and address of the cluster)"
        ));
    }
    tell(&format!("export KUBECONFIG={}", file.path().display()));
    let ready = |names: &[String]| match outside.ready {
        Some(descriptor) => ready(sandbox, (descriptor, file.path()), names),
        None => Ok(()),
    };
    tell_until(sandbox, names, stop, (&tell, &ready)).await
}

/// Who is told beside a person.
struct Outside {
    /// Where to write a kubeconfig.
    kubeconfig: Option<PathBuf>,
    /// The descriptor to say on that everything is ready.
    ready: Option<i32>,
}

/// Tells a program that everything is ready.
fn ready(
    sandbox: &sandbox::Sandbox,
    (descriptor, kubeconfig): (i32, &Path),
    names: &[String],
) -> anyhow::Result<()> {
    let line = json!({
        "dns": sandbox.dns(), "api": format!("https://{}", sandbox.api()), "kubeconfig": kubeconfig, "socks": sandbox.socks(),
        "names": names,
    });
    let written = headless_node::descriptor(descriptor, OpenOptions::new().append(true));
    let written = written.and_then(|mut file| writeln!(file, "{line}"));
    written.with_context(|| format!("cannot write to descriptor {descriptor}"))
}

/// Whether the file is the kubeconfig of a sandbox that was killed: nobody answers where it leads.
fn is_left_over(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.trim_matches('"'));
    let server = words.find_map(|word| word.strip_prefix("https://")?.parse::<SocketAddr>().ok());
    let is_ours = text.contains("current-context: headless-dns");
    is_ours && server.is_some_and(|server| TcpStream::connect_timeout(&server, PATIENCE).is_err())
}

async fn tell_until(
    sandbox: &sandbox::Sandbox,
    (mut names, started): (Names, Instant),
    stop: &CancellationToken,
    (tell, ready_names): (&impl Fn(&str), &impl Fn(&[String]) -> anyhow::Result<()>),
) -> anyhow::Result<()> {
    let mut story = sandbox.cluster().story();
    let ready = sandbox.ready();
    tokio::pin!(ready);
    let mut is_ready = false;
    let mut waits = tokio::time::interval_at(Instant::now() + PATIENCE, PATIENCE);
    let mut waited_for = Vec::new();
    loop {
        tokio::select! {
            // What happened is told before what it led to.
            biased;
            () = stop.cancelled() => return Ok(()),
            why = sandbox.broken() => anyhow::bail!(why),
            Some(lines) = story.next() => lines.iter().for_each(|line| tell(line)),
            Some(lines) = names.next() => lines.iter().for_each(|line| tell(line)),
            _ = waits.tick(), if !is_ready => {
                let waiting = sandbox.cluster().waiting();
                let new = waiting.iter().filter(|line| !waited_for.contains(*line));
                let new: Vec<_> = new.collect();
                new.iter().take(SHOWN).for_each(|line| tell(line));
                if new.len() > SHOWN {
                    tell(&format!("wait  and {} more", new.len() - SHOWN));
                }
                waited_for = waiting;
            }
            all = &mut ready, if !is_ready => {
                is_ready = true;
                let all = all?;
                ready_names(&all)?;
                if let Some(name) = all.first() {
                    tell(&format!("try   dig @{} -p {} {name}", sandbox.dns().ip(), sandbox.dns().port()));
                }
                tell("try   kubectl get pods -o wide");
                if let Some(kib) = resident_memory() {
                    tell(&format!("      {} names, {} MiB of memory", all.len(), kib / 1024));
                }
                tell(&format!("ready in {} ms", started.elapsed().as_millis()));
            }
        }
    }
}

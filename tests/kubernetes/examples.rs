//! The manifests of `config/`, as a person tries them in the sandbox: commands with what they print, word for word.
//! `UPDATE_DOCS=1` writes what they print now.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use futures::FutureExt;
use headless_dns::sandbox::{self, Sandbox};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use regex::Regex;

use crate::support::control_plane::{Programs, kubectl};
use crate::support::dns::{ask, data};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "redis_does_in_the_sandbox_what_its_transcript_says",
        needs: Needs::ApiServer,
        run: |p| transcript(p, "redis").boxed_local(),
    },
    Test {
        name: "web_does_in_the_sandbox_what_its_transcript_says",
        needs: Needs::ApiServer,
        run: |p| transcript(p, "web").boxed_local(),
    },
    Test {
        name: "mysql_does_in_the_sandbox_what_its_transcript_says",
        needs: Needs::ApiServer,
        run: |p| transcript(p, "mysql").boxed_local(),
    },
];

/// How long what a command shows may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// As often it must show the same to be written down.
const STEADY: usize = 15;

/// Commands that only look: a person would look again.
const LOOKS: [&str; 4] = [
    "kubectl get",
    "kubectl rollout status",
    "kubectl rollout history",
    "dig",
];

struct Example {
    sandbox: Sandbox,
    programs: Programs,
    kubeconfig: PathBuf,
    /// As they came up.
    uids: Mutex<Vec<String>>,
}

async fn transcript(programs: Programs, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let options = sandbox::Options {
        manifests: Vec::new(),
        ..sandbox::Options::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, sandbox.kubeconfig().to_string()).unwrap();
    let example = Example {
        sandbox,
        programs,
        kubeconfig,
        uids: Mutex::default(),
    };
    let file = format!(
        "{}/tests/kubernetes/examples/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let written = std::fs::read_to_string(&file).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tests are told of the environment"
    )]
    let update = std::env::var("UPDATE_DOCS").is_ok();
    let mut seen = String::new();
    for (command, expected) in entries(&written) {
        seen += &command;
        if let Some(line) = command
            .lines()
            .last()
            .and_then(|line| line.strip_prefix("$ "))
        {
            let wanted = (!update).then_some(expected);
            seen += &example.run(line, wanted.as_deref()).await;
        }
    }
    if update {
        std::fs::write(&file, &seen).unwrap();
    }
    let first = seen
        .lines()
        .zip(written.lines())
        .find(|(seen, written)| seen != written);
    assert!(update || first.is_none(), "{name}.txt: {first:#?}");
    assert!(update || seen == written, "{name}.txt ends elsewhere");
    example.sandbox.stop().await.unwrap();
}

/// Commands, with the comments before them, and what they print.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let is_comment = line.starts_with('#') || line == "\n";
        match entries.last_mut() {
            Some((command, output))
                if !command.lines().last().is_some_and(|l| l.starts_with("$ ")) =>
            {
                assert!(output.is_empty());
                command.push_str(line);
            }
            Some((_, output)) if !is_comment && !line.starts_with("$ ") => output.push_str(line),
            _ => entries.push((line.to_owned(), String::new())),
        }
    }
    entries
}

impl Example {
    /// What a command prints; one that only looks is run until it prints what is wanted, or the same again and again.
    async fn run(&self, line: &str, wanted: Option<&str>) -> String {
        if !LOOKS.iter().any(|look| line.starts_with(look)) {
            return self.once(line).await;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut pause = tokio::time::interval(LOOK_AGAIN);
        let (mut last, mut same) = (String::new(), 0);
        loop {
            pause.tick().await;
            let shown = self.once(line).await;
            same = if shown == last { same + 1 } else { 0 };
            let enough = wanted.map_or(same >= STEADY, |wanted| shown == wanted);
            if enough || tokio::time::Instant::now() >= deadline {
                return shown;
            }
            last = shown;
        }
    }

    async fn once(&self, line: &str) -> String {
        let (program, arguments) = line.split_once(' ').unwrap();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        match program {
            "kubectl" => self.kubectl(&arguments).await,
            "dig" => self.dig(&arguments).await,
            _ => panic!("{line}: only kubectl and dig are played"),
        }
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| match argument.strip_prefix("config/") {
                Some(file) => format!("{}/config/{file}", env!("CARGO_MANIFEST_DIR")),
                None => argument.trim_matches('\'').to_owned(),
            })
            .collect();
        let (programs, kubeconfig) = (self.programs.clone(), self.kubeconfig.clone());
        // The sandbox is in this process, and must go on meanwhile.
        let output = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            kubectl(&programs, &kubeconfig, &arguments)
        });
        let output = output.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut uids = self.uids.lock().unwrap();
        normal(&(text(output.stdout) + &text(output.stderr)), &mut uids)
    }

    /// `dig`, played by the test's own client: `+short` prints the data, without it the code.
    async fn dig(&self, arguments: &[&str]) -> String {
        let (mut name, mut qtype, mut short) = (String::new(), RecordType::A, false);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "+short" => short = true,
                "-x" => {
                    let address: std::net::IpAddr = arguments.next().unwrap().parse().unwrap();
                    name = hickory_proto::rr::Name::from(address).to_string();
                    qtype = RecordType::PTR;
                }
                "SRV" => qtype = RecordType::SRV,
                _ => name = format!("{argument}."),
            }
        }
        let reply = ask(self.sandbox.dns(), &name, qtype).await;
        let code = reply.metadata.response_code;
        if !short {
            return format!(
                ";; status: {}\n",
                if code == ResponseCode::NXDomain {
                    "NXDOMAIN"
                } else {
                    "NOERROR"
                }
            );
        }
        data(&reply).into_iter().map(|line| line + "\n").collect()
    }
}

/// Without what is new each time: ages, and UIDs, which are numbered as they come up.
fn normal(text: &str, uids: &mut Vec<String>) -> String {
    static AGE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)\b\d+(ms|s|m\d*s?)( +|$)").unwrap());
    static UID: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
    static SPACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"  +").unwrap());
    let text = AGE.replace_all(text, "AGE$2");
    let text = UID.replace_all(&text, |found: &regex::Captures<'_>| {
        let known = uids.iter().position(|uid| *uid == found[0]);
        let at = known.unwrap_or_else(|| {
            uids.push(found[0].to_owned());
            uids.len() - 1
        });
        format!("UID-{}", at + 1)
    });
    let lines = text
        .lines()
        .map(|line| SPACES.replace_all(line.trim_end(), "   ").into_owned());
    let mut lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    // What a rollout says on its way depends on when it is asked.
    let ends = [
        "statefulset rolling update complete",
        "partitioned roll out complete",
    ];
    if let Some(last) = lines
        .iter()
        .position(|line| ends.iter().any(|end| line.starts_with(end)))
    {
        lines.drain(..last);
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

//! What runs in a container, and as whom: what the Pod says goes before what the image says.

use headless_cluster::runtime::Start;
use headless_node::Process;

use super::images::{Entry, PATH};

/// What a container runs: its command and arguments come before the image's.
pub(super) fn own(start: &Start, entry: &Entry) -> Process {
    let (program, arguments) = match (&start.command[..], &start.args[..]) {
        ([], []) => (&entry.program[..], &entry.arguments[..]),
        ([], own) => (&entry.program[..], own),
        (command, own) => (command, own),
    };
    beside(start, entry, ([program, arguments].concat(), start.tty))
}

/// A program with a container's variables, folder and user.
pub(super) fn beside(
    start: &Start,
    entry: &Entry,
    (argv, terminal): (Vec<String>, bool),
) -> Process {
    let workdir = if start.workdir.is_empty() {
        entry.workdir.clone()
    } else {
        start.workdir.clone().into()
    };
    Process {
        argv,
        env: environment(start, &entry.env, terminal),
        workdir,
        user: start.user.or(entry.user),
        groups: start.groups.clone(),
        terminal,
    }
}

/// Those that every program expects, then the image's, then the container's: of one name the last.
fn environment(start: &Start, image: &[(String, String)], terminal: bool) -> Vec<(String, String)> {
    let expected = [
        ("PATH", PATH),
        ("HOSTNAME", &start.pod.hostname),
        ("HOME", "/root"),
        ("TERM", "xterm"),
    ];
    let expected = expected
        .into_iter()
        .filter(|(name, _)| terminal || *name != "TERM");
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in expected.chain([image, &start.env].concat()) {
        match all.iter_mut().find(|(set, _)| *set == name) {
            Some(set) => set.1 = value,
            None => all.push((name, value)),
        }
    }
    all
}

//! `sandbox shell`: a program in the network of a sandbox's node.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::pods::DNS;
use crate::sandbox::RESOLV_CONF;

/// Under which name a sandbox's kubeconfig has what is ours.
const EXTENSION: &str = "headless-dns";

#[derive(Debug, clap::Args)]
pub(crate) struct Shell {
    /// The sandbox's kubeconfig.
    #[arg(long, env = "KUBECONFIG", value_name = "PATH")]
    kubeconfig: PathBuf,
    /// What to run, with its arguments; without it your shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
    /// Your shell.
    #[arg(long, env = "SHELL", hide = true, default_value = "/bin/sh")]
    shell: OsString,
}

impl Shell {
    /// Becomes the program; returns only where it cannot.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let path = &self.kubeconfig;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Some(node) = node_of(&text) else {
            let path = path.display();
            bail!("{path} is of no sandbox that runs the programs of Pods: begin one with --run");
        };
        let command = if self.command.is_empty() {
            vec![self.shell]
        } else {
            self.command
        };
        let resolver = format!("nameserver {DNS}\n{RESOLV_CONF}");
        let error = headless_node::enter(node, &resolver, &command);
        Err(error).context("cannot enter the node")
    }
}

/// Notes a node's process in its kubeconfig, where kubectl and other clients leave what they do not know.
pub(super) fn note(kubeconfig: &mut Value, node: u32) {
    let note = json!([{"name": EXTENSION, "extension": {"node": node}}]);
    kubeconfig["clusters"][0]["cluster"]["extensions"] = note;
}

/// The process that a kubeconfig notes.
fn node_of(kubeconfig: &str) -> Option<u32> {
    let config: Value = serde_saphyr::from_str(kubeconfig).ok()?;
    let extensions = config["clusters"][0]["cluster"]["extensions"].as_array()?;
    let ours = extensions.iter().find(|known| known["name"] == EXTENSION)?;
    u32::try_from(ours["extension"]["node"].as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_noted_is_found_and_no_other() {
        let mut config =
            json!({"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]});
        let text = |config: &Value| serde_saphyr::to_string(config).unwrap();
        assert_eq!(node_of(&text(&config)), None);
        note(&mut config, 4711);
        assert_eq!(node_of(&text(&config)), Some(4711));
        assert_eq!(node_of("not a kubeconfig"), None);
    }
}

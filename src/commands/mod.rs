//! The commands: a file each, with its arguments and what it does.

pub(crate) mod check;
pub(crate) mod describe;
mod file;
mod names;
pub(crate) mod reconcile;
pub(crate) mod sandbox;
pub(crate) mod serve;

use std::path::PathBuf;

use crate::apiserver::ApiServer;
use crate::output::Lines;

/// The API server that a kubeconfig names, or the one there is.
fn server(kubeconfig: Option<PathBuf>) -> ApiServer {
    kubeconfig.map_or(ApiServer::Ambient, |file| ApiServer::Kubeconfig {
        file,
        context: None,
    })
}

/// Names of namespaces as they are compared.
fn lower(names: &[String]) -> Vec<Box<str>> {
    let names = names.iter();
    names.map(|name| name.to_ascii_lowercase().into()).collect()
}

/// Lines for a person, on standard output.
fn print<L: AsRef<str>>(out: &Lines, lines: impl IntoIterator<Item = L>) {
    for line in lines {
        out.push(format!("{}\n", line.as_ref()).into_bytes());
    }
}

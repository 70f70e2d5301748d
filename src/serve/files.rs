//! Where a Corefile comes from, and what it imports.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::corefile::{KUBEADM, Source};

/// The file system and the environment.
#[derive(Debug)]
pub struct Files;

impl Source for Files {
    fn read(&self, from: &str, path: &str) -> io::Result<String> {
        std::fs::read_to_string(beside(from, path))
    }

    fn glob(&self, from: &str, pattern: &str) -> Vec<String> {
        let full = beside(from, pattern);
        let (Some(dir), Some(name)) = (full.parent(), full.file_name().and_then(|n| n.to_str()))
        else {
            return Vec::new();
        };
        let Some((start, end)) = name.split_once('*') else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let fits = |name: &str| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        let mut found: Vec<_> = entries
            .filter(|entry| entry.file_name().to_str().is_some_and(fits))
            .map(|entry| entry.path().display().to_string())
            .collect();
        found.sort();
        found
    }

    fn env(&self, name: &str) -> Option<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the Corefile's own syntax asks for variables by name"
        )]
        std::env::var(name).ok()
    }
}

/// `path`, relative to the folder of the file that names it.
fn beside(from: &str, path: &str) -> PathBuf {
    Path::new(from)
        .parent()
        .map_or_else(|| path.into(), |dir| dir.join(path))
}

/// A Corefile's name and text: `conf`, else `./Corefile`, else kubeadm's.
///
/// # Errors
/// A file that cannot be read; `stdin` reads the standard input.
pub fn corefile(conf: Option<&str>) -> anyhow::Result<(String, String)> {
    let read = |path: &str| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read the Corefile {path}"))
    };
    match conf {
        Some("stdin") => Ok((
            "stdin".into(),
            io::read_to_string(io::stdin()).context("cannot read the Corefile from stdin")?,
        )),
        Some(path) => Ok((path.into(), read(path)?)),
        None if Path::new("Corefile").exists() => Ok(("Corefile".into(), read("Corefile")?)),
        None => Ok(("kubeadm's Corefile".into(), KUBEADM.into())),
    }
}

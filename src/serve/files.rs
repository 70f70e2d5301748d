//! Where a Corefile comes from, and what it imports.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tracing::warn;

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
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let is_it = |found: &str| fits(name, found);
        let mut found: Vec<_> = entries
            .filter(|entry| entry.file_name().to_str().is_some_and(is_it))
            .map(|entry| entry.path().display().to_string())
            .collect();
        found.sort();
        found
    }

    fn unmatched(&self, pattern: &str) {
        warn!("no file matches the pattern {pattern} of an import");
    }

    fn env(&self, name: &str) -> Option<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the Corefile's own syntax asks for variables by name"
        )]
        std::env::var(name).ok()
    }
}

/// The same, looked at again: what was said at start is not said again.
#[derive(Debug)]
pub struct Again;

impl Source for Again {
    fn read(&self, from: &str, path: &str) -> io::Result<String> {
        Files.read(from, path)
    }

    fn glob(&self, from: &str, pattern: &str) -> Vec<String> {
        Files.glob(from, pattern)
    }

    fn env(&self, name: &str) -> Option<String> {
        Files.env(name)
    }
}

/// Whether a name is of a pattern: a `*` stands for any text, a `?` for one character.
fn fits(pattern: &str, name: &str) -> bool {
    let mut left = pattern.chars();
    match left.next() {
        None => name.is_empty(),
        Some('*') => {
            let starts = name.char_indices().map(|(at, _)| at);
            let mut rests = starts.chain([name.len()]).map(|at| &name[at..]);
            rests.any(|rest| fits(left.as_str(), rest))
        }
        Some(sign) => {
            let mut name = name.chars();
            name.next().is_some_and(|c| sign == '?' || c == sign)
                && fits(left.as_str(), name.as_str())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_the_names_that_it_describes() {
        for (pattern, name, wanted) in [
            ("*.server", "a.server", true),
            ("*.server", ".server", true),
            ("*.server", "a.server.bak", false),
            ("?.override", "x.override", true),
            ("?.override", "xy.override", false),
            ("?.override", ".override", false),
            ("a?*", "ab", true),
            ("a?*", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}

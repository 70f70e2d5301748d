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
        let full = beside(from, pattern).display().to_string();
        // Sorted; a pattern that is none, and a folder that cannot be read, have no files.
        let found = glob::glob(&full).into_iter().flatten().flatten();
        let named = found.map(|path| path.display().to_string());
        // A pattern that begins with a dot is of the folder and of the one above too.
        named
            .filter(|path| !path.ends_with("/.") && !path.ends_with("/.."))
            .collect()
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
    fn a_pattern_is_of_the_files_that_it_describes_in_any_folder() {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/x.server", "b/x.server", "b/.y.server", "b/x.server.bak"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let corefile = root.path().join("Corefile").display().to_string();
        for (pattern, wanted) in [
            ("*/x.server", &["a/x.server", "b/x.server"][..]),
            ("b/*.server", &["b/.y.server", "b/x.server"]),
            ("b/?.server", &["b/x.server"]),
            ("b/x.server", &["b/x.server"]),
            ("c/*", &[]),
        ] {
            let wanted: Vec<_> = wanted.iter().map(|file| root.path().join(file)).collect();
            let wanted: Vec<_> = wanted
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            assert_eq!(Files.glob(&corefile, pattern), wanted, "{pattern}");
        }
    }
}

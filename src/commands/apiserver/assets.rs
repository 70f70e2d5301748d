//! The folder that `KUBEBUILDER_ASSETS` names: this program under the names of those that it stands in for.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Makes the folder, or makes it anew. Returns lines for a person.
pub(super) fn make(folder: &Path) -> anyhow::Result<Vec<String>> {
    let own = std::env::current_exe().context("cannot find this program")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in ["kube-apiserver", "etcd"] {
        link(&own, &folder.join(name))?;
    }
    let shown = std::fs::canonicalize(folder)?;
    let mut lines = vec![format!("export KUBEBUILDER_ASSETS={}", shown.display())];
    match in_path("kubectl") {
        Some(kubectl) => link(&kubectl, &folder.join("kubectl"))?,
        None => lines.push("# there is no kubectl in PATH: what calls it fails".into()),
    }
    Ok(lines)
}

/// Makes a link in the place of one that is there.
fn link(program: &Path, at: &Path) -> anyhow::Result<()> {
    let is_link = at.symlink_metadata().is_ok_and(|there| there.is_symlink());
    if is_link {
        std::fs::remove_file(at).with_context(|| format!("cannot remove {}", at.display()))?;
    }
    symlink(program, at).with_context(|| format!("cannot make {}", at.display()))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).map(|folder| folder.join(name));
    all.find(|program| program.is_file())
}

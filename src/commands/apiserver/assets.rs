//! The folder that `KUBEBUILDER_ASSETS` names: this program under the names of those that it stands in for.

use std::os::unix::fs::{PermissionsExt, symlink};
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
    let kubectl = folder.join("kubectl");
    match in_path("kubectl", &shown) {
        Some(program) => link(&program, &kubectl)?,
        None => {
            // One that was made before leads nowhere now.
            if is_link(&kubectl) && !kubectl.exists() {
                std::fs::remove_file(&kubectl)?;
            }
            if !kubectl.exists() {
                lines.push("# there is no kubectl in PATH: what calls it fails".into());
            }
        }
    }
    Ok(lines)
}

/// Makes a link in the place of one that is there.
fn link(program: &Path, at: &Path) -> anyhow::Result<()> {
    if is_link(at) {
        std::fs::remove_file(at).with_context(|| format!("cannot remove {}", at.display()))?;
    }
    symlink(program, at).with_context(|| format!("cannot make {}", at.display()))
}

fn is_link(at: &Path) -> bool {
    at.symlink_metadata().is_ok_and(|there| there.is_symlink())
}

/// A program of PATH, by its whole path. What stands in `but` is passed over: that folder may be a part of PATH, and a link there
/// would lead to itself.
fn in_path(name: &str, but: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter_map(|folder| folder.canonicalize().ok());
    let mut all = folders.filter(|folder| folder != but);
    all.find_map(|folder| {
        let program = folder.join(name);
        let mode = program.metadata().ok()?.permissions().mode();
        (program.is_file() && mode & 0o111 != 0).then_some(program)
    })
}

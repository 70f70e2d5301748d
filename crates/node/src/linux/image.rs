//! A container's `/` of an image's files: an overlay, whose changes end with the container.

use std::io;
use std::path::{Path, PathBuf};

use super::messages::{Failure, Tried};
use super::places::{make_folder, overlay, place, write};
use crate::{Mount, inside};

/// What every container has, whether its image does or not.
const FOLDERS: &[&str] = &["dev", "etc", "proc", "sys", "tmp"];

/// Makes it below `base`, with all that others are mounted on.
pub(crate) fn lay(
    base: &Path,
    image: &Path,
    mounts: &[Mount],
    texts: &[(PathBuf, String)],
) -> Result<PathBuf, Failure> {
    let [upper, work, tree] = ["upper", "work", "tree"].map(|part| base.join(part));
    for part in [&upper, &work, &tree] {
        make_folder(part)?;
    }
    overlay(image, &[upper, work], &tree)?;
    let found = |target: &Path| -> Result<PathBuf, Failure> {
        let found: io::Result<_> = inside(&tree, target);
        found.tried(|| format!("finding {}", target.display()))
    };
    for folder in FOLDERS {
        make_folder(&found(Path::new(folder))?)?;
    }
    for mount in mounts {
        place(mount, &found(&mount.target)?)?;
    }
    for (target, text) in texts {
        write(&found(target)?, text)?;
    }
    Ok(tree)
}

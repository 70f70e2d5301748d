//! Paths below a folder that is to be somebody's `/`, before it is.

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Links on a path's way: more are a circle (path_resolution(7)).
const LINKS: usize = 40;

/// Where `path` is, below `root`, for somebody whose `/` is `root`: links are followed, the last part too, and none leads out.
/// Parts that are not there keep their names.
///
/// # Errors
/// Links that go round in a circle (ELOOP's words).
pub fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut ahead: Vec<OsString> = reversed(path);
    let mut whole = PathBuf::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            whole.pop();
            continue;
        }
        let next = whole.join(&name);
        match std::fs::read_link(root.join(&next)) {
            Ok(target) => {
                links += 1;
                if links > LINKS {
                    let circle = format!("links of {} go round in a circle", path.display());
                    return Err(io::Error::other(circle));
                }
                if target.is_absolute() {
                    whole = PathBuf::new();
                }
                ahead.extend(reversed(&target));
            }
            Err(_) => whole = next,
        }
    }
    Ok(root.join(whole))
}

/// The names of a path, the last one first; `..` is one.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().rev();
    let names = names.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_and_what_is_not_there_keeps_its_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        for (target, link) in [
            ("usr/lib", "lib"),
            ("/run", "usr/run"),
            ("../../../../etc", "usr/out"),
            ("round", "round"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        for (path, wanted) in [
            ("/lib/x/y", "usr/lib/x/y"),
            ("usr/run/secrets", "run/secrets"),
            ("usr/out/passwd", "etc/passwd"),
            ("../../../x", "x"),
            ("/lib", "usr/lib"),
        ] {
            assert_eq!(inside(root, Path::new(path)).unwrap(), root.join(wanted));
        }
        assert!(inside(root, Path::new("round/x")).is_err());
    }
}

//! Whom an image's programs run as: its user by name or number, looked up in its own files.

use std::fs;
use std::path::Path;

use headless_node::inside;

/// A user with its groups' first, and its home; as a container counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) ids: (u32, u32),
    pub(super) home: String,
}

/// The user that `USER`, `USER:GROUP` means, by names or numbers; empty: root.
///
/// # Errors
/// A name that the image does not know.
pub(super) fn user(root: &Path, named: &str) -> Result<User, String> {
    let (user, group) = match named.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (named, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let known = entries(root, "etc/passwd").into_iter();
    let mut known = known.filter(|fields| fields.len() > 5);
    let is_meant = |fields: &Vec<String>| {
        fields[0] == user || number.is_some() && fields[2].parse() == Ok(number.unwrap_or_default())
    };
    let entry = known.find(is_meant);
    let field = |at: usize| entry.as_ref().and_then(|fields| fields[at].parse().ok());
    let unknown = || format!("user {user:?}, whom the image's /etc/passwd does not know");
    let uid = number.or_else(|| field(2)).ok_or_else(unknown)?;
    let gid = match group {
        Some(group) => gid(root, group)?,
        None => field(3).unwrap_or(0),
    };
    let home = entry.as_ref().map(|fields| fields[5].clone());
    Ok(User {
        ids: (uid, gid),
        home: home
            .filter(|home| !home.is_empty())
            .unwrap_or_else(|| "/".into()),
    })
}

fn gid(root: &Path, group: &str) -> Result<u32, String> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let known = entries(root, "etc/group");
    let mut meant = known
        .iter()
        .filter(|fields| fields.len() > 2 && fields[0] == group);
    let gid = meant.find_map(|fields| fields[2].parse().ok());
    gid.ok_or_else(|| format!("group {group:?}, which the image's /etc/group does not know"))
}

/// The lines of a file of accounts (passwd(5), group(5)).
fn entries(root: &Path, file: &str) -> Vec<Vec<String>> {
    let text = inside(root, Path::new(file)).and_then(fs::read_to_string);
    let text = text.unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| line.split(':').map(str::to_owned).collect())
        .collect()
}

/// The user that an entrypoint becomes, where it is a script that says so: `gosu`, `su-exec`, `setpriv --reuid`.
pub(super) fn becomes(root: &Path, entrypoint: &str, path: &str) -> Option<String> {
    let folders = std::env::split_paths(path);
    let mut places = folders.map(|folder| folder.join(entrypoint));
    let script = places.find_map(|place| fs::read_to_string(inside(root, &place).ok()?).ok())?;
    let mut words = script.split_whitespace();
    let is_name = |word: &&str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    while let Some(word) = words.next() {
        let name = match word {
            "gosu" | "su-exec" | "--reuid" => words.next(),
            word => word.strip_prefix("--reuid="),
        };
        if let Some(name) = name.filter(is_name) {
            return Some(name.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc", "usr/local/bin"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nredis:x:999:1000::/home/redis:/bin/sh\n";
        fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        fs::write(root.path().join("etc/group"), "redis:x:1000:\nweb:x:33:\n").unwrap();
        root
    }

    #[test]
    fn a_user_is_known_by_name_and_by_number() {
        let root = image();
        let found = |named: &str| {
            let user = user(root.path(), named)?;
            Ok::<_, String>((user.ids, user.home))
        };
        for (named, ids, home) in [
            ("", (0, 0), "/root"),
            ("redis", (999, 1000), "/home/redis"),
            ("999", (999, 1000), "/home/redis"),
            ("redis:web", (999, 33), "/home/redis"),
            ("5:7", (5, 7), "/"),
        ] {
            assert_eq!(found(named), Ok((ids, home.into())), "{named}");
        }
        let unknown = found("nobody").unwrap_err();
        assert!(unknown.contains("/etc/passwd does not know"), "{unknown}");
    }

    #[test]
    fn the_user_that_an_entrypoint_becomes_is_found_in_it() {
        let root = image();
        let script = root.path().join("usr/local/bin/entry.sh");
        let path = "/bin:/usr/local/bin";
        for (text, name) in [
            ("exec gosu redis \"$0\" \"$@\"", Some("redis")),
            ("exec setpriv --reuid=redis --regid=redis", Some("redis")),
            ("exec su-exec \"$user\" x", None),
            ("exec \"$@\"", None),
        ] {
            fs::write(&script, format!("#!/bin/sh\n{text}\n")).unwrap();
            let name = name.map(str::to_owned);
            assert_eq!(becomes(root.path(), "entry.sh", path), name, "{text}");
            assert_eq!(becomes(root.path(), "/usr/local/bin/entry.sh", path), name);
        }
    }
}

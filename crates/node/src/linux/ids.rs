//! Which ids of the host the node's ids are (user_namespaces(7)).

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{chown, fchown, lchown};
use std::path::Path;

/// Root's containers are nobody's: the first id that no account has, and as many as an image counts.
const FIRST: u32 = 100_000;
const COUNT: u32 = 65_536;

/// The ids of a node: `first` of the host is its root, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    user: u32,
    group: u32,
    count: u32,
}

/// How many ids this process, which is a node's, has in its user namespace.
pub(crate) fn count() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = map.split_whitespace().nth(2);
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

impl Ids {
    /// Those that this process may give: where it is root of all ids, a range without accounts, else its own.
    pub(crate) fn available() -> Self {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        Self::of(&map, user.as_raw(), group.as_raw())
    }

    fn of(map: &str, user: u32, group: u32) -> Self {
        let mut fields = map.split_whitespace().map(str::parse::<u32>);
        let all = matches!(
            (fields.next(), fields.next(), fields.next()),
            (Some(Ok(0)), Some(Ok(_)), Some(Ok(count))) if count >= FIRST + COUNT
        );
        if user == 0 && all {
            let (user, group) = (FIRST, FIRST);
            return Self {
                user,
                group,
                count: COUNT,
            };
        }
        Self {
            user,
            group,
            count: 1,
        }
    }

    /// Whether there are more ids than root's.
    pub(crate) fn many(self) -> bool {
        self.count > 1
    }

    /// Gives them to a process that has a user namespace of its own and no ids in it.
    pub(crate) fn map(self, process: u32) -> io::Result<()> {
        let file = |name: &str| format!("/proc/{process}/{name}");
        if !self.many() {
            // Without it an ordinary user may not map a group.
            fs::write(file("setgroups"), "deny")?;
        }
        fs::write(file("uid_map"), format!("0 {} {}", self.user, self.count))?;
        fs::write(file("gid_map"), format!("0 {} {}", self.group, self.count))
    }

    /// Makes the node's root the owner of a file.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        if self.many() {
            chown(path, Some(self.user), Some(self.group))?;
        }
        Ok(())
    }

    /// Makes somebody whom the node knows the owner of a file, and not of what that leads to; who is unknown is its root.
    pub(crate) fn give_to(self, path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
        if self.many() {
            let known = |id: u32| if id < self.count { id } else { 0 };
            let (user, group) = (self.user + known(user), self.group + known(group));
            lchown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// The same as [`give`](Self::give) for an open file: a program may open its standard output by name once more.
    pub(crate) fn give_open(self, file: impl AsFd) -> io::Result<()> {
        if self.many() {
            fchown(file, Some(self.user), Some(self.group))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_all_ids_gives_a_range_without_accounts_and_everybody_else_their_own() {
        let own = |user, group| Ids {
            user,
            group,
            count: 1,
        };
        let range = Ids {
            user: FIRST,
            group: FIRST,
            count: COUNT,
        };
        let whole = "         0          0 4294967295\n";
        assert_eq!(Ids::of(whole, 0, 0), range);
        assert_eq!(Ids::of(whole, 1000, 100), own(1000, 100));
        assert_eq!(Ids::of("0 1000 1\n1 100000 65536\n", 0, 0), own(0, 0));
    }
}

//! Which rule of a machine forbids a node, and how to allow it.

use std::fs;

use super::messages::Failure;
use crate::NodeError;

/// The error of a node that could not be made.
pub(crate) fn error(failure: &Failure) -> NodeError {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    NodeError::Forbidden {
        step: failure.step.clone(),
        source: failure.error(),
        rule: rule(read).into(),
    }
}

/// The first rule that holds, of those that are known; `read` gives a file's text, empty where there is none.
fn rule(read: impl Fn(&str) -> String) -> &'static str {
    let number = |path: &str| read(path).trim().parse::<u64>().ok();
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        return "user namespaces are switched off: `sudo sysctl -w user.max_user_namespaces=10000` allows them";
    }
    if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return "only root may make user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1` allows them";
    }
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return "AppArmor lets no program without a profile use user namespaces: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` \
                allows them, or run this program below `podman unshare`";
    }
    let status = read("/proc/self/status");
    let filtered = status.lines().any(|line| {
        line.strip_prefix("Seccomp:")
            .is_some_and(|mode| mode.trim() == "2")
    });
    if filtered {
        return "a seccomp filter is in force, as in a container of Docker or Kubernetes: run it with `--privileged` or with another \
                seccomp profile";
    }
    "no rule is known that forbids it: a security module may"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_holds_is_named_with_what_allows_it() {
        let with = |file: &'static str, text: &'static str| {
            rule(move |path| {
                if path == file {
                    text.into()
                } else {
                    String::new()
                }
            })
        };
        for (file, text, word) in [
            (
                "/proc/sys/user/max_user_namespaces",
                "0\n",
                "user.max_user_namespaces",
            ),
            (
                "/proc/sys/kernel/unprivileged_userns_clone",
                "0\n",
                "kernel.unprivileged_userns_clone",
            ),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1\n",
                "podman unshare",
            ),
            (
                "/proc/self/status",
                "Name:\tx\nSeccomp:\t2\n",
                "--privileged",
            ),
            (
                "/proc/self/status",
                "Name:\tx\nSeccomp:\t0\n",
                "no rule is known",
            ),
        ] {
            let said = with(file, text);
            assert!(said.contains(word), "{said}");
        }
    }
}

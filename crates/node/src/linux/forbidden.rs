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
        rule: rule(read),
    }
}

/// What lets a program use user namespaces where AppArmor asks for a profile; of a package's program.
const PROFILE: &str = include_str!("../../../../deploy/apparmor/headless-dns");
const PACKAGED: &str = "/usr/bin/headless-dns";

/// The same for this program, without its comments.
fn profile() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PACKAGED.into());
    let lines = PROFILE.lines().filter(|line| !line.starts_with('#'));
    let profile: String = lines.flat_map(|line| [line, "\n"]).collect();
    // In quotation marks a path may have blanks.
    let program = program.display().to_string();
    profile.replace(PACKAGED, &format!("\"{program}\""))
}

/// The first rule that holds, of those that are known; `read` gives a file's text, empty where there is none.
fn rule(read: impl Fn(&str) -> String) -> String {
    let number = |path: &str| read(path).trim().parse::<u64>().ok();
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        return "user namespaces are switched off: `sudo sysctl -w user.max_user_namespaces=10000` allows them".into();
    }
    if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return "only root may make user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1` allows them".into();
    }
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return format!(
            "AppArmor lets no program without a profile use user namespaces: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` \
             allows them to all, `podman unshare` to what runs below it, and to this program what stands here, as \
             /etc/apparmor.d/headless-dns, after `sudo apparmor_parser -r /etc/apparmor.d/headless-dns`:\n{}",
            profile()
        );
    }
    let status = read("/proc/self/status");
    let filtered = status.lines().any(|line| {
        line.strip_prefix("Seccomp:")
            .is_some_and(|mode| mode.trim() == "2")
    });
    if filtered {
        return "a seccomp filter is in force, as in a container of Docker or Kubernetes: run it with `--privileged` or with another \
                seccomp profile"
            .into();
    }
    "no rule is known that forbids it: a security module may".into()
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

    #[test]
    fn the_profile_of_this_program_is_said_and_is_the_one_that_is_shipped() {
        let said = rule(
            |path| match path.ends_with("restrict_unprivileged_userns") {
                true => "1\n".into(),
                false => String::new(),
            },
        );
        let own = std::env::current_exe().unwrap();
        let head = format!(
            "profile headless-dns \"{}\" flags=(unconfined) {{",
            own.display()
        );
        assert!(said.contains(&head), "{said}");
        let shipped: Vec<&str> = PROFILE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        let shown: Vec<&str> = said
            .lines()
            .skip_while(|line| !line.starts_with("abi"))
            .collect();
        assert_eq!(shown.len(), shipped.len());
        let same = shown.iter().zip(&shipped).filter(|(a, b)| a == b).count();
        assert_eq!(same, shipped.len() - 1, "{said}");
    }
}

//! What every command needs of its process: a last word where something goes wrong, and how much memory is held.

use std::error::Error;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::listen;

/// The error and what caused it, each said once.
pub(crate) fn whole(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Raises the limit of open files to what this process may have: a socket for each client and upstream is one.
pub(crate) fn raise_file_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::debug!(%error, soft, hard, "the limit of open files stays");
    }
}

/// The cores that this process may use: its affinity and its control group's quota are counted.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What clients may take: by open files, and by memory, in octets. Where nobody says how much, it is a little less than
/// this process may have: what the kernel keeps for it counts too.
pub(crate) fn budget(memory: Option<u64>) -> listen::Budget {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let memory = memory.unwrap_or_else(|| available_memory() / 100 * 85);
    listen::Budget::of(files, memory)
}

/// What memory this process may have, in octets: the machine's, or what its control group lets it (cgroups(7)).
fn available_memory() -> u64 {
    let groups = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limit = |file: &&str| std::fs::read_to_string(file).ok()?.trim().parse().ok();
    let group = groups.iter().find_map(limit);
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let machine = total.map_or(u64::MAX, |kib| kib << 10);
    group.map_or(machine, |group: u64| group.min(machine))
}

/// What this process holds in memory, in KiB, where the system says so.
pub(crate) fn resident_memory() -> Option<u64> {
    own_status("VmRSS:")?.trim_end_matches(" kB").parse().ok()
}

/// What the system says of this process in the line that begins with `field` (proc_pid_status(5)).
pub(crate) fn own_status(field: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

/// How much address space this process may have, in octets.
pub(crate) fn most_memory() -> u64 {
    getrlimit(Resource::RLIMIT_AS).map_or(u64::MAX, |(soft, _)| soft)
}

/// The octets that the network of this process has received and sent (`IpExt` of proc_pid_net(5)); 0 where the system does
/// not say it.
pub(crate) fn network_octets() -> (u64, u64) {
    let said = std::fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    octets_in(&said).unwrap_or_default()
}

/// A line of names, and below it a line of numbers.
fn octets_in(netstat: &str) -> Option<(u64, u64)> {
    let mut lines = netstat.lines().filter(|line| line.starts_with("IpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let at = names.split(' ').position(|name| name == wanted)?;
        numbers.split(' ').nth(at)?.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_found_by_name() {
        let said =
            "TcpExt: A B\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets X\nIpExt: 0 7 9 3\n";
        assert_eq!(octets_in(said), Some((7, 9)));
        assert_eq!(octets_in("IpExt: InOctets\nIpExt: 1\n"), None);
    }
}

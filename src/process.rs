//! What every command needs of its process: a last word where something goes wrong, and how much memory is held.

use std::error::Error;

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

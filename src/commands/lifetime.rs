//! A descriptor that somebody else holds the other end of: the program ends when they let go of it, or are no more.

use std::fs::OpenOptions;
use std::io;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Cancels `stop` when the other end of a descriptor is closed.
///
/// # Errors
/// A descriptor that is not there.
pub(super) fn end_with(descriptor: i32, stop: CancellationToken) -> anyhow::Result<()> {
    let held = headless_node::descriptor(descriptor, OpenOptions::new().read(true));
    let mut held = held.with_context(|| format!("cannot read descriptor {descriptor}"))?;
    std::thread::spawn(move || {
        // What is written there means nothing.
        if let Err(error) = io::copy(&mut held, &mut io::sink()) {
            warn!(descriptor, %error, "the descriptor that says when to end cannot be read");
        }
        stop.cancel();
    });
    Ok(())
}

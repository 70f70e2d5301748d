//! `root`: the folder that relative paths of its block start from.

use super::block::Block;
use super::kit::{Directives, Registration};
use crate::corefile::CorefileError;

pub(super) const PLUGIN: Registration = Registration {
    name: "root",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    // As in CoreDNS the last counts.
    for directive in directives.iter() {
        directive.no_braces()?;
        let folder = directive.one_arg("a folder")?;
        if let Err(error) = std::fs::metadata(&folder.text) {
            // It may come later.
            tracing::warn!(folder = %folder.text, %error, "the folder of `root` cannot be read");
        }
        block.root = Some(folder.text.clone().into());
    }
    Ok(())
}

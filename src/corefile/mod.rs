//! The Corefile: grammar and spans, no plugins. Files and environment come through a [`Source`].
//!
//! The grammar is CoreDNS 1.15's (Caddy v1): server blocks, directives with optional bodies, snippets, imports,
//! `{$NAME}` and `{%NAME%}`.

mod error;
mod keys;
mod lexer;
mod parser;

pub use error::{CorefileError, CorefileErrors};
pub use headless_objects::go_duration;
pub use keys::{Key, Scheme, cidr, origins_of};
pub use lexer::Token;
pub use parser::{Directive, ServerBlock, parse};

/// Where imports and environment variables come from.
pub trait Source {
    /// The text of the file at `path`, as an import of `from` names it.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, from: &str, path: &str) -> std::io::Result<String>;

    /// The files that match `pattern`, in whose last part are a `*` or a `?` or both, in order of their names.
    fn glob(&self, from: &str, pattern: &str) -> Vec<String>;

    /// A pattern that nothing matches: a wrong mount looks like no customisation.
    fn unmatched(&self, _pattern: &str) {}

    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;
}

/// kubeadm's Corefile: what a cluster's CoreDNS runs with, and what `serve` runs with where no file says otherwise.
pub const KUBEADM: &str = include_str!("../../config/Corefile");

/// What an empty Corefile stands for, as in CoreDNS: a server that tells who asks.
pub const EMPTY: &str = ". {\n    whoami\n    log\n}\n";

#[cfg(test)]
mod tests;

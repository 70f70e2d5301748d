//! Zones of files: their text, their names, and what they answer (RFC 1034, 4592 and 6672).

mod data;
mod generate;
mod lookup;
mod read;
#[cfg(test)]
mod tests;

pub use data::FileZone;
pub use lookup::{Looked, Outcome};
pub use read::{Included, NotAZone, read};

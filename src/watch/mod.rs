//! Lists and watches.
pub mod wire;

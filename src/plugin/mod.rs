//! draft
pub mod kubernetes;

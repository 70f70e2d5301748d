#![doc = include_str!("../README.md")]

mod duration;
pub mod envelope;
pub mod podspec;
pub mod quantity;
pub mod rfc3339;
pub mod selector;

pub use duration::go_duration;

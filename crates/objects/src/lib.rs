#![doc = include_str!("../README.md")]

mod backoff;
mod duration;
pub mod envelope;
mod hash;
pub mod image;
pub mod object;
pub mod podspec;
pub mod quality;
pub mod quantity;
pub mod rfc3339;
pub mod selector;

pub use backoff::backoff;
pub use duration::{age, go_duration};
pub use hash::hash;

//! Words about Kubernetes objects, for whoever reads or writes them: label selectors, what a Pod template leaves out, times,
//! durations and quantities. No client, no runtime.
//!
//! ```
//! use headless_objects::selector::Selector;
//!
//! let selector = Selector::parse("app in (redis, web), tier!=cache").unwrap();
//! let labels = |key: &str| (key == "app").then_some("redis");
//! assert!(selector.matches(labels));
//! ```

mod duration;
pub mod podspec;
pub mod quantity;
pub mod rfc3339;
pub mod selector;

pub use duration::go_duration;

#[cfg(feature = "model")]
mod model;

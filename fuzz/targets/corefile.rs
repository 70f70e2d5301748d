//! Any Corefile, with the expressions and templates in it: it is taken, or refused at a place.
#![no_main]

use headless_dns::corefile::{self, Source};
use headless_dns::plugin::read_blocks;
use libfuzzer_sys::fuzz_target;

/// There are no other files, and no environment.
struct Nothing;

impl Source for Nothing {
    fn read(&self, _: &str, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn glob(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

fuzz_target!(|text: &str| {
    match corefile::parse("Corefile", text, &Nothing) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(blocks) => {
            if let Err(errors) = read_blocks(&blocks, &Nothing) {
                assert!(!errors.to_string().is_empty());
            }
        }
    }
});

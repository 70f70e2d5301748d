//! A certificate authority for a control plane, in files.

use std::path::{Path, PathBuf};

use headless_cluster::authority::Authority;
use rcgen::KeyPair;

/// Writes `ca.crt`, `server.crt`, `server.key`, `sa.key` and `sa.pub` to the folder.
pub fn write(authority: &Authority, folder: &Path) {
    let write = |name: &str, text: &str| {
        let file: PathBuf = folder.join(name);
        std::fs::write(file, text).unwrap();
    };
    write("ca.crt", &authority.certificate());
    let server = authority.server(&["127.0.0.1".parse().unwrap()]).unwrap();
    write("server.crt", &server.certificate);
    write("server.key", &server.key);
    let tokens = KeyPair::generate().unwrap();
    write("sa.key", &tokens.serialize_pem());
    write("sa.pub", &tokens.public_key_pem());
}

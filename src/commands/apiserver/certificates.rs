//! The certificates of `apiserver`: files that are named, those of its folder, or new ones there.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use headless_cluster::Certificates;
use headless_cluster::authority::Authority;
use tracing::warn;

use super::Apiserver;

/// Reads them, and makes those that are not there.
pub(super) fn read(flags: &Apiserver) -> anyhow::Result<Certificates> {
    let folder = &flags.cert_dir;
    let named = flags
        .tls_cert_file
        .clone()
        .zip(flags.tls_private_key_file.clone());
    let (chain, key) = match named {
        Some(named) => named,
        None => {
            let files = (folder.join("apiserver.crt"), folder.join("apiserver.key"));
            if !files.0.exists() && !files.1.exists() {
                make(flags, (&files.0, &files.1))?;
            }
            files
        }
    };
    let clients = flags.client_ca_file.as_deref().map(text).transpose()?;
    if clients.is_none() {
        warn!("nobody can come in: --client-ca-file names the authorities whose clients may");
    }
    Ok(Certificates {
        chain: text(&chain)?,
        key: text(&key)?,
        clients,
    })
}

fn text(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Makes a certificate of an authority that nobody keeps, which stands behind it in the file, and its key.
fn make(flags: &Apiserver, (chain, key): (&Path, &Path)) -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    let mut addresses = loopback.to_vec();
    addresses.push(flags.bind_address);
    addresses.extend(flags.advertise_address);
    addresses.push(flags.service_cluster_ip_range.api());
    let identity = authority.server(&addresses)?;
    let folder = &flags.cert_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let both = identity.certificate + &authority.certificate();
    for (file, text, mode) in [(chain, both, 0o644), (key, identity.key, 0o600)] {
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(mode).open(file);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

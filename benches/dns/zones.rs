//! The same names as zone files, for NSD and Knot.

use std::fmt::Write as _;
use std::path::Path;

use crate::world::World;

/// The zones, each with its file within a folder.
pub(crate) const ZONES: [(&str, &str); 2] = [
    ("cluster.local", "cluster.zone"),
    ("in-addr.arpa", "reverse.zone"),
];

const SOA: &str = "$TTL 30\n@ IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30\n\
    @ IN NS ns.dns.cluster.local.\n";

/// Writes both files.
pub(crate) fn write(world: &World, folder: &Path) {
    let (mut names, mut addresses) = (SOA.to_owned(), SOA.to_owned());
    names += "ns.dns IN A 192.0.2.53\n";
    for service in &world.services {
        let own = format!("{}.{}.svc.cluster.local.", service.name, service.ns);
        let weight = (100 / service.endpoints.len()).max(1);
        for (pod, [a, b, c, d]) in &service.endpoints {
            let _text = write!(
                names,
                "{own} IN A {a}.{b}.{c}.{d}\n{pod}.{own} IN A {a}.{b}.{c}.{d}\n\
                 _http._tcp.{own} IN SRV 0 {weight} 80 {pod}.{own}\n"
            );
            let _text = writeln!(
                addresses,
                "{d}.{c}.{b}.{a}.in-addr.arpa. IN PTR {pod}.{own}"
            );
        }
    }
    for ((_, file), text) in ZONES.into_iter().zip([names, addresses]) {
        std::fs::write(folder.join(file), text).unwrap();
    }
}

/// NSD's configuration: one server, no limit on what it answers.
pub(crate) fn nsd(folder: &Path, port: u16) -> String {
    let dir = folder.display();
    let mut text = format!(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{dir}\"\n  \
         database: \"\"\n  pidfile: \"{dir}/nsd.pid\"\n  zonelistfile: \"{dir}/zone.list\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  \
         xfrdir: \"{dir}\"\n  minimal-responses: no\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n"
    );
    for (zone, file) in ZONES {
        text += &format!("zone:\n  name: \"{zone}\"\n  zonefile: \"{file}\"\n");
    }
    text
}

/// Knot's configuration: one worker of each kind.
pub(crate) fn knot(folder: &Path, port: u16) -> String {
    let dir = folder.display();
    let mut text = format!(
        "server:\n    rundir: \"{dir}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: \"{dir}\"\nlog:\n  - target: stderr\n    any: error\n\
         template:\n  - id: default\n    storage: \"{dir}\"\n    zonefile-sync: -1\n    zonefile-load: whole\n    \
         journal-content: none\nzone:\n"
    );
    for (zone, file) in ZONES {
        text += &format!("  - domain: {zone}\n    file: \"{file}\"\n");
    }
    text
}

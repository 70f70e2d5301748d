//! The files that a container gets beside its image's: names, and volumes.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use headless_cluster::runtime::{Content, Kept, PodPlace, Resolver, Start, Volume};
use headless_node::{Mount, Node, NodeError};

/// The zone of the cluster's names.
const ZONE: &str = "cluster.local";

/// Where DNS is answered in the node: kubeadm's address of kube-dns.
pub const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// /etc/hostname, /etc/hosts and /etc/resolv.conf, as the kubelet writes them.
pub(super) fn names(pod: &PodPlace) -> Vec<(PathBuf, String)> {
    let mut hosts = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    let PodPlace {
        ns,
        hostname,
        subdomain,
        ..
    } = pod;
    let whole = if subdomain.is_empty() {
        String::new()
    } else {
        format!("{hostname}.{subdomain}.{ns}.svc.{ZONE}\t")
    };
    for address in &pod.addresses {
        let _infallible = writeln!(hosts, "{address}\t{whole}{hostname}");
    }
    if !pod.aliases.is_empty() {
        hosts.push_str("\n# Entries added by HostAliases.\n");
    }
    for (address, names) in &pod.aliases {
        let _infallible = writeln!(hosts, "{address}\t{}", names.join("\t"));
    }
    let files = [
        ("/etc/hostname", format!("{hostname}\n")),
        ("/etc/hosts", hosts),
        ("/etc/resolv.conf", resolver(&pod.resolver)),
    ];
    files.map(|(path, text)| (path.into(), text)).into()
}

/// The text of /etc/resolv.conf (resolv.conf(5)).
fn resolver(resolver: &Resolver) -> String {
    let own = resolver.cluster.then(|| DNS.to_string());
    let servers: Vec<_> = own.into_iter().chain(resolver.servers.clone()).collect();
    let servers = servers.into_iter().map(|server| ("nameserver", server));
    let [searches, options] = [&resolver.searches, &resolver.options].map(|words| words.join(" "));
    let mut text = String::new();
    for (word, what) in std::iter::once(("search", searches))
        .chain(servers)
        .chain([("options", options)])
        .filter(|(_, what)| !what.is_empty())
    {
        let _infallible = writeln!(text, "{word} {what}");
    }
    text
}

/// Where volumes are.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The node's, which goes with it.
    pub node: PathBuf,
    /// What is kept of claims, where that outlives the node.
    pub data: Option<PathBuf>,
}

impl Folders {
    /// A Pod's own volumes.
    pub(super) fn own(&self, uid: &str) -> PathBuf {
        self.node.join("pods").join(uid)
    }

    /// What is kept of a claim: in the node's folder by its volume, and else by its names, which it will have again.
    pub(super) fn kept(&self, kept: &Kept) -> PathBuf {
        match &self.data {
            Some(data) => data.join(&kept.ns).join(&kept.claim),
            None => self.node.join("kept").join(&kept.volume),
        }
    }
}

/// Makes the volumes that a container mounts, where they are not there yet.
///
/// # Errors
/// A folder that cannot be made; a mount of no volume.
pub(super) fn mounts(
    node: &Node,
    folders: &Folders,
    start: &Start,
) -> Result<Vec<Mount>, NodeError> {
    let own = folders.own(&start.run.pod);
    let mut sources = Vec::new();
    for volume in &start.volumes {
        sources.push((&volume.name, make(node, (folders, &own), volume)?));
    }
    let mut mounts = Vec::new();
    for mount in &start.mounts {
        let source = sources.iter().find(|(name, _)| **name == mount.volume);
        let Some((_, (source, fixed))) = source else {
            let what = "a volume of a kind that this node does not have";
            return Err(NodeError::Failed {
                step: format!("mounting {} on {}", mount.volume, mount.path),
                source: std::io::Error::new(std::io::ErrorKind::Unsupported, what),
            });
        };
        let mut source = source.clone();
        if !mount.sub_path.is_empty() {
            source = source.join(&mount.sub_path);
            make_open(node, &source)?;
        }
        mounts.push(Mount {
            source,
            target: mount.path.clone().into(),
            read_only: mount.read_only || *fixed,
        });
    }
    Ok(mounts)
}

/// Makes a volume; says where it is, and whether nobody may write there.
fn make(
    node: &Node,
    (folders, own): (&Folders, &Path),
    volume: &Volume,
) -> Result<(PathBuf, bool), NodeError> {
    match &volume.content {
        Content::Kept(kept) => {
            let kept = folders.kept(kept);
            make_open(node, &kept)?;
            Ok((kept, false))
        }
        Content::Empty => {
            let empty = own.join(&volume.name);
            make_open(node, &empty)?;
            Ok((empty, false))
        }
        Content::Files(files) => {
            let place = own.join(&volume.name);
            node.make_folder(&place)?;
            for (path, octets, mode) in files {
                node.write_file(&place.join(path), octets, *mode)?;
            }
            Ok((place, true))
        }
    }
}

/// Makes a folder, where it is not there yet, that every user of a container may write in, as the kubelet's are.
fn make_open(node: &Node, folder: &Path) -> Result<(), NodeError> {
    if folder.exists() {
        return Ok(());
    }
    node.make_folder(folder)?;
    let open = std::fs::set_permissions(folder, Permissions::from_mode(0o777));
    open.map_err(|source| NodeError::Failed {
        step: format!("opening {}", folder.display()),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_finds_itself_and_the_names_of_its_namespace() {
        let pod = PodPlace {
            ns: "shop".into(),
            hostname: "redis-1".into(),
            subdomain: "redis".into(),
            addresses: vec!["10.244.0.3".parse().unwrap()],
            aliases: vec![("10.0.0.1".into(), vec!["db".into(), "store".into()])],
            resolver: Resolver {
                cluster: true,
                servers: vec!["192.0.2.1".into()],
                searches: vec!["shop.svc.cluster.local".into(), "cluster.local".into()],
                options: vec!["ndots:5".into(), "edns0".into()],
            },
        };
        let [hostname, hosts, resolver] = <[_; 3]>::try_from(names(&pod)).unwrap();
        assert_eq!(hostname, ("/etc/hostname".into(), "redis-1\n".into()));
        let own = "10.244.0.3\tredis-1.redis.shop.svc.cluster.local\tredis-1\n";
        let ends = format!("{own}\n# Entries added by HostAliases.\n10.0.0.1\tdb\tstore\n");
        assert!(hosts.1.ends_with(&ends), "{}", hosts.1);
        let wanted = "search shop.svc.cluster.local cluster.local\nnameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:5 edns0\n";
        assert_eq!(resolver, ("/etc/resolv.conf".into(), wanted.into()));
        let nothing = super::resolver(&Resolver::default());
        assert_eq!(nothing, "");
    }
}

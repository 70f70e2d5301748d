//! The files that a container gets beside its image's: names, and volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

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
        let made = make(node, (folders, &own), volume, start.volume_group)?;
        sources.push((&volume.name, made));
    }
    let mut mounts = Vec::new();
    for mount in &start.mounts {
        let source = sources.iter().find(|(name, _)| **name == mount.volume);
        let Some((_, (source, fixed))) = source else {
            let what = "a volume of a kind that this node does not have";
            return Err(NodeError::Failed {
                step: format!("mounting {} on {}", mount.volume, mount.path),
                source: std::io::Error::new(ErrorKind::Unsupported, what),
            });
        };
        let mut source = source.clone();
        if !mount.sub_path.is_empty() {
            let inside = |part: &Path| within(&source, part).map_err(|error| failed(part, error));
            let part = source.join(&mount.sub_path);
            inside(&part)?;
            make_open(node, &part)?;
            give(node, &part, start.volume_group)?;
            inside(&part)?;
            // What it leads to now: a part of a volume does not follow its object.
            source = part.canonicalize().unwrap_or(part);
        }
        mounts.push(Mount {
            source,
            target: mount.path.clone().into(),
            read_only: mount.read_only || *fixed,
        });
    }
    Ok(mounts)
}

/// Looks whether a part of a volume, or what is there of the way to it, is below the volume.
///
/// # Errors
/// It is not: by its own words, or by a link that a container has made.
fn within(volume: &Path, part: &Path) -> std::io::Result<()> {
    let outside = || std::io::Error::new(ErrorKind::InvalidInput, "it is not below its volume");
    let below = part.strip_prefix(volume).map_err(|_| outside())?;
    let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !below.components().all(is_plain) {
        return Err(outside());
    }
    let mut way = part.ancestors();
    let there = way.find(|at| at.symlink_metadata().is_ok());
    let there = there.unwrap_or(volume).canonicalize()?;
    if there.starts_with(volume.canonicalize()?) {
        Ok(())
    } else {
        Err(outside())
    }
}

/// Makes a volume; says where it is, and whether nobody may write there.
fn make(
    node: &Node,
    (folders, own): (&Folders, &Path),
    volume: &Volume,
    group: Option<u32>,
) -> Result<(PathBuf, bool), NodeError> {
    let place = match &volume.content {
        Content::Kept(kept) => folders.kept(kept),
        Content::Empty | Content::Files(_) => own.join(&volume.name),
    };
    let fixed = if let Content::Files(files) = &volume.content {
        node.make_folder(&place)?;
        give(node, &place, group)?;
        write(node, &place, files)?;
        true
    } else {
        make_open(node, &place)?;
        give(node, &place, group)?;
        false
    };
    Ok((place, fixed))
}

/// Makes a folder, where it is not there yet, that every user of a container may write in, as the kubelet's are.
fn make_open(node: &Node, folder: &Path) -> Result<(), NodeError> {
    if folder.exists() {
        return Ok(());
    }
    node.make_folder(folder)?;
    let open = std::fs::set_permissions(folder, Permissions::from_mode(0o777));
    open.map_err(|error| failed(folder, error))
}

/// What is made in such a folder has its group (inode(7)).
const SET_GROUP: u32 = 0o2000;

/// Makes a group of the containers that of a volume, and of what comes into it (`fsGroup`), where there is more than one.
fn give(node: &Node, place: &Path, group: Option<u32>) -> Result<(), NodeError> {
    let Some(group) = group.filter(|_| node.has_users()) else {
        return Ok(());
    };
    let given = || {
        let mode = std::fs::metadata(place)?.permissions().mode();
        if mode & SET_GROUP != 0 {
            return Ok(());
        }
        node.give_file(place, (0, group))?;
        let mode = Permissions::from_mode(mode | SET_GROUP | 0o070);
        std::fs::set_permissions(place, mode)
    };
    given().map_err(|error| failed(place, error))
}

/// Has the group of a volume own a file or a folder in it too, and read it.
fn follow_group(place: &Path, at: &Path) -> std::io::Result<()> {
    let above = std::fs::metadata(place)?;
    if above.permissions().mode() & SET_GROUP == 0 {
        return Ok(());
    }
    let own = std::fs::metadata(at)?;
    let more = if own.is_dir() { 0o050 } else { 0o040 };
    chown(at, None, Some(above.gid()))?;
    let mode = own.permissions().mode() | more;
    std::fs::set_permissions(at, Permissions::from_mode(mode))
}

fn failed(path: &Path, source: std::io::Error) -> NodeError {
    NodeError::Failed {
        step: format!("making {}", path.display()),
        source,
    }
}

/// Has a volume of a Pod show other files.
///
/// # Errors
/// What cannot be written.
pub(super) fn show(
    node: &Node,
    folders: &Folders,
    uid: &str,
    volume: &Volume,
) -> Result<(), NodeError> {
    make(node, (folders, &folders.own(uid)), volume, None).map(|_| ())
}

/// The link to the folder that holds what a volume shows, and what it is made as.
const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Writes the files of a volume as the kubelet's atomic writer does: into a folder of their own, to which [`DATA`] leads, and
/// each name in the volume through that. So all of them change at once.
fn write(node: &Node, place: &Path, files: &[File]) -> Result<(), NodeError> {
    let data = place.join(DATA);
    // Each container that starts comes by here.
    if shows(&data, files).unwrap_or(false) {
        return Ok(());
    }
    let before = std::fs::read_link(&data).ok();
    let number = before.as_ref().and_then(|name| {
        let name = name.to_str()?.trim_start_matches('.');
        name.parse::<u64>().ok()
    });
    let name = format!("..{}", number.unwrap_or(0) + 1);
    let folder = place.join(&name);
    let follow = |at: &Path| follow_group(place, at).map_err(|error| failed(at, error));
    node.make_folder(&folder)?;
    follow(&folder)?;
    for (path, octets, mode) in files {
        let file = folder.join(path);
        node.write_file(&file, octets, *mode)?;
        let inside = file.ancestors().take_while(|at| *at != folder);
        inside.into_iter().try_for_each(follow)?;
    }
    let next = place.join(NEXT);
    link(node, Path::new(&name), &next)
        .and_then(|()| std::fs::rename(&next, &data))
        .and_then(|()| name_all(node, place, files))
        .map_err(|error| failed(&data, error))?;
    // A part of it that a container has mounted stays there.
    match before.map(|before| std::fs::remove_dir_all(place.join(before))) {
        Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(failed(place, error)),
        Some(_) | None => Ok(()),
    }
}

/// Path, octets, mode.
type File = (String, Vec<u8>, u32);

/// Whether a folder holds these files, and no others.
fn shows(folder: &Path, files: &[File]) -> std::io::Result<bool> {
    let mut wanted = BTreeMap::new();
    for (path, octets, mode) in files {
        let path: PathBuf = Path::new(path).components().collect();
        wanted.insert(folder.join(path), (octets, *mode));
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, about) = (entry.path(), entry.metadata()?);
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            let Some((octets, mode)) = wanted.remove(&path) else {
                return Ok(false);
            };
            let has = about.permissions().mode() & 0o7777;
            // A group may read it too ([`follow_group`]).
            if ![mode, mode | 0o040].contains(&has) || std::fs::read(&path)? != **octets {
                return Ok(false);
            }
        }
    }
    Ok(wanted.is_empty())
}

/// Has the names in a volume lead to its files, and no others.
fn name_all(node: &Node, place: &Path, files: &[File]) -> std::io::Result<()> {
    let firsts: BTreeSet<&str> = files
        .iter()
        .filter_map(|(path, ..)| {
            path.split('/')
                .find(|part| !part.is_empty() && *part != ".")
        })
        .collect();
    for entry in std::fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_own = name.to_str().is_some_and(|name| firsts.contains(name));
        if entry.file_type()?.is_symlink() && name != DATA && !is_own {
            std::fs::remove_file(entry.path())?;
        }
    }
    for first in firsts {
        link(node, &Path::new(DATA).join(first), &place.join(first))?;
    }
    Ok(())
}

/// Makes a link, where there is none yet.
fn link(node: &Node, to: &Path, at: &Path) -> std::io::Result<()> {
    match symlink(to, at) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| node.give_file(at, (0, 0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_volume_is_below_it_whatever_a_container_has_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("volume");
        std::fs::create_dir_all(volume.join("real/deep")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        symlink("../outside", volume.join("out")).unwrap();
        symlink("real", volume.join("in")).unwrap();
        symlink("nowhere", volume.join("dangling")).unwrap();
        for part in ["real", "in/deep", "in/deep/new/er", "./new"] {
            within(&volume, &volume.join(part)).unwrap();
        }
        for part in [
            "out",
            "out/new",
            "real/../../outside",
            "/tmp",
            "dangling",
            "dangling/x",
        ] {
            assert!(within(&volume, &volume.join(part)).is_err(), "{part}");
        }
    }

    #[test]
    fn a_volume_is_written_again_where_its_files_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let file = |path: &str, octets: &[u8], mode| (path.to_owned(), octets.to_vec(), mode);
        std::fs::create_dir(at.join("sub")).unwrap();
        std::fs::write(at.join("sub/a"), "one").unwrap();
        std::fs::set_permissions(at.join("sub/a"), Permissions::from_mode(0o644)).unwrap();
        assert!(shows(at, &[file("./sub/a", b"one", 0o644)]).unwrap());
        for others in [
            vec![],
            vec![file("sub/a", b"two", 0o644)],
            vec![file("sub/a", b"one", 0o600)],
            vec![file("sub/b", b"one", 0o644)],
            vec![file("sub/a", b"one", 0o644), file("b", b"", 0o644)],
        ] {
            assert!(!shows(at, &others).unwrap(), "{others:?}");
        }
    }

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

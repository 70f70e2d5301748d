//! The files of an image: its layers, one over the other (OCI image specification 1.1, layer.md).

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use headless_node::inside;
use ring::digest::{Context, SHA256};
use tar::{Archive, Entry};

use super::manifest::{Packed, Part, hex};
use super::store::{GZIP, Store};

/// What a file begins with that zstd has compressed (RFC 8878 section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Names that say what is gone: of one file, and of all that a folder had before.
const GONE: &str = ".wh.";
const ALL_GONE: &str = ".wh..wh..opq";

/// Makes a user and a group of an image the owners of a file.
pub(super) type Give<'a> = &'a dyn Fn(&Path, (u32, u32)) -> io::Result<()>;

/// Makes the image's files below `root`, which is there and empty.
///
/// # Errors
/// Which layer, and what is wrong with it.
pub(super) fn unpack(packed: &Packed, root: &Path, give: Give<'_>) -> Result<(), String> {
    let mut tree = Tree {
        root,
        give,
        folders: Vec::new(),
        new: BTreeSet::new(),
    };
    for part in &packed.layers {
        let laid = tree.layer(&packed.store, part);
        laid.map_err(|error| format!("{}: {error}", part.name))?;
    }
    tree.close().map_err(|error| error.to_string())
}

struct Tree<'a> {
    root: &'a Path,
    give: Give<'a>,
    /// The modes of folders: set when all is there, as some may not be written to.
    folders: Vec<(PathBuf, u32)>,
    /// What the layer has made that is being laid.
    new: BTreeSet<PathBuf>,
}

impl Tree<'_> {
    fn layer(&mut self, store: &Store, part: &Part) -> io::Result<()> {
        let mut hashed = Hashed {
            from: store.open(&part.name)?,
            hash: Context::new(&SHA256),
        };
        self.new.clear();
        self.entries(&mut hashed)?;
        // What follows the end of the archive belongs to the hash.
        io::copy(&mut hashed, &mut io::sink())?;
        let hash = hex(hashed.hash.finish().as_ref());
        match &part.hash {
            Some(wanted) if *wanted != hash => {
                Err(bad(format!("its octets have another hash, {hash}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn entries(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut start = [0; 4];
        let mut size = 0;
        while let read @ 1.. = from.read(&mut start[size..])? {
            size += read;
        }
        let whole = Read::chain(&start[..size], from);
        if start.starts_with(&ZSTD) {
            return Err(bad("zstd, which is not read; gzip was expected".into()));
        }
        let unpacked: Box<dyn Read + '_> = if start.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(whole))
        } else {
            Box::new(whole)
        };
        let mut archive = Archive::new(unpacked);
        for entry in archive.entries()? {
            self.entry(&mut entry?)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let path = entry.path()?.into_owned();
        if path.components().any(|part| part == Component::ParentDir) {
            let path = path.display();
            return Err(bad(format!("{path}: a path without `..` was expected")));
        }
        let Some(name) = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            // The root, which is there.
            return Ok(());
        };
        let folder = inside(self.root, path.parent().unwrap_or_else(|| Path::new("")))?;
        self.make_folder(&folder)?;
        if name == ALL_GONE {
            return self.empty(&folder);
        }
        if let Some(gone) = name.strip_prefix(GONE) {
            if matches!(gone, "" | "." | "..") {
                return Err(bad(format!(
                    "{name}: the name of what is gone was expected"
                )));
            }
            return remove(&folder.join(gone));
        }
        self.make(entry, &folder.join(&name))
    }

    /// Makes a folder that no layer has, with those above it: root's.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.make_folder(above)?;
        }
        fs::create_dir(path)?;
        (self.give)(path, (0, 0))
    }

    /// Makes a file; devices are left out, as nobody here may make them.
    fn make(&mut self, entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode()? & 0o1777);
        // What is not said is root's, and old.
        let id = |id: io::Result<u64>| u32::try_from(id.unwrap_or_default()).unwrap_or_default();
        let owner = (id(header.uid()), id(header.gid()));
        let changed = UNIX_EPOCH + Duration::from_secs(header.mtime().unwrap_or_default());
        if kind.is_dir() {
            if !path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                remove(path)?;
                fs::create_dir(path)?;
            }
            self.folders.push((path.into(), mode));
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            remove(path)?;
            let mut file = File::create_new(path)?;
            io::copy(entry, &mut file)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            // Who compiles to files beside the source looks at this.
            file.set_modified(changed)?;
        } else if kind.is_symlink() {
            remove(path)?;
            symlink(target(entry)?, path)?;
        } else if kind.is_hard_link() {
            remove(path)?;
            let target = target(entry)?;
            let above = target.parent().unwrap_or_else(|| Path::new(""));
            let folder = inside(self.root, above)?;
            fs::hard_link(folder.join(target.file_name().unwrap_or_default()), path)?;
        } else {
            return Ok(());
        }
        self.new.insert(path.into());
        (self.give)(path, owner)
    }

    /// Removes what a folder has of earlier layers.
    fn empty(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !self.new.contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Sets the modes of folders; one may have gone, or be another.
    fn close(self) -> io::Result<()> {
        for (path, mode) in self.folders {
            if path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}

fn target(entry: &Entry<'_, impl Read>) -> io::Result<PathBuf> {
    let target = entry.link_name()?;
    let target = target.ok_or_else(|| bad("a link to nothing".into()))?;
    Ok(target.into_owned())
}

/// Removes what is there, if anything.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Octets, and the hash of those that have been read.
struct Hashed<R> {
    from: R,
    hash: Context,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let size = self.from.read(to)?;
        self.hash.update(&to[..size]);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use flate2::write::GzEncoder;
    use serde_json::json;
    use tar::EntryType;

    use super::super::manifest::tests::layout;
    use super::*;

    /// A layer: paths that end in `/` are folders, texts that begin with `->` links.
    fn layer(files: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, text, mode) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(*mode);
            header.set_size(0);
            header.set_mtime(1000);
            header.set_uid(0);
            header.set_gid(0);
            if let Some(target) = text.strip_prefix("->") {
                header.set_entry_type(EntryType::Symlink);
                archive.append_link(&mut header, path, target).unwrap();
            } else if let Some(target) = text.strip_prefix("=>") {
                header.set_entry_type(EntryType::Link);
                archive.append_link(&mut header, path, target).unwrap();
            } else if path.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
                archive.append_data(&mut header, path, &[][..]).unwrap();
            } else {
                header.set_size(text.len() as u64);
                archive
                    .append_data(&mut header, path, text.as_bytes())
                    .unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    fn gzip(octets: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(layers: &[Vec<u8>]) -> Result<tempfile::TempDir, String> {
        let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        layout(folder.path(), &[("x", json!({}), layers)]);
        let packed = Packed::read(Store::at(folder.path()).unwrap().unwrap(), "x").unwrap();
        let given = Mutex::new(BTreeSet::new());
        let give = |path: &Path, _| {
            given.lock().unwrap().insert(path.to_owned());
            Ok(())
        };
        unpack(&packed, root.path(), &give)?;
        // Everything has an owner: who is not known to the node could not be written below.
        let mut folders = vec![root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                assert!(given.lock().unwrap().contains(&path), "{path:?}");
                folders.extend(Some(path).filter(|path| path.symlink_metadata().unwrap().is_dir()));
            }
        }
        Ok(root)
    }

    #[test]
    fn a_layer_changes_adds_and_removes_what_is_below_it() {
        let below = layer(&[
            ("usr/lib/", "", 0o755),
            ("lib", "->usr/lib", 0o777),
            ("lib/a", "a", 0o644),
            ("lib/b", "=>usr/lib/a", 0o644),
            ("sealed/", "", 0o555),
            ("sealed/old", "old", 0o400),
            ("var/cache/old", "old", 0o644),
            ("gone", "gone", 0o644),
            ("tmp/", "", 0o1777),
            ("out", "->/etc", 0o777),
        ]);
        let above = gzip(&layer(&[
            ("sealed/new", "new", 0o600),
            ("var/cache/new", "new", 0o644),
            ("var/cache/.wh..wh..opq", "", 0o644),
            (".wh.gone", "", 0o644),
            ("out/passwd", "inside", 0o644),
        ]));
        let root = unpacked(&[below, above]).unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            (read("usr/lib/a"), read("usr/lib/b")),
            (text("a"), text("a"))
        );
        assert_eq!(
            (read("sealed/old"), read("sealed/new")),
            (text("old"), text("new"))
        );
        assert_eq!(
            (read("var/cache/old"), read("var/cache/new")),
            (None, text("new"))
        );
        assert_eq!((read("gone"), read("etc/passwd")), (None, text("inside")));
        let mode = |path: &str| {
            fs::metadata(root.path().join(path))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(
            (mode("sealed") & 0o777, mode("sealed/new") & 0o777),
            (0o555, 0o600)
        );
        assert_eq!(mode("tmp") & 0o7777, 0o1777);
        let changed = fs::metadata(root.path().join("usr/lib/a"))
            .unwrap()
            .modified();
        assert_eq!(changed.unwrap(), UNIX_EPOCH + Duration::from_secs(1000));
        fs::set_permissions(root.path().join("sealed"), Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn what_leads_out_and_what_cannot_be_read_is_refused() {
        let told = |layer: Vec<u8>| unpacked(&[layer]).unwrap_err();
        let mut out = layer(&[("xx/zz/escape", "x", 0o644)]);
        out[3..5].copy_from_slice(b"..");
        // The header's own sum follows its name.
        let sum: u32 = out[..512]
            .iter()
            .enumerate()
            .map(|(at, octet)| match at {
                148..156 => u32::from(b' '),
                _ => u32::from(*octet),
            })
            .sum();
        out[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(told(out).contains("a path without `..` was expected"));
        for gone in [".wh.", ".wh..", ".wh..."] {
            let told = told(layer(&[(gone, "", 0o644)]));
            assert!(
                told.contains("the name of what is gone was expected"),
                "{told}"
            );
        }
        assert!(told(ZSTD.to_vec()).contains("zstd, which is not read"));
        assert!(
            told(gzip(b"no archive, but long enough to be read as a header"))
                .contains("blobs/sha256/")
        );
    }
}

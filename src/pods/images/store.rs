//! Where the parts of a packed image are: a folder, or one archive of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where a tar header says that it is one (POSIX.1-1988, ustar).
const MAGIC: (u64, &[u8]) = (257, b"ustar");

/// The first octets of a file that gzip has compressed (RFC 1952 section 2.3.1).
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The longest text of an image, in octets: manifests and configurations have some thousands.
const LONGEST: u64 = 8 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Folder(PathBuf),
    /// Each part with where it begins and its length.
    Archive(PathBuf, BTreeMap<String, (u64, u64)>),
}

impl Store {
    /// What is at a path, where that is a packed image.
    ///
    /// # Errors
    /// A file that cannot be read; an archive that is compressed as a whole.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        if path.is_dir() {
            let files = ["index.json", "manifest.json"];
            let packed = files.iter().any(|file| path.join(file).is_file());
            return Ok(packed.then(|| Self::Folder(path.into())));
        }
        let mut start = [0; 512];
        let mut file = File::open(path)?;
        let mut size = 0;
        while let read @ 1.. = file.read(&mut start[size..])? {
            size += read;
        }
        if start.starts_with(&GZIP) {
            let what = "an archive that is compressed as a whole: gunzip it first";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let at = usize::try_from(MAGIC.0).unwrap_or_default();
        if !start[at..].starts_with(MAGIC.1) {
            return Ok(None);
        }
        file.rewind()?;
        let parts = parts(BufReader::new(file))?;
        Ok(Some(Self::Archive(path.into(), parts)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Archive(_, parts) => parts.contains_key(name),
        }
    }

    /// A part, to be read.
    pub(super) fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(BufReader::new(File::open(folder.join(name))?))),
            Self::Archive(path, parts) => {
                let missing = || io::Error::from(io::ErrorKind::NotFound);
                let (at, length) = parts.get(name).ok_or_else(missing)?;
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*at))?;
                Ok(Box::new(BufReader::new(file.take(*length))))
            }
        }
    }

    /// A part that is text.
    pub(super) fn text(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.open(name)?.take(LONGEST).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// The files of an archive, and those that links in it mean: older `docker save`s have a layer once.
fn parts(file: BufReader<File>) -> io::Result<BTreeMap<String, (u64, u64)>> {
    let mut archive = tar::Archive::new(file);
    let (mut parts, mut links) = (BTreeMap::new(), Vec::new());
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let name = |path: &Path| {
            let path = path.strip_prefix(".").unwrap_or(path);
            path.display().to_string()
        };
        if let Some(target) = entry.link_name()? {
            let folder = path.parent().unwrap_or_else(|| Path::new(""));
            links.push((name(&path), name(&straight(&folder.join(target)))));
        } else {
            parts.insert(name(&path), (entry.raw_file_position(), entry.size()));
        }
    }
    for (link, target) in links {
        let place = parts.get(&target).copied();
        parts.extend(place.map(|place| (link, place)));
    }
    Ok(parts)
}

/// A path without `..`.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path {
        if part == ".." {
            straight.pop();
        } else {
            straight.push(part);
        }
    }
    straight
}

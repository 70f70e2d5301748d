//! Images without a registry: programs of this machine that stand for them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use headless_node::PROGRAMS;

/// Names that `busybox` programs of ours are found by.
const BUSYBOX: &[&str] = &["/usr/local/bin/nslookup"];

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It does not say which program.
    #[error(
        "{0:?} is no image with its program: NAME=PROGRAM was expected, such as redis:6.2=redis-server"
    )]
    Form(String),
    /// There is no such program.
    #[error("no program {0:?} is in PATH, or at that path: it stands for the image {1:?}")]
    Missing(String, String),
}

/// An image and the program that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name and tag; without a tag every tag.
    name: String,
    /// The program, and what it is always given.
    argv: Vec<String>,
}

/// The images that there are.
#[derive(Clone, Debug, Default)]
pub struct Images(Vec<Image>);

/// What runs for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The image's program with its arguments, which a container's `command` replaces.
    pub(super) program: Vec<String>,
    /// What it is given, which a container's `args` replace.
    pub(super) arguments: Vec<String>,
    /// A program that the container does not see by itself.
    pub(super) file: Option<PathBuf>,
    /// Names of programs that are this one.
    pub(super) applets: Vec<PathBuf>,
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let form = || ImageError::Form(text.into());
        let (name, command) = text.split_once('=').ok_or_else(form)?;
        let argv: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if name.is_empty() || argv.is_empty() {
            return Err(form());
        }
        Ok(Self {
            name: name.into(),
            argv,
        })
    }
}

impl Images {
    /// Those that were named, with their programs found: `path` is what PATH says.
    ///
    /// # Errors
    /// A program that is not there.
    pub fn new(mut images: Vec<Image>, path: &str) -> Result<Self, ImageError> {
        for image in &mut images {
            let program = &mut image.argv[0];
            let found = find(program, path);
            let found =
                found.ok_or_else(|| ImageError::Missing(program.clone(), image.name.clone()))?;
            *program = found.display().to_string();
        }
        Ok(Self(images))
    }

    /// What runs for an image; an error: what to say to get it.
    pub(super) fn entry(&self, image: &str) -> Result<Entry, String> {
        let asked = Reference::of(image);
        let is_named = |known: &&Image| {
            let known = Reference::of(&known.name);
            known.name == asked.name && (known.tag.is_empty() || known.tag == asked.tag)
        };
        if let Some(known) = self.0.iter().find(is_named) {
            let program = PathBuf::from(&known.argv[0]);
            // A program that is elsewhere is mounted by itself.
            let mut seen = PROGRAMS.iter().map(|folder| Path::new("/").join(folder));
            let seen = seen.any(|folder| program.starts_with(folder));
            return Ok(Entry {
                program: known.argv.clone(),
                file: (!seen).then_some(program),
                ..Entry::default()
            });
        }
        if asked.name == "busybox" {
            return Ok(Entry {
                arguments: vec!["sh".into()],
                applets: BUSYBOX.iter().map(PathBuf::from).collect(),
                ..Entry::default()
            });
        }
        Err(format!(
            "Back-off pulling image \"{image}\": no registry is asked; say which program of this machine stands for it: \
             --image {image}=PROGRAM"
        ))
    }
}

/// An image's name as Docker reads it.
struct Reference<'a> {
    name: &'a str,
    tag: &'a str,
}

impl<'a> Reference<'a> {
    fn of(image: &'a str) -> Self {
        let image = image.split('@').next().unwrap_or_default();
        let image = image.strip_prefix("docker.io/").unwrap_or(image);
        let image = image.strip_prefix("library/").unwrap_or(image);
        let (name, tag) = match image.rsplit_once(':') {
            // What comes after a colon may be a registry's port with a path.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, ""),
        };
        Self { name, tag }
    }
}

fn find(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program)
            .canonicalize()
            .ok()
            .filter(|file| file.is_file());
    }
    let mut folders = std::env::split_paths(path);
    folders.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(named: &[&str]) -> Images {
        let images = named.iter().map(|text| text.parse().unwrap()).collect();
        Images::new(images, "/no/such:/bin").unwrap()
    }

    #[test]
    fn an_image_is_known_by_its_name_with_its_tag_or_with_any() {
        let images = images(&["redis:6.2=sh -e", "web=cat"]);
        let program = |image: &str| images.entry(image).map(|entry| entry.program);
        let sh = Ok(vec!["/bin/sh".to_owned(), "-e".to_owned()]);
        assert_eq!(program("redis:6.2"), sh);
        assert_eq!(program("docker.io/library/redis:6.2@sha256:0"), sh);
        assert_eq!(program("web:1"), Ok(vec!["/bin/cat".to_owned()]));
        let told = program("redis:7").unwrap_err();
        assert!(told.ends_with("--image redis:7=PROGRAM"), "{told}");
        assert!(program("localhost:5000/redis:6.2").is_err());
    }

    #[test]
    fn busybox_is_there_by_itself_unless_it_is_named() {
        let entry = images(&[]).entry("busybox:1.28.4").unwrap();
        assert_eq!(
            (entry.arguments, entry.applets.len()),
            (vec!["sh".to_owned()], 1)
        );
        let entry = images(&["busybox=cat"]).entry("busybox:1.28.4").unwrap();
        assert_eq!(entry.program, ["/bin/cat"]);
    }

    #[test]
    fn what_is_no_image_and_a_program_that_is_missing_are_said() {
        let form = |text: &str| text.parse::<Image>().unwrap_err();
        for text in ["redis", "=x", "redis= "] {
            assert_eq!(form(text), ImageError::Form(text.into()));
        }
        let image = "redis:6.2=no-such-program".parse().unwrap();
        let missing = Images::new(vec![image], "/bin").unwrap_err();
        let wanted = ImageError::Missing("no-such-program".into(), "redis:6.2".into());
        assert_eq!(missing, wanted);
    }
}

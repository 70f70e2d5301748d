//! Images without a registry: programs and files of this machine that stand for them.

mod manifest;
mod reference;
mod store;
mod unpack;
mod users;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use headless_node::{Node, PROGRAMS};
use tokio::sync::OnceCell;

use super::locked;
use manifest::{Config, Packed};
use reference::Reference;
use store::Store;

/// Names that `busybox` programs of ours are found by.
const BUSYBOX: &[&str] = &["/usr/local/bin/nslookup"];

/// Where programs are looked for, where nobody says so: Docker's.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It does not say what stands for it.
    #[error(
        "{0:?} is no image with what stands for it: NAME=PROGRAM was expected, such as redis:6.2=redis-server, or NAME=PATH of \
         an OCI layout, of an archive of `docker save`, or of a folder"
    )]
    Form(String),
    /// There is no such program.
    #[error("no program {0:?} is in PATH, or at that path: it stands for the image {1:?}")]
    Missing(String, String),
    /// What is there cannot be read.
    #[error("{0} cannot stand for the image {1:?}: {2}")]
    Unreadable(String, String, String),
    /// A line of a file.
    #[error("{0}:{1}: {2}")]
    Line(String, usize, Box<Self>),
}

/// An image and what stands for it, as somebody has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name and tag; without a tag every tag.
    name: String,
    what: String,
    /// Where paths of `what` begin.
    folder: PathBuf,
}

/// What stands for an image.
#[derive(Clone, Debug)]
enum Stand {
    /// A program, and what it is always given.
    Program(Vec<String>),
    /// All its files.
    Folder(PathBuf),
    Packed(Box<Packed>),
}

/// The images that there are.
#[derive(Clone, Debug, Default)]
pub struct Images(Vec<(String, Stand)>);

/// Where images are unpacked: once each.
#[derive(Debug)]
pub(super) struct Unpacked {
    folder: PathBuf,
    done: Mutex<BTreeMap<String, Done>>,
}

/// A folder that an image is unpacked in, or why it is not.
type Done = Arc<OnceCell<Result<PathBuf, String>>>;

/// What runs for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The image's files; none: the host's programs.
    pub(super) root: Option<PathBuf>,
    /// The image's program with its arguments, which a container's `command` replaces.
    pub(super) program: Vec<String>,
    /// What it is given, which a container's `args` replace.
    pub(super) arguments: Vec<String>,
    /// Variables, in the order in which they are set.
    pub(super) env: Vec<(String, String)>,
    /// Where it starts; empty: at `/`.
    pub(super) workdir: PathBuf,
    /// User and group; none: root.
    pub(super) user: Option<(u32, u32)>,
    /// The signal that asks it to end; none: SIGTERM.
    pub(super) stop: Option<i32>,
    /// A program that the container does not see by itself.
    pub(super) file: Option<PathBuf>,
    /// Names of programs that are this one.
    pub(super) applets: Vec<PathBuf>,
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let form = || ImageError::Form(text.into());
        let (name, what) = text.split_once('=').ok_or_else(form)?;
        let what = what.trim();
        if name.is_empty() || what.is_empty() {
            return Err(form());
        }
        Ok(Self {
            name: name.into(),
            what: what.into(),
            folder: PathBuf::new(),
        })
    }
}

impl Image {
    /// Those of a file: one a line, `#` begins a remark; paths begin at the file's folder.
    ///
    /// # Errors
    /// File and number of a line that is none.
    pub fn list(file: &Path, text: &str) -> Result<Vec<Self>, ImageError> {
        let lines = text.lines().map(str::trim).enumerate();
        let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let image = |(at, line): (usize, &str)| {
            let image = line.parse::<Self>();
            let image = image.map_err(|error| {
                ImageError::Line(file.display().to_string(), at + 1, Box::new(error))
            })?;
            let folder = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
            Ok(Self { folder, ..image })
        };
        meant.map(image).collect()
    }

    /// What stands for it; `path` is what PATH says.
    fn stand(&self, path: &str) -> Result<Stand, ImageError> {
        let place = self.folder.join(&self.what);
        let unreadable = |why: String| {
            ImageError::Unreadable(place.display().to_string(), self.name.clone(), why)
        };
        if place.is_dir() || self.what.contains('/') && place.is_file() {
            let store = Store::at(&place).map_err(|error| unreadable(error.to_string()))?;
            if let Some(store) = store {
                let packed = Packed::read(store, &self.name).map_err(unreadable)?;
                return Ok(Stand::Packed(Box::new(packed)));
            }
            if place.is_dir() {
                let has_programs = ["bin", "usr"].iter().any(|name| place.join(name).exists());
                let root = place.canonicalize().ok().filter(|_| has_programs);
                let wanted = "an OCI layout, or a folder with bin or usr in it, was expected";
                return root
                    .map(Stand::Folder)
                    .ok_or_else(|| unreadable(wanted.into()));
            }
        }
        let form = || ImageError::Form(format!("{}={}", self.name, self.what));
        let mut argv = words(&self.what).ok_or_else(form)?.into_iter();
        let program = argv.next().unwrap_or_default();
        let found = find(&self.folder, &program, path);
        let found = found.ok_or_else(|| ImageError::Missing(program, self.name.clone()))?;
        let found = found.display().to_string();
        Ok(Stand::Program([vec![found], argv.collect()].concat()))
    }
}

impl Images {
    /// Those that were named, with what stands for them found: `path` is what PATH says.
    ///
    /// # Errors
    /// A program that is not there; a layout or an archive that cannot be read.
    pub fn new(images: Vec<Image>, path: &str) -> Result<Self, ImageError> {
        let stand = |image: Image| Ok((image.name.clone(), image.stand(path)?));
        Ok(Self(
            images.into_iter().map(stand).collect::<Result<_, _>>()?,
        ))
    }

    /// What runs for an image; an error: what to say to get it, or why it cannot be had.
    pub(super) async fn entry(
        &self,
        image: &str,
        (node, unpacked): (&Arc<Node>, &Unpacked),
    ) -> Result<Entry, String> {
        let (root, config) = match self.stand(image) {
            Some(Stand::Program(argv)) => return Ok(program(argv)),
            Some(Stand::Folder(root)) => (root.clone(), &Config::default()),
            Some(Stand::Packed(packed)) => {
                let root = unpacked.root(packed, node).await;
                let root = root.map_err(|why| format!("cannot unpack \"{image}\": {why}"))?;
                (root, &packed.config)
            }
            None => return built_in(image),
        };
        let entry = configured(root, config, node.has_users());
        entry.map_err(|why| format!("cannot run \"{image}\": {why}"))
    }

    fn stand(&self, image: &str) -> Option<&Stand> {
        let asked = Reference::of(image);
        let mut all = self.0.iter();
        let found = all.find(|(name, _)| Reference::of(name).is_meant(asked));
        found.map(|(_, stand)| stand)
    }
}

impl Unpacked {
    /// Below this folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            done: Mutex::default(),
        }
    }

    async fn root(&self, packed: &Packed, node: &Arc<Node>) -> Result<PathBuf, String> {
        let done = Arc::clone(locked(&self.done).entry(packed.id.clone()).or_default());
        let root = self.folder.join(&packed.id);
        let unpacking = async {
            let (packed, node) = (packed.clone(), Arc::clone(node));
            let unpacked = tokio::task::spawn_blocking(move || {
                let made = node.make_folder(&root);
                made.map_err(|error| error.to_string())?;
                let give = |path: &Path, owner| node.give_file(path, owner);
                unpack::unpack(&packed, &root, &give)?;
                Ok(root)
            });
            unpacked
                .await
                .unwrap_or_else(|error| Err(error.to_string()))
        };
        done.get_or_init(|| unpacking).await.clone()
    }
}

/// A program of the host.
fn program(argv: &[String]) -> Entry {
    let file = PathBuf::from(&argv[0]);
    // A program that is elsewhere is mounted by itself.
    let mut seen = PROGRAMS.iter().map(|folder| Path::new("/").join(folder));
    let seen = seen.any(|folder| file.starts_with(folder));
    Entry {
        program: argv.to_vec(),
        file: (!seen).then_some(file),
        ..Entry::default()
    }
}

/// An image that is there by itself.
fn built_in(image: &str) -> Result<Entry, String> {
    if Reference::of(image).name == "busybox" {
        return Ok(Entry {
            arguments: vec!["sh".into()],
            applets: BUSYBOX.iter().map(PathBuf::from).collect(),
            ..Entry::default()
        });
    }
    Err(format!(
        "Back-off pulling image \"{image}\": no registry is asked; say which program of this machine stands for it, or where its \
         files are: --image {image}=PROGRAM"
    ))
}

/// What an image's configuration says. `users`: its root may become another user; where it may not, an entrypoint that would is
/// run as that user.
fn configured(root: PathBuf, config: &Config, users: bool) -> Result<Entry, String> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let mut env: Vec<_> = config.env.iter().map(pair).collect();
    let path = env.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or(PATH, |(_, path)| path);
    let mut named = config.user.clone();
    if let (true, false, Some(first)) = (named.is_empty(), users, config.entrypoint.first()) {
        named = users::becomes(&root, first, path).unwrap_or_default();
    }
    let user = users::user(&root, &named)?;
    if !env.iter().any(|(name, _)| name == "HOME") {
        env.push(("HOME".into(), user.home));
    }
    Ok(Entry {
        program: config.entrypoint.clone(),
        arguments: config.cmd.clone(),
        env,
        workdir: config.working_dir.clone().into(),
        user: (user.ids != (0, 0)).then_some(user.ids),
        stop: signal(&config.stop_signal)?,
        root: Some(root),
        ..Entry::default()
    })
}

/// A signal by its name or number; none where it is not said.
fn signal(text: &str) -> Result<Option<i32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let named = |name: &str| name.parse::<nix::sys::signal::Signal>().ok();
    let signal = named(text).or_else(|| named(&format!("SIG{text}")));
    let number = signal
        .map(|signal| signal as i32)
        .or_else(|| text.parse().ok());
    let number = number.filter(|number| (1..=64).contains(number));
    number
        .map(Some)
        .ok_or_else(|| format!("stop signal {text:?}"))
}

/// The words of a command; those in quotes are one. None: a quote has no end.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn find(folder: &Path, program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        let file: io::Result<_> = folder.join(program).canonicalize();
        return file.ok().filter(|file| file.is_file());
    }
    let mut folders = std::env::split_paths(path);
    folders.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn images(named: &[&str]) -> Images {
        let images = named.iter().map(|text| text.parse().unwrap()).collect();
        Images::new(images, "/no/such:/bin").unwrap()
    }

    fn program(images: &Images, image: &str) -> Option<Vec<String>> {
        match images.stand(image)? {
            Stand::Program(argv) => Some(argv.clone()),
            Stand::Folder(_) | Stand::Packed(_) => None,
        }
    }

    #[test]
    fn an_image_is_known_by_its_name_with_its_tag_or_with_any() {
        let images = images(&["redis:6.2=sh -e", "web=cat"]);
        let program = |image: &str| program(&images, image);
        let sh = Some(vec!["/bin/sh".to_owned(), "-e".to_owned()]);
        assert_eq!(program("redis:6.2"), sh);
        assert_eq!(program("docker.io/library/redis:6.2@sha256:0"), sh);
        assert_eq!(program("web:1"), Some(vec!["/bin/cat".to_owned()]));
        assert_eq!(program("redis:7"), None);
        assert_eq!(program("localhost:5000/redis:6.2"), None);
        let told = built_in("redis:7").unwrap_err();
        assert!(told.ends_with("--image redis:7=PROGRAM"), "{told}");
    }

    #[test]
    fn busybox_is_there_by_itself_unless_it_is_named() {
        let entry = built_in("busybox:1.28.4").unwrap();
        assert_eq!(
            (entry.arguments, entry.applets.len()),
            (vec!["sh".to_owned()], 1)
        );
        assert!(images(&["busybox=cat"]).stand("busybox:1.28.4").is_some());
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
        let empty = tempfile::tempdir().unwrap();
        let image = format!("x={}", empty.path().display());
        let told = Images::new(vec![image.parse().unwrap()], "").unwrap_err();
        assert!(told.to_string().ends_with("was expected"), "{told}");
    }

    #[test]
    fn words_in_quotes_are_one() {
        let split = words("nginx -g 'daemon off;' \"\" a'b c'");
        let wanted = ["nginx", "-g", "daemon off;", "", "ab c"].map(str::to_owned);
        assert_eq!(split, Some(wanted.into()));
        assert_eq!(words("nginx 'daemon"), None);
    }

    #[test]
    fn a_file_names_images_beside_it_and_a_line_that_names_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("web/bin")).unwrap();
        let file = folder.path().join("images");
        let text = "# what stands for what\n\nredis=sh -e\nweb:1=web\n";
        let images = Image::list(&file, text).unwrap();
        let images = Images::new(images, "/bin").unwrap();
        assert_eq!(program(&images, "redis:1").unwrap(), ["/bin/sh", "-e"]);
        assert!(matches!(images.stand("web:1"), Some(Stand::Folder(_))));
        let told = Image::list(&file, "a=b\nredis\n").unwrap_err().to_string();
        assert!(told.contains("images:2: \"redis\" is no image"), "{told}");
    }

    #[test]
    fn an_image_says_what_runs_as_whom_and_how_it_is_asked_to_end() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        let passwd = "redis:x:999:1000::/data:/bin/sh\n";
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        let script = "#!/bin/sh\nexec gosu redis \"$@\"\n";
        std::fs::write(root.path().join("run.sh"), script).unwrap();
        let config = json!({
            "Entrypoint": ["run.sh"], "Cmd": ["redis-server"], "Env": ["PATH=/", "A=b=c"], "WorkingDir": "/data", "StopSignal": "SIGQUIT",
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let entry = |users| configured(root.path().into(), &config, users).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wanted = Entry {
            root: Some(root.path().into()),
            program: vec!["run.sh".into()],
            arguments: vec!["redis-server".into()],
            env: vec![pair("PATH", "/"), pair("A", "b=c"), pair("HOME", "/data")],
            workdir: "/data".into(),
            user: Some((999, 1000)),
            stop: Some(3),
            ..Entry::default()
        };
        assert_eq!(entry(false), wanted);
        let root_of_many = entry(true);
        assert_eq!((root_of_many.user, &root_of_many.env[2].1[..]), (None, "/"));
        assert_eq!((signal("9"), signal("TERM")), (Ok(Some(9)), Ok(Some(15))));
        assert!(signal("SIGNO").is_err());
    }
}

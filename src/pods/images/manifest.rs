//! Which layers an image has, and what it runs: OCI image layouts (OCI image specification 1.1), and what `docker save` writes.

use std::collections::BTreeMap;

use ring::digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::reference::Reference;
use super::store::Store;

/// How deep indexes may lie in each other.
const DEPTH: usize = 4;

/// Where an index says what a manifest is called: the specification's, and containerd's.
const NAMES: [&str; 2] = [
    "org.opencontainers.image.ref.name",
    "io.containerd.image.name",
];

/// An image whose layers are packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) store: Store,
    pub(super) layers: Vec<Part>,
    pub(super) config: Config,
    /// What it is told apart by.
    pub(super) id: String,
}

/// A part of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Its SHA-256, in hexadecimal digits; `docker save` gives none.
    pub(super) hash: Option<String>,
}

/// What an image runs, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Config {
    pub(super) user: String,
    #[serde(deserialize_with = "or_null")]
    pub(super) env: Vec<String>,
    #[serde(deserialize_with = "or_null")]
    pub(super) entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_null")]
    pub(super) cmd: Vec<String>,
    pub(super) working_dir: String,
    pub(super) stop_signal: String,
}

#[derive(Deserialize)]
struct Document {
    architecture: String,
    os: String,
    #[serde(default, deserialize_with = "or_null")]
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default, deserialize_with = "or_null")]
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Go writes a list that is empty as null.
fn or_null<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Packed {
    /// The image of a store that `name` means, or its only one.
    ///
    /// # Errors
    /// What is missing or wrong, in words.
    pub(super) fn read(store: Store, name: &str) -> Result<Self, String> {
        let asked = Reference::of(name);
        let (config, layers) = if store.has("manifest.json") {
            saved(&store, asked)?
        } else {
            let descriptor = listed(&store, &index(&store)?, asked, DEPTH)?;
            let manifest: Manifest = json(&store, &descriptor.part()?)?;
            let layers = manifest.layers.iter().map(Descriptor::part);
            (manifest.config.part()?, layers.collect::<Result<_, _>>()?)
        };
        let (document, hash): (Document, _) = hashed(&store, &config)?;
        let (of, own) = (&document.architecture[..], architecture());
        if (of, &document.os[..]) != (own, "linux") {
            let os = document.os;
            return Err(format!("an image for {os}/{of}; linux/{own} was expected"));
        }
        Ok(Self {
            store,
            layers,
            config: document.config,
            id: hash,
        })
    }
}

impl Descriptor {
    fn part(&self) -> Result<Part, String> {
        let digest = &self.digest;
        let hash = digest.strip_prefix("sha256:");
        let hash =
            hash.filter(|hash| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()));
        let hash =
            hash.ok_or_else(|| format!("digest {digest:?}; sha256 with 64 digits was expected"))?;
        Ok(Part {
            name: format!("blobs/sha256/{hash}"),
            hash: Some(hash.to_owned()),
        })
    }

    /// Whether it is called so, with its tag alone or whole.
    fn is_called(&self, asked: Reference<'_>) -> bool {
        let names = NAMES.iter().filter_map(|name| self.annotations.get(*name));
        let mut names = names.map(String::as_str);
        names.any(|name| name == asked.tag || Reference::of(name) == asked)
    }

    /// Whether it can run here, as far as it says.
    fn fits(&self) -> bool {
        self.platform.as_ref().is_none_or(|platform| {
            platform.architecture == architecture() && platform.os == "linux"
        })
    }
}

/// What `docker save` has written of an image.
fn saved(store: &Store, asked: Reference<'_>) -> Result<(Part, Vec<Part>), String> {
    let part = |name: String| Part { name, hash: None };
    let all: Vec<Saved> = json(store, &part("manifest.json".into()))?;
    let is_called = |saved: &&Saved| {
        let mut tags = saved.repo_tags.iter();
        tags.any(|tag| Reference::of(tag) == asked)
    };
    let found = all.iter().find(is_called).or(match &all[..] {
        [only] => Some(only),
        _ => None,
    });
    let Some(found) = found else {
        let tags = all.iter().flat_map(|saved| &saved.repo_tags).cloned();
        return Err(format!(
            "an archive of {} images, and none of this name: {}",
            all.len(),
            tags.collect::<Vec<_>>().join(", ")
        ));
    };
    let layers = found.layers.iter().cloned().map(part);
    Ok((part(found.config.clone()), layers.collect()))
}

fn index(store: &Store) -> Result<Vec<Descriptor>, String> {
    let name = "index.json".into();
    let index: Index = json(store, &Part { name, hash: None })?;
    Ok(index.manifests)
}

/// The manifest that is asked for, of those that are listed.
fn listed(
    store: &Store,
    all: &[Descriptor],
    asked: Reference<'_>,
    depth: usize,
) -> Result<Descriptor, String> {
    let named = all.iter().filter(|one| one.is_called(asked));
    let named: Vec<_> = named.filter(|one| one.fits()).collect();
    let fitting: Vec<_> = all.iter().filter(|one| one.fits()).collect();
    let (one, depth) = match (&named[..], &fitting[..], depth.checked_sub(1)) {
        ([one, ..], _, Some(depth)) | ([], [one], Some(depth)) => (*one, depth),
        (_, _, None) => return Err("indexes of indexes; a manifest was expected".into()),
        ([], fitting, Some(_)) => {
            return Err(format!(
                "an index of {} images, {} of them for linux/{}; one of this name was expected",
                all.len(),
                fitting.len(),
                architecture()
            ));
        }
    };
    let is_index = one.media_type.ends_with("index.v1+json")
        || one.media_type.ends_with("manifest.list.v2+json");
    if !is_index {
        return Ok(one.clone());
    }
    let index: Index = json(store, &one.part()?)?;
    listed(store, &index.manifests, asked, depth)
}

/// A part that is JSON.
fn json<T: DeserializeOwned>(store: &Store, part: &Part) -> Result<T, String> {
    hashed(store, part).map(|(value, _)| value)
}

/// A part that is JSON, and the SHA-256 of its text.
fn hashed<T: DeserializeOwned>(store: &Store, part: &Part) -> Result<(T, String), String> {
    let name = &part.name;
    let text = store
        .text(name)
        .map_err(|error| format!("{name}: {error}"))?;
    let hash = hex(digest::digest(&digest::SHA256, &text).as_ref());
    if part.hash.as_ref().is_some_and(|wanted| *wanted != hash) {
        return Err(format!("{name}: its octets have another hash, {hash}"));
    }
    let value = serde_json::from_slice(&text).map_err(|error| format!("{name}: {error}"))?;
    Ok((value, hash))
}

/// Octets as hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// This machine's architecture as Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A layout of images by name, each with layers.
    pub(crate) fn layout(folder: &std::path::Path, images: &[(&str, Value, &[Vec<u8>])]) {
        std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        let put = |octets: &[u8]| {
            let hash = hex(digest::digest(&digest::SHA256, octets).as_ref());
            std::fs::write(folder.join("blobs/sha256").join(&hash), octets).unwrap();
            json!({"digest": format!("sha256:{hash}"), "size": octets.len(), "mediaType": "application/octet-stream"})
        };
        let listed = images.iter().map(|(name, config, layers)| {
            let config = json!({"architecture": architecture(), "os": "linux", "config": config});
            let layers: Vec<_> = layers.iter().map(|layer| put(layer)).collect();
            let manifest = json!({"schemaVersion": 2, "config": put(config.to_string().as_bytes()), "layers": layers});
            let mut descriptor = put(manifest.to_string().as_bytes());
            descriptor["annotations"] = json!({NAMES[0]: name});
            descriptor
        });
        let index = json!({"schemaVersion": 2, "manifests": listed.collect::<Vec<_>>()});
        std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
        std::fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion": "1.0.0"}"#,
        )
        .unwrap();
    }

    fn read(folder: &std::path::Path, name: &str) -> Result<Packed, String> {
        Packed::read(Store::at(folder).unwrap().unwrap(), name)
    }

    #[test]
    fn the_image_that_is_named_is_found_and_the_only_one_needs_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = |cmd: &str| json!({"Cmd": [cmd], "Entrypoint": null, "User": "redis"});
        let (one, other) = (config("one"), config("other"));
        layout(
            folder.path(),
            &[
                ("6.2", one.clone(), &[]),
                ("docker.io/library/redis:7", other, &[]),
            ],
        );
        let cmd = |name: &str| read(folder.path(), name).map(|packed| packed.config.cmd);
        assert_eq!(cmd("redis:6.2"), Ok(vec!["one".into()]));
        assert_eq!(cmd("redis:7"), Ok(vec!["other".into()]));
        let told = cmd("redis:8").unwrap_err();
        assert!(
            told.starts_with("an index of 2 images, 2 of them"),
            "{told}"
        );
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path(), &[("latest", one, &[])]);
        let packed = read(folder.path(), "redis:9").unwrap();
        assert_eq!(
            (&packed.config.user[..], packed.config.entrypoint.len()),
            ("redis", 0)
        );
    }

    #[test]
    fn what_docker_saves_is_read_from_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("redis.tar");
        let mut archive = tar::Builder::new(std::fs::File::create(&file).unwrap());
        let mut put = |name: &str, octets: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(octets.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, octets).unwrap();
        };
        let config =
            json!({"architecture": architecture(), "os": "linux", "config": {"Env": ["A=b"]}});
        put("abc.json", config.to_string().as_bytes());
        put("one/layer.tar", b"layer");
        let manifest = json!([{"Config": "abc.json", "RepoTags": ["redis:6.2"], "Layers": ["one/layer.tar", "two/layer.tar"]}]);
        put("manifest.json", manifest.to_string().as_bytes());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive
            .append_link(&mut link, "two/layer.tar", "../one/layer.tar")
            .unwrap();
        archive.finish().unwrap();
        let packed = Packed::read(Store::at(&file).unwrap().unwrap(), "redis:6.2").unwrap();
        assert_eq!(
            (packed.config.env, packed.layers.len()),
            (vec!["A=b".into()], 2)
        );
        for layer in &packed.layers {
            assert_eq!(packed.store.text(&layer.name).unwrap(), b"layer");
        }
    }

    #[test]
    fn an_image_that_is_damaged_or_for_another_machine_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path(), &[("latest", json!({}), &[])]);
        let packed = read(folder.path(), "x").unwrap();
        let config = folder.path().join("blobs/sha256").join(&packed.id);
        std::fs::write(&config, "{}").unwrap();
        let told = read(folder.path(), "x").unwrap_err();
        assert!(told.contains("its octets have another hash"), "{told}");
        let saved = json!([{"Config": "c.json", "RepoTags": null, "Layers": []}]);
        std::fs::write(folder.path().join("manifest.json"), saved.to_string()).unwrap();
        let foreign = json!({"architecture": "s390x", "os": "linux"});
        std::fs::write(folder.path().join("c.json"), foreign.to_string()).unwrap();
        let told = read(folder.path(), "x").unwrap_err();
        assert!(
            told.starts_with("an image for linux/s390x; linux/"),
            "{told}"
        );
    }
}

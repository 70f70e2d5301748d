//! Names of images as Docker reads them.

/// A name and its tag; a tag that is empty stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub(super) name: &'a str,
    pub(super) tag: &'a str,
}

impl<'a> Reference<'a> {
    pub(super) fn of(image: &'a str) -> Self {
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

    /// Whether an image of this name is meant by `asked`.
    pub(super) fn is_meant(self, asked: Self) -> bool {
        self.name == asked.name && (self.tag.is_empty() || self.tag == asked.tag)
    }
}

//! Manifests as kubectl reads them: YAML or JSON documents to objects, with the line each came from.

use serde_json::Value;

use super::custom;
use super::kinds::{self, KindId};
use super::yaml::{YamlError, read};

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object.
    pub object: Value,
    /// Its kind.
    pub kind: KindId,
    /// The line its document begins at, from 1.
    pub line: usize,
    text: String,
}

/// A manifest that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct ManifestError {
    file: String,
    line: usize,
    problem: String,
}

/// What a manifest holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The objects, Namespaces first.
    pub documents: Vec<Document>,
    /// Objects of kinds that this cluster does not have.
    pub unknown: Vec<ManifestError>,
    /// Keys that stand twice: the last counts.
    pub warnings: Vec<ManifestError>,
}

/// Reads a manifest; `file` is what errors call it.
///
/// # Errors
/// Text that is no YAML, an object without kind or name.
pub fn parse(file: &str, text: &str) -> Result<Manifest, ManifestError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader {
        file,
        manifest: Manifest::default(),
    };
    if text.trim_start().starts_with('{') {
        reader.stream(text)?;
    } else {
        reader.yaml(text)?;
    }
    let mut manifest = reader.manifest;
    // What is in a Namespace comes after it.
    let documents = &mut manifest.documents;
    documents.sort_by_key(|document| document.kind != kinds::NAMESPACE);
    Ok(manifest)
}

/// Whether a line of YAML says nothing.
fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

struct Reader<'a> {
    file: &'a str,
    manifest: Manifest,
}

impl Reader<'_> {
    fn error(&self, line: usize, problem: String) -> ManifestError {
        ManifestError {
            file: self.file.into(),
            line,
            problem,
        }
    }

    /// JSON documents, one after the other.
    fn stream(&mut self, text: &str) -> Result<(), ManifestError> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut start = 0;
        while let Some(value) = values.next() {
            let begin = text.len() - text[start..].trim_start().len();
            let value = value.map_err(|e| self.error(e.line(), format!("this is no JSON: {e}")))?;
            start = values.byte_offset();
            let line = 1 + text[..begin].matches('\n').count();
            self.objects(value, line, &text[begin..start])?;
        }
        Ok(())
    }

    /// YAML documents, with a line `---` between each and the next.
    fn yaml(&mut self, text: &str) -> Result<(), ManifestError> {
        let lines: Vec<&str> = text.lines().collect();
        let is_end = |line: &str| line.trim_end() == "---" || line.starts_with("--- ");
        let ends = (0..lines.len()).filter(|i| is_end(lines[*i]));
        let mut start = 0;
        for end in ends.chain([lines.len()]) {
            let part = lines[start..end].join("\n");
            self.document(&part, start + 1)?;
            start = end + 1;
        }
        Ok(())
    }

    /// The objects of one document; a `List` holds several.
    fn document(&mut self, text: &str, line: usize) -> Result<(), ManifestError> {
        if text.lines().all(is_blank) {
            return Ok(());
        }
        // A document begins where it says something, not at its comments.
        let blank = text.lines().take_while(|line| is_blank(line)).count();
        let yaml = read(text).map_err(|error| self.no_yaml(line, &error, "this is no YAML: "))?;
        if let Some(twice) = &yaml.twice {
            let warning = self.no_yaml(line, twice, "");
            self.manifest.warnings.push(warning);
        }
        self.objects(yaml.value, line + blank, text)
    }

    /// What the parser says, with the line where it does; the document begins at this one.
    fn no_yaml(&self, begin: usize, error: &YamlError, prefix: &str) -> ManifestError {
        let line = begin + error.line.saturating_sub(1);
        self.error(line, format!("{prefix}{error}"))
    }

    /// The objects that a value is: itself, or those of a list, whose kind tells theirs where they do not.
    fn objects(&mut self, value: Value, line: usize, text: &str) -> Result<(), ManifestError> {
        let kind = value["kind"].as_str().and_then(|k| k.strip_suffix("List"));
        let (Some(kind), Some(items)) = (kind, value["items"].as_array()) else {
            return self.one(value, line, text);
        };
        for item in items {
            let mut item = item.clone();
            if let Some(fields) = item.as_object_mut().filter(|_| !kind.is_empty()) {
                let version = value["apiVersion"].clone();
                fields.entry("kind").or_insert_with(|| kind.into());
                fields.entry("apiVersion").or_insert(version);
            }
            self.objects(item, line, text)?;
        }
        Ok(())
    }

    fn one(&mut self, object: Value, line: usize, text: &str) -> Result<(), ManifestError> {
        let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        if !object.is_object() {
            let what = "an object was expected, with apiVersion, kind and metadata";
            return Err(self.error(line, what.into()));
        }
        for name in ["apiVersion", "kind"] {
            if field(name).is_empty() {
                return Err(self.error(line, format!("{name}: Required value")));
            }
        }
        custom::announce(&object);
        let Some(kind) = KindId::of_object(&object) else {
            let problem = format!(
                "no matches for kind {:?} in version {:?}: the sandbox has Kubernetes' own kinds, and those of the \
                 CustomResourceDefinitions that come before",
                field("kind"),
                field("apiVersion"),
            );
            let unknown = self.error(line + line_of(text, "kind"), problem);
            self.manifest.unknown.push(unknown);
            return Ok(());
        };
        let meta = &object["metadata"];
        let named = meta["name"].as_str().is_some_and(|name| !name.is_empty());
        if !named && meta["generateName"].is_null() {
            let line = line + line_of(text, "metadata");
            return Err(self.error(line, "metadata.name: Required value".into()));
        }
        self.manifest.documents.push(Document {
            object,
            kind,
            line,
            text: text.into(),
        });
        Ok(())
    }
}

impl Document {
    /// An error of the API about this object, at the line of the field it names.
    #[must_use]
    pub fn error(&self, file: &str, problem: &str, field: Option<&str>) -> ManifestError {
        let blank = self.text.lines().take_while(|line| is_blank(line)).count();
        let offset = field.map_or(blank, |field| line_of(&self.text, field));
        ManifestError {
            file: file.into(),
            line: self.line - blank + offset,
            problem: problem.into(),
        }
    }
}

/// How many lines into a YAML document a field stands, such as `spec.ports[1].port`; the deepest part that is found.
fn line_of(text: &str, field: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let (mut at, mut indent, mut found) = (0, None::<usize>, 0);
    for part in field.split('.') {
        let (key, index) = part.split_once('[').map_or((part, None), |(key, rest)| {
            (key, rest.trim_end_matches(']').parse::<usize>().ok())
        });
        let depth = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
        let is_key = |line: &str| {
            line.trim_start_matches([' ', '-'])
                .trim_matches('"')
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches('"').starts_with(':'))
        };
        let below = |line: &str| indent.is_none_or(|indent| depth(line) > indent);
        let Some(line) = (at..lines.len())
            .take_while(|i| *i == at || lines[*i].trim().is_empty() || below(lines[*i]))
            .find(|i| is_key(lines[*i]))
        else {
            return found;
        };
        found = line;
        indent = Some(depth(lines[line]));
        at = line + 1;
        if let Some(index) = index {
            let items = (at..lines.len()).filter(|i| lines[*i].trim_start().starts_with('-'));
            let first = items
                .clone()
                .next()
                .map(|i| lines[i].len() - lines[i].trim_start().len());
            let mut items =
                items.filter(|i| Some(lines[*i].len() - lines[*i].trim_start().len()) == first);
            if let Some(item) = items.nth(index) {
                (found, at) = (item, item);
                indent = first;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# first\napiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n  - port: 80\n  - name: x\n    port: 0\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: b}\n";

    #[test]
    fn documents_are_read_with_their_lines() {
        let documents = parse("f", TWO).unwrap().documents;
        let seen: Vec<_> = documents
            .iter()
            .map(|d| (d.object["metadata"]["name"].as_str().unwrap(), d.line))
            .collect();
        assert_eq!(seen, [("a", 2), ("b", 12)]);
        assert_eq!(parse("f", "---\n# nothing\n---\n"), Ok(Manifest::default()));
    }

    #[test]
    fn lists_streams_of_json_and_namespaces_are_read_as_kubectl_reads_them() {
        let names = |text: &str| {
            let documents = parse("f", text).unwrap().documents;
            let name = |d: &Document| {
                format!(
                    "{}:{}",
                    d.object["metadata"]["name"].as_str().unwrap(),
                    d.line
                )
            };
            documents.iter().map(name).collect::<Vec<_>>()
        };
        let map = |name: &str| {
            format!(
                r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}}}"#
            )
        };
        let stream = format!("\u{feff}{}\n\n{}\n", map("a"), map("b"));
        assert_eq!(names(&stream), ["a:1", "b:3"]);
        let nested = format!(
            r#"{{"apiVersion": "v1", "kind": "List", "items": [{}, {{"apiVersion": "v1", "kind": "List", "items": [{}]}}]}}"#,
            map("a"),
            map("b")
        );
        assert_eq!(names(&nested), ["a:1", "b:1"]);
        let typed = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n";
        assert_eq!(names(typed), ["a:1"]);
        let late = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: later}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: later}\n";
        assert_eq!(names(late), ["later:5", "s:1"]);
        let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nmetadata: {name: b}\n";
        assert_eq!(names(twice), ["b:1"]);
        let warnings = parse("f", twice).unwrap().warnings;
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["f:4: duplicate mapping key: metadata"]);
    }

    #[test]
    fn an_error_of_the_api_stands_at_its_field() {
        let document = &parse("f", TWO).unwrap().documents[0];
        for (field, line) in [
            ("spec.ports[1].port", 10),
            ("spec.ports[0].port", 8),
            ("spec.selector", 6),
            ("metadata.name", 5),
        ] {
            assert_eq!(
                document.error("f", "bad", Some(field)).to_string(),
                format!("f:{line}: bad"),
                "{field}"
            );
        }
        assert_eq!(document.error("f", "bad", None).to_string(), "f:2: bad");
    }

    #[test]
    fn what_cannot_be_used_says_where_and_why() {
        let error = |text| parse("f", text).unwrap_err().to_string();
        assert_eq!(error("kind: Pod\n"), "f:1: apiVersion: Required value");
        assert_eq!(
            error("apiVersion: v1\nkind: Pod\nmetadata: {}\n"),
            "f:3: metadata.name: Required value"
        );
        assert!(error("a: [\n").starts_with("f:"), "{}", error("a: [\n"));
        let unknown = "apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: x}\n";
        let unknown = parse("f", unknown).unwrap().unknown[0].to_string();
        assert!(
            unknown.starts_with(
                "f:2: no matches for kind \"StatefulSet\" in version \"apps/v1beta1\": the sandbox has "
            ),
            "{unknown}"
        );
    }
}

//! Manifests as kubectl reads them: YAML or JSON documents to objects, with the line each came from.

use serde_json::Value;

use super::kinds::{self, KindId};
use super::yaml::read;

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

/// Reads a manifest; `file` is what errors call it.
///
/// # Errors
/// Text that is no YAML, an object without kind or name, a kind that this cluster does not have.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut documents = if text.trim_start().starts_with('{') {
        stream(file, text)?
    } else {
        yaml(file, text)?
    };
    // What is in a Namespace comes after it.
    documents.sort_by_key(|document| document.kind != kinds::NAMESPACE);
    Ok(documents)
}

/// JSON documents, one after the other.
fn stream(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let (mut documents, mut start) = (Vec::new(), 0);
    while let Some(value) = values.next() {
        let begin = text.len() - text[start..].trim_start().len();
        let value = value.map_err(|e| ManifestError {
            file: file.into(),
            line: e.line(),
            problem: format!("this is no JSON: {e}"),
        })?;
        start = values.byte_offset();
        let line = 1 + text[..begin].matches('\n').count();
        documents.extend(objects(file, value, line, &text[begin..start])?);
    }
    Ok(documents)
}

/// YAML documents, with a line `---` between each and the next.
fn yaml(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let mut documents = Vec::new();
    let mut start = 0;
    let lines: Vec<&str> = text.lines().collect();
    let ends = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.trim_end() == "---" || line.starts_with("--- "))
        .map(|(i, _)| i);
    for end in ends.chain([lines.len()]).collect::<Vec<_>>() {
        let part = lines[start..end].join("\n");
        documents.extend(document(file, &part, start + 1)?);
        start = end + 1;
    }
    Ok(documents)
}

/// The objects of one document; a `List` holds several.
fn document(file: &str, text: &str, line: usize) -> Result<Vec<Document>, ManifestError> {
    let error = |line, problem: String| ManifestError {
        file: file.into(),
        line,
        problem,
    };
    if text
        .lines()
        .all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
    {
        return Ok(Vec::new());
    }
    // A document begins where it says something, not at its comments.
    let blank = text
        .lines()
        .take_while(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
        .count();
    let object: Value = read(text).map_err(|e| {
        let at = e.location().map_or(0, |l| {
            usize::try_from(l.line())
                .unwrap_or_default()
                .saturating_sub(1)
        });
        let first = e.to_string().lines().next().unwrap_or_default().to_owned();
        error(line + at, format!("this is no YAML: {first}"))
    })?;
    objects(file, object, line + blank, text)
}

/// The objects that a value is: itself, or those of a list, whose kind tells theirs where they do not.
fn objects(
    file: &str,
    value: Value,
    line: usize,
    text: &str,
) -> Result<Vec<Document>, ManifestError> {
    let kind = value["kind"].as_str().and_then(|k| k.strip_suffix("List"));
    let (Some(kind), Some(items)) = (kind, value["items"].as_array()) else {
        return Ok(vec![one(file, value, line, text)?]);
    };
    let mut documents = Vec::new();
    for item in items {
        let mut item = item.clone();
        if let Some(fields) = item.as_object_mut().filter(|_| !kind.is_empty()) {
            let version = value["apiVersion"].clone();
            fields.entry("kind").or_insert_with(|| kind.into());
            fields.entry("apiVersion").or_insert(version);
        }
        documents.extend(objects(file, item, line, text)?);
    }
    Ok(documents)
}

fn one(file: &str, object: Value, line: usize, text: &str) -> Result<Document, ManifestError> {
    let error = |line, problem: String| ManifestError {
        file: file.into(),
        line,
        problem,
    };
    let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    if !object.is_object() {
        return Err(error(
            line,
            "an object was expected, with apiVersion, kind and metadata".into(),
        ));
    }
    for name in ["apiVersion", "kind"] {
        if field(name).is_empty() {
            return Err(error(line, format!("{name}: Required value")));
        }
    }
    let Some(kind) = KindId::of_object(&object) else {
        let problem = format!(
            "no matches for kind {:?} in version {:?}: the sandbox has Kubernetes' own kinds, and none that a CustomResourceDefinition \
             makes",
            field("kind"),
            field("apiVersion"),
        );
        return Err(error(line + line_of(text, "kind"), problem));
    };
    if object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
        && object["metadata"]["generateName"].is_null()
    {
        return Err(error(
            line + line_of(text, "metadata"),
            "metadata.name: Required value".into(),
        ));
    }
    Ok(Document {
        object,
        kind,
        line,
        text: text.into(),
    })
}

impl Document {
    /// An error of the API about this object, at the line of the field it names.
    #[must_use]
    pub fn error(&self, file: &str, problem: &str, field: Option<&str>) -> ManifestError {
        let blank = self
            .text
            .lines()
            .take_while(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
            .count();
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
        let documents = parse("f", TWO).unwrap();
        let seen: Vec<_> = documents
            .iter()
            .map(|d| (d.object["metadata"]["name"].as_str().unwrap(), d.line))
            .collect();
        assert_eq!(seen, [("a", 2), ("b", 12)]);
        assert_eq!(parse("f", "---\n# nothing\n---\n"), Ok(Vec::new()));
    }

    #[test]
    fn lists_streams_of_json_and_namespaces_are_read_as_kubectl_reads_them() {
        let names = |text: &str| {
            let documents = parse("f", text).unwrap();
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
    }

    #[test]
    fn an_error_of_the_api_stands_at_its_field() {
        let document = &parse("f", TWO).unwrap()[0];
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
        let unknown = error("apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: x}\n");
        assert!(
            unknown.starts_with(
                "f:2: no matches for kind \"StatefulSet\" in version \"apps/v1beta1\": the sandbox has "
            ),
            "{unknown}"
        );
    }
}

//! Rust sources as the paths that they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its path from the project's root.
    pub(crate) file: String,
    /// Where it stands in its crate: `["plugin", "forward", "exchange"]`.
    pub(crate) module: Vec<String>,
    /// The folder of its crate's sources.
    pub(crate) root: String,
    /// What it names of its own crate, from the crate's root on.
    pub(crate) own: BTreeSet<Vec<String>>,
    /// The other crates that it names, and its own where it says so by name.
    pub(crate) foreign: BTreeSet<String>,
    /// All paths and single words.
    words: BTreeSet<String>,
}

/// The Rust files below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Source {
    /// Reads a file; none where the whole file is a test.
    pub(crate) fn read(file: &str, text: &str) -> Option<Self> {
        let (root, rest) = file.split_once("src/").unwrap();
        let mut module: Vec<String> = rest
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if module.iter().any(|part| part == "tests") {
            return None;
        }
        module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        let tokens: TokenStream = text.parse().unwrap_or_else(|_| panic!("{file} is no Rust"));
        let mut paths = BTreeSet::new();
        paths_of(&[], tokens, &mut paths);
        let mut source = Self {
            file: file.into(),
            root: format!("{root}src"),
            module,
            own: BTreeSet::new(),
            foreign: BTreeSet::new(),
            words: paths.iter().map(|path| path.join("::")).collect(),
        };
        for path in paths {
            source.sort_in(path);
        }
        Some(source)
    }

    fn sort_in(&mut self, mut path: Vec<String>) {
        let mut from = match path[0].as_str() {
            "crate" => Vec::new(),
            "super" => self.module.clone(),
            name => {
                // A single word may be anything.
                if path.len() > 1 {
                    self.foreign.insert(name.into());
                }
                return;
            }
        };
        while path.first().is_some_and(|part| part == "super") {
            from.pop();
            path.remove(0);
        }
        from.extend(path.into_iter().filter(|part| part != "crate"));
        self.own.insert(from);
    }

    /// The top module of the root crate that this belongs to.
    pub(crate) fn top(&self) -> Option<String> {
        (self.root == "src")
            .then(|| self.module.first().cloned())
            .flatten()
    }

    /// The top modules that this names.
    pub(crate) fn targets(&self) -> BTreeSet<String> {
        let tops = self.own.iter().filter_map(|path| path.first());
        tops.cloned().collect()
    }

    /// Whether this names a word, or a path that contains this one.
    pub(crate) fn names(&self, word: &str) -> bool {
        let wanted: Vec<&str> = word.split("::").collect();
        self.words.iter().any(|path| {
            let path: Vec<&str> = path.split("::").collect();
            path.windows(wanted.len()).any(|part| part == wanted)
        })
    }
}

/// Collects the paths of `tokens`; `prefix`: what stands before the braces that they are in.
fn paths_of(prefix: &[String], tokens: TokenStream, found: &mut BTreeSet<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if is_test(&tokens[at..]) {
            at += item(&tokens[at..]);
            continue;
        }
        match &tokens[at] {
            TokenTree::Ident(word) => {
                let mut path = prefix.to_vec();
                path.push(word.to_string());
                at += 1;
                while let Some(next) = after_colons(&tokens[at..]) {
                    match next {
                        TokenTree::Ident(word) => path.push(word.to_string()),
                        TokenTree::Group(list) if list.delimiter() == Delimiter::Brace => {
                            paths_of(&path, list.stream(), found);
                        }
                        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => break,
                    }
                    at += 3;
                }
                found.insert(path);
            }
            TokenTree::Group(group) => {
                paths_of(&[], group.stream(), found);
                at += 1;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// What follows `::`, where that comes next.
fn after_colons(tokens: &[TokenTree]) -> Option<&TokenTree> {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ':');
    match tokens {
        [first, second, next, ..] if is_colon(first) && is_colon(second) => Some(next),
        _ => None,
    }
}

/// Whether `#[cfg(test)]` comes next.
fn is_test(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(hash), TokenTree::Group(attribute), ..]
        if hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// How many tokens the item has that comes next: up to its semicolon or its braces.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    tokens
        .iter()
        .position(ends)
        .map_or(tokens.len(), |end| end + 1)
}

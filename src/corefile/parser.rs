//! Tokens to server blocks.

use std::collections::{HashMap, VecDeque};

use super::Source;
use super::error::CorefileError;
use super::keys::{Key, parse_key};
use super::lexer::{Token, lex};

/// `KEY [KEY...] { directives }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerBlock {
    /// What it serves; a key of a CIDR has become several.
    pub keys: Vec<Key>,
    /// In the order of the file, which means nothing: plugins have an order of their own.
    pub directives: Vec<Directive>,
}

impl ServerBlock {
    /// All that it says, wherever it stands: the same for the same words.
    #[must_use]
    pub fn said(&self) -> String {
        let mut said = String::new();
        for key in &self.keys {
            said += &format!("{:?} ", key.token.text);
        }
        self.directives.iter().for_each(|line| line.say(&mut said));
        said
    }
}

/// A line of a block: a name, arguments, and for a plugin with properties a body of such lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// The plugin, or the property.
    pub name: Token,
    /// What stands behind it on the line.
    pub args: Vec<Token>,
    /// The lines between its braces; empty without braces.
    pub body: Vec<Self>,
    /// It has braces.
    pub braced: bool,
}

impl Directive {
    fn say(&self, said: &mut String) {
        *said += "{";
        for word in std::iter::once(&self.name).chain(&self.args) {
            *said += &format!("{:?} ", word.text);
        }
        self.body.iter().for_each(|line| line.say(said));
        *said += "}";
    }

    /// Whether an error stands in it.
    #[must_use]
    pub fn has(&self, error: &CorefileError) -> bool {
        let token = |token: &Token| error.is_within(&token.file, &token.at);
        token(&self.name)
            || self.args.iter().any(token)
            || self.body.iter().any(|line| line.has(error))
    }

    /// The only argument.
    ///
    /// # Errors
    /// Where there is not exactly one.
    pub fn one_arg(&self, expected: &str) -> Result<&Token, CorefileError> {
        match &self.args[..] {
            [arg] => Ok(arg),
            [] => Err(self
                .name
                .error(format!("`{}` needs an argument", self.name.text), expected)),
            [_, extra, ..] => Err(extra.error(
                format!("`{}` takes one argument", self.name.text),
                "the end of the line",
            )),
        }
    }

    /// Refuses arguments.
    ///
    /// # Errors
    /// Where there is one.
    pub fn no_args(&self) -> Result<(), CorefileError> {
        self.args.first().map_or(Ok(()), |extra| {
            Err(extra.error(
                format!("`{}` takes no argument", self.name.text),
                "the end of the line",
            ))
        })
    }

    /// At least one argument.
    ///
    /// # Errors
    /// Where there is none.
    pub fn some_args(&self, expected: &str) -> Result<&[Token], CorefileError> {
        if self.args.is_empty() {
            return Err(self
                .name
                .error(format!("`{}` needs an argument", self.name.text), expected));
        }
        Ok(&self.args)
    }

    /// Refuses arguments and braces.
    ///
    /// # Errors
    /// Where there is one.
    pub fn bare(&self) -> Result<(), CorefileError> {
        self.no_args()?;
        self.no_braces()
    }

    /// Refuses braces.
    ///
    /// # Errors
    /// Where there are some.
    pub fn no_braces(&self) -> Result<(), CorefileError> {
        self.no_body()?;
        if self.braced {
            let problem = format!("`{}` takes no braces", self.name.text);
            return Err(self.name.error(problem, "the name alone"));
        }
        Ok(())
    }

    /// Refuses a body.
    ///
    /// # Errors
    /// Where there is one.
    pub fn no_body(&self) -> Result<(), CorefileError> {
        self.body.first().map_or(Ok(()), |line| {
            Err(line.name.error(
                format!("`{}` takes no properties", self.name.text),
                "no body",
            ))
        })
    }

    /// The error for a property that this directive does not have.
    #[must_use]
    pub fn unknown_property(&self, property: &Self, known: &str) -> CorefileError {
        property.name.error(
            format!(
                "unknown property '{}' of `{}`",
                property.name.text, self.name.text
            ),
            known,
        )
    }
}

/// How many imports a Corefile may have: enough for any, and an end to one that imports itself.
const MAX_IMPORTS: usize = 10_000;

/// How many blocks may stand in each other: more than any plugin's properties need.
const MAX_DEPTH: usize = 16;

/// Reads a Corefile. `name` is what errors call it, and where relative imports start.
///
/// # Errors
/// Where it is none, with the place and what was expected.
pub fn parse(
    name: &str,
    text: &str,
    source: &dyn Source,
) -> Result<Vec<ServerBlock>, CorefileError> {
    let tokens = lex(name, text)?.into();
    let mut parser = Parser {
        tokens,
        source,
        snippets: HashMap::new(),
        imports: 0,
        depth: 0,
        last: None,
    };
    let mut blocks = Vec::new();
    while parser.expand_import()? || !parser.tokens.is_empty() {
        if let Some(block) = parser.block()? {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

struct Parser<'s> {
    tokens: VecDeque<Token>,
    source: &'s dyn Source,
    snippets: HashMap<String, Vec<Token>>,
    imports: usize,
    /// How many blocks are open.
    depth: usize,
    /// The last token taken, for errors at the end of the file.
    last: Option<Token>,
}

impl Parser<'_> {
    /// A server block; `None` after a snippet, or at the end.
    fn block(&mut self) -> Result<Option<ServerBlock>, CorefileError> {
        let mut keys: Vec<Token> = Vec::new();
        let mut more = true;
        let braces = loop {
            let Some(token) = self.tokens.front() else {
                break false;
            };
            if token.is("{") {
                break true;
            }
            if !more && !keys.last().is_some_and(|last| last.same_line(token)) {
                break false;
            }
            let mut token = self.take()?;
            more = token.text.ends_with(',');
            let words: Vec<String> = token
                .text
                .split(',')
                .filter(|w| !w.is_empty())
                .map(str::to_owned)
                .collect();
            for word in words {
                token.text = word;
                keys.push(token.clone());
            }
        };
        if braces {
            let open = self.take()?;
            if let [key] = &keys[..]
                && key.text.starts_with('(')
                && key.text.ends_with(')')
            {
                let key = key.clone();
                return self.snippet(&key, &open).map(|()| None);
            }
            if keys.is_empty() {
                return Err(open.error(
                    "a server block without a key",
                    "a zone before `{`, such as `.:53`",
                ));
            }
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let directives = self.directives(braces)?;
        let mut parsed = Vec::new();
        for key in keys {
            parsed.extend(parse_key(&self.filled(key))?);
        }
        Ok(Some(ServerBlock {
            keys: parsed,
            directives,
        }))
    }

    /// Directives up to the closing brace, or to the end of a file without braces.
    fn directives(&mut self, braces: bool) -> Result<Vec<Directive>, CorefileError> {
        self.depth += 1;
        let directives = self.directives_at_depth(braces);
        self.depth -= 1;
        directives
    }

    fn directives_at_depth(&mut self, braces: bool) -> Result<Vec<Directive>, CorefileError> {
        let mut directives = Vec::new();
        loop {
            while self.expand_import()? {}
            if self.tokens.is_empty() && !braces {
                return Ok(directives);
            }
            let name = self.take()?;
            if name.is("}") && braces {
                return Ok(directives);
            }
            if name.is("{") {
                return Err(name.error("a `{` without a name before it on the line", "a directive"));
            }
            let name = self.filled(name);
            directives.push(self.directive(name)?);
        }
    }

    fn directive(&mut self, name: Token) -> Result<Directive, CorefileError> {
        let mut args = Vec::new();
        while let Some(token) = self.tokens.pop_front_if(|token| token.same_line(&name)) {
            self.last = Some(token.clone());
            if token.is("{") && self.depth >= MAX_DEPTH {
                let expected = format!("at most {MAX_DEPTH} blocks in each other");
                return Err(token.error("this block is too deep", expected));
            }
            if token.is("{") {
                if let Some(extra) = self.tokens.front().filter(|t| t.same_line(&name)) {
                    return Err(
                        extra.error("one property per line", "the end of the line after `{`")
                    );
                }
                let body = self.directives(true)?;
                return Ok(Directive {
                    name,
                    args,
                    body,
                    braced: true,
                });
            }
            args.push(self.filled(token));
        }
        Ok(Directive {
            name,
            args,
            body: Vec::new(),
            braced: false,
        })
    }

    fn snippet(&mut self, key: &Token, open: &Token) -> Result<(), CorefileError> {
        let (mut tokens, mut depth) = (Vec::new(), 1);
        loop {
            let Some(token) = self.tokens.pop_front() else {
                return Err(open.error("this snippet is never closed", "a `}`"));
            };
            depth += i32::from(token.is("{")) - i32::from(token.is("}"));
            if depth == 0 {
                break;
            }
            tokens.push(token);
        }
        let name = key.text.trim_matches(['(', ')']).to_owned();
        if self.snippets.insert(name, tokens).is_some() {
            return Err(key.error(
                format!("snippet {} is defined twice", key.text),
                "another name",
            ));
        }
        Ok(())
    }

    /// Replaces an `import` that comes next with what it names. Returns whether it did.
    fn expand_import(&mut self) -> Result<bool, CorefileError> {
        if !self.tokens.front().is_some_and(|token| token.is("import")) {
            return Ok(false);
        }
        let import = self.take()?;
        let Some(what) = self.tokens.pop_front_if(|token| token.same_line(&import)) else {
            return Err(import.error(
                "`import` needs an argument",
                "a snippet, a file or a pattern",
            ));
        };
        let what = self.filled(what);
        if let Some(extra) = self.tokens.front().filter(|t| t.same_line(&import)) {
            return Err(extra.error("an import takes no arguments", "the end of the line"));
        }
        self.imports += 1;
        if self.imports > MAX_IMPORTS {
            return Err(what.error(
                "too many imports: does it import itself?",
                format!("at most {MAX_IMPORTS}"),
            ));
        }
        let tokens = match self.snippets.get(&what.text) {
            Some(tokens) => tokens.clone(),
            None => self.imported(&what)?,
        };
        for token in tokens.into_iter().rev() {
            self.tokens.push_front(token);
        }
        Ok(true)
    }

    fn imported(&self, what: &Token) -> Result<Vec<Token>, CorefileError> {
        let from = what.file_name();
        let signs = ['*', '?'].map(|sign| what.text.matches(sign).count());
        let files = match signs {
            [0, 0] => vec![what.text.clone()],
            [0 | 1, 0 | 1] => self.source.glob(from, &what.text),
            _ => {
                let problem = "a pattern may have one `*` and one `?`";
                return Err(what.error(problem, "one of each at most"));
            }
        };
        if files.is_empty() {
            self.source.unmatched(&what.text);
        }
        let mut tokens = Vec::new();
        for file in files {
            let text = self.source.read(from, &file).map_err(|error| {
                what.error(
                    format!("cannot import {file}: {error}"),
                    "a snippet defined above, or a file that can be read",
                )
            })?;
            tokens.extend(lex(&file, &text)?);
        }
        Ok(tokens)
    }

    fn take(&mut self) -> Result<Token, CorefileError> {
        let Some(token) = self.tokens.pop_front() else {
            let last = self
                .last
                .clone()
                .expect("a token was taken before the file could end too early");
            return Err(last.error("the file ends inside a block", "a `}` after this"));
        };
        self.last = Some(token.clone());
        Ok(token)
    }

    /// `token` with environment variables filled in: `{$NAME}` and `{%NAME%}`; one that is not set is empty. As in CoreDNS
    /// one without a name ends the search.
    fn filled(&self, mut token: Token) -> Token {
        for (open, close) in [("{$", "}"), ("{%", "%}")] {
            while let Some(start) = token.text.find(open) {
                let length = token.text[start..].find(close);
                let Some(length) = length.filter(|length| *length > open.len()) else {
                    break;
                };
                let name = &token.text[start + open.len()..start + length];
                let value = self.source.env(name).unwrap_or_default();
                token
                    .text
                    .replace_range(start..start + length + close.len(), &value);
            }
        }
        token
    }
}

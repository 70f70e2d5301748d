//! Errors that show where: file, line, column, the line with a caret, and what was expected.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A file that tokens point into.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: String,
}

impl File {
    /// Line and column of an octet, both from 1; columns count characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// A Corefile that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorefileError {
    file: Arc<File>,
    at: Range<usize>,
    problem: String,
    expected: String,
}

impl CorefileError {
    pub(super) fn new(
        file: &Arc<File>,
        at: Range<usize>,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            file: Arc::clone(file),
            at,
            problem: problem.into(),
            expected: expected.into(),
        }
    }

    /// The position: line and column, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        self.file.position(self.at.start)
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file.name
    }

    /// Whether it stands from here on, in the same file, up to there.
    pub(super) fn is_within(&self, file: &Arc<File>, at: &Range<usize>) -> bool {
        self.file == *file && at.contains(&self.at.start)
    }

    /// What should stand there; empty where that goes without saying.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for CorefileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.expected.is_empty() {
            String::new()
        } else {
            format!("expected {}", self.expected)
        };
        let annotation = AnnotationKind::Primary.span(self.at.clone()).label(&label);
        let snippet = Snippet::source(&self.file.text)
            .path(&self.file.name)
            .annotation(annotation);
        let report = [Level::ERROR.primary_title(&self.problem).element(snippet)];
        f.write_str(&Renderer::plain().render(&report))
    }
}

impl std::error::Error for CorefileError {}

/// Everything that is wrong with a Corefile, in the order of its lines: one error or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorefileErrors(Vec<CorefileError>);

impl CorefileErrors {
    /// These errors, in any order; `None` where there is none.
    #[must_use]
    pub fn of(mut errors: Vec<CorefileError>) -> Option<Self> {
        errors.sort_by(|a, b| (&a.file.name, a.at.start).cmp(&(&b.file.name, b.at.start)));
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &CorefileError> {
        self.0.iter()
    }
}

impl fmt::Display for CorefileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for CorefileErrors {}

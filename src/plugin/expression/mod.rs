//! Expressions about a question, in the language of expr-lang, with CoreDNS's functions.

mod check;
mod facts;

use expr::{Environment, Program, Value};

pub(super) use self::facts::{Facts, type_in_go};
use self::facts::{OF_QUESTIONS, WITH_GROUPS};
use crate::corefile::{CorefileError, Token};

const EXPECTED: &str = "an expression such as `type() == 'A' && incidr(client_ip(), '10.0.0.0/8')`";

/// An expression, read.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    program: Program,
    /// The functions that it knows.
    environment: &'static Environment<'static>,
}

impl Expression {
    /// Whether it is true; what has no value, or another, is not.
    pub(super) fn is_true(&self, facts: &Facts) -> bool {
        matches!(self.value(facts), Ok(Value::Bool(true)))
    }

    /// Its value.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn value(&self, facts: &Facts) -> expr::Result<Value> {
        self.environment.run(&self.program, facts)
    }
}

/// Reads the expressions of a directive. Their language has no types: names that nobody knows, and operands that never fit,
/// are found by trying them on questions.
pub(super) struct Reader {
    environment: &'static Environment<'static>,
    samples: [Facts; 2],
}

impl Reader {
    /// Of expressions about questions.
    pub(super) fn of_questions() -> Self {
        Self {
            environment: &OF_QUESTIONS,
            samples: check::samples(),
        }
    }

    /// The same, with `group`.
    pub(super) fn with_groups() -> Self {
        Self {
            environment: &WITH_GROUPS,
            ..Self::of_questions()
        }
    }

    /// Reads the words of an expression; `line`: the word before them.
    ///
    /// # Errors
    /// What no question makes true of it, at its first word.
    pub(super) fn read(&self, line: &Token, words: &[Token]) -> Result<Expression, CorefileError> {
        let Some(first) = words.first() else {
            let problem = format!("`{}` has no expression", line.text);
            return Err(line.error(problem, EXPECTED));
        };
        let words: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        let text = words.join(" ");
        let wrong = |why: String| {
            let problem = format!("`{text}` is no expression: {why}");
            first.error(problem, EXPECTED)
        };
        check::before(self.environment, &text).map_err(wrong)?;
        let program = expr::compile(&text).map_err(|error| wrong(check::short(&error)))?;
        let read = Expression {
            program,
            environment: self.environment,
        };
        for facts in &self.samples {
            check::tried(&read, facts).map_err(wrong)?;
            check::comparisons(self.environment, &text, facts).map_err(wrong)?;
        }
        Ok(read)
    }

    /// Has later expressions know a variable with this one's value; where it has none, without.
    pub(super) fn define(&mut self, name: &str, expression: &Expression) {
        for facts in &mut self.samples {
            let value = expression.value(facts).unwrap_or_default();
            facts.set_variable(name, value);
        }
    }

    /// Whether a variable may be called so: no function, no word of the language and no variable is.
    pub(super) fn is_free(&self, name: &str) -> bool {
        let starts = |first: char| first.is_ascii_alphabetic() || first == '_';
        let others = |other: char| other.is_ascii_alphanumeric() || other == '_';
        name.starts_with(starts)
            && name.chars().all(others)
            && !check::is_word(name)
            && !check::is_function(self.environment, name)
            && expr::ContextProvider::get(&self.samples[0], name).is_none()
    }
}

#[cfg(test)]
mod tests;

//! `view`: a server block that takes only the questions for which its expressions are true.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::block::{Block, Condition, Filter, Parts};
use super::expression::{Expression, Facts, Reader};
use super::kit::{Directives, Registration};
use super::metadata::Collector;
use super::passage::{Passage, Way};
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::Query;
use crate::name::Origins;

pub(super) const PLUGIN: Registration = Registration {
    name: "view",
    setup,
};

/// `view NAME { expr EXPRESSION... }`.
#[derive(Clone, Debug)]
struct Spec {
    name: Arc<str>,
    /// All have to be true.
    expressions: Vec<Expression>,
    /// The zones of the block's `metadata`, which expressions read.
    collected: Option<Origins>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    let name = directive.one_arg("a name for the view")?;
    let (reader, mut expressions) = (Reader::of_questions(), Vec::new());
    for property in &directive.body {
        if property.name.text != "expr" {
            return Err(directive.unknown_property(property, "expr"));
        }
        expressions.push(reader.read(&property.name, &property.args)?);
    }
    block.view = Some(Box::new(Spec {
        name: name.text.as_str().into(),
        expressions,
        collected: block.collected.clone(),
    }));
    block.links.push((PLUGIN.name, Box::new(InChain)));
    Ok(())
}

impl Condition for Spec {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn filter(&self, parts: &Parts) -> Arc<dyn Filter> {
        let collected = self.collected.clone();
        Arc::new(Expressions {
            all: self.expressions.clone(),
            collector: collected.map(|zones| Collector::new(zones, parts)),
        })
    }
}

/// The expressions of a block, and what collects the metadata that they read.
struct Expressions {
    all: Vec<Expression>,
    collector: Option<Collector>,
}

impl Filter for Expressions {
    fn admits(&self, query: &Query) -> bool {
        let metadata = self.collector.as_ref();
        let metadata = metadata.map(|collector| collector.collect(query));
        let facts = Facts::of(query, metadata.as_ref());
        let mut all = self.all.iter();
        all.all(|expression| expression.is_true(&facts))
    }
}

/// As in CoreDNS `view` is in the chain too, where it does nothing.
#[derive(Clone, Debug)]
struct InChain;

impl Plugin for InChain {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        next.handle(query)
    }

    fn passage(&self) -> Passage<'_> {
        Passage(Way::Clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::question::RecordType;
    use crate::plugin::tests::{block, error, query};

    fn admits(file: &str, (qname, qtype): (&str, RecordType)) -> bool {
        let condition = block(file).view.unwrap();
        let parts = Parts {
            view: condition.name(),
            ..Parts::default()
        };
        condition.filter(&parts).admits(&query(qname, qtype))
    }

    #[test]
    fn every_expression_has_to_be_true_and_without_one_all_questions_are_taken() {
        let file = "view v {\n expr type() in ['A', 'AAAA']\n expr name() endsWith '.test.'\n}";
        for (file, qname, qtype, wanted) in [
            ("view v", "x.test", RecordType::A, true),
            (file, "x.TEST", RecordType::A, true),
            (file, "x.test", RecordType::MX, false),
            (file, "x.other", RecordType::A, false),
            ("view v {\n expr 1 + 1\n}", "x.test", RecordType::A, false),
        ] {
            assert_eq!(
                admits(file, (qname, qtype)),
                wanted,
                "{file} {qname} {qtype}"
            );
        }
    }

    #[test]
    fn an_expression_reads_what_metadata_collects() {
        let file = |with: &str| format!("{with}view v {{\n expr metadata('view/name') == 'v'\n}}");
        let asked = ("x.cluster.local", RecordType::A);
        assert!(admits(&file("metadata\n"), asked));
        assert!(!admits(&file(""), asked));
    }

    #[test]
    fn a_view_needs_a_name_and_stands_once() {
        for (file, problem) in [
            ("view", "`view` needs an argument"),
            ("view a b", "`view` takes one argument"),
            ("view a\nview b", "`view` stands twice in this block"),
            ("view a {\n when x\n}", "unknown property 'when' of `view`"),
        ] {
            assert_eq!(error(file), problem, "{file}");
        }
    }
}

//! Why there is no answer, in words. What a reason is about stands in the question.

use std::fmt;

use crate::name::text;
use crate::zone::{Answer, Asked, Reason};

/// Info codes of extended errors (RFC 8914 section 4): `Other Error` and `Not Ready`.
const OTHER_ERROR: u16 = 0;
const NOT_READY: u16 = 14;

/// A reason in words, about a question.
#[derive(Clone, Copy, Debug)]
pub struct Words<'w, 'q> {
    reason: Reason,
    asked: &'w Asked<'q>,
}

impl<'w, 'q> Words<'w, 'q> {
    /// Why the answer has no records; `None` where it has some.
    #[must_use]
    pub fn of(answer: &Answer, asked: &'w Asked<'q>) -> Option<Self> {
        let reason = answer.reason()?;
        Some(Self { reason, asked })
    }

    /// The code of the extended error that says so.
    #[must_use]
    pub fn code(&self) -> u16 {
        if self.reason == Reason::NotSynced {
            NOT_READY
        } else {
            OTHER_ERROR
        }
    }

    /// The label so many places left of the tree's labels; 1 is the one next to them.
    fn label(&self, before: usize) -> std::borrow::Cow<'q, str> {
        let at = self
            .asked
            .left()
            .checked_sub(self.asked.tree().len() + before);
        at.map_or_else(Default::default, |at| text(self.asked.name().lower(at)))
    }
}

impl Words<'_, '_> {
    /// The Service's name and namespace between these words.
    fn service(&self, f: &mut impl fmt::Write, before: &str, after: &str) -> fmt::Result {
        let (name, ns) = (self.label(2), self.label(1));
        [before, &name, ".", &ns, after]
            .iter()
            .try_for_each(|part| f.write_str(part))
    }

    /// Writes the words: half of all replies have some, and a `Formatter` would take longer than their records.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self.reason {
            Reason::AliasPending => f.write_str("the alias leads to a name that is not ready yet"),
            Reason::AliasWithoutData => f.write_str("the alias leads to no data"),
            Reason::EmptyNonTerminal => f.write_str("the name has no records of its own"),
            Reason::NoSuchNamespace => {
                f.write_str("no namespace ")?;
                f.write_str(&self.label(1))
            }
            Reason::NoSuchService => self.service(f, "no service ", ""),
            Reason::NoSuchEndpoint => self.service(f, "no such endpoint of ", ""),
            Reason::NoSuchPort => self.service(f, "no such port of ", ""),
            Reason::NoSuchPod => f.write_str("no such pod"),
            Reason::NoSuchAddress(ip) => write!(f, "nothing has address {ip}"),
            Reason::NotReady(1) => self.service(f, "1 endpoint of ", ", not ready"),
            Reason::NotReady(endpoints) => {
                write!(f, "{endpoints}")?;
                self.service(f, " endpoints of ", ", none ready")
            }
            Reason::Expected => self.service(f, "a pod of ", " is expected, and not there yet"),
            Reason::NoEndpoints => self.service(f, "", " has no endpoints"),
            Reason::NoExternalAddress => self.service(f, "", " has no external address"),
            Reason::OtherType => f.write_str("no records of this type"),
            Reason::Unreadable => self.service(f, "an object of service ", " cannot be read"),
            Reason::NotAClusterName => f.write_str("not a name that the cluster can have"),
            Reason::BadExternalName => {
                self.service(f, "the external name of ", " is not a DNS name")
            }
            Reason::NotSynced => f.write_str("not synced"),
        }
    }
}

impl fmt::Display for Words<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

//! Names that stand for other names: ExternalName Services, and slices of type FQDN.

use std::ops::ControlFlow;

use super::Zone;
use super::answer::{Answer, Denied, Found, Piece, family};
use super::reason::Reason;
use super::selection::{Selection, Value};
use super::view::Asked;
use crate::name::{Name, Qname, absolute};

/// How many aliases one answer may hold: as in CoreDNS, the twelfth is not followed.
pub const MAX_ALIASES: usize = 11;

/// The aliases followed so far within one answer.
#[derive(Debug, Default)]
pub(super) struct Chain(Vec<Name>);

impl Chain {
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_ALIASES
    }

    /// Whether `owner → target` may be followed; if so it is noted.
    fn follow(&mut self, owner: &Name, target: &Name) -> bool {
        let fits = !self.is_full() && !owner.zone_of(target) && !self.0.contains(target);
        if fits {
            self.0.push(target.clone());
        }
        fits
    }
}

/// What is gathered on the way.
struct Gathered {
    /// The aliases' own name.
    owner: Name,
    pieces: Vec<Piece>,
    targets: Vec<Name>,
    /// Why there is nothing, where there is nothing.
    nothing: Denied,
}

impl Zone {
    /// A or AAAA of values among which there are aliases: addresses of the family, and what the aliases lead to.
    pub(super) fn followed(
        &self,
        asked: &Asked<'_>,
        selection: &Selection,
        chain: &mut Chain,
    ) -> Answer {
        let mut gathered = Gathered {
            owner: asked.name.to_name(0),
            pieces: Vec::new(),
            targets: Vec::new(),
            nothing: Denied {
                exists: true,
                reason: Reason::OtherType,
                seen: true,
            },
        };
        let mut seen = ahash::AHashSet::new();
        let ended = selection.each_value(asked.name, |value| {
            match value {
                Value::Address(ip) if family(asked.qtype, ip) && seen.insert(ip) => {
                    gathered.pieces.push(Piece::Address(ip));
                }
                Value::Address(_) => {}
                Value::Alias(alias) => return self.follow(asked, alias, chain, &mut gathered),
            }
            ControlFlow::Continue(())
        });
        let Gathered {
            pieces,
            targets,
            nothing,
            ..
        } = gathered;
        match (pieces.is_empty(), targets.is_empty()) {
            _ if ended.is_break() => Answer::Unanswerable(Reason::BadExternalName),
            (true, _) => Answer::Denied(nothing),
            (false, true) => Answer::Found(Found::Pieces(pieces)),
            (false, false) => Answer::Leads {
                known: pieces,
                targets,
            },
        }
    }

    /// Follows one alias. `Break`: it is no DNS name.
    fn follow(
        &self,
        asked: &Asked<'_>,
        alias: &str,
        chain: &mut Chain,
        gathered: &mut Gathered,
    ) -> ControlFlow<()> {
        if chain.is_full() {
            gathered.nothing.reason = Reason::AliasWithoutData;
            return ControlFlow::Continue(());
        }
        let Ok(target) = absolute(alias) else {
            return ControlFlow::Break(());
        };
        if !chain.follow(&gathered.owner, &target) {
            gathered.nothing.reason = Reason::AliasWithoutData;
            return ControlFlow::Continue(());
        }
        let then = match self.inside(asked, &target, chain) {
            None => {
                gathered.targets.push(target.clone());
                None
            }
            Some(Answer::Found(found)) => Some(Box::new(found)),
            Some(Answer::Leads { known, targets }) => {
                gathered.targets.extend(targets);
                Some(Box::new(Found::Pieces(known)))
            }
            Some(Answer::Unanswerable(_)) => return ControlFlow::Break(()),
            Some(Answer::Denied(denied)) => {
                gathered.nothing.reason = match denied.reason.is_pending() {
                    true => Reason::AliasPending,
                    false => Reason::AliasWithoutData,
                };
                gathered.nothing.seen &= denied.seen;
                return ControlFlow::Continue(());
            }
        };
        gathered.pieces.push(Piece::Alias { target, then });
        ControlFlow::Continue(())
    }

    /// Looks `target` up; `None` where it is not in the zone of the question.
    fn inside(&self, asked: &Asked<'_>, target: &Name, chain: &mut Chain) -> Option<Answer> {
        let name = Qname::from(target);
        let inner = asked.shown.place(&name, asked.qtype)?;
        (inner.origin.name == asked.origin.name).then(|| self.answer(&inner, chain))
    }
}

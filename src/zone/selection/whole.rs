//! What is known of a selection without a look at each of its values: most questions are about whole sets, or about one
//! endpoint.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::{Selection, Source, Value};
use crate::endpoint::{Endpoint, Slice};
use crate::message::sections::Ips;
use crate::name::Qname;
use crate::zone::data::Place;
use crate::zone::path::Below;

impl Selection {
    /// How many pairs of a value and a port there are, with those that get no record (CoreDNS's weights).
    #[must_use]
    pub fn count(&self, name: &Qname) -> usize {
        let plain = self.source == Source::Endpoints && !self.data.has_names();
        if plain && matches!(self.below, Below::Itself | Below::Port) {
            let ports = |slice: &Slice| self.matching(&slice.ports, name).count();
            let slices = self.data.slices().iter();
            return slices.map(|slice| slice.ready() * ports(slice)).sum();
        }
        let mut count = 0;
        let _ended = self.each(name, |candidate| {
            // Inside the cluster aliases are no targets of SRV.
            let counts =
                self.source == Source::Outside || matches!(candidate.value, Value::Address(_));
            count += usize::from(counts);
            ControlFlow::Continue(())
        });
        count
    }

    /// The addresses of this family that it selects, each once; `None`: one has to look.
    #[must_use]
    pub fn addresses(&self, v4: bool) -> Option<impl Iterator<Item = Ips<'_>> + Clone> {
        let slices = self.data.slices();
        let is_whole = (self.source, self.below) == (Source::Endpoints, Below::Itself);
        let (slices, one) = match self.one {
            Some(Place { slice, within }) => {
                let slice = slice as usize;
                (&slices[slice..=slice], Some(within as usize))
            }
            None if is_whole && !self.may_repeat() => (slices, None),
            None => return None,
        };
        let ips = slices.iter().filter_map(move |slice| {
            let ready = slice.ready();
            slice.ips(one.map_or(0..ready, |one| one..one + usize::from(one < ready)))
        });
        Some(ips.filter(move |ips| matches!(ips, Ips::V4(_)) == v4))
    }

    /// The endpoint that is named, where there is one only, and it is ready.
    pub(super) fn one(&self) -> Option<Endpoint<'_>> {
        let (_, endpoint) = self.data.endpoint(self.one?);
        Some(endpoint).filter(|endpoint| endpoint.ready)
    }

    /// The slices whose endpoints, each over each of the slice's ports, are different SRV records; `None`: one has to look.
    #[must_use]
    pub fn services(&self, name: &Qname) -> Option<SmallVec<[Targets<'_>; 1]>> {
        let is_plain = self.source == Source::Endpoints && !self.data.has_names();
        if !is_plain || !matches!(self.below, Below::Itself | Below::Port) || self.may_repeat() {
            return None;
        }
        let targets = self.data.slices().iter().map(|slice| {
            let ports = self.matching(&slice.ports, name);
            Targets {
                slice,
                ports: ports.filter_map(|port| port.number).collect(),
            }
        });
        Some(
            targets
                .filter(|targets| !targets.ports.is_empty())
                .collect(),
        )
    }
}

/// The ready endpoints of a slice over its ports.
#[derive(Debug)]
pub struct Targets<'a> {
    slice: &'a Slice,
    /// The numbers of those that are asked for; a port without one gets no record.
    ports: SmallVec<[u16; 4]>,
}

impl Targets<'_> {
    /// How many endpoints there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slice.ready()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Endpoint `i`.
    #[must_use]
    pub fn endpoint(&self, i: usize) -> Endpoint<'_> {
        self.slice.endpoint(i)
    }

    /// How many pairs of an endpoint and a port there are.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.len() * self.ports.len()
    }

    /// Pair `i`.
    #[must_use]
    pub fn pair(&self, i: usize) -> (Endpoint<'_>, u16) {
        let ports = self.ports.len();
        (self.endpoint(i / ports), self.ports[i % ports])
    }
}

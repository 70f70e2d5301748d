//! What is known of a selection without a look at each of its values: most questions are about whole sets, or about one
//! endpoint.

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::{Selection, Source, Value};
use crate::endpoint::{Endpoint, Slice};
use crate::name::Qname;
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

    /// The addresses of this family that it selects, each once, and how many they are; `None`: one has to look.
    #[must_use]
    pub fn addresses(&self, v4: bool) -> Option<(usize, impl Iterator<Item = IpAddr> + Clone)> {
        let one = self.one().and_then(|endpoint| endpoint.ip());
        let one = one.filter(|ip| ip.is_ipv4() == v4);
        let is_whole = (self.source, self.below) == (Source::Endpoints, Below::Itself);
        let slices = match self.one {
            Some(_) => &[],
            None if is_whole && !self.may_repeat() => self.data.slices(),
            None => return None,
        };
        let slices = slices.iter().map(|slice| &**slice);
        let slices = slices.filter(move |slice| slice.is_v4() == Some(v4));
        let count = slices.clone().map(Slice::ready).sum::<usize>();
        let all = slices.flat_map(Slice::ready_ips).chain(one);
        Some((count + usize::from(one.is_some()), all))
    }

    /// The endpoint that is named, where there is one only, and it is ready.
    pub(super) fn one(&self) -> Option<Endpoint<'_>> {
        let (_, endpoint) = self.data.endpoint(self.one?);
        Some(endpoint).filter(|endpoint| endpoint.conditions.ready)
    }

    /// How many different pairs of an endpoint and a port with a number there are, and how many endpoints with such a port,
    /// where that is known without looking at each.
    #[must_use]
    pub fn services(&self, name: &Qname) -> Option<(usize, usize)> {
        let is_plain = self.source == Source::Endpoints && !self.data.has_names();
        if !is_plain || !matches!(self.below, Below::Itself | Below::Port) || self.may_repeat() {
            return None;
        }
        let mut counts = (0, 0);
        for slice in self.data.slices() {
            let numbered = self.numbered(slice, name).count();
            counts.0 += slice.ready() * numbered;
            counts.1 += slice.ready() * usize::from(numbered > 0);
        }
        Some(counts)
    }

    /// Those pairs, and those endpoints each with its first such port.
    pub fn plain_services<'a>(
        &'a self,
        name: &'a Qname,
        each_port: bool,
    ) -> impl Iterator<Item = (Endpoint<'a>, u16)> + Clone {
        let ports = move |slice: &'a Slice| {
            let most = if each_port { usize::MAX } else { 1 };
            self.numbered(slice, name).take(most)
        };
        self.data.slices().iter().flat_map(move |slice| {
            let ready = slice.endpoints().filter(|e| e.conditions.ready);
            ready.flat_map(move |endpoint| ports(slice).map(move |port| (endpoint, port)))
        })
    }

    /// The numbers of a slice's ports that are selected; a port without one gets no record.
    fn numbered<'a>(
        &'a self,
        slice: &'a Slice,
        name: &'a Qname,
    ) -> impl Iterator<Item = u16> + Clone {
        let ports = self.matching(&slice.ports, name);
        ports.filter_map(|port| port.number)
    }
}

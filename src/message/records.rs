//! A reply as records, for plugins that look into it.

use std::ops::ControlFlow;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{RData, Record};

use super::sections::{Data, Pieces, Right, Section, Sections};
use crate::name::{Name, Qname, join};

/// The records of a reply.
#[derive(Clone, Debug)]
pub struct Records {
    qname: Qname,
    /// The question's name.
    owner: Name,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without OPT.
    pub additional: Vec<Record>,
}

impl Records {
    /// None yet, in reply to a question for this name.
    #[must_use]
    pub fn new(qname: &Qname) -> Self {
        Self {
            qname: qname.clone(),
            owner: qname.to_name(0),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    fn name(&self, pieces: Pieces<'_>) -> Option<Name> {
        match pieces.right {
            Right::Question(0) if pieces.left.is_empty() => Some(self.owner.clone()),
            Right::Question(skipped) => join(pieces.left, &self.qname.to_name(skipped)),
            Right::Name(name) => join(pieces.left, name),
        }
    }

    fn data(&self, data: Data<'_>) -> Option<RData> {
        Some(match data {
            Data::Address(std::net::IpAddr::V4(v4)) => RData::A(A(v4)),
            Data::Address(std::net::IpAddr::V6(v6)) => RData::AAAA(AAAA(v6)),
            Data::Alias(name) => RData::CNAME(CNAME(self.name(name)?)),
            Data::Server(name) => RData::NS(NS(self.name(name)?)),
            Data::Pointer(name) => RData::PTR(PTR(self.name(name)?)),
            Data::Service {
                weight,
                port,
                target,
            } => RData::SRV(SRV::new(0, weight, port, self.name(target)?)),
            Data::Authority {
                mname,
                rname,
                numbers: [serial, refresh, retry, expire, minimum],
            } => {
                let [refresh, retry, expire] = [refresh, retry, expire].map(u32::cast_signed);
                let names = (self.name(mname)?, self.name(rname)?);
                RData::SOA(SOA::new(
                    names.0, names.1, serial, refresh, retry, expire, minimum,
                ))
            }
            Data::Text(text) => RData::TXT(TXT::from_bytes(vec![text])),
        })
    }
}

impl Sections for Records {
    fn add(
        &mut self,
        section: Section,
        owner: Pieces<'_>,
        ttl: u32,
        data: Data<'_>,
    ) -> ControlFlow<()> {
        if let (Some(owner), Some(data)) = (self.name(owner), self.data(data)) {
            let record = Record::from_rdata(owner, ttl, data);
            match section {
                Section::Answer => self.answer.push(record),
                Section::Authority => self.authority.push(record),
                Section::Additional => self.additional.push(record),
            }
        }
        ControlFlow::Continue(())
    }
}

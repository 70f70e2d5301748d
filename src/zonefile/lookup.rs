//! What a zone says to a question (RFC 1034 section 4.3.2, RFC 4592, RFC 6672, RFC 4035 section 3.1).

use super::data::{FileZone, Key, Node, Set};
use crate::message::question::{Question, RecordType};
use crate::message::record::{self, Record, served_at, target};
use crate::message::reply::{Composed, ResponseCode};
use crate::name::{Name, Qname, join};

/// What a zone has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// How it ended.
    pub outcome: Outcome,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
    /// The name that the last alias of the answer leads to, which the server has to be asked for.
    pub leads: Option<Name>,
    /// The wildcard that the records are those of (RFC 4592).
    pub wildcard: Option<Name>,
}

/// How a look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With records.
    Answer,
    /// The name exists, without records of the type (RFC 2308 section 2.2).
    NoData,
    /// The same, as there are names below it only.
    EmptyNonTerminal,
    /// The name does not exist.
    NoSuchName,
    /// Another server has the name.
    Referral,
    /// A name became too long (RFC 6672 section 2.2).
    TooLong,
    /// It comes to nothing.
    Failed,
}

/// How many aliases of the zone are followed: CoreDNS's.
const MAX_ALIASES: usize = 9;

impl Looked {
    fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            leads: None,
            wildcard: None,
        }
    }

    /// The reply.
    #[must_use]
    pub fn compose(self) -> Composed {
        let rcode = match self.outcome {
            Outcome::Answer | Outcome::NoData | Outcome::EmptyNonTerminal | Outcome::Referral => {
                ResponseCode::NoError
            }
            Outcome::NoSuchName => ResponseCode::NXDomain,
            Outcome::TooLong => ResponseCode::YXDomain,
            Outcome::Failed => ResponseCode::ServFail,
        };
        Composed {
            // What is only referred to is another's (RFC 1034 section 4.3.1).
            authoritative: self.outcome != Outcome::Referral || !self.answer.is_empty(),
            answer: self.answer,
            authority: self.authority,
            additional: self.additional,
            ..Composed::empty(rcode)
        }
    }
}

impl FileZone {
    /// What the zone says. `dnssec`: with signatures and denials (RFC 4035 section 3.1).
    #[must_use]
    pub fn lookup(&self, question: &Question, dnssec: bool) -> Looked {
        let asked = Asked {
            zone: self,
            qtype: question.qtype,
            dnssec,
        };
        match self.key(&question.qname) {
            Some(key) => asked.name(&question.qname.to_lowercase(), &key),
            None => Looked::new(Outcome::Failed),
        }
    }

    /// The same with what the server has said of the name that an alias leads to; `None`: nothing that can be read.
    #[must_use]
    pub fn followed(
        &self,
        looked: Looked,
        (qtype, dnssec): (RecordType, bool),
        found: Option<Composed>,
    ) -> Looked {
        let asked = Asked {
            zone: self,
            qtype,
            dnssec,
        };
        let mut looked = looked;
        looked.leads = None;
        let found = found.unwrap_or_else(|| Composed::empty(ResponseCode::ServFail));
        looked.outcome = if found.rcode == ResponseCode::NXDomain {
            Outcome::NoSuchName
        } else if found.rcode == ResponseCode::ServFail {
            Outcome::Failed
        } else if found.rcode == ResponseCode::NoError && found.answer.is_empty() {
            Outcome::NoData
        } else {
            Outcome::Answer
        };
        looked.answer.extend(found.answer);
        looked.authority = match looked.outcome {
            Outcome::NoSuchName | Outcome::NoData => asked.start(),
            Outcome::Answer
            | Outcome::EmptyNonTerminal
            | Outcome::Referral
            | Outcome::TooLong
            | Outcome::Failed => asked.servers(),
        };
        looked.additional = asked.addresses(&looked.answer);
        looked
    }
}

/// A question at work.
struct Asked<'z> {
    zone: &'z FileZone,
    qtype: RecordType,
    dnssec: bool,
}

impl<'z> Asked<'z> {
    fn node(&self, key: &[Box<[u8]>]) -> Option<&'z Node> {
        self.zone.names.get(key)
    }

    fn name(&self, qname: &Qname, key: &Key) -> Looked {
        for depth in 0..=key.len() {
            let Some(node) = self.node(&key[..depth]) else {
                return self.missing(qname, key, depth - 1);
            };
            if depth < key.len()
                && let Some(set) = node.set(RecordType::DNAME)
            {
                return self.substituted(qname, set);
            }
            if let Some(referral) = self.referral(node, (depth, key)) {
                return referral;
            }
        }
        let found = self.node(key).map(|node| self.found(node, None));
        let mut found = found.unwrap_or_else(|| Looked::new(Outcome::Failed));
        if found.outcome == Outcome::EmptyNonTerminal {
            found.authority.extend(self.denial(key));
        }
        found
    }

    /// A cut at a name above or at the one that is asked for (RFC 1034 section 4.2.1). DS is of the side above it (RFC 4035
    /// section 3.1.4.1).
    fn referral(&self, node: &Node, (depth, key): (usize, &Key)) -> Option<Looked> {
        let is_own_ds = self.qtype == RecordType::DS && depth == key.len();
        let servers = node.set(RecordType::NS)?;
        if depth == 0 || is_own_ds {
            return None;
        }
        let mut referral = Looked::new(Outcome::Referral);
        referral.authority.clone_from(&servers.records);
        if self.dnssec {
            let signer = node.set(RecordType::DS);
            referral.authority.extend(self.whole(signer, None));
        }
        referral.additional = self.glue(servers);
        Some(referral)
    }

    /// What a name that is there says; `owner`: whose records they are to be, where a wildcard has them.
    fn found(&self, node: &Node, owner: Option<&Name>) -> Looked {
        if self.qtype == RecordType::RRSIG
            && let signatures = node.signatures(owner)
            && !signatures.is_empty()
        {
            let mut looked = Looked::new(Outcome::Answer);
            looked.answer = signatures;
            looked.authority = self.servers();
            return looked;
        }
        if let Some(alias) = node.set(RecordType::CNAME)
            && self.qtype != RecordType::CNAME
        {
            return self.alias(self.whole(Some(alias), owner));
        }
        let Some(set) = node.set(self.qtype) else {
            // As in CoreDNS an apex with nothing but what each has is as good as empty: another plugin may know the name.
            let is_empty = node.is_bare();
            let mut looked = Looked::new(match is_empty && owner.is_none() {
                true => Outcome::EmptyNonTerminal,
                false => Outcome::NoData,
            });
            looked.authority = self.start();
            if self.dnssec {
                let denial = node.set(RecordType::NSEC);
                looked.authority.extend(self.whole(denial, None));
            }
            return looked;
        };
        let mut looked = Looked::new(Outcome::Answer);
        looked.answer = self.whole(Some(set), owner);
        // Those of a name below the zone's would be a referral.
        if self.qtype == RecordType::NS {
            looked.additional = self.glue(set);
            return looked;
        }
        looked.authority = self.servers();
        looked.additional = self.addresses(&set.records);
        looked
    }

    /// A name that is not there; the last `depth` labels of it are (RFC 4592 section 3.3).
    fn missing(&self, qname: &Qname, key: &Key, depth: usize) -> Looked {
        let mut wildcard = key[..depth].to_vec();
        wildcard.push(Box::from(*b"*"));
        if let Some(node) = self.node(&wildcard) {
            let owner = qname.to_name(0);
            let mut looked = self.found(node, Some(&owner));
            looked.wildcard = node.owner().cloned();
            if self.dnssec && looked.outcome == Outcome::Answer && looked.leads.is_none() {
                looked.authority.extend(self.before(key));
            }
            return looked;
        }
        let mut looked = Looked::new(Outcome::NoSuchName);
        looked.authority = self.start();
        if self.dnssec {
            let name = self.before(key);
            // The name does not exist, and no wildcard does (RFC 4035 section 3.1.3.2).
            let wildcard = self.before(&wildcard);
            if wildcard != name {
                looked.authority.extend(name);
            }
            looked.authority.extend(wildcard);
        }
        looked
    }

    /// The name below a DNAME under the name that it stands for (RFC 6672 section 3.2).
    fn substituted(&self, qname: &Qname, set: &Set) -> Looked {
        let Some((first, to)) = set
            .records
            .first()
            .and_then(|first| Some((first, target(first)?)))
        else {
            return Looked::new(Outcome::Failed);
        };
        let left = qname.len() - first.name.iter().count();
        let labels: Vec<&[u8]> = (0..left).map(|i| qname.lower(i)).collect();
        let owner = qname.to_name(0);
        let Some(new) = join(&labels, &to) else {
            let mut looked = Looked::new(Outcome::TooLong);
            looked.answer = self.whole(Some(set), None);
            return looked;
        };
        if new.to_lowercase() == owner {
            return Looked::new(Outcome::Failed);
        }
        let alias = record::cname(owner, first.ttl, new);
        let mut looked = if self.qtype == RecordType::CNAME {
            let mut looked = Looked::new(Outcome::Answer);
            looked.answer = vec![alias];
            looked.authority = self.servers();
            looked
        } else {
            self.alias(vec![alias])
        };
        let mut answer = self.whole(Some(set), None);
        answer.append(&mut looked.answer);
        looked.answer = answer;
        looked
    }

    /// Where an alias leads within the zone; what has no records there the server is asked for.
    fn alias(&self, answer: Vec<Record>) -> Looked {
        let mut looked = Looked::new(Outcome::Answer);
        let mut name = answer.first().and_then(target);
        looked.answer = answer;
        for _ in 0..MAX_ALIASES {
            let Some(to) = name else {
                break;
            };
            let key = self.zone.key(&Qname::from(&to));
            if let Some(referral) = key.as_ref().and_then(|key| self.cut(key)) {
                return Looked {
                    answer: looked.answer,
                    ..referral
                };
            }
            let of_apex = key.as_ref().is_some_and(Vec::is_empty);
            let is_asked = self.qtype == RecordType::NS || self.qtype == RecordType::SOA && of_apex;
            let node = key.and_then(|key| self.node(&key));
            let node = node.filter(|node| !is_asked && **node != Node::default());
            let Some(node) = node else {
                looked.leads = Some(to);
                return looked;
            };
            if let Some(alias) = node.set(RecordType::CNAME) {
                let first = alias.records.first();
                name = first.and_then(target);
                // An alias of itself leads nowhere.
                if first.map(|record| &record.name) == name.as_ref() {
                    return Looked::new(Outcome::Failed);
                }
                looked.answer.extend(self.whole(Some(alias), None));
                continue;
            }
            looked.answer.extend(self.whole(node.set(self.qtype), None));
            break;
        }
        looked.authority = self.servers();
        looked.additional = self.addresses(&looked.answer);
        looked
    }

    /// The cut above a name, or at it.
    fn cut(&self, key: &Key) -> Option<Looked> {
        (1..=key.len()).find_map(|depth| self.referral(self.node(&key[..depth])?, (depth, key)))
    }

    /// The records of a set, with its signatures where they are asked for.
    fn whole(&self, set: Option<&Set>, owner: Option<&Name>) -> Vec<Record> {
        let Some(set) = set else {
            return Vec::new();
        };
        let signatures = set.signatures.iter().filter(|_| self.dnssec);
        let mut records: Vec<_> = set.records.iter().chain(signatures).cloned().collect();
        if let Some(owner) = owner {
            records
                .iter_mut()
                .for_each(|record| record.name = owner.clone());
        }
        records
    }

    /// The SOA, which a denial has.
    fn start(&self) -> Vec<Record> {
        let apex = self.node(&[]);
        self.whole(apex.and_then(|apex| apex.set(RecordType::SOA)), None)
    }

    /// The zone's servers, which an answer has.
    fn servers(&self) -> Vec<Record> {
        let apex = self.node(&[]);
        self.whole(apex.and_then(|apex| apex.set(RecordType::NS)), None)
    }

    /// Addresses of servers that are below the name whose servers they are.
    fn glue(&self, servers: &Set) -> Vec<Record> {
        let mut glue = Vec::new();
        for server in &servers.records {
            let Some(name) = target(server) else {
                continue;
            };
            if server.name.zone_of(&name)
                && let Some(key) = self.zone.key(&Qname::from(&name))
            {
                glue.extend(self.addresses_of(&key));
            }
        }
        glue
    }

    /// Addresses of the zone's names to which these records lead, those of a name once.
    fn addresses(&self, records: &[Record]) -> Vec<Record> {
        let mut seen = Vec::new();
        for name in records.iter().filter_map(served_at) {
            if let Some(key) = self.zone.key(&Qname::from(name))
                && !seen.contains(&key)
            {
                seen.push(key);
            }
        }
        seen.iter().flat_map(|key| self.addresses_of(key)).collect()
    }

    fn addresses_of(&self, key: &Key) -> Vec<Record> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let mut addresses = self.whole(node.set(RecordType::A), None);
        addresses.extend(self.whole(node.set(RecordType::AAAA), None));
        addresses
    }

    /// The NSEC record before a name that is not there, or has no records.
    fn before(&self, key: &Key) -> Vec<Record> {
        let mut before = self.zone.names.range(..key.clone());
        let set = before.rfind(|(_, node)| node.set(RecordType::NSEC).is_some());
        self.whole(set.and_then(|(_, node)| node.set(RecordType::NSEC)), None)
    }

    /// The same where it is asked for.
    fn denial(&self, key: &Key) -> Vec<Record> {
        if self.dnssec {
            self.before(key)
        } else {
            Vec::new()
        }
    }
}

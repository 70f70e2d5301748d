//! What a look-up finds: facts, which keep the Services they are about. [`crate::answer`] makes records of them.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::data::{Place, ServiceData};
use super::reason::Reason;
use super::selection::Selection;
use super::view::Asked;
use crate::endpoint::Endpoint;
use crate::message::question::RecordType;
use crate::name::{Name, Octets, ServiceKey};

/// The outcome of a look-up.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The name has records of the type.
    Found(Found),
    /// What is known leads out of the zone: whoever asks follows each of `targets`, with the same type.
    Leads {
        /// What is known so far, aliases included.
        known: Vec<Piece>,
        /// Names that only another server can answer.
        targets: Vec<Name>,
    },
    /// The name has no records of the type.
    Denied(Denied),
    /// The name exists, but what it says cannot be put into a message.
    Unanswerable(Reason),
}

impl Answer {
    /// Why there are no records; `None`: there are some.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Found(_) | Self::Leads { .. } => None,
            Self::Denied(denied) if !denied.seen => Some(Reason::NotSynced),
            Self::Denied(denied) => Some(denied.reason),
            Self::Unanswerable(reason) => Some(*reason),
        }
    }

    /// Whether there are no records yet, and are about to be.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Denied(denied) if denied.reason.is_pending())
    }
}

/// There are no records. Only look-ups in a [`Zone`](super::Zone) make one, as they know what `seen` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The name exists, without records of this type: NODATA. Else NXDOMAIN.
    pub exists: bool,
    /// Why.
    pub reason: Reason,
    /// Whether it was seen to be so. Where not, nothing may be denied: SERVFAIL.
    pub seen: bool,
}

impl Denied {
    /// Whether the name was seen not to exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.seen && !self.exists
    }
}

/// Records of one name and type.
#[derive(Clone, Debug)]
pub enum Found {
    /// The SOA of the zone.
    Authority,
    /// The version of the schema that the names follow.
    Version,
    /// The zone's name servers.
    Servers {
        /// Their names.
        names: Vec<Name>,
        /// Addresses of these names, as they are written there.
        glue: Vec<(Name, IpAddr)>,
    },
    /// Addresses of the name itself.
    Addresses(Vec<IpAddr>),
    /// What a Service leads to: addresses, or SRV.
    Service(Selection),
    /// A Pod's address, told by its name.
    Pod(IpAddr),
    /// Names of an address.
    Pointers(SmallVec<[Pointer; 1]>),
    /// An alias, which is not followed.
    Alias(Name),
    /// Addresses, and aliases with what they lead to.
    Pieces(Vec<Piece>),
}

impl Found {
    /// Whether there may be several records, or additional ones.
    #[must_use]
    pub fn is_several(&self) -> bool {
        match self {
            Self::Authority | Self::Version | Self::Pod(_) | Self::Alias(_) => false,
            Self::Servers { .. } | Self::Pieces(_) => true,
            Self::Addresses(ips) => ips.len() > 1,
            Self::Service(selection) => selection.is_several(),
            Self::Pointers(names) => names.len() > 1,
        }
    }
}

/// A part of an answer to A or AAAA in which there are aliases.
#[derive(Clone, Debug)]
pub enum Piece {
    /// An address of the name.
    Address(IpAddr),
    /// An alias.
    Alias {
        /// The name it leads to.
        target: Name,
        /// What that name has; `None`: it is not in our zone.
        then: Option<Box<Found>>,
    },
}

/// A name that an address has.
#[derive(Clone, Debug)]
pub struct Pointer {
    data: Arc<ServiceData>,
    /// The endpoint whose name it is; `None`: the Service's own.
    endpoint: Option<Place>,
}

impl Pointer {
    /// The Service's own name.
    pub(super) fn to(data: Arc<ServiceData>) -> Self {
        Self {
            data,
            endpoint: None,
        }
    }

    /// The name of one of the Service's endpoints.
    pub(super) fn below(data: &Arc<ServiceData>, endpoint: Place) -> Self {
        Self {
            data: Arc::clone(data),
            endpoint: Some(endpoint),
        }
    }

    /// Whose name it is, or below whose.
    #[must_use]
    pub fn service(&self) -> &ServiceKey {
        &self.data.service().key
    }

    /// The endpoint whose name it is; `None`: it is the Service's own.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint<'_>> {
        self.endpoint.map(|place| self.data.endpoint(place).1)
    }

    /// The endpoint's label, in lower case.
    pub(super) fn label(&self) -> Option<Octets> {
        self.endpoint().map(|endpoint| endpoint.name())
    }
}

/// Whether records of this type hold the address's family.
pub(super) fn family(qtype: RecordType, ip: IpAddr) -> bool {
    ip.is_ipv4() == (qtype == RecordType::A)
}

/// A name that exists, without records of the type.
pub(super) fn no_data(reason: Reason) -> Answer {
    Answer::Denied(Denied {
        exists: true,
        reason,
        seen: true,
    })
}

/// What is selected, where it gives a record of the type.
pub(super) fn found(asked: &Asked<'_>, selection: Selection) -> Answer {
    if selection.gives(asked.name, asked.qtype) {
        Answer::Found(Found::Service(selection))
    } else {
        no_data(selection.without_type(asked.name, asked.qtype))
    }
}

//! A question against a zone. NODATA against NXDOMAIN, and whether either may be said at all, is decided here, by the name
//! alone.

use super::aliases::Chain;
use super::answer::{Answer, Denied, Found, family, found, no_data};
use super::path::{Below, Path, parse};
use super::reason::Reason;
use super::selection::{Selection, Value};
use super::view::{Asked, PodMode, Shown, View};
use super::{Scope, Zone};
use crate::message::question::RecordType;
use crate::name::{absolute, undashed};

impl Zone {
    /// Answers a question from what its stanza shows. Total: every question has an answer.
    #[must_use]
    pub fn lookup(&self, asked: &Asked<'_>) -> Answer {
        match asked.shown {
            Shown::Kubernetes(_) => self.answer(asked, &mut Chain::default()),
            Shown::External(external) => self.external(external, asked),
        }
    }

    /// A name that does not exist. It was `seen` to be absent only if every watch has delivered its first list.
    pub(super) fn absent(&self, reason: Reason) -> Answer {
        Answer::Denied(Denied {
            exists: false,
            reason,
            seen: self.synced(),
        })
    }

    /// The answer to a question of any type; `chain`: the aliases that were followed to it.
    pub(super) fn answer(&self, asked: &Asked<'_>, chain: &mut Chain) -> Answer {
        let (view, qtype) = (asked.view(), asked.qtype);
        match parse(view, asked.origin, asked.name, asked.left) {
            Path::Node { apex: true } if qtype == RecordType::SOA => {
                Answer::Found(Found::Authority)
            }
            Path::Node { apex: true } if qtype == RecordType::NS => self.name_servers(asked),
            Path::DnsVersion if qtype == RecordType::TXT => Answer::Found(Found::Version),
            Path::Node { .. } | Path::DnsVersion => no_data(Reason::EmptyNonTerminal),
            Path::NameServer => self.name_server_addresses(asked),
            Path::Namespace { ns } | Path::PodNamespace { ns }
                if !self.exposed(view, asked.name.lower(ns)) =>
            {
                self.absent(Reason::NoSuchNamespace)
            }
            Path::PodNamespace { .. } if view.pods == PodMode::Disabled => {
                self.absent(Reason::NoSuchPod)
            }
            Path::Namespace { .. } | Path::PodNamespace { .. } => no_data(Reason::EmptyNonTerminal),
            Path::Service { svc, below } => self.service_answer(asked, svc, below, chain),
            Path::Pod { label } => self.pod_answer(asked, label),
            Path::Address(ip) => self.reverse_answer(asked, ip),
            Path::Nothing => self.absent(Reason::NotAClusterName),
        }
    }

    /// Whether the namespace, in lower case, is there and the stanza shows it.
    #[must_use]
    pub fn exposed(&self, view: &View, ns: &[u8]) -> bool {
        view.shows(ns) && self.has_namespace(ns)
    }

    fn service_answer(
        &self,
        asked: &Asked<'_>,
        svc: usize,
        below: Below,
        chain: &mut Chain,
    ) -> Answer {
        let (view, name) = (asked.view(), asked.name);
        if !self.exposed(view, name.lower(svc + 1)) {
            return self.absent(Reason::NoSuchNamespace);
        }
        let scope = if view.multicluster.contains(&asked.origin.name) {
            Scope::ClusterSet
        } else {
            Scope::Cluster
        };
        let key = name.lower_wire(svc, svc + 2);
        let answer = match self.service(scope, key) {
            None => self.absent(Reason::NoSuchService),
            Some(data) => match Selection::new(asked, data, svc, below) {
                Err(reason) if scope == Scope::Cluster => {
                    self.absent(self.unless_expected(reason, asked, (svc, below)))
                }
                Err(reason) => self.absent(reason),
                Ok(selection) if selection.is_empty() => no_data(Reason::EmptyNonTerminal),
                Ok(selection) => self.selected(asked, selection, chain),
            },
        };
        self.unless_unreadable(scope, key, answer)
    }

    /// The answer, unless it denies a name of a Service of which not all could be read.
    pub(super) fn unless_unreadable(&self, scope: Scope, key: &[u8], answer: Answer) -> Answer {
        let denies = matches!(answer, Answer::Denied(Denied { exists: false, .. }));
        if denies && self.is_unreadable(scope, key) {
            return Answer::Unanswerable(Reason::Unreadable);
        }
        answer
    }

    /// Of what a name selects, what has the type asked for.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn selected(&self, asked: &Asked<'_>, selection: Selection, chain: &mut Chain) -> Answer {
        match asked.qtype {
            RecordType::A | RecordType::AAAA if selection.may_have_aliases() => {
                self.followed(asked, &selection, chain)
            }
            RecordType::A | RecordType::AAAA | RecordType::SRV => found(asked, selection),
            RecordType::CNAME => match selection.first(asked.name) {
                Some(Value::Alias(target)) => match absolute(target) {
                    Ok(target) => Answer::Found(Found::Alias(target)),
                    Err(_) => Answer::Unanswerable(Reason::BadExternalName),
                },
                Some(Value::Address(_)) | None => no_data(Reason::OtherType),
            },
            _ => no_data(Reason::OtherType),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn pod_answer(&self, asked: &Asked<'_>, label: usize) -> Answer {
        let (view, ns) = (asked.view(), asked.name.lower(label + 1));
        if view.pods == PodMode::Disabled {
            return self.absent(Reason::NoSuchPod);
        }
        if !self.exposed(view, ns) {
            return self.absent(Reason::NoSuchNamespace);
        }
        let Some(ip) = undashed(asked.name.lower(label)) else {
            return self.absent(Reason::NoSuchPod);
        };
        let is_here = || {
            let pods = self.pods_at(ip);
            pods.iter()
                .any(|pod| pod.ns.as_bytes().eq_ignore_ascii_case(ns))
        };
        if view.pods == PodMode::Verified && !is_here() {
            return self.absent(Reason::NoSuchPod);
        }
        match asked.qtype {
            RecordType::A | RecordType::AAAA if family(asked.qtype, ip) => {
                Answer::Found(Found::Pod(ip))
            }
            RecordType::SRV => Answer::Found(Found::Pod(ip)),
            _ => no_data(Reason::OtherType),
        }
    }
}

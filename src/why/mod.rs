//! Why a name has the answer that it has: the way from the name to the objects behind it, step by step, and where it ends
//! without an answer, the cause and what mends it.
//!
//! Objects in, words out: nothing is asked here, so that it is true of any cluster, whichever server answers its names
//! (Kubernetes DNS specification 1.1.0).

mod client;
mod endpoint;
mod form;
mod headless;
mod objects;
mod pod;
mod port;
mod reverse;
mod service;
mod set;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::message::question::RecordType;
use crate::name::{Name, written};
use form::{Form, form};
pub use objects::{Objects, Seen, Step};
pub use reverse::has;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The name as a program would have it looked up.
    pub text: &'q str,
    /// The type.
    pub qtype: RecordType,
    /// The Pod that asks; `None`: one of the namespace `default` without settings of its own.
    pub from: Option<&'q Value>,
    /// The cluster's domain.
    pub domain: &'q Name,
}

/// What there is to say of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name that is explained: that of the search list which has an answer, else the one that comes nearest.
    pub name: String,
    /// The others that the search list has before it, or all, where none has an answer.
    pub tried: Vec<String>,
    /// The way to it.
    pub steps: Vec<Step>,
    /// Where it ends.
    pub outcome: Outcome,
}

impl Report {
    /// The same for programs: `name`, `type`, `tried`, `steps` (`object` and what it `says`), and `answer` or `cause`.
    #[must_use]
    pub fn json(&self, qtype: RecordType) -> Value {
        let steps = self.steps.iter().map(|step| {
            let object = step.object.as_ref().map(|seen| {
                json!({"kind": seen.kind, "name": seen.name, "resourceVersion": seen.version, "age": seen.age})
            });
            json!({"object": object, "says": step.says})
        });
        let steps: Vec<_> = steps.collect();
        let (answer, cause) = match &self.outcome {
            Outcome::Answer(data) => (Some(data), None),
            Outcome::Denied(cause) => (None, Some(cause)),
        };
        let cause = cause.map(|cause| {
            json!({"key": cause.key, "denial": cause.denial.code(), "says": cause.says, "mend": cause.mend})
        });
        json!({
            "name": self.name, "type": qtype.to_string(), "tried": self.tried, "steps": steps,
            "answer": answer, "cause": cause,
        })
    }
}

/// Where the way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Records, in words.
    Answer(Vec<String>),
    /// None; why.
    Denied(Cause),
}

/// What the cluster's DNS says where it has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is no such name.
    NxDomain,
    /// The name is there, without records of this type.
    NoData,
    /// Nothing: it is not asked, or asks others.
    Unasked,
}

impl Denial {
    /// As `dig` users call it; `None`: it says nothing.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::NxDomain => Some("NXDOMAIN"),
            Self::NoData => Some("NODATA"),
            Self::Unasked => None,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A word for programs.
    pub key: &'static str,
    /// What the cluster's DNS says.
    pub denial: Denial,
    /// What is so.
    pub says: String,
    /// What mends it.
    pub mend: String,
}

impl Cause {
    fn new(key: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            key,
            denial: Denial::NxDomain,
            says: says.into(),
            mend: mend.into(),
        }
    }

    /// The same of a name that exists.
    fn no_data(self) -> Self {
        Self {
            denial: Denial::NoData,
            ..self
        }
    }

    /// The same of a name that the cluster's DNS is not asked for, or asks others for.
    fn unasked(self) -> Self {
        Self {
            denial: Denial::Unasked,
            ..self
        }
    }
}

/// Records in words, or why there are none.
type Found = Result<Vec<String>, Cause>;

/// Follows a name to its objects. `now`: for their ages.
#[must_use]
pub fn explain(objects: &Objects, question: &Question<'_>, now: Timestamp) -> Report {
    let resolver = client::Resolver::of(question.from, question.domain);
    let names = match resolver.names(question.text) {
        Ok(names) => names,
        Err(cause) => {
            return Report {
                name: question.text.to_owned(),
                tried: Vec::new(),
                steps: Vec::new(),
                outcome: Outcome::Denied(cause),
            };
        }
    };
    let mut walks: Vec<Walk<'_>> = Vec::new();
    for name in &names {
        let mut walk = Walk::new(objects, question, now);
        let found = walk.follow(name);
        let ends = found.is_ok();
        walk.outcome = Some(found);
        walks.push(walk);
        if ends {
            break;
        }
    }
    let at = nearest(&walks, &names);
    let tried = names.iter().take(walks.len()).map(written);
    let mut tried: Vec<String> = tried.collect();
    let walk = walks.swap_remove(at);
    let asking = resolver.step(question.from, now).into_iter();
    let steps = asking.chain(walk.steps).collect();
    let found = walk.outcome.unwrap_or_else(|| Ok(Vec::new()));
    Report {
        name: tried.remove(at),
        tried,
        steps,
        outcome: match (found, resolver.hindrance()) {
            // Whoever does not ask the cluster's DNS does not get its answers.
            (Ok(_), Some(cause)) => Outcome::Denied(cause),
            (Ok(data), None) => Outcome::Answer(data),
            (Err(cause), _) => Outcome::Denied(cause),
        },
    }
}

/// The way that says most: the one that ends in an answer, else of those that come nearest the last, whose namespace is one
/// that was written, and not that of who asks.
fn nearest(walks: &[Walk<'_>], names: &[Name]) -> usize {
    let last = walks.len() - 1;
    if matches!(walks[last].outcome, Some(Ok(_))) {
        return last;
    }
    let places = 0..walks.len();
    let depth = |at: &usize| walks[*at].depth();
    let deepest = places.clone().max_by_key(depth).unwrap_or(last);
    let is_elsewhere = |at: &usize| {
        let keys = ["other-domain", "no-domain"];
        matches!(&walks[*at].outcome, Some(Err(cause)) if keys.contains(&cause.key))
    };
    let deepest = match walks[deepest].depth() {
        0 => places.clone().find(is_elsewhere).unwrap_or(0),
        _ => deepest,
    };
    let is_meant = |at: &usize| {
        let end = names[*at].iter().next_back().unwrap_or_default();
        let is_public = PUBLIC
            .iter()
            .any(|public| end.eq_ignore_ascii_case(public.as_bytes()));
        is_public && matches!(&walks[*at].outcome, Some(Err(cause)) if cause.key == "outside")
    };
    match places.clone().find(is_meant) {
        // What meets no Service is not one's name.
        Some(outside) if depth(&deepest) < OF_A_SERVICE => outside,
        Some(_) | None => deepest,
    }
}

/// How many objects a way has met that has met a Service: its namespace too.
const OF_A_SERVICE: usize = 2;

/// How names end that are mostly meant to be outside the cluster.
const PUBLIC: &[&str] = &[
    "ai", "app", "cloud", "com", "dev", "edu", "gov", "io", "net", "org",
];

/// The way of one name.
struct Walk<'o> {
    objects: &'o Objects,
    qtype: RecordType,
    domain: &'o Name,
    now: Timestamp,
    steps: Vec<Step>,
    /// There is a namespace that is nearly called so.
    is_near: bool,
    /// Names that aliases have led to.
    aliases: Vec<String>,
    outcome: Option<Found>,
}

impl<'o> Walk<'o> {
    fn new(objects: &'o Objects, question: &Question<'o>, now: Timestamp) -> Self {
        Self {
            objects,
            qtype: question.qtype,
            domain: question.domain,
            now,
            steps: Vec::new(),
            is_near: false,
            aliases: Vec::new(),
            outcome: None,
        }
    }

    fn follow(&mut self, name: &Name) -> Found {
        match form(name, self.domain)? {
            Form::Version if self.qtype == RecordType::TXT => Ok(vec!["TXT 1.1.0".to_owned()]),
            Form::Apex if self.qtype == RecordType::SOA => {
                Ok(vec!["the SOA of the cluster's zone".to_owned()])
            }
            Form::Apex if self.qtype == RecordType::NS => {
                Ok(vec!["NS of the DNS server's own names".to_owned()])
            }
            Form::Server if matches!(self.qtype, RecordType::A | RecordType::AAAA) => {
                Ok(vec!["the DNS server's own addresses".to_owned()])
            }
            Form::Server => Err(service::other_type(self.qtype)),
            Form::Version => Err(service::other_type(self.qtype)),
            Form::Apex | Form::Node => Err(Cause::new(
                "no-records-here",
                format!("{name} is a node of the zone's own tree: names stand below it, and it has no records"),
                format!("ask for {}", self.full("<service>.<namespace>")),
            )
            .no_data()),
            Form::Namespace { ns } => {
                self.namespace(&ns, None)?;
                Err(Cause::new(
                    "namespace-has-no-records",
                    format!("{name} is the namespace {ns}: Services stand below it, and it has no records"),
                    format!("ask for {}", self.full(&format!("<service>.{ns}"))),
                )
                .no_data())
            }
            Form::Service { ns, svc } => {
                self.namespace(&ns, Some(&svc))?;
                self.service(&ns, &svc, &service::Below::Itself)
            }
            Form::Endpoint { ns, svc, host } => {
                self.namespace(&ns, Some(&svc))?;
                self.service(&ns, &svc, &service::Below::Endpoint(host))
            }
            Form::Port {
                ns,
                svc,
                port,
                protocol,
            } => {
                self.namespace(&ns, Some(&svc))?;
                self.service(&ns, &svc, &service::Below::Port { port, protocol })
            }
            Form::Pod { ns, label } => {
                self.namespace(&ns, None)?;
                self.pod_address(&ns, &label)
            }
            Form::Address(ip) => self.reverse(ip),
        }
    }

    /// How near it comes: how many objects it has met, or nearly.
    fn depth(&self) -> usize {
        let met = self.steps.iter().filter(|step| step.object.is_some());
        met.count() + usize::from(self.is_near)
    }

    /// Notes an object, and what it says.
    fn see(&mut self, kind: &'static str, object: &Value, says: impl Into<String>) {
        self.steps.push(Step {
            object: Some(Seen::new(kind, object, self.now)),
            says: says.into(),
        });
    }

    /// Notes what is not there, or what no object says.
    fn note(&mut self, says: impl Into<String>) {
        self.steps.push(Step {
            object: None,
            says: says.into(),
        });
    }

    /// A complete name in words.
    fn full(&self, below: &str) -> String {
        format!(
            "{below}.svc.{}",
            self.domain.to_string().trim_end_matches('.')
        )
    }
}

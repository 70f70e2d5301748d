//! Webhooks: those that admit writes (`AdmissionReview` v1), and those that convert objects (`ConversionReview` v1): what a request
//! asks of them, and what they have answered.
//!
//! The core calls nobody. A request that meets a webhook leaves its question in its [`Dialogue`] and ends; who serves the
//! request has the question answered, and does the request again, which finds the answer there.

mod conversion;
mod hooks;
mod review;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::status::ApiStatus;

pub(super) use conversion::Conversion;
pub(super) use hooks::{Asked, Hook, Operation, listed};
pub(super) use review::{kind, resource, sent, verdict};

/// What is asked of a webhook.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) hook: Hook,
    /// An `AdmissionRequest` without its uid.
    pub(super) request: Value,
}

/// What a webhook has answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It may be, with these changes (RFC 6902), and what is to be warned of.
    Allowed(Option<Value>, Vec<String>),
    /// It may not be.
    Denied(ApiStatus, Vec<String>),
    /// There is no answer, for this reason.
    Failed(String),
}

/// Objects as a webhook has converted them, or why there are none.
pub(super) type Converted = Result<Vec<Arc<Value>>, String>;

/// What a request waits for.
#[derive(Clone, Debug)]
pub(super) enum Open {
    Admission(Question),
    Conversion(Conversion),
}

/// What one request has asked webhooks, and what they have answered.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    admissions: Mutex<Vec<(Question, Verdict)>>,
    conversions: Mutex<Vec<(Conversion, Converted)>>,
    open: Mutex<Option<Open>>,
    /// What a write draws is the same each time that it is done.
    seed: OnceLock<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The answer that is known to a question.
fn known<Q: PartialEq, A: Clone>(answers: &Mutex<Vec<(Q, A)>>, question: &Q) -> Option<A> {
    let answers = lock(answers);
    let known = answers.iter().find(|(known, _)| known == question);
    known.map(|(_, answer)| answer.clone())
}

impl Dialogue {
    /// The verdict on a write; the first time there is none, and the request has to end.
    pub(super) fn ask(&self, question: Question) -> Result<Verdict, ApiStatus> {
        known(&self.admissions, &question).ok_or_else(|| self.wait(Open::Admission(question)))
    }

    /// Objects in another version; the first time there are none, and the request has to end.
    pub(super) fn convert(&self, conversion: Conversion) -> Result<Vec<Arc<Value>>, ApiStatus> {
        match known(&self.conversions, &conversion) {
            Some(converted) => converted.map_err(ApiStatus::unknown),
            None => Err(self.wait(Open::Conversion(conversion))),
        }
    }

    fn wait(&self, open: Open) -> ApiStatus {
        *lock(&self.open) = Some(open);
        ApiStatus::unknown("a webhook is asked first")
    }

    /// Whether the request has to end, and to be done again.
    pub(super) fn waits(&self) -> bool {
        lock(&self.open).is_some()
    }

    /// The question that has ended the request.
    pub(super) fn question(&self) -> Option<Open> {
        lock(&self.open).take()
    }

    /// Keeps a verdict.
    pub(super) fn tell(&self, question: Question, verdict: Verdict) {
        lock(&self.admissions).push((question, verdict));
    }

    /// Keeps what has been converted.
    pub(super) fn tell_converted(&self, conversion: Conversion, converted: Converted) {
        lock(&self.conversions).push((conversion, converted));
    }

    /// What webhooks have warned of.
    pub(super) fn warnings(&self) -> Vec<String> {
        let answers = lock(&self.admissions);
        let warnings = answers.iter().flat_map(|(_, verdict)| match verdict {
            Verdict::Allowed(_, warnings) | Verdict::Denied(_, warnings) => &warnings[..],
            Verdict::Failed(_) => &[],
        });
        warnings.cloned().collect()
    }

    /// What a write draws from; `random`: where the seed comes from.
    pub(super) fn random(&self, random: &mut StdRng) -> StdRng {
        use rand::RngExt;
        StdRng::seed_from_u64(*self.seed.get_or_init(|| random.random()))
    }
}

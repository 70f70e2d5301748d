//! Admission webhooks (`AdmissionReview` v1): what a write asks of them, and what they have answered.
//!
//! The core calls nobody. A write that meets a webhook leaves its question in the request's [`Dialogue`] and ends; who serves the
//! request has the question answered, and does the write again, which finds the answer there.

mod hooks;
mod review;

use std::sync::{Mutex, MutexGuard, OnceLock};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::status::ApiStatus;

pub(super) use hooks::{Asked, Hook, Operation, matching};
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

/// What one request has asked webhooks, and what they have answered.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    answers: Mutex<Vec<(Question, Verdict)>>,
    open: Mutex<Option<Question>>,
    /// What a write draws is the same each time that it is done.
    seed: OnceLock<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Dialogue {
    /// The answer to a question; the first time there is none, and the write has to end.
    pub(super) fn ask(&self, question: Question) -> Result<Verdict, ApiStatus> {
        let answers = lock(&self.answers);
        let known = answers.iter().find(|(known, _)| *known == question);
        if let Some((_, verdict)) = known {
            return Ok(verdict.clone());
        }
        drop(answers);
        *lock(&self.open) = Some(question);
        Err(ApiStatus::unknown("a webhook is asked first"))
    }

    /// The question that has ended the write.
    pub(super) fn question(&self) -> Option<Question> {
        lock(&self.open).take()
    }

    /// Keeps an answer.
    pub(super) fn tell(&self, question: Question, verdict: Verdict) {
        lock(&self.answers).push((question, verdict));
    }

    /// What webhooks have warned of.
    pub(super) fn warnings(&self) -> Vec<String> {
        let answers = lock(&self.answers);
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

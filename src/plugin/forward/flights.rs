//! Of identical questions at the same time, the upstreams are asked only one: the others wait for its reply.
//!
//! So a question that comes back to this server through an upstream is not asked again and again: it waits for the
//! first one, and ends with it. And who wants to guess a reply cannot have the same asked many times at once (RFC 5452
//! section 5): of one question only a few forms are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use tokio::sync::watch;

use super::peer::Way;
use crate::message::question::{Edns, Query, Question};
use crate::message::reply::Failure;

/// The upstream's message, or why there is none.
pub(super) type Outcome = Result<Vec<u8>, Failure>;

/// How many forms of a question may be asked at once; further ones wait for the first. As many as honest clients have: with
/// and without EDNS, DNSSEC and its checks, over UDP and TCP.
const FORMS: usize = 8;

/// What a reply depends on beside the question.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    /// RD, CD, AD.
    flags: [bool; 3],
    edns: Option<Edns>,
    options: Vec<u8>,
    way: Way,
}

type Told = watch::Receiver<Option<Outcome>>;

/// The forms of each question that are under way, the first one first; mostly one.
type UnderWay = HashMap<Arc<Question>, Vec<(Form, Told)>, RandomState>;

/// The questions under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<UnderWay>);

/// Somebody's question under way; it ends where this is dropped.
struct Flight<'a> {
    flights: &'a Flights,
    question: Arc<Question>,
    form: Form,
    tell: watch::Sender<Option<Outcome>>,
}

impl Flights {
    /// The outcome of `ask`, or of another's that is under way for the same question.
    pub(super) async fn once<F: Future<Output = Outcome>>(
        &self,
        query: &Query,
        way: Way,
        ask: impl Fn() -> F,
    ) -> Outcome {
        let form = Form {
            flags: [
                query.recursion_desired,
                query.checking_disabled,
                query.authentic_data,
            ],
            edns: query.edns,
            options: query.options.clone(),
            way,
        };
        loop {
            let mut told = match self.begin(&query.question, &form) {
                Ok(flight) => {
                    let outcome = ask().await;
                    flight.tell.send_replace(Some(outcome.clone()));
                    return outcome;
                }
                Err(told) => told,
            };
            if let Ok(outcome) = told.wait_for(Option::is_some).await
                && let Some(outcome) = &*outcome
            {
                return outcome.clone();
            }
            // The one who asked has gone without a reply: another has to ask.
        }
    }

    /// A flight of one's own, or the outcome of the one there is.
    fn begin(&self, question: &Question, form: &Form) -> Result<Flight<'_>, Told> {
        let mut flights = self.lock();
        let known = flights.get_key_value(question);
        if let Some((_, forms)) = known {
            let same = forms.iter().find(|(other, _)| other == form);
            let first = || forms.first().filter(|_| forms.len() >= FORMS);
            if let Some((_, told)) = same.or_else(first) {
                return Err(told.clone());
            }
        }
        let question = known.map_or_else(|| Arc::new(question.clone()), |(key, _)| Arc::clone(key));
        let (tell, told) = watch::channel(None);
        let forms = flights.entry(Arc::clone(&question));
        let forms = forms.or_insert_with(|| Vec::with_capacity(1));
        forms.push((form.clone(), told));
        Ok(Flight {
            flights: self,
            question,
            form: form.clone(),
            tell,
        })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if let Some(forms) = flights.get_mut(&self.question) {
            forms.retain(|(form, _)| *form != self.form);
            if forms.is_empty() {
                flights.remove(&self.question);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::question::RecordType;
    use crate::plugin::tests::query;

    #[test]
    fn of_one_question_only_a_few_forms_are_asked_at_once() {
        let (flights, question) = (Flights::default(), query("a.test", RecordType::A).question);
        let form = |udp_size| Form {
            flags: [true, false, false],
            edns: Some(Edns {
                udp_size,
                dnssec_ok: false,
            }),
            options: Vec::new(),
            way: Way::Udp,
        };
        let mut begun: Vec<_> = (0..20)
            .filter_map(|size| flights.begin(&question, &form(size)).ok())
            .collect();
        assert_eq!(begun.len(), FORMS);
        let other = query("b.test", RecordType::A).question;
        assert!(flights.begin(&other, &form(0)).is_ok());
        begun.pop();
        assert!(flights.begin(&question, &form(20)).is_ok());
        drop(begun);
        assert!(flights.lock().is_empty());
    }
}

//! Kinds that are kept and that nothing happens with here, though much does on a real cluster: who makes one is told.

use super::kind::Kind;

/// The kinds, each with what does not happen.
const IDLE: &[(&str, &str, &str)] = &[
    ("", "LimitRange", "limits no Pod"),
    ("", "ResourceQuota", "counts and refuses nothing"),
    ("autoscaling", "HorizontalPodAutoscaler", "scales nothing"),
    ("networking.k8s.io", "Ingress", "is reached by nobody"),
    ("networking.k8s.io", "NetworkPolicy", "keeps no Pods apart"),
];

/// What is to be said to who makes an object of this kind.
pub(super) fn said(kind: &Kind) -> Option<String> {
    let idle = IDLE.iter();
    let mut idle = idle.filter(|(group, name, _)| (*group, *name) == (kind.group, kind.kind));
    let (_, name, what) = idle.next()?;
    Some(format!(
        "this cluster only keeps what is of the kind {name}: it {what}"
    ))
}

/// What is to be warned of whatever is done with objects of a kind: it has been given up.
pub(super) fn deprecated(kind: &Kind) -> Option<&'static str> {
    match (kind.group, kind.kind) {
        ("", "Endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KindId;

    #[test]
    fn each_of_the_kinds_is_there_and_said_and_no_other_is() {
        let all = KindId::all().filter_map(|kind| said(kind.info()));
        let said: std::collections::BTreeSet<_> = all.collect();
        assert_eq!(said.len(), IDLE.len());
        let scaler = KindId::named("HorizontalPodAutoscaler").info();
        assert_eq!(
            super::said(scaler).as_deref(),
            Some(
                "this cluster only keeps what is of the kind HorizontalPodAutoscaler: it scales nothing"
            )
        );
        assert_eq!(super::said(KindId::named("Job").info()), None);
    }
}

//! The webhook that converts a definition's objects.

use serde_json::Value;

/// A definition's webhook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Converter {
    /// `clientConfig`.
    pub(crate) client: Value,
    /// The version of `ConversionReview` that it is sent.
    pub(crate) version: &'static str,
}

impl Converter {
    /// That of a definition; `None`: its objects differ in their version's name alone.
    pub(crate) fn of(definition: &Value) -> Option<Self> {
        let conversion = &definition["spec"]["conversion"];
        if conversion["strategy"] != "Webhook" {
            return None;
        }
        let webhook = &conversion["webhook"];
        let versions = webhook["conversionReviewVersions"].as_array();
        let mut versions = versions.into_iter().flatten();
        let first =
            versions.find(|version| ["v1", "v1beta1"].iter().any(|known| *version == known));
        Some(Self {
            client: webhook["clientConfig"].clone(),
            version: if first.is_some_and(|first| first == "v1beta1") {
                "v1beta1"
            } else {
                "v1"
            },
        })
    }
}

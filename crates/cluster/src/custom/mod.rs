//! Kinds that CustomResourceDefinitions make: their names, versions and schemas, read from the definitions that are kept.

mod columns;
mod converter;
mod definition;
mod scaling;
mod structural;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::kind::KindId;
use super::objects::{Key, Objects};

pub(crate) use columns::table;
pub(crate) use converter::Converter;
pub(crate) use definition::accepted;
pub(crate) use scaling::{Path, Paths};
pub(crate) use structural::{fill, prune};
pub(crate) use values::check;

/// The kind of the definitions.
pub(crate) const DEFINITION: KindId = KindId::named("CustomResourceDefinition");

/// What holds a definition that is deleted until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// A version of a kind that is served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) kind: KindId,
    /// Its structural schema (OpenAPI v3).
    pub(crate) schema: Arc<Value>,
    /// The version that new objects are kept in.
    pub(crate) kept: Arc<Kept>,
    /// Whether the status is written by a subresource of its own.
    pub(crate) status: bool,
    /// Where its replicas stand, where it can be scaled.
    pub(crate) scale: Option<Paths>,
    pub(crate) singular: String,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Value,
}

/// The version of a definition that its objects are kept in (`storage: true`), whether it is served or not.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) kind: KindId,
    pub(crate) schema: Arc<Value>,
    /// What converts objects of one version to another; `None`: they are the same but for the version's name.
    pub(crate) converter: Option<Converter>,
}

/// The kinds of a cluster that definitions make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Customs(BTreeMap<KindId, Arc<Served>>);

impl Customs {
    /// Those of the definitions that are kept and established.
    pub(crate) fn of(objects: &Objects) -> Self {
        let definitions = objects.list(DEFINITION, None);
        let served = definitions.flat_map(|(_, definition)| definition::served(definition));
        Self(
            served
                .map(|served| (served.kind, Arc::new(served)))
                .collect(),
        )
    }

    /// What is known of a kind; `None`: no definition makes it here.
    pub(crate) fn get(&self, kind: KindId) -> Option<&Arc<Served>> {
        self.0.get(&kind)
    }

    /// A version of a kind, by the kind that its objects are kept as: the one that they are kept in, where it is served.
    pub(crate) fn any_version(&self, kept: KindId) -> Option<&Arc<Served>> {
        let of = self.0.values().filter(|served| served.kind.kept() == kept);
        let mut of: Vec<_> = of.collect();
        of.sort_by_key(|served| served.kind != served.kept.kind);
        of.into_iter().next()
    }

    /// What converts objects to this version of a kind, and the version's schema; `None`: its name is all that differs.
    pub(crate) fn converter(&self, kind: KindId) -> Option<(&Converter, &Arc<Value>)> {
        let of = self
            .0
            .get(&kind)
            .or_else(|| self.any_version(kind.kept()))?;
        let schema = if of.kind == kind {
            &of.schema
        } else {
            &of.kept.schema
        };
        Some((of.kept.converter.as_ref()?, schema))
    }

    /// Whether the cluster has this kind.
    pub(crate) fn has(&self, kind: KindId) -> bool {
        !kind.is_defined() || self.0.contains_key(&kind)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Served> {
        self.0.values().map(|served| &**served)
    }
}

/// Makes the kinds of a definition known, so that objects of them can be read.
pub(crate) fn announce(object: &Value) {
    if KindId::of_object(object) == Some(DEFINITION) {
        definition::kinds(object);
    }
}

/// The objects of a definition.
pub(crate) fn instances(objects: &Objects, definition: &Value) -> Vec<Key> {
    let kinds = definition::kinds(definition).into_iter().map(KindId::kept);
    let mut kinds: Vec<_> = kinds.collect();
    kinds.dedup();
    let of = |kind| objects.list(kind, None).map(|(key, _)| key.clone());
    kinds.into_iter().flat_map(of).collect()
}

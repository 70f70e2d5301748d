//! What the controller reads and writes.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};

/// Namespace and name.
pub(super) type Name = (String, String);

/// An object as the API server returned it.
pub(super) type Written = (Kind, DynamicObject);

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Claim,
    Pod,
    Revision,
    Set,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Claim, Kind::Pod, Kind::Revision, Kind::Set];

impl Kind {
    pub(super) fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Claim => ("", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::Pod => ("", "Pod", "pods"),
            Self::Revision => ("apps", "ControllerRevision", "controllerrevisions"),
            Self::Set => ("apps", "StatefulSet", "statefulsets"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
    }
}

//! Roles: nobody gives away more than they have, and those that are made of others follow them.

use jiff::Timestamp;
use serde_json::Value;

use super::{Author, Part, State};
use crate::objects::Key;
use crate::plane::{Authorization, Plane};
use crate::rbac::{self, Subject};
use crate::status::ApiStatus;

/// The field manager of roles that are made of others.
const AGGREGATES: &str = "clusterrole-aggregation-controller";

impl State {
    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    /// Refuses a role or a binding by which a user gives away more than they have.
    pub(super) fn check_grant(
        &self,
        key: &Key,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiStatus> {
        let is_asked = key.kind.info().group == rbac::GROUP
            && self.plane.authorization == Authorization::Roles;
        let author = self.author.as_ref().filter(|_| is_asked);
        let Some(author) = author.filter(|author| author.dialogue().is_some()) else {
            return Ok(());
        };
        // The garbage collector's changes give nothing; a label may have a role become a part of another.
        if old.is_some_and(|old| but_for_owners(old) == but_for_owners(object)) {
            return Ok(());
        }
        let user = author.user();
        let subject = Subject::of(&user["username"], &user["groups"]);
        rbac::granted(&self.objects, &subject, key, (object, old))
    }

    /// Makes the rules of roles that are made of others those of the others, where roles are asked.
    pub(crate) fn aggregate(&mut self, now: Timestamp) {
        if self.plane.authorization != Authorization::Roles {
            return;
        }
        // As many rounds as there may be roles in a chain. Those that are made of each other never settle: the next change
        // goes on with them.
        let mut rounds = self.objects.list(rbac::CLUSTER_ROLE, None).count();
        while rounds > 0 && self.aggregated != self.objects.revision() {
            rounds -= 1;
            let since = self.objects.since(self.aggregated);
            let is_role = |key: &Key| key.kind.info().kind == "ClusterRole";
            let changed = since.is_none_or(|mut all| all.any(|change| is_role(&change.key)));
            self.aggregated = self.objects.revision();
            if !changed {
                return;
            }
            for (key, role) in rbac::aggregated(&self.objects) {
                let author = Author::new(AGGREGATES, now);
                let update = |state: &mut Self| state.update(&key, Part::Main, role, false);
                // It has just been read.
                drop(self.by(Some(author), update));
            }
        }
    }
}

/// An object without what the garbage collector and the server change of it.
fn but_for_owners(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in [
            "ownerReferences",
            "finalizers",
            "managedFields",
            "resourceVersion",
        ] {
            meta.shift_remove(field);
        }
    }
    object
}

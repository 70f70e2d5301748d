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
        let author = self
            .author
            .as_ref()
            .filter(|author| author.dialogue().is_some());
        let Some(author) = author.filter(|_| self.plane.authorization == Authorization::Roles)
        else {
            return Ok(());
        };
        let same = |field: &str| old.is_some_and(|old| old[field] == object[field]);
        // The garbage collector's changes give nothing.
        if ["rules", "subjects", "roleRef", "aggregationRule"]
            .iter()
            .all(|field| same(field))
        {
            return Ok(());
        }
        let user = author.user();
        let subject = Subject::of(&user["username"], &user["groups"]);
        rbac::granted(&self.objects, &subject, key, object)
    }

    /// Makes the rules of roles that are made of others those of the others, where roles are asked.
    pub(crate) fn aggregate(&mut self, now: Timestamp) {
        let asks = self.plane.authorization == Authorization::Roles;
        while asks && self.aggregated != self.objects.revision() {
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

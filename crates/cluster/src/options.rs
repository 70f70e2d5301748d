//! What a get, a list, a create or a delete asks for beside the object: numbers and revisions, read as the API server reads them.

use std::num::IntErrorKind;

use super::field::FieldError;
use super::request::Parameters;
use super::status::ApiStatus;
use super::validate::{forbidden, not_supported};

impl Parameters {
    /// A number.
    ///
    /// # Errors
    /// Text that is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ApiStatus> {
        let text = self.text(name);
        let number = text.parse::<i64>().map_err(|error| {
            let is_large = matches!(
                error.kind(),
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow
            );
            let problem = if is_large {
                "value out of range"
            } else {
                "invalid syntax"
            };
            ApiStatus::bad_request(format!("strconv.ParseInt: parsing {text:?}: {problem}"))
        });
        if text.is_empty() {
            Ok(None)
        } else {
            number.map(Some)
        }
    }

    /// Whether the revision that a get or a list asks for can be had.
    ///
    /// # Errors
    /// One that is no number or not there yet.
    pub(super) fn check_revision(&self, current: u64) -> Result<(), ApiStatus> {
        let text = self.text("resourceVersion");
        if text.is_empty() {
            return Ok(());
        }
        let asked: u64 = text.parse().map_err(|_| {
            ApiStatus::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?;
        if asked > current {
            Err(ApiStatus::too_new(asked, current))
        } else {
            Ok(())
        }
    }

    /// Checks whether what is there at the beginning may be asked for (KEP-3157), of a watch or of a list.
    ///
    /// # Errors
    /// What does not go together.
    pub(super) fn check_initial(&self, is_watch: bool) -> Result<(), ApiStatus> {
        let (initial, how) = ("sendInitialEvents", "resourceVersionMatch");
        let is_given = !self.text(initial).is_empty();
        let error = match (is_watch, is_given, self.text(how)) {
            (false, true, _) => forbidden(initial, "sendInitialEvents is forbidden for list"),
            (false, false, _) | (true, false, "") | (true, true, "NotOlderThan") => return Ok(()),
            (true, false, _) => forbidden(
                how,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
            (true, true, _) => forbidden(
                how,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
        };
        Err(ApiStatus::invalid_option("ListOptions", &error))
    }

    /// Checks what says how a list's revision is meant.
    ///
    /// # Errors
    /// What does not go together.
    pub(super) fn check_match(&self) -> Result<(), ApiStatus> {
        let (how, revision) = (
            self.text("resourceVersionMatch"),
            self.text("resourceVersion"),
        );
        if how.is_empty() {
            return Ok(());
        }
        let no = |why: &str| {
            Some(forbidden(
                "resourceVersionMatch",
                &format!("resourceVersionMatch {why}"),
            ))
        };
        let error: Option<FieldError> = if revision.is_empty() {
            no("is forbidden unless resourceVersion is provided")
        } else if !self.text("continue").is_empty() {
            no("is forbidden when continue is provided")
        } else if how != "Exact" && how != "NotOlderThan" {
            let allowed = &["Exact", "NotOlderThan", ""];
            Some(not_supported("resourceVersionMatch", how.into(), allowed))
        } else if how == "Exact" && revision == "0" {
            no("\"exact\" is forbidden for resourceVersion \"0\"")
        } else {
            None
        };
        match error {
            Some(error) => Err(ApiStatus::invalid_option("ListOptions", &error)),
            None => Ok(()),
        }
    }
}

//! Watches: a stream of events from a revision on, with bookmarks. A watch whose revision is too old ends with 410 as
//! an event.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::apply;
use super::call::{Body, Call, metadata, stream as reply};
use super::kinds::KindId;
use super::objects::Change;
use super::request::{Filter, Target};
use super::shared::Shared;
use super::status::ApiStatus;
use super::validate;

/// How often a silent watch says how far it is.
const BOOKMARK: Duration = Duration::from_secs(30);

/// How long a watch lasts where the client does not say: the API server picks from half an hour to an hour.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// No watch lasts longer, whatever the client says.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

struct Watch {
    shared: Arc<Shared>,
    changed: Receiver<u64>,
    kind: KindId,
    ns: Option<String>,
    filter: Filter,
    /// What has been sent.
    revision: u64,
    waiting: VecDeque<Value>,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    table: Option<String>,
    /// Metadata alone are asked for.
    metadata: bool,
    ended: bool,
}

/// Begins a watch.
pub(super) fn watch(
    shared: &Arc<Shared>,
    target: &Target,
    call: &Call,
) -> Result<Response<Body>, ApiStatus> {
    let parameters = &call.parameters;
    let seconds = parameters.text("timeoutSeconds").parse().ok();
    let asked = seconds.filter(|s| *s > 0).map(Duration::from_secs);
    let now = Instant::now();
    let mut watch = Watch {
        changed: shared.changed.subscribe(),
        shared: Arc::clone(shared),
        kind: target.kind,
        ns: target.ns.clone(),
        filter: parameters.filter(target.kind)?,
        revision: 0,
        waiting: VecDeque::new(),
        bookmarks: parameters.flag("allowWatchBookmarks"),
        next_bookmark: now + BOOKMARK,
        end: now + asked.map_or(TIMEOUT, |asked| asked.min(LONGEST)),
        table: call
            .wants_table()
            .then(|| parameters.text("includeObject").to_owned()),
        metadata: call.wants_metadata(),
        ended: false,
    };
    let initial = parameters.flag("sendInitialEvents");
    if initial && parameters.text("resourceVersionMatch") != "NotOlderThan" {
        let what = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let error = validate::forbidden("resourceVersionMatch", what);
        return Err(ApiStatus::invalid_option("ListOptions", &error));
    }
    match (parameters.text("resourceVersion"), initial) {
        ("" | "0", _) | (_, true) => watch.begin(initial),
        (revision, false) => {
            watch.revision = revision.parse().map_err(|_| {
                ApiStatus::unknown(format!(
                    "resourceVersion: Invalid value: {revision:?}: strconv.ParseUint: parsing {revision:?}: invalid syntax"
                ))
            })?;
        }
    }
    let frames = stream::unfold(watch, |mut watch| async move {
        watch.next().await.map(|event| (event, watch))
    });
    let frames = futures::StreamExt::map(frames, |event: Value| {
        Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))
    });
    Ok(reply(
        StatusCode::OK,
        "application/json",
        StreamBody::new(frames).boxed_unsync(),
    ))
}

impl Watch {
    /// Everything that is there, as if it were new.
    fn begin(&mut self, mark_end: bool) {
        let state = self.shared.read();
        self.revision = state.objects.revision();
        let present: Vec<_> = state
            .objects
            .list(self.kind.kept(), self.ns.as_deref())
            .map(|(_, object)| self.kind.converted(object))
            .filter(|object| self.filter.matches(object))
            .collect();
        drop(state);
        for object in present {
            self.push("ADDED", object);
        }
        if mark_end {
            self.push_bookmark(true);
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.changed.borrow_and_update();
            if self.collect() {
                continue;
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.end) => return None,
                () = tokio::time::sleep_until(self.next_bookmark) => {
                    self.next_bookmark = Instant::now() + BOOKMARK;
                    if self.bookmarks {
                        self.push_bookmark(false);
                    }
                }
            }
        }
    }

    /// Takes in the changes since the last time; returns whether there is anything to send.
    fn collect(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let Some(changes) = state.objects.since(self.revision) else {
            let status = ApiStatus::expired(format!(
                "too old resource version: {} ({})",
                self.revision,
                state.objects.revision()
            ));
            self.waiting
                .push_back(json!({"type": "ERROR", "object": status.object()}));
            self.ended = true;
            return true;
        };
        let kept = self.kind.kept();
        let mine =
            |c: &&Change| c.key.kind == kept && self.ns.as_ref().is_none_or(|ns| *ns == c.key.ns);
        let events: Vec<_> = changes
            .filter(mine)
            .filter_map(|change| self.event(change))
            .collect();
        self.revision = state.objects.revision();
        drop(state);
        let is_any = !events.is_empty();
        for (kind, object) in events {
            self.push(kind, object);
        }
        is_any
    }

    /// What a change is to this watch: an object that no longer fits the selectors is gone.
    fn event(&self, change: &Change) -> Option<(&'static str, Arc<Value>)> {
        let old = change.old.as_ref().map(|old| self.kind.converted(old));
        let new = self.kind.converted(&change.new);
        let before = old.is_some_and(|old| self.filter.matches(&old));
        let after = !change.deleted && self.filter.matches(&new);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(("ADDED", new)),
            (true, true) => Some(("MODIFIED", new)),
            (true, false) => Some(("DELETED", new)),
        }
    }

    fn push(&mut self, kind: &str, object: Arc<Value>) {
        let object = Arc::unwrap_or_clone(apply::shown(object));
        let shown = match &self.table {
            None if self.metadata => metadata(&object),
            None => object,
            Some(include) => {
                let mut table =
                    self.shared
                        .table(self.kind, std::slice::from_ref(&object), include);
                table["metadata"]["resourceVersion"] =
                    object["metadata"]["resourceVersion"].clone();
                table
            }
        };
        let mut event = json!({"type": kind});
        event["object"] = shown;
        self.waiting.push_back(event);
    }

    fn push_bookmark(&mut self, initial_end: bool) {
        let info = self.kind.info();
        let mut object = json!({"kind": info.kind, "apiVersion": info.api_version(), "metadata": {"resourceVersion": self.revision.to_string()}});
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        // Fields that a typed client wants to be there.
        for (field, empty) in [("spec", json!({})), ("status", json!({}))] {
            if matches!(info.kind, "Pod" | "Service" | "Namespace" | "StatefulSet") {
                object[field] = empty;
            }
        }
        if self.metadata {
            object = metadata(&object);
        }
        self.waiting
            .push_back(json!({"type": "BOOKMARK", "object": object}));
    }
}

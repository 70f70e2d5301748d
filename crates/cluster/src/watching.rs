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
use super::asking;
use super::call::{Body, Call, metadata, stream as reply};
use super::kinds::KindId;
use super::objects::Change;
use super::request::{Filter, Target};
use super::shared::Shared;
use super::state::merged;
use super::status::ApiStatus;

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
    /// What is there at the beginning, and whether its end is marked.
    initial: Option<(Vec<Arc<Value>>, bool)>,
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
        initial: None,
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
    parameters.check_initial(true)?;
    let is_said = !parameters.text("sendInitialEvents").is_empty();
    let initial = parameters.flag("sendInitialEvents");
    match parameters.text("resourceVersion") {
        _ if initial => watch.begin(watch.bookmarks),
        "" | "0" if is_said => watch.revision = shared.read().objects.revision(),
        "" | "0" => watch.begin(false),
        revision => {
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
        let present = state.objects.list(self.kind.kept(), self.ns.as_deref());
        let present = present.map(|(_, object)| Arc::clone(object)).collect();
        drop(state);
        self.initial = Some((present, mark_end));
    }

    /// Sends what was there at the beginning.
    async fn send_initial(&mut self, (present, mark_end): (Vec<Arc<Value>>, bool)) {
        let Some(present) = self.in_version(present).await else {
            return;
        };
        for object in present {
            if self.filter.matches(&object) {
                self.push("ADDED", object);
            }
        }
        if mark_end {
            self.push_bookmark(true);
        }
    }

    /// Objects in the version that is watched; `None`: there are none, which is said, and ends the watch.
    async fn in_version(&mut self, objects: Vec<Arc<Value>>) -> Option<Vec<Arc<Value>>> {
        let conversion = self.shared.read().conversion(self.kind, &objects);
        let Some(conversion) = conversion else {
            let converted = objects.iter().map(|one| self.kind.converted(one));
            return Some(converted.collect());
        };
        match asking::convert(&self.shared, &conversion).await {
            Ok(converted) => Some(merged(self.kind, objects, converted)),
            Err(why) => {
                self.fail(&ApiStatus::unknown(why));
                None
            }
        }
    }

    fn fail(&mut self, status: &ApiStatus) {
        self.waiting
            .push_back(json!({"type": "ERROR", "object": status.object()}));
        self.ended = true;
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if let Some(initial) = self.initial.take() {
                self.send_initial(initial).await;
                continue;
            }
            self.changed.borrow_and_update();
            let changes = self.collect();
            if !changes.is_empty() {
                self.send(changes).await;
                continue;
            }
            if self.ended {
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

    /// The changes since the last time; where they are forgotten the watch ends.
    fn collect(&mut self) -> Vec<Change> {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let revision = state.objects.revision();
        let Some(changes) = state.objects.since(self.revision) else {
            let old = self.revision;
            self.fail(&ApiStatus::expired(format!(
                "too old resource version: {old} ({revision})"
            )));
            return Vec::new();
        };
        let kept = self.kind.kept();
        let mine =
            |c: &&Change| c.key.kind == kept && self.ns.as_ref().is_none_or(|ns| *ns == c.key.ns);
        let mine = changes.filter(mine).cloned().collect();
        self.revision = revision;
        mine
    }

    /// Sends what changes are to this watch.
    async fn send(&mut self, changes: Vec<Change>) {
        let both = changes.iter().flat_map(|change| {
            let old = change.old.iter();
            old.chain([&change.new]).map(Arc::clone)
        });
        let Some(converted) = self.in_version(both.collect()).await else {
            return;
        };
        let mut converted = converted.into_iter();
        for change in changes {
            let old = change.old.and_then(|_| converted.next());
            let Some(new) = converted.next() else {
                continue;
            };
            match (self.event((old.as_deref(), &new), change.deleted), old) {
                // What no longer fits was last seen as it was before.
                (Some("DELETED"), Some(old)) if !change.deleted => {
                    let mut seen = Value::clone(&old);
                    seen["metadata"]["resourceVersion"] =
                        new["metadata"]["resourceVersion"].clone();
                    self.push("DELETED", Arc::new(seen));
                }
                (Some(kind), _) => self.push(kind, new),
                (None, _) => {}
            }
        }
    }

    /// What a change is to this watch: an object that no longer fits the selectors is gone.
    fn event(
        &self,
        (old, new): (Option<&Value>, &Value),
        is_deleted: bool,
    ) -> Option<&'static str> {
        let before = old.is_some_and(|old| self.filter.matches(old));
        let after = !is_deleted && self.filter.matches(new);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
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

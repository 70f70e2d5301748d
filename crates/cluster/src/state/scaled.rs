//! Server-side apply of a `Scale`: of the replicas of the object that it is of.

use std::sync::Arc;

use serde_json::{Value, json};

use super::owners::refused;
use super::{Config, Part, State, not_stored, other_uid};
use crate::apply::{self, Managed, Request, Set, Site};
use crate::custom::Path;
use crate::objects::Key;
use crate::schema::Shape;
use crate::status::ApiStatus;

/// The version of `Scale`.
const API_VERSION: &str = "autoscaling/v1";

impl State {
    /// Applies a `Scale`. Gives the object that it is of. `of`: the type, and what is there now; `path`: where an object of a
    /// custom kind has its replicas.
    ///
    /// # Errors
    /// As of [`State::apply`], in words about a `Scale`; 404.
    pub(crate) fn apply_scale(
        &mut self,
        key: &Key,
        (of, live): (&'static str, &Value),
        config: &Config,
        path: Option<&Path>,
    ) -> Result<Arc<Value>, ApiStatus> {
        let old = apply::shown(Arc::clone(self.get(key)?));
        let author = self.author.as_ref().expect("an apply has an author");
        let names = path.map_or_else(|| vec!["spec", "replicas"], |path| path.names().collect());
        let owners = owners(&old["metadata"]["managedFields"], &names);
        let shape = Shape::Struct(of);
        let request = Request {
            site: Site::root(&shape),
            manager: author.manager(),
            subresource: author.subresource(),
            api_version: API_VERSION,
            time: None,
            reset: &Set::default(),
        };
        // What is wrong with it is said of the `Scale`; what is done is done to the object.
        let managed = Managed::read(&owners).unwrap_or_default();
        let tried = apply::applied(&request, (live, managed), &config.object, config.force);
        let named = format!("{API_VERSION}, Kind=Scale");
        tried.map_err(|failed| refused(&named, &config.object, failed))?;
        ApiStatus::check_scale(&key.name, &config.object)?;
        is_of(key, &old, &config.object)?;
        let mut object =
            json!({"apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": {}});
        // Of the metadata a `Scale` has what says which object is meant, and which state of it.
        for field in ["name", "namespace", "uid", "resourceVersion"] {
            if let Some(value) = config.object["metadata"].get(field) {
                object["metadata"][field] = value.clone();
            }
        }
        if let Some(replicas) = config.object["spec"].get("replicas") {
            match path {
                None => object["spec"] = json!({"replicas": replicas}),
                Some(path) => path.set(&mut object, replicas.clone()),
            }
        }
        let config = Config {
            object,
            force: true,
            dry_run: config.dry_run,
        };
        let (new, _) = self.apply((key, Part::Main), &config)?;
        Ok(new)
    }
}

/// The managers that own an object's replicas, which these names lead to, as owners of its `Scale`'s.
fn owners(entries: &Value, names: &[&str]) -> Value {
    let entries = entries.as_array().into_iter().flatten();
    let owns = |entry: &&Value| {
        let fields = names.iter();
        let replicas = fields.fold(&entry["fieldsV1"], |fields, name| {
            &fields[format!("f:{name}")]
        });
        replicas.is_object()
    };
    let owning = entries.filter(owns);
    let owners = owning.map(|entry| {
        let mut entry = entry.clone();
        entry["apiVersion"] = API_VERSION.into();
        entry["fieldsV1"] = json!({"f:spec": {"f:replicas": {}}});
        entry
    });
    owners.collect()
}

/// Refuses a `Scale` of another object than there is.
pub(crate) fn is_of(key: &Key, object: &Value, scale: &Value) -> Result<(), ApiStatus> {
    let Some(why) = other_uid(uid(scale), object) else {
        return Ok(());
    };
    let info = key.kind.info();
    let scales = format!("{}/scale", info.plural);
    Err(ApiStatus::conflict_of(
        (&scales, info.group),
        &key.name,
        &why,
    ))
}

/// The same of one that is written whole.
pub(crate) fn is_written_to(key: &Key, object: &Value, scale: &Value) -> Result<(), ApiStatus> {
    let why = other_uid(uid(scale), object);
    why.map_or(Ok(()), |why| Err(not_stored(key, "/registry", &why)))
}

fn uid(scale: &Value) -> Option<&str> {
    scale["metadata"]["uid"]
        .as_str()
        .filter(|uid| !uid.is_empty())
}

//! Lists in pages (`limit`, `continue`): each page shows what was there when the first was asked for, as long as that is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::kind::KindId;
use super::objects::{Key, Objects};
use super::status::ApiStatus;

/// Where a list goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Continue {
    /// The first page's revision; `None`: the present one.
    revision: Option<u64>,
    /// The last object seen: its namespace and name.
    after: Option<(String, String)>,
}

/// Objects of a list, in its order.
pub(super) type Page = Vec<(Key, Arc<Value>)>;

/// The revision that tokens have whose list has lost its first page's.
const INCONSISTENT: i64 = -1;

/// What the API server says of a revision that is forgotten.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the \
    continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided \
    token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned \
    and now may show up in the list.";

impl Continue {
    /// Reads a token; an empty one is that of the first page.
    ///
    /// # Errors
    /// 400 for one that is none.
    pub(super) fn read(token: &str) -> Result<Self, ApiStatus> {
        if token.is_empty() {
            return Ok(Self::default());
        }
        let unreadable = |why: &str| {
            let why = format!("invalid continue token: continue key is not valid: {why}");
            ApiStatus::bad_request(why)
        };
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| {
            let odd = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
            let at = token.find(odd).unwrap_or(token.len() / 4 * 4);
            unreadable(&format!("illegal base64 data at input byte {at}"))
        })?;
        let (revision, ns, name) = serde_json::from_slice::<(i64, String, String)>(&bytes)
            .map_err(|_| {
                let odd = char::from(bytes.first().copied().unwrap_or_default());
                let odd = odd.escape_default().to_string();
                let odd = odd.trim_start_matches("\\u{").trim_end_matches('}');
                unreadable(&format!(
                    "invalid character '\\u{odd:0>4}' looking for beginning of value"
                ))
            })?;
        Ok(Self {
            revision: u64::try_from(revision).ok(),
            after: Some((ns, name)),
        })
    }

    /// The token of the page after this object.
    pub(super) fn write(revision: u64, last: &Key) -> String {
        token(json!([revision, last.ns, last.name]))
    }

    /// The objects of a kind that follow, as they were, and the revision that they were so at.
    ///
    /// # Errors
    /// 410 where that is forgotten, with a token to go on with what is there now.
    pub(super) fn page(
        &self,
        objects: &Objects,
        kind: KindId,
        ns: Option<&str>,
    ) -> Result<(u64, Page), ApiStatus> {
        let present = objects.revision();
        let revision = self.revision.unwrap_or(present);
        let mut found: BTreeMap<Key, Arc<Value>> = BTreeMap::new();
        for (key, object) in objects.list(kind, ns).filter(|(key, _)| self.follows(key)) {
            found.insert(key.clone(), Arc::clone(object));
        }
        if revision < present {
            let changes = objects.since(revision).ok_or_else(|| self.expired())?;
            let changes: Vec<_> = changes.collect();
            // What an object was before the first of its changes it was at that revision.
            for change in changes.into_iter().rev() {
                let key = &change.key;
                let is_of = key.kind == kind && ns.is_none_or(|ns| key.ns == ns);
                if !is_of || !self.follows(key) {
                    continue;
                }
                match &change.old {
                    Some(old) => found.insert(key.clone(), Arc::clone(old)),
                    None => found.remove(key),
                };
            }
        }
        Ok((revision, found.into_iter().collect()))
    }

    fn follows(&self, key: &Key) -> bool {
        let after = self.after.as_ref();
        after.is_none_or(|(ns, name)| (&key.ns, &key.name) > (ns, name))
    }

    fn expired(&self) -> ApiStatus {
        let more = self.after.as_ref();
        let more = more.map(|(ns, name)| token(json!([INCONSISTENT, ns, name])));
        ApiStatus::expired_list(TOO_OLD, more.unwrap_or_default())
    }
}

fn token(of: Value) -> String {
    URL_SAFE_NO_PAD.encode(of.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::POD;

    fn key(name: &str) -> Key {
        Key::new(POD, "a", name)
    }

    fn put(objects: &mut Objects, name: &str, at: i32) {
        objects.put(key(name), json!({"metadata": {"name": name}, "at": at}));
    }

    fn names(page: &[(Key, Arc<Value>)]) -> Vec<String> {
        let name = |(key, object): &(Key, Arc<Value>)| format!("{} {}", key.name, object["at"]);
        page.iter().map(name).collect()
    }

    #[test]
    fn a_later_page_shows_what_was_there_at_the_first() {
        let mut objects = Objects::default();
        for name in ["a", "b", "c", "d"] {
            put(&mut objects, name, 1);
        }
        let (revision, page) = Continue::default().page(&objects, POD, Some("a")).unwrap();
        assert_eq!((revision, page.len()), (4, 4));
        let next = Continue::read(&Continue::write(revision, &key("a"))).unwrap();
        put(&mut objects, "bb", 2);
        put(&mut objects, "c", 2);
        put(&mut objects, "c", 3);
        objects.remove(&key("d"));
        put(&mut objects, "d", 4);
        let (revision, page) = next.page(&objects, POD, None).unwrap();
        assert_eq!(
            (revision, names(&page)),
            (4, vec!["b 1".into(), "c 1".into(), "d 1".into()])
        );
        objects.compact();
        put(&mut objects, "e", 5);
        let expired = next.page(&objects, POD, None).unwrap_err();
        assert_eq!(
            (expired.code, expired.reason, &*expired.message),
            (410, "Expired", TOO_OLD)
        );
        let shown = expired.object();
        let token = shown["metadata"]["continue"].as_str().unwrap();
        let (revision, page) = Continue::read(token)
            .unwrap()
            .page(&objects, POD, None)
            .unwrap();
        let wanted = ["b 1", "bb 2", "c 3", "d 4", "e 5"].map(str::to_owned);
        assert_eq!((revision, names(&page)), (10, wanted.to_vec()));
    }
}

//! Who asks what, as JSON.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::{Value, json};

use super::search::{Searched, name_of, searched};
use super::{Asked, Known, Refusal, begin, written, wrong};
use crate::metrics::{By, Counted};

/// Lines of a list where nobody says how many.
const LINES: usize = 20;

impl Known {
    /// What is asked for most.
    pub(super) fn top(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let (by, limit) = (
            asked.get("by").unwrap_or("name"),
            asked.limit()?.unwrap_or(LINES),
        );
        let top = &self.metrics.top;
        let list = |by| top.list(by).into_iter();
        let lines: Vec<Value> = match by {
            "name" => list(By::Name).take(limit).map(|one| named(&one)).collect(),
            "negative" => list(By::Negative)
                .take(limit)
                .map(|one| named(&one))
                .collect(),
            "client" => list(By::Client)
                .take(limit)
                .map(|one| self.client(&one))
                .collect(),
            "search" => {
                let all = searched(&self.zone, &self.shown, &top.list(By::Negative));
                all.iter().take(limit).map(Searched::json).collect()
            }
            _ => return Err(wrong("by: name, client, negative or search was expected")),
        };
        let begins = written(begin(&self.metrics));
        Ok(json!({"by": by, "begins": begins, "top": lines}))
    }

    fn client(&self, counted: &Counted) -> Value {
        let octets: [u8; 16] = counted.key[..].try_into().unwrap_or_default();
        let ip: IpAddr = Ipv6Addr::from(octets).to_canonical();
        let pods = self.zone.pods_at(ip);
        let pods = pods.iter().map(|pod| format!("{}/{}", pod.ns, pod.name));
        let pods: Vec<String> = pods.collect();
        json!({"client": ip.to_string(), "pods": pods, "count": counted.count, "over": counted.over})
    }
}

fn named(counted: &Counted) -> Value {
    let name = name_of(counted).unwrap_or_default();
    json!({"name": name.to_string(), "count": counted.count, "over": counted.over})
}

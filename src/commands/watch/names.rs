//! Services as the terminal lists them, with the names of those that are unfolded.

use std::collections::BTreeMap;

use headless_objects::object::array;
use serde_json::Value;

use super::super::asked::texts;

/// The list, and where the reader is in it.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// A part of the names that are listed.
    pub(super) find: String,
    /// Services were told of.
    pub(super) is_told: bool,
    /// How many Services there are that have it.
    pub(super) total: u64,
    pub(super) services: Vec<Service>,
    /// What was told of those that are unfolded; `Null` before.
    pub(super) open: BTreeMap<String, Value>,
    /// The row that the reader is at.
    pub(super) at: usize,
}

/// A Service, and how many endpoints it has.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) is_alias: bool,
    pub(super) endpoints: u64,
    pub(super) ready: u64,
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Service {
        name: String,
        counted: String,
        is_open: bool,
    },
    Name {
        name: String,
        leads_to: String,
        ready: bool,
    },
    /// What is said where names would stand.
    Note(String),
}

impl Row {
    /// What tells it from all others.
    fn key(&self) -> &str {
        match self {
            Self::Service { name, .. } | Self::Name { name, .. } => name,
            Self::Note(_) => "",
        }
    }
}

impl Names {
    /// All rows, from the top.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for service in &self.services {
            let told = self.open.get(&service.name);
            rows.push(Row::Service {
                name: service.name.clone(),
                counted: service.counted(),
                is_open: told.is_some(),
            });
            rows.extend(told.map(below).unwrap_or_default());
        }
        rows
    }

    /// The row that the reader is at.
    pub(super) fn row(&self) -> Option<Row> {
        self.rows().into_iter().nth(self.at)
    }

    /// Goes so many rows down, or up.
    pub(super) fn go(&mut self, rows: isize) {
        let last = self.rows().len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(rows).min(last);
    }

    /// Takes the list that was told; the reader stays at his row.
    pub(super) fn list(&mut self, told: &Value) {
        let service = |one: &Value| Service {
            name: one["service"].as_str().unwrap_or_default().to_owned(),
            is_alias: one["kind"] == "alias",
            endpoints: one["endpoints"].as_u64().unwrap_or_default(),
            ready: one["ready"].as_u64().unwrap_or_default(),
        };
        self.stay(|names| {
            names.services = array(&told["names"]).map(service).collect();
            names.is_told = true;
            names.total = told["total"].as_u64().unwrap_or_default();
        });
    }

    /// Takes what was told of an unfolded Service.
    pub(super) fn unfold(&mut self, service: &str, told: Value) {
        self.stay(|names| {
            if let Some(own) = names.open.get_mut(service) {
                *own = told;
            }
        });
    }

    fn stay(&mut self, change: impl FnOnce(&mut Self)) {
        let key = self.row().map(|row| row.key().to_owned());
        change(self);
        let rows = self.rows();
        let again = rows
            .iter()
            .position(|row| Some(row.key()) == key.as_deref());
        self.at = again.unwrap_or(self.at).min(rows.len().saturating_sub(1));
    }
}

impl Service {
    fn counted(&self) -> String {
        match (self.ready, self.endpoints) {
            _ if self.is_alias => "alias".to_owned(),
            (_, 0) => "no endpoints".to_owned(),
            (ready, endpoints) => format!("{ready} of {endpoints} ready"),
        }
    }
}

/// The rows of what was told of a Service.
fn below(told: &Value) -> Vec<Row> {
    if told.is_null() {
        return vec![Row::Note("asking".to_owned())];
    }
    if let Some(problem) = told["error"].as_str() {
        return vec![Row::Note(problem.to_owned())];
    }
    let name = |one: &Value| Row::Name {
        name: one["name"].as_str().unwrap_or_default().to_owned(),
        leads_to: texts(&one["addresses"], " "),
        ready: one["ready"] == true,
    };
    let mut rows: Vec<Row> = array(&told["names"]).map(name).collect();
    let total = told["total"].as_u64().unwrap_or_default();
    if total > rows.len() as u64 {
        rows.push(Row::Note(format!("{} of {total} names", rows.len())));
    }
    rows
}

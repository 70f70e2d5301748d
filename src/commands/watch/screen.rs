//! What the terminal shows as a value, and what becomes of it by keys and by what the server tells.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a keyboard has more keys than are named here"
)]

use std::collections::VecDeque;

use headless_objects::object::array;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::super::{top, why};
use super::names::{Names, Row};
use top::By;

/// Services, names of a Service, and changes at a time: more is not read.
const SHOWN: usize = 200;

/// Types of records that can be asked for.
const TYPES: [&str; 6] = [AUTO, "A", "AAAA", "SRV", "PTR", "CNAME"];

/// The server chooses the type: by the name.
const AUTO: &str = "auto";

/// Services whose names are asked for at a time: the most that a server takes.
const TOGETHER: usize = 64;

/// Rows of a step by page keys.
const PAGE: u16 = 10;

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The server that is asked.
    pub(super) server: String,
    pub(super) link: Link,
    pub(super) pane: Pane,
    pub(super) names: Names,
    /// The reader types what to find.
    pub(super) is_finding: bool,
    pub(super) changes: VecDeque<Change>,
    pub(super) is_paused: bool,
    pub(super) ask: Ask,
    pub(super) by: By,
    pub(super) top: Vec<String>,
    /// Rows that the pane in focus is scrolled by, where it has no row that the reader is at.
    pub(super) scroll: u16,
    /// The reader is done.
    pub(super) is_over: bool,
    /// Something has changed since the Services were asked for.
    is_stale: bool,
}

/// Whether the server tells what changes.
#[derive(Debug, Default)]
pub(super) enum Link {
    #[default]
    Connecting,
    Live {
        services: u64,
        synced: bool,
        away: Option<Away>,
    },
    /// Why not.
    Lost(String),
}

/// The API server does not deliver.
#[derive(Debug)]
pub(super) struct Away {
    /// The time of day.
    pub(super) since: String,
    pub(super) why: String,
    /// Nothing; else some watches deliver.
    pub(super) whole: bool,
}

/// A part of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Names,
    Changes,
    Ask,
    Top,
}

/// In the order in which Tab goes.
pub(super) const PANES: [Pane; 4] = [Pane::Names, Pane::Changes, Pane::Ask, Pane::Top];

/// A change, by the object that it came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: String,
    pub(super) object: String,
    /// Each name with what it leads to since, and no more.
    pub(super) names: Vec<(String, Vec<String>, Vec<String>)>,
}

/// The box that asks why.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) name: String,
    /// Its place among the types.
    qtype: usize,
    /// What was said, line by line.
    pub(super) said: Vec<String>,
    /// Names have changed since.
    pub(super) is_old: bool,
}

impl Ask {
    pub(super) fn qtype(&self) -> &'static str {
        TYPES[self.qtype]
    }
}

/// A question to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Names {
        find: String,
    },
    /// The names of these.
    Services(Vec<String>),
    Why {
        name: String,
        qtype: &'static str,
    },
    Top(By),
}

impl Wish {
    /// The path that answers it, and with which keys and values.
    pub(super) fn request(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let limit = ("limit", SHOWN.to_string());
        match self {
            Self::Names { find } => ("/names", vec![("find", find.clone()), limit]),
            Self::Services(services) => {
                let services = services.iter().map(|own| ("service", own.clone()));
                ("/service", services.chain([limit]).collect())
            }
            Self::Why { name, qtype } => {
                let qtype = Some(*qtype).filter(|qtype| *qtype != AUTO);
                let qtype = qtype.map(|qtype| ("type", qtype.to_owned()));
                let name = ("name", name.clone());
                ("/walk", [name].into_iter().chain(qtype).collect())
            }
            Self::Top(by) => ("/top", vec![("by", by.key().to_owned()), limit]),
        }
    }
}

/// What is heard.
#[derive(Debug)]
pub(super) enum Told {
    /// A message of what changes.
    Changes(Value),
    /// There are no such messages, for this reason.
    Lost(String),
    /// An answer, or why there is none.
    Answer(Wish, Result<Value, String>),
}

impl Screen {
    /// One that shows what this server tells.
    pub(super) fn of(server: String) -> Self {
        Self {
            server,
            ..Self::default()
        }
    }

    /// Takes what is heard.
    pub(super) fn hear(&mut self, told: Told) {
        match told {
            Told::Changes(message) => self.changed(&message),
            Told::Lost(why) => self.link = Link::Lost(why),
            Told::Answer(wish, answer) => self.answered(wish, answer),
        }
    }

    fn changed(&mut self, message: &Value) {
        let away = &message["away"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.link = Link::Live {
            services: message["services"].as_u64().unwrap_or_default(),
            synced: message["synced"] == true,
            away: (!away.is_null()).then(|| Away {
                since: time_of_day(&text(&away["since"])),
                why: text(&away["why"]),
                whole: away["whole"] == true,
            }),
        };
        self.is_stale = true;
        self.ask.is_old |= array(&message["events"]).next().is_some();
        if self.is_paused {
            return;
        }
        if !message["begins"].is_null() {
            self.changes.clear();
        }
        for event in array(&message["events"]) {
            self.changes.push_front(change(event));
        }
        self.changes.truncate(SHOWN);
    }

    fn answered(&mut self, wish: Wish, answer: Result<Value, String>) {
        let answer = answer.unwrap_or_else(|why| json!({"error": why}));
        let problem = answer["error"].as_str().map(str::to_owned);
        match wish {
            Wish::Names { find } if find == self.names.find && problem.is_none() => {
                self.names.list(&answer);
            }
            Wish::Names { .. } => {}
            Wish::Services(services) => match problem {
                Some(why) => services
                    .iter()
                    .for_each(|own| self.names.unfold(own, json!({"error": why}))),
                None => array(&answer["services"]).for_each(|told| {
                    let own = told["service"].as_str().unwrap_or_default();
                    self.names.unfold(own, told.clone());
                }),
            },
            // What was asked for since has its own answer.
            Wish::Why { name, qtype }
                if (&*name, qtype) != (self.ask.name.trim(), self.ask.qtype()) => {}
            Wish::Why { .. } => {
                self.ask.said = problem.map_or_else(|| why::text_of(&answer), |why| vec![why]);
                // What it comes to stands before the way there, which may be longer than the pane.
                self.ask.said.sort_by_key(|line| line.starts_with(' '));
            }
            Wish::Top(by) if by == self.by => {
                self.top = problem.map_or_else(|| top::text_of(&answer), |why| vec![why]);
            }
            Wish::Top(_) => {}
        }
    }

    /// What is to be asked because something has changed.
    pub(super) fn refresh(&mut self) -> Vec<Wish> {
        if std::mem::take(&mut self.is_stale) {
            let open: Vec<String> = self.names.open.keys().cloned().collect();
            let open = open
                .chunks(TOGETHER)
                .map(|some| Wish::Services(some.to_vec()));
            [self.listed()].into_iter().chain(open).collect()
        } else {
            Vec::new()
        }
    }

    fn listed(&self) -> Wish {
        let find = self.names.find.clone();
        Wish::Names { find }
    }

    /// Does what a key says; what is to be asked for that.
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Wish> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => self.is_over = true,
            KeyCode::Tab => self.focus(1),
            KeyCode::BackTab => self.focus(PANES.len() - 1),
            KeyCode::Char(_) if control => {}
            _ if self.is_finding => return self.finding(key.code),
            KeyCode::Char('q') if self.pane != Pane::Ask => self.is_over = true,
            code => {
                return match self.pane {
                    Pane::Names => self.key_of_names(code),
                    Pane::Changes => self.key_of_changes(code),
                    Pane::Ask => self.key_of_ask(code),
                    Pane::Top => self.key_of_top(code),
                };
            }
        }
        Vec::new()
    }

    fn focus(&mut self, steps: usize) {
        let at = PANES.iter().position(|pane| *pane == self.pane);
        self.show(PANES[(at.unwrap_or_default() + steps) % PANES.len()]);
    }

    fn show(&mut self, pane: Pane) {
        (self.pane, self.scroll, self.is_finding) = (pane, 0, false);
    }

    fn finding(&mut self, code: KeyCode) -> Vec<Wish> {
        match code {
            KeyCode::Enter | KeyCode::Down => self.is_finding = false,
            KeyCode::Esc => {
                self.is_finding = false;
                self.names.find.clear();
            }
            code => edit(&mut self.names.find, code),
        }
        self.names.at = 0;
        vec![self.listed()]
    }

    fn key_of_names(&mut self, code: KeyCode) -> Vec<Wish> {
        match code {
            KeyCode::Char('/') => self.is_finding = true,
            KeyCode::Char('a') => self.show(Pane::Ask),
            KeyCode::Esc if !self.names.find.is_empty() => {
                self.names.find.clear();
                return vec![self.listed()];
            }
            KeyCode::Enter | KeyCode::Char(' ') => return self.open(),
            code => {
                if let Some(rows) = step(code) {
                    self.names.go(rows.into());
                }
            }
        }
        Vec::new()
    }

    /// Unfolds or folds the Service that the reader is at, or asks why a name leads where it does.
    fn open(&mut self) -> Vec<Wish> {
        match self.names.row() {
            Some(Row::Service { name, is_open, .. }) if is_open => {
                self.names.open.remove(&name);
                Vec::new()
            }
            Some(Row::Service { name, .. }) => {
                self.names.open.insert(name.clone(), Value::Null);
                vec![Wish::Services(vec![name])]
            }
            Some(Row::Name { name, .. }) => {
                self.show(Pane::Ask);
                self.ask.name = name;
                self.why()
            }
            Some(Row::Note(_)) | None => Vec::new(),
        }
    }

    fn key_of_changes(&mut self, code: KeyCode) -> Vec<Wish> {
        match code {
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            code => self.roll(code),
        }
        Vec::new()
    }

    fn key_of_ask(&mut self, code: KeyCode) -> Vec<Wish> {
        let last = TYPES.len() - 1;
        match code {
            KeyCode::Enter => return self.why(),
            KeyCode::Esc => self.show(Pane::Names),
            KeyCode::Right => self.ask.qtype = (self.ask.qtype + 1).min(last),
            KeyCode::Left => self.ask.qtype = self.ask.qtype.saturating_sub(1),
            KeyCode::Char(_) | KeyCode::Backspace => edit(&mut self.ask.name, code),
            code => self.roll(code),
        }
        Vec::new()
    }

    fn why(&mut self) -> Vec<Wish> {
        let (name, qtype) = (self.ask.name.trim().to_owned(), self.ask.qtype());
        if name.is_empty() {
            return Vec::new();
        }
        self.ask.said = vec!["asking".to_owned()];
        self.ask.is_old = false;
        self.scroll = 0;
        vec![Wish::Why { name, qtype }]
    }

    fn key_of_top(&mut self, code: KeyCode) -> Vec<Wish> {
        let by = match code {
            KeyCode::Right => self.by.next(),
            KeyCode::Left => self.by.previous(),
            code => {
                self.roll(code);
                return Vec::new();
            }
        };
        (self.by, self.scroll) = (by, 0);
        self.top = vec!["asking".to_owned()];
        vec![Wish::Top(by)]
    }

    fn roll(&mut self, code: KeyCode) {
        if let Some(rows) = step(code) {
            self.scroll = self.scroll.saturating_add_signed(rows);
        }
    }
}

/// How many rows a key goes down.
fn step(code: KeyCode) -> Option<i16> {
    Some(match code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown => PAGE.cast_signed(),
        KeyCode::PageUp => -PAGE.cast_signed(),
        KeyCode::Home => i16::MIN,
        KeyCode::End => i16::MAX,
        _ => return None,
    })
}

/// What a key does to a text that is typed.
fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(letter) => text.push(letter),
        KeyCode::Backspace => {
            text.pop();
        }
        _ => {}
    }
}

/// `12:00:00` of `2026-01-01T12:00:00.123Z`.
fn time_of_day(time: &str) -> String {
    time.get(11..19).unwrap_or(time).to_owned()
}

fn change(event: &Value) -> Change {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| array(value).map(text).collect::<Vec<_>>();
    let name = |one: &Value| {
        (
            text(&one["name"]),
            list(&one["added"]),
            list(&one["removed"]),
        )
    };
    Change {
        at: time_of_day(&text(&event["at"])),
        object: format!("{} {}", text(&event["kind"]), text(&event["object"])),
        names: array(&event["names"]).map(name).collect(),
    }
}

#[cfg(test)]
mod tests;

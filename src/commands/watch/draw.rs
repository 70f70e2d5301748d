//! The screen as cells: a pure function of its state and its size.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::super::top::By;
use super::super::why::UNASKED;
use super::names::Row;
use super::screen::{Away, Change, Link, PANES, Pane, Screen};

/// From this size on all panes are shown at once: each then has a line for a name and what it leads to.
const WIDE: (u16, u16) = (120, 30);

/// The rows of the changes below another pane, and how high a screen has to be for them.
const CHANGES: (u16, u16) = (8, 16);

/// How things are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    good: Style,
    bad: Style,
}

impl Looks {
    /// With colours, or without (https://no-color.org): words and weights tell the same.
    pub(super) fn new(colours: bool) -> Self {
        let of = |colour: Color| match colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        Self {
            good: of(Color::Green),
            bad: of(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

const SOFT: Style = Style::new().add_modifier(Modifier::DIM);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws all; how many rows the pane in focus can be scrolled by.
pub(super) fn draw(screen: &Screen, looks: Looks, frame: &mut Frame<'_>) -> u16 {
    let [head, body, help] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(screen, looks, head.width)), head);
    let mut most = 0;
    for (pane, area) in places(body, screen.pane) {
        let last = draw_pane(screen, looks, (pane, area), frame);
        if pane == screen.pane {
            most = last;
        }
    }
    let keys = Line::styled(keys(screen), SOFT);
    frame.render_widget(Paragraph::new(keys), help);
    most
}

/// Where each pane that is shown stands.
fn places(body: Rect, focus: Pane) -> Vec<(Pane, Rect)> {
    if body.width >= WIDE.0 && body.height >= WIDE.1 {
        let half = [Constraint::Percentage(50), Constraint::Percentage(50)];
        let [left, right] = Layout::horizontal(half).areas(body);
        let parts = [Constraint::Percentage(60), Constraint::Percentage(40)];
        let [names, ask] = Layout::vertical(parts).areas(left);
        let [changes, top] = Layout::vertical(parts).areas(right);
        return PANES.into_iter().zip([names, changes, ask, top]).collect();
    }
    let (rows, least) = CHANGES;
    if focus == Pane::Changes || body.height < least {
        return vec![(focus, body)];
    }
    let parts = [Constraint::Min(0), Constraint::Length(rows)];
    let [main, changes] = Layout::vertical(parts).areas(body);
    vec![(focus, main), (Pane::Changes, changes)]
}

/// What is connected, and the panes.
fn heading(screen: &Screen, looks: Looks, width: u16) -> Vec<Line<'static>> {
    let (text, style) = match &screen.link {
        Link::Connecting => (format!("connecting to {}", screen.server), SOFT),
        Link::Lost(why) => (format!("no connection ({why}); asking again"), looks.bad),
        Link::Live {
            away: Some(Away { since, whole, .. }),
            ..
        } => {
            let what = match whole {
                true => "API server away",
                false => "a watch fails",
            };
            let text = format!("{what} since {since} UTC; what was known is shown");
            (text, looks.bad)
        }
        Link::Live {
            services, synced, ..
        } => {
            let so_far = match synced {
                true => "",
                false => " so far; the API server has not delivered all yet",
            };
            let what = services_of(*services);
            (format!("live: {what}{so_far}"), looks.good)
        }
    };
    let (text, server) = sides(&text, &screen.server, width);
    let mut tabs = Vec::new();
    for pane in PANES {
        let style = if pane == screen.pane { CHOSEN } else { SOFT };
        tabs.extend([
            Span::styled(format!(" {} ", title(pane)), style),
            " ".into(),
        ]);
    }
    if let Link::Live {
        away: Some(Away { why, .. }),
        ..
    } = &screen.link
    {
        let taken: usize = tabs.iter().map(Span::width).sum();
        let room = usize::from(width).saturating_sub(taken);
        let why = shortened(why, room);
        tabs.push(Span::styled(format!("{why:>room$}"), looks.bad));
    }
    vec![
        Line::from(vec![Span::styled(text, style), Span::styled(server, SOFT)]),
        Line::from(tabs),
    ]
}

fn services_of(count: u64) -> String {
    match count {
        1 => "1 Service".to_owned(),
        count => format!("{count} Services"),
    }
}

fn title(pane: Pane) -> &'static str {
    match pane {
        Pane::Names => "Names",
        Pane::Changes => "Changes",
        Pane::Ask => "Why",
        Pane::Top => "Who asks",
    }
}

/// The keys that the pane in focus knows.
fn keys(screen: &Screen) -> &'static str {
    match screen.pane {
        Pane::Names if screen.is_finding => "type a part of a name  Enter: done  Esc: all",
        Pane::Names if !screen.names.find.is_empty() => {
            "Tab: next  ↑↓: move  Enter: open, or why  /: find  Esc: all  q: quit"
        }
        Pane::Names => "Tab: next  ↑↓: move  Enter: open, or why  /: find  a: ask  q: quit",
        Pane::Changes => "Tab: next  ↑↓: move  p: pause  q: quit",
        Pane::Ask => "type a name  Enter: ask  ←→: type  ↑↓: move  Tab: next  Ctrl-C: quit",
        Pane::Top => "Tab: next  ←→: which list  ↑↓: move  q: quit",
    }
}

/// Draws a pane; how many rows of it do not fit.
fn draw_pane(
    screen: &Screen,
    looks: Looks,
    (pane, area): (Pane, Rect),
    frame: &mut Frame<'_>,
) -> u16 {
    let is_focused = pane == screen.pane;
    let border = if is_focused { STRONG } else { SOFT };
    let mut block = Block::bordered()
        .border_style(border)
        .title(format!(" {} ", headline(screen, pane)));
    let inner = block.inner(area);
    let (lines, from) = match pane {
        Pane::Names => {
            let at = if is_focused {
                Some(screen.names.at)
            } else {
                None
            };
            let lines = names(screen, looks, (inner.width, at));
            // The row that the reader is at stands in the middle, but for the ends.
            let middle = screen
                .names
                .at
                .saturating_sub(usize::from(inner.height / 2));
            (lines, middle)
        }
        Pane::Changes => (changes(screen, looks), scrolled(screen, is_focused)),
        Pane::Ask => (
            asked(screen, looks, inner.width),
            scrolled(screen, is_focused),
        ),
        Pane::Top => (
            plain(&screen.top, inner.width),
            scrolled(screen, is_focused),
        ),
    };
    let last = lines.len().saturating_sub(inner.height.into());
    if from < last && is_focused {
        block = block.title_bottom(" more below ");
    }
    frame.render_widget(block, area);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(from.min(last)).collect();
    frame.render_widget(Paragraph::new(shown), inner);
    if pane == Pane::Ask && is_focused && screen.scroll == 0 && inner.height > 0 {
        let typed = NAME.len() + screen.ask.name.chars().count();
        let x = u16::try_from(typed).unwrap_or(u16::MAX);
        let x = inner
            .x
            .saturating_add(x)
            .min(inner.right().saturating_sub(1));
        frame.set_cursor_position((x, inner.y));
    }
    u16::try_from(last).unwrap_or(u16::MAX)
}

fn scrolled(screen: &Screen, is_focused: bool) -> usize {
    if is_focused { screen.scroll.into() } else { 0 }
}

fn headline(screen: &Screen, pane: Pane) -> String {
    match pane {
        Pane::Names => {
            let names = &screen.names;
            let mut text = services_of(names.total);
            let shown = names.services.len() as u64;
            if names.total > shown {
                text.push_str(&format!(", the first {shown} are shown"));
            }
            if screen.is_finding || !names.find.is_empty() {
                text.push_str(&format!("  find: {}", names.find));
            }
            if screen.is_finding {
                text.push('_');
            }
            text
        }
        Pane::Changes if screen.is_paused => "What has changed, paused".to_owned(),
        Pane::Changes => "What has changed (UTC)".to_owned(),
        Pane::Ask => "Why a name answers as it does".to_owned(),
        Pane::Top => match screen.by {
            By::Name => "Who asks what: names",
            By::Client => "Who asks what: clients",
            By::Negative => "Who asks what: names that do not exist",
            By::Search => "Who asks what: names of search lists",
        }
        .to_owned(),
    }
}

fn names(screen: &Screen, looks: Looks, (width, at): (u16, Option<usize>)) -> Vec<Line<'static>> {
    let rows = screen.names.rows();
    if rows.is_empty() {
        let none = match (&screen.link, &screen.names.find[..]) {
            (Link::Lost(_), _) if !screen.names.is_told => "Nothing is known: no server has told.",
            (Link::Connecting, _) => "asking",
            (Link::Live { .. } | Link::Lost(_), "") => "There is no Service yet.",
            (Link::Live { .. } | Link::Lost(_), _) => "No name has that in it. Esc: all",
        };
        return vec![Line::styled(none, SOFT)];
    }
    let line = |(place, row): (usize, Row)| {
        let line = match row {
            Row::Service {
                name,
                counted,
                is_open,
            } => {
                let sign = if is_open { "▾" } else { "▸" };
                let (left, right) = sides(&format!("{sign} {name}"), &counted, width);
                Line::from(vec![left.into(), Span::styled(right, SOFT)])
            }
            Row::Name {
                name,
                leads_to,
                ready,
            } => {
                let (state, style) = match ready {
                    true => ("answered", looks.good),
                    false => ("not ready", looks.bad),
                };
                let state = format!("  {state:>9}");
                let left = width.saturating_sub(11);
                let name = format!("    {name}");
                let leads_to = fitting(&leads_to, room_beside(&name, left.into()));
                let (name, leads_to) = sides(&name, &leads_to, left);
                Line::from(vec![
                    name.into(),
                    leads_to.into(),
                    Span::styled(state, style),
                ])
            }
            Row::Note(text) => Line::styled(format!("    {text}"), SOFT),
        };
        let style = if at == Some(place) {
            CHOSEN
        } else {
            Style::new()
        };
        line.style(style)
    };
    rows.into_iter().enumerate().map(line).collect()
}

fn changes(screen: &Screen, looks: Looks) -> Vec<Line<'static>> {
    if screen.changes.is_empty() {
        let none = match screen.link {
            Link::Connecting => "asking",
            Link::Live { .. } | Link::Lost(_) => "Nothing has changed since the history begins.",
        };
        return vec![Line::styled(none, SOFT)];
    }
    let lines = screen.changes.iter();
    lines.flat_map(|change| told(change, looks)).collect()
}

fn told(Change { at, object, names }: &Change, looks: Looks) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(format!("{at} {object}"), SOFT)];
    for (name, added, removed) in names {
        let mut spans = vec![Span::raw(format!("  {name}"))];
        let added = added.iter().map(|one| (format!(" +{one}"), looks.good));
        let removed = removed.iter().map(|one| (format!(" -{one}"), looks.bad));
        spans.extend(
            added
                .chain(removed)
                .map(|(text, style)| Span::styled(text, style)),
        );
        lines.push(Line::from(spans));
    }
    lines
}

/// What stands before a name that is typed.
const NAME: &str = "name: ";

fn asked(screen: &Screen, looks: Looks, width: u16) -> Vec<Line<'static>> {
    let ask = &screen.ask;
    let typed = format!("{NAME}{}", ask.name);
    let (name, qtype) = sides(&typed, &format!("type: {}", ask.qtype()), width);
    let mut lines = vec![Line::from(vec![name.into(), Span::styled(qtype, SOFT)])];
    if ask.said.is_empty() {
        let hint = "Such as redis-0.redis: what it leads to, or which object is missing.";
        lines.push(Line::styled(hint, SOFT));
    }
    if ask.is_old && !ask.said.is_empty() {
        lines.push(Line::styled(
            "Names have changed since this was asked.",
            SOFT,
        ));
    }
    for said in &ask.said {
        let style = match said.split_once(':') {
            Some(("answer", _)) => looks.good,
            Some(("NXDOMAIN" | "NODATA" | UNASKED, _)) => looks.bad,
            Some(("mend", _)) => STRONG,
            Some(_) | None => Style::new(),
        };
        lines.extend(
            wrapped(said, width)
                .into_iter()
                .map(|line| Line::styled(line, style)),
        );
    }
    lines
}

fn plain(texts: &[String], width: u16) -> Vec<Line<'static>> {
    let lines = texts.iter().flat_map(|text| wrapped(text, width));
    lines.map(Line::from).collect()
}

/// A text in lines of this width, broken between words where that can be.
fn wrapped(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width).max(1);
    let indent = text.len() - text.trim_start().len();
    let indent = " ".repeat(if indent + 2 < width { indent + 2 } else { 0 });
    let (mut lines, mut rest) = (Vec::new(), text.to_owned());
    loop {
        let Some((end, _)) = rest.char_indices().nth(width) else {
            lines.push(rest);
            return lines;
        };
        // The blank may be the one behind the line.
        let behind = rest[end..].chars().next().map_or(0, char::len_utf8);
        let blank = rest[..end + behind]
            .rfind(' ')
            .filter(|blank| *blank > indent.len());
        let at = blank.unwrap_or(end);
        lines.push(rest[..at].to_owned());
        rest = format!("{indent}{}", rest[at..].trim_start());
    }
}

/// Two texts at both sides of a line, the right one shortened first, each with an ellipsis.
fn sides(left: &str, right: &str, width: u16) -> (String, String) {
    let width = usize::from(width);
    let count = |text: &str| text.chars().count();
    let right = shortened(right, room_beside(left, width));
    let room = width.saturating_sub(count(&right) + 1);
    let left = shortened(left, room);
    let gap = width.saturating_sub(count(&left) + count(&right));
    (left, format!("{}{right}", " ".repeat(gap)))
}

/// What is left for a text beside another, a blank apart; a third of the line in any case.
fn room_beside(left: &str, width: usize) -> usize {
    let taken = left.chars().count() + 1;
    width.saturating_sub(taken).max(width / 3)
}

/// As many of these words as there is room for, one in any case, and how many more there are.
fn fitting(words: &str, room: usize) -> String {
    let count = |text: &str| text.chars().count();
    if count(words) <= room {
        return words.to_owned();
    }
    let all: Vec<&str> = words.split(' ').collect();
    let some = |kept: usize| format!("{} +{}", all[..kept].join(" "), all.len() - kept);
    let fit = (1..all.len())
        .map(some)
        .take_while(|some| count(some) <= room);
    fit.last().unwrap_or_else(|| some(1))
}

fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept = text.chars().take(room.saturating_sub(1));
    let end = if room == 0 { "" } else { "…" };
    kept.chain(end.chars()).collect()
}

#[cfg(test)]
mod tests;

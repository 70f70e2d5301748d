//! The screen at two sizes, whole.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use serde_json::{Value, json};

use super::super::screen::{Told, Wish};
use super::*;

/// A server has told of two Services and of a Pod that was made again.
fn screen() -> Screen {
    let mut screen = Screen::of("127.0.0.1:8054".to_owned());
    screen.hear(Told::Changes(message(Value::Null)));
    let find = String::new();
    let redis = json!({"service": "redis.default", "endpoints": 3, "ready": 2});
    let kubernetes = json!({"service": "kubernetes.default", "endpoints": 1, "ready": 1});
    let web = json!({"service": "web.shop", "endpoints": 0, "ready": 0});
    let names = json!({"total": 3, "names": [kubernetes, redis, web]});
    screen.hear(Told::Answer(Wish::Names { find }, Ok(names)));
    screen.names.go(1);
    let wishes = screen.key(KeyCode::Enter.into());
    let line = |name: &str, addresses: &[&str], ready: bool| {
        let name = format!("{name}.default.svc.cluster.local");
        json!({"name": name, "addresses": addresses, "ready": ready})
    };
    let all = ["10.244.0.2", "10.244.0.4"];
    let names = [
        line("redis", &all, true),
        line("redis-0.redis", &all[..1], true),
        line("redis-1.redis", &["10.244.0.5"], false),
        line("redis-2.redis", &all[1..], true),
    ];
    let told = json!({"service": "redis.default", "kind": "headless", "total": 4, "names": names});
    let told = json!({"services": [told]});
    screen.hear(Told::Answer(wishes[0].clone(), Ok(told)));
    let name = |name: &str, count: u64| json!({"name": name, "count": count, "over": 0});
    let top = [
        name("redis-1.redis.default.svc.cluster.local.", 120),
        name("www.example.com.", 7),
    ];
    let told = json!({"by": "name", "begins": "2026-01-01T09:00:00Z", "top": top});
    screen.hear(Told::Answer(Wish::Top(By::Name), Ok(told)));
    screen
}

fn message(away: Value) -> Value {
    let event = |at: &str, name: &str, added: &[&str], removed: &[&str]| {
        let names =
            json!([{"name": format!("{name}.default.svc"), "added": added, "removed": removed}]);
        json!({"at": at, "kind": "slices", "object": "default/redis-ab12c", "names": names})
    };
    let events = [
        event(
            "2026-01-01T10:00:00.5Z",
            "redis-1.redis",
            &[],
            &["10.244.0.3"],
        ),
        event(
            "2026-01-01T10:00:02.1Z",
            "redis-1.redis",
            &["10.244.0.5"],
            &[],
        ),
    ];
    json!({
        "synced": true, "away": away, "services": 3, "begins": "2026-01-01T09:00:00Z", "more": 0, "events": events,
    })
}

/// A name is missing, and it is said why.
fn explained(mut screen: Screen) -> Screen {
    let mut key = |code: KeyCode| screen.key(code.into());
    key(KeyCode::Char('a'));
    for letter in "redis-7.redis".chars() {
        key(KeyCode::Char(letter));
    }
    let wishes = key(KeyCode::Enter);
    let says = |kind: &str, name: &str, says: &str| {
        let object = json!({"kind": kind, "name": name, "resourceVersion": "41", "age": 12});
        json!({"object": object, "says": says})
    };
    let mend = "scale it: kubectl scale statefulset redis --namespace default --replicas 8; or ask for one of redis-0 to redis-2";
    let walk = json!({
        "name": "redis-7.redis.default.svc.cluster.local.", "type": "A", "tried": [],
        "steps": [
            says("Namespace", "default", "is there"),
            says("Service", "default/redis", "is headless: it has no address of its own, and selects app=redis"),
        ],
        "answer": null,
        "cause": {"key": "ordinal-too-high", "denial": "NXDOMAIN", "says": "the StatefulSet has 3 replicas", "mend": mend},
        "asked": {"rcode": "NXDOMAIN", "answer": []},
    });
    screen.hear(Told::Answer(wishes[0].clone(), Ok(walk)));
    screen
}

fn terminal(screen: &Screen, looks: Looks, (width, height): (u16, u16)) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            draw(screen, looks, frame);
        })
        .unwrap();
    terminal.backend().clone()
}

/// The screen line by line, without blanks at their ends.
fn drawn(screen: &Screen, size: (u16, u16)) -> String {
    let backend = terminal(screen, Looks::new(true), size);
    let cells = backend.buffer().content();
    let line = |cells: &[ratatui::buffer::Cell]| {
        let text: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", text.trim_end())
    };
    cells.chunks(size.0.into()).map(line).collect()
}

macro_rules! screens {
    ($($name:ident: $file:literal $screen:expr, $size:expr;)*) => {$(
        #[test]
        fn $name() {
            let drawn = drawn(&$screen, $size);
            let wanted = include_str!(concat!("../screens/", $file, ".txt"));
            assert!(drawn == wanted, "it is drawn as\n{drawn}instead of\n{wanted}");
        }
    )*};
}

screens! {
    a_small_terminal_has_the_names_and_below_them_what_changes: "names-80x24" screen(), (80, 24);
    a_large_one_has_all_panes: "all-200x60" explained(screen()), (200, 60);
    a_small_one_says_why_a_name_is_missing: "why-80x24" explained(screen()), (80, 24);
    what_there_is_at_first: "connecting-80x24" Screen::of("127.0.0.1:8054".to_owned()), (80, 24);
    an_api_server_that_is_away_is_said: "away-80x24" away(), (80, 24);
}

fn away() -> Screen {
    let mut screen = screen();
    let away = json!({"since": "2026-01-01T10:05:00Z", "why": "cannot connect: Connection refused", "whole": true});
    screen.hear(Told::Changes(message(away)));
    screen
}

#[test]
fn one_watch_that_fails_is_no_api_server_that_is_away() {
    let mut screen = screen();
    let away = json!({"since": "2026-01-01T10:05:00Z", "why": "endpointslices: forbidden", "whole": false});
    screen.hear(Told::Changes(message(away)));
    let text = drawn(&screen, (80, 24));
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("a watch fails since 10:05:00 UTC; what was known is shown"),
        "{text}"
    );
}

#[test]
fn a_server_that_has_gone_is_said_and_what_was_known_stays() {
    let mut screen = screen();
    screen.hear(Told::Lost("the server has ended".to_owned()));
    let text = drawn(&screen, (80, 24));
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("no connection (the server has ended); asking again"),
        "{text}"
    );
    assert!(
        text.contains("redis-2.redis.default.svc.cluster.local"),
        "{text}"
    );
}

#[test]
fn without_a_server_nothing_is_said_of_services() {
    let mut screen = Screen::default();
    screen.hear(Told::Lost("connection refused".to_owned()));
    let text = drawn(&screen, (80, 24));
    assert!(
        text.contains("Nothing is known: no server has told."),
        "{text}"
    );
    assert!(!text.contains("There is no Service yet."), "{text}");
}

#[test]
fn what_is_said_of_a_name_says_that_it_may_be_old_and_that_there_is_more_of_it() {
    let mut screen = explained(screen());
    let old = "Names have changed since this was asked.";
    let text = drawn(&screen, (80, 10));
    assert!(
        !text.contains(old) && text.contains(" more below "),
        "{text}"
    );
    screen.hear(Told::Changes(message(Value::Null)));
    let text = drawn(&screen, (80, 40));
    assert!(
        text.contains(old) && !text.contains(" more below "),
        "{text}"
    );
}

#[test]
fn of_many_addresses_those_are_shown_that_fit_whole() {
    let all = "10.244.0.2 10.244.0.3 10.244.0.4";
    for (room, wanted) in [
        (40, all),
        (31, "10.244.0.2 10.244.0.3 +1"),
        (24, "10.244.0.2 10.244.0.3 +1"),
        (23, "10.244.0.2 +2"),
        (5, "10.244.0.2 +2"),
    ] {
        assert_eq!(fitting(all, room), wanted, "{room}");
    }
}

#[test]
fn without_colours_nothing_has_one_and_the_words_are_the_same() {
    let screen = explained(away());
    let [plain, coloured] =
        [false, true].map(|colours| terminal(&screen, Looks::new(colours), (200, 60)));
    let colours = |backend: &TestBackend| {
        let cells = backend.buffer().content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(colours(&plain), 0);
    assert!(colours(&coloured) > 0);
    let words = |backend: &TestBackend| -> String {
        let cells = backend.buffer().content().iter();
        cells.map(ratatui::buffer::Cell::symbol).collect()
    };
    assert_eq!(words(&plain), words(&coloured));
}

#[test]
fn every_size_can_be_drawn() {
    let mut screen = explained(screen());
    for pane in PANES {
        screen.pane = pane;
        for width in (0..12).chain([25, 60, 119, 120, 300]) {
            for height in (0..9).chain([16, 33, 40]) {
                terminal(&screen, Looks::new(true), (width, height));
            }
        }
    }
}

#[test]
fn long_lines_are_broken_between_words_and_long_lists_are_scrolled() {
    assert_eq!(wrapped("  one two three", 9), ["  one two", "    three"]);
    assert_eq!(wrapped("abcdefghij", 4), ["abcd", "  ef", "  gh", "  ij"]);
    assert_eq!(
        sides("name", "10.0.0.1", 14),
        ("name".to_owned(), "  10.0.0.1".to_owned())
    );
    assert_eq!(
        sides("long-name", "10.0.0.1", 10),
        ("long-…".to_owned(), " 10…".to_owned())
    );
    let mut screen = Screen::of(String::new());
    screen.pane = Pane::Top;
    screen.top = (0..100).map(|line| format!("line {line}")).collect();
    let first = |screen: &Screen| drawn(screen, (20, 10)).lines().nth(3).unwrap().to_owned();
    assert!(first(&screen).starts_with("│line 0 "), "{}", first(&screen));
    screen.key(KeyCode::Down.into());
    assert!(first(&screen).starts_with("│line 1 "), "{}", first(&screen));
    screen.key(KeyCode::End.into());
    assert!(
        first(&screen).starts_with("│line 95 "),
        "{}",
        first(&screen)
    );
}

#[test]
fn a_text_is_broken_between_words_and_never_within_a_letter() {
    assert_eq!(wrapped("ab cd ef", 5), ["ab cd", "  ef"]);
    assert_eq!(wrapped(&"é".repeat(7), 5), ["ééééé", "  éé"]);
    assert_eq!(wrapped("éééé é é", 5), ["éééé", "  é é"]);
}

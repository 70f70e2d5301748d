//! What keys and answers make of the screen.

use super::*;

/// Types a text, or presses keys between angle brackets; what is asked for.
fn press(screen: &mut Screen, keys: &str) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let mut rest = keys;
    while !rest.is_empty() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let code = match named {
            Some((name, after)) => {
                rest = after;
                match name {
                    "enter" => KeyCode::Enter,
                    "esc" => KeyCode::Esc,
                    "tab" => KeyCode::Tab,
                    "down" => KeyCode::Down,
                    "up" => KeyCode::Up,
                    "right" => KeyCode::Right,
                    "left" => KeyCode::Left,
                    "back" => KeyCode::Backspace,
                    "end" => KeyCode::End,
                    other => panic!("no key {other}"),
                }
            }
            None => {
                let letter = rest.chars().next().unwrap();
                rest = &rest[letter.len_utf8()..];
                KeyCode::Char(letter)
            }
        };
        wishes.extend(screen.key(code.into()));
    }
    wishes
}

fn listed(screen: &mut Screen, find: &str, services: &[&str]) {
    let names = services.iter();
    let names: Vec<_> = names
        .map(|name| json!({"service": name, "endpoints": 2, "ready": 1}))
        .collect();
    let find = find.to_owned();
    let answer = json!({"total": names.len(), "names": names});
    screen.hear(Told::Answer(Wish::Names { find }, Ok(answer)));
}

fn at(screen: &Screen) -> Option<String> {
    screen.names.row().map(|row| match row {
        Row::Service { name, .. } | Row::Name { name, .. } | Row::Note(name) => name,
    })
}

#[test]
fn a_service_is_unfolded_and_its_names_are_asked_why() {
    let mut screen = Screen::default();
    listed(&mut screen, "", &["kubernetes.default", "redis.default"]);
    let redis = "redis.default".to_owned();
    assert_eq!(
        press(&mut screen, "<down><enter>"),
        [Wish::Services(vec![redis.clone()])]
    );
    let names = json!([{"name": "redis-0.redis", "addresses": ["10.0.0.1"], "ready": true}]);
    let told = json!({"services": [{"service": redis, "total": 1, "names": names}]});
    screen.hear(Told::Answer(Wish::Services(vec![redis]), Ok(told)));
    let why = Wish::Why {
        name: "redis-0.redis".to_owned(),
        qtype: "auto",
    };
    assert_eq!(
        why.request(),
        ("/walk", vec![("name", "redis-0.redis".to_owned())])
    );
    assert_eq!(press(&mut screen, "<down><enter>"), [why]);
    assert_eq!(screen.pane, Pane::Ask);
    // Another type, of another name.
    let why = Wish::Why {
        name: "redis-1.redis".to_owned(),
        qtype: "AAAA",
    };
    let keys = "<right><right><back><back><back><back><back><back><back>1.redis<enter>";
    assert_eq!(press(&mut screen, keys), [why]);
    press(&mut screen, "<esc><up><enter>");
    assert_eq!(screen.names.rows().len(), 2);
}

#[test]
fn the_reader_stays_at_his_row_when_others_come_and_go() {
    let mut screen = Screen::default();
    listed(&mut screen, "", &["a.default", "b.default"]);
    press(&mut screen, "<down>");
    listed(&mut screen, "", &["0.default", "a.default", "b.default"]);
    assert_eq!(at(&screen).as_deref(), Some("b.default"));
    listed(&mut screen, "", &["0.default", "a.default"]);
    assert_eq!(at(&screen).as_deref(), Some("a.default"));
    press(&mut screen, "<down><down><down><down>");
    assert_eq!(at(&screen).as_deref(), Some("a.default"));
    listed(&mut screen, "", &[]);
    assert_eq!(at(&screen), None);
}

#[test]
fn what_is_typed_is_looked_for_and_an_answer_that_is_late_is_left() {
    let mut screen = Screen::default();
    let find = |find: &str| Wish::Names {
        find: find.to_owned(),
    };
    assert_eq!(
        press(&mut screen, "/re<back>q<enter>"),
        [find("r"), find("re"), find("r"), find("rq"), find("rq")]
    );
    listed(&mut screen, "r", &["redis.default"]);
    assert_eq!(at(&screen), None);
    listed(&mut screen, "rq", &["rq.default"]);
    assert_eq!(at(&screen).as_deref(), Some("rq.default"));
    // All come back with it, whether something is typed or was.
    assert_eq!(press(&mut screen, "<esc>"), [find("")]);
    assert_eq!(press(&mut screen, "<esc>"), []);
    let keys = "/a<esc>";
    assert_eq!(press(&mut screen, keys), [find("a"), find("")]);
}

#[test]
fn changes_come_to_the_top_and_are_kept_away_while_paused() {
    let mut screen = Screen::default();
    let message = |begins: Value, name: &str| {
        let names = json!([{"name": name, "added": ["10.0.0.1"], "removed": []}]);
        let event = json!({"at": "2026-01-01T10:00:00.5Z", "kind": "slices", "object": "default/x", "names": names});
        Told::Changes(json!({
            "synced": true, "away": null, "services": 1, "begins": begins, "more": 0, "events": [event],
        }))
    };
    let shown = |screen: &Screen| -> Vec<String> {
        let changes = screen.changes.iter();
        changes.map(|change| change.names[0].0.clone()).collect()
    };
    screen.hear(message(json!("2026-01-01T09:00:00Z"), "a"));
    screen.hear(message(Value::Null, "b"));
    assert_eq!(shown(&screen), ["b", "a"]);
    press(&mut screen, "<tab>p");
    screen.hear(message(Value::Null, "c"));
    assert_eq!(shown(&screen), ["b", "a"]);
    // A server that has begun anew tells all that it has.
    press(&mut screen, "p");
    screen.hear(message(json!("2026-01-01T11:00:00Z"), "d"));
    assert_eq!(shown(&screen), ["d"]);
    let many: Vec<String> = (100..170).map(|n| format!("s{n}.default")).collect();
    let open = many.iter().map(|own| (own.clone(), Value::Null));
    screen.names.open.extend(open);
    let find = String::new();
    // Together, as far as a server takes them.
    let [first, rest] = [&many[..64], &many[64..]].map(|some| Wish::Services(some.to_vec()));
    assert_eq!(screen.refresh(), [Wish::Names { find }, first, rest]);
    assert_eq!(screen.refresh(), []);
}

#[test]
fn lists_go_round_and_q_ends_it_but_where_a_name_is_typed() {
    let mut screen = Screen::default();
    assert_eq!(
        press(&mut screen, "<tab><tab><tab><left>"),
        [Wish::Top(By::Search)]
    );
    assert_eq!(press(&mut screen, "<right>"), [Wish::Top(By::Name)]);
    press(&mut screen, "<tab>aq");
    assert_eq!((screen.is_over, &screen.ask.name[..]), (false, "q"));
    press(&mut screen, "<esc>q");
    assert!(screen.is_over);
    for letter in ['c', 'd'] {
        let mut screen = Screen::default();
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!((screen.key(key), screen.is_over), (Vec::new(), true));
    }
}

#[test]
fn an_error_leaves_the_names_and_a_late_answer_what_was_asked_since() {
    let mut screen = Screen::default();
    listed(&mut screen, "", &["redis.default"]);
    let find = String::new();
    let failed = Told::Answer(Wish::Names { find }, Err("it is gone".to_owned()));
    screen.hear(failed);
    assert_eq!(at(&screen).as_deref(), Some("redis.default"));
    let first = press(&mut screen, "aone<enter>");
    let second = press(&mut screen, "<back><back><back>two<enter>");
    let said = |why: &str| Err(why.to_owned());
    screen.hear(Told::Answer(second[0].clone(), said("second")));
    screen.hear(Told::Answer(first[0].clone(), said("first")));
    assert_eq!(screen.ask.said, ["second"]);
}

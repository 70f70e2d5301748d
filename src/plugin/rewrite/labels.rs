//! A name that is made of the groups of an expression, and of what metadata say: `rewrite name regex FROM TO metadata`.

use regex::Regex;

use crate::message::metadata::Metadata;

/// A part of such a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
    /// `{plugin/label}`.
    Label(String),
}

/// The name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labelled(Vec<Part>);

impl Labelled {
    /// Reads one; `groups`: how many the expression has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str, groups: usize) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (before, behind) = match rest.split_once('{') {
                Some((before, behind)) => (before, Some(behind)),
                None => (rest, None),
            };
            if before.contains('}') {
                return Err(format!("'{before}' has a '}}' without its '{{'"));
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_lowercase()));
            }
            let Some(behind) = behind else {
                break;
            };
            let (inside, after) = behind
                .split_once('}')
                .ok_or_else(|| format!("'{{{behind}' has no '}}'"))?;
            parts.push(part(inside, groups)?);
            rest = after;
        }
        Ok(Self(parts))
    }

    /// The name that comes of a name; `None`: it does not match, or metadata do not say what is asked for.
    pub(super) fn made(
        &self,
        regex: &Regex,
        name: &str,
        known: Option<&Metadata>,
    ) -> Option<String> {
        let groups = regex.captures(name)?;
        let mut made = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Group(group) => {
                    made.push_str(groups.get(*group).map_or("", |group| group.as_str()));
                }
                Part::Label(label) => {
                    let value = known?.get(label).filter(|value| !value.is_empty())?;
                    made.push_str(&value.to_lowercase());
                }
            }
        }
        Some(made)
    }
}

/// What stands between braces.
fn part(inside: &str, groups: usize) -> Result<Part, String> {
    if let Ok(group) = inside.parse::<usize>() {
        return if group <= groups {
            Ok(Part::Group(group))
        } else {
            Err(format!("the expression has no group {group}"))
        };
    }
    let is_label = inside.split_once('/').is_some_and(|(plugin, label)| {
        !plugin.is_empty() && !label.is_empty() && !label.contains('/') && !inside.contains('{')
    });
    if is_label {
        Ok(Part::Label(inside.to_owned()))
    } else {
        Err(format!("'{{{inside}}}' is no group, and no metadata"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_metadata_make_a_name_and_what_is_not_known_makes_none() {
        let regex = Regex::new(r"^([^.]+)\.example\.$").unwrap();
        let to = Labelled::read("{1}.{kubernetes/client-namespace}.SVC.test.", 1).unwrap();
        let known = Metadata::default();
        let made = |name: &str, known: Option<&Metadata>| to.made(&regex, name, known);
        assert_eq!(made("web.example.", None), None);
        assert_eq!(made("web.example.", Some(&known)), None);
        known.set("kubernetes/client-namespace", "Team-{1}");
        let wanted = Some("web.team-{1}.svc.test.".to_owned());
        assert_eq!(made("web.example.", Some(&known)), wanted);
        assert_eq!(made("web.other.", Some(&known)), None);
    }

    #[test]
    fn what_is_no_part_of_a_name_is_refused() {
        for (text, why) in [
            ("a}", "'a}' has a '}' without its '{'"),
            ("a{1", "'{1' has no '}'"),
            ("{2}", "the expression has no group 2"),
            ("{a}", "'{a}' is no group, and no metadata"),
            ("{a/}", "'{a/}' is no group, and no metadata"),
        ] {
            assert_eq!(Labelled::read(text, 1), Err(why.to_owned()), "{text}");
        }
    }
}

//! Flags of programs that this one stands in for: those without effect here are taken, and said once.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tracing::warn;

/// A program, by its flags.
pub(super) trait Flags {
    /// Its name.
    const PROGRAM: &'static str;
    /// The names of its flags that have no effect here, a line each; those that need no value end in `?`.
    const IDLE: &'static str;
}

/// kube-apiserver 1.37.
#[derive(Debug)]
pub(super) struct KubeApiserver;

impl Flags for KubeApiserver {
    const PROGRAM: &'static str = "kube-apiserver";
    const IDLE: &'static str = include_str!("kube-apiserver.txt");
}

/// etcd 3.7.
#[derive(Debug)]
pub(super) struct Etcd;

impl Flags for Etcd {
    const PROGRAM: &'static str = "etcd";
    const IDLE: &'static str = include_str!("etcd.txt");
}

/// The flags without effect that are given, in the order of their names.
#[derive(Debug)]
pub(crate) struct Idle<F> {
    given: Vec<&'static str>,
    of: PhantomData<F>,
}

impl<F: Flags> Idle<F> {
    /// Says that they have no effect, where any are given.
    pub(super) fn say(&self) {
        if !self.given.is_empty() {
            let (flags, program) = (self.given.join(" "), F::PROGRAM);
            warn!(program, flags, "these flags are taken, and have no effect");
        }
    }

    /// Each name, and whether its value may be left out.
    fn all() -> impl Iterator<Item = (&'static str, bool)> {
        let lines = F::IDLE.lines();
        lines.map(|line| match line.strip_suffix('?') {
            Some(name) => (name, true),
            None => (line, false),
        })
    }
}

impl<F: Flags> clap::FromArgMatches for Idle<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::all().filter(|(name, _)| matches.contains_id(name));
        Ok(Self {
            given: given.map(|(name, _)| name).collect(),
            of: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<F: Flags> clap::Args for Idle<F> {
    fn augment_args(command: Command) -> Command {
        Self::all().fold(command, |command, (name, is_flag)| {
            let mut arg = Arg::new(name).long(name).action(ArgAction::Append);
            if name == "v" {
                arg = arg.short('v');
            }
            if is_flag {
                arg = arg.num_args(0..=1).require_equals(true);
                arg = arg.default_missing_value("true");
            }
            command.arg(arg.hide(true).allow_hyphen_values(true))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        idle: Idle<KubeApiserver>,
    }

    fn given(text: &str) -> Result<Vec<&'static str>, clap::error::ErrorKind> {
        let parsed = Given::try_parse_from(text.split(' '));
        parsed
            .map(|given| given.idle.given)
            .map_err(|error| error.kind())
    }

    #[test]
    fn flags_without_effect_are_taken_in_each_form_that_go_has_and_others_are_refused() {
        let text = "x --etcd-servers=http://a --v 4 -v=5 --allow-privileged --profiling=false --feature-gates=A=true --feature-gates=B=true";
        let wanted = [
            "allow-privileged",
            "etcd-servers",
            "feature-gates",
            "profiling",
            "v",
        ];
        assert_eq!(given(text), Ok(wanted.to_vec()));
        for wrong in [
            "x --etcd-server=a",
            "x --insecure-port=0",
            "x --allow-privileged true",
        ] {
            assert_eq!(
                given(wrong),
                Err(clap::error::ErrorKind::UnknownArgument),
                "{wrong}"
            );
        }
    }
}

//! `completion` and `man`: the command line, as shells and man(1) read it.

use clap_complete::Shell;
use clap_mangen::Man;

use crate::output::Lines;

#[derive(Debug, clap::Args)]
pub(crate) struct Completion {
    /// Whose: what is printed goes where this shell looks for it, as in `headless-dns completion bash >
    /// /usr/share/bash-completion/completions/headless-dns`.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self, program: &mut clap::Command, out: &Lines) {
        let (mut script, name) = (Vec::new(), program.get_name().to_owned());
        clap_complete::generate(self.shell, program, name, &mut script);
        out.push(script);
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Manual {
    /// The command whose page it is; without it the program's own.
    command: Option<String>,
}

impl Manual {
    /// # Errors
    ///
    /// Where there is no such command.
    pub(crate) fn run(&self, program: &mut clap::Command, out: &Lines) -> anyhow::Result<()> {
        // Each command gets its whole name, and the options that all have.
        program.build();
        let described = match &self.command {
            None => &*program,
            Some(name) => program
                .find_subcommand(name)
                .ok_or_else(|| anyhow::anyhow!("there is no command '{name}'"))?,
        };
        let name = described
            .get_display_name()
            .unwrap_or_else(|| described.get_name())
            .to_owned();
        let mut page = Vec::new();
        Man::new(described.clone())
            .title(name.to_uppercase())
            .render(&mut page)?;
        out.push(page);
        Ok(())
    }
}

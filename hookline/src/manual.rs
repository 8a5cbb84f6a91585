//! `hookline completions` and `hookline man`: made from the command line itself, so that they are never behind it.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::Command;

use crate::exit::Exit;
use crate::output::say;

/// Prints the completions of a shell.
pub(crate) fn completions(
    mut command: Command,
    shell: clap_complete::Shell,
) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "hookline", &mut text);
    write(&text)
}

/// Prints the page of `hookline`, or writes a page for it and for every verb into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn pages(command: Command, folder: Option<&Path>) -> anyhow::Result<Exit> {
    let Some(folder) = folder else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command).render(&mut text)?;
        return write(&text);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("--dir {}", folder.display()))?;
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("--dir {}", folder.display()))?;
    say(format!("Wrote the pages into {}.", folder.display()));
    Ok(Exit::Done)
}

/// A reader that went away is no error.
fn write(text: &[u8]) -> anyhow::Result<Exit> {
    let _ = std::io::stdout().write_all(text);
    Ok(Exit::Done)
}

//! `hookline completions` and `hookline man`: made from the words of the command line, so that they are never behind it.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::cli::Arguments;
use crate::exit::{Exit, say};

/// Prints what a shell needs to complete the words.
///
/// # Errors
/// None; as the other verbs.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hookline", &mut text);
    write(&text)
}

/// Prints the page of the whole, or writes a page for it and for every verb into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub fn pages(folder: Option<&Path>) -> anyhow::Result<Exit> {
    let Some(folder) = folder else {
        let mut text = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
        return write(&text);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("--dir {}", folder.display()))?;
    clap_mangen::generate_to(Arguments::command(), folder)
        .with_context(|| format!("--dir {}", folder.display()))?;
    say(format!("Wrote the pages into {}.", folder.display()));
    Ok(Exit::Done)
}

/// A reader that went away is no error.
fn write(text: &[u8]) -> anyhow::Result<Exit> {
    let _ = std::io::stdout().write_all(text);
    Ok(Exit::Done)
}

//! `house map` draws the house; `house list RULE` shows all that a rule finds, exceptions too; `house shrink` lowers the numbers of exceptions
//! to what is left.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use house::rules::{self, Verdict};
use house::tree::{self, Tree};
use house::{House, Sources, map};

const USAGE: &str = "usage: house map|list RULE|shrink [folder of a workspace]";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (verb, rule, folder) = match words[..] {
        ["list", rule] => ("list", rule, "."),
        ["list", rule, folder] => ("list", rule, folder),
        [verb] => (verb, "", "."),
        [verb, folder] => (verb, "", folder),
        _ => bail!(USAGE),
    };
    let root = PathBuf::from(folder).canonicalize()?;
    let sources = Sources::parse(Tree::read(&root)?, tree::packages(&root)?)?;
    let house = House::new(&sources);
    let text = match verb {
        "map" => map::draw(&house)?,
        "list" => list(&rules::ask(&house)?, rule)?,
        "shrink" => rules::shrink(&root, &rules::ask(&house)?)?.join("\n") + "\n",
        _ => bail!(USAGE),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn list(verdicts: &[Verdict], rule: &str) -> anyhow::Result<String> {
    let Some(verdict) = verdicts.iter().find(|verdict| verdict.rule == rule) else {
        let rules: Vec<&str> = verdicts.iter().map(|verdict| verdict.rule).collect();
        bail!("no rule `{rule}`: there are {}", rules.join(", "));
    };
    Ok(verdict.findings.iter().map(|finding| format!("{finding}\n")).collect())
}

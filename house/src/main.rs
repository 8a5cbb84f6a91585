//! `house map` draws the house; `house shrink` lowers the numbers of exceptions to what is left.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use house::tree::{self, Tree};
use house::{House, Sources, map, rules};

const USAGE: &str = "usage: house map|shrink [folder of a workspace]";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (verb, folder) = (arguments.next().unwrap_or_default(), arguments.next());
    let root = PathBuf::from(folder.unwrap_or_else(|| ".".to_owned())).canonicalize()?;
    let sources = Sources::parse(Tree::read(&root)?, tree::packages(&root)?)?;
    let house = House::new(&sources);
    let text = match verb.as_str() {
        "map" => map::draw(&house),
        "shrink" => rules::shrink(&root, &rules::ask(&house)?)?.join("\n") + "\n",
        _ => bail!(USAGE),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

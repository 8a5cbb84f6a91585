//! ◆ Pure. Only a table's owner writes it, and only its readers read it: `house/tables.toml` against the SQL in the sources.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use serde::Deserialize;

use crate::house::is_test;
use crate::rooms::Rooms;
use crate::tree::Tree;
use crate::{Finding, House, tokens};

const FILE: &str = "house/tables.toml";
/// The same for people, with what each table holds.
const PAGE: &str = "docs/tables.md";

/// Tables and views, by schema and name.
#[derive(Debug, Deserialize)]
pub(crate) struct Tables(BTreeMap<String, Schema>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Schema {
    /// Rooms that write, with the rooms within them.
    writers: Vec<String>,
    /// Rooms that may read.
    #[serde(default)]
    readers: Vec<String>,
    tables: BTreeMap<String, Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    /// Where they are not the schema's.
    writers: Option<Vec<String>>,
    readers: Option<Vec<String>>,
}

impl Tables {
    pub(crate) fn of(tree: &Tree) -> anyhow::Result<Self> {
        let text = tree.texts.get(FILE).map(String::as_str);
        // An older state of the house has no such list.
        Ok(toml::from_str(text.unwrap_or(include_str!("../tables.toml")))?)
    }

    fn get(&self, schema: &str, table: &str) -> Option<(&Schema, &Table)> {
        let schema = self.0.get(&numbered(schema))?;
        Some((schema, schema.tables.get(table)?))
    }
}

/// `inbox_v1` and its successors are one schema, `inbox_vN`.
fn numbered(schema: &str) -> String {
    match schema.rsplit_once("_v") {
        Some((name, number)) if number.parse::<u32>().is_ok() => format!("{name}_vN"),
        _ => schema.to_owned(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Reads,
    Writes,
}

/// A table that a statement names behind a word like `from` or `update`.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    schema: String,
    table: String,
    access: Access,
}

fn mentions(sql: &str) -> Vec<Mention> {
    let letter = |letter: char| letter.is_alphanumeric() || "_.".contains(letter);
    let words: Vec<String> = sql
        .split(|one| !letter(one))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some((schema, table)) = word.split_once('.') else { continue };
        let before = |n: usize| at.checked_sub(n).map_or("", |at| words[at].as_str());
        let access = match (before(2), before(1)) {
            ("for", "update") => continue,
            ("insert" | "merge", "into") | ("delete", "from") => Access::Writes,
            (_, "update" | "truncate") | ("truncate" | "lock" | "alter" | "drop", "table") => {
                Access::Writes
            }
            (_, "from" | "join" | "using" | "only") => Access::Reads,
            _ => continue,
        };
        found.push(Mention { schema: schema.to_owned(), table: table.to_owned(), access });
    }
    found
}

pub(crate) fn findings(house: &House<'_>, rooms: &Rooms, tables: &Tables) -> Vec<Finding> {
    let literals = literals(house);
    let literals: Vec<_> = literals.into_iter().filter(|(path, ..)| !rooms.is_dev(path)).collect();
    let mut found = listed(&house.sources.tree, &literals, tables);
    for (path, line, sql) in literals {
        let Some(room) = rooms.of_file(path) else { continue };
        for mention in mentions(&sql) {
            let name = format!("{}.{}", mention.schema, mention.table);
            let Some((schema, table)) = tables.get(&mention.schema, &mention.table) else {
                if tables.0.contains_key(&numbered(&mention.schema)) {
                    let message = format!("{name} is no table of {FILE}");
                    found.push(Finding::new(path, line, message));
                }
                continue;
            };
            let writers = table.writers.as_ref().unwrap_or(&schema.writers);
            let readers = table.readers.as_ref().unwrap_or(&schema.readers);
            let is = |other: &String| {
                let rest = room.strip_prefix(other.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let (writes, reads) = (writers.iter().any(is), readers.iter().any(is));
            if !writes && (mention.access == Access::Writes || !reads) {
                let does = if mention.access == Access::Writes { "writes" } else { "reads" };
                let message =
                    format!("`{room}` {does} {name}, which belongs to {}", writers.join(", "));
                found.push(Finding::new(path, line, message));
            }
        }
    }
    found
}

/// What migrations and code create is listed, and what is listed is created.
fn listed(tree: &Tree, literals: &[(&str, usize, String)], tables: &Tables) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut created = BTreeSet::new();
    let files = tree.texts.iter().filter(|(path, _)| path.ends_with(".sql"));
    let files = files.map(|(path, text)| (path.as_str(), 1, text.as_str()));
    let literals = literals.iter().map(|(path, line, text)| (*path, *line, text.as_str()));
    for (path, begin, text) in files.chain(literals) {
        for (number, line) in text.lines().enumerate() {
            let Some((schema, table)) = creates(line) else { continue };
            if tables.get(&schema, &table).is_none() {
                let message = format!("{schema}.{table}: say in {FILE} who writes and reads it");
                found.push(Finding::new(path, begin + number, message));
            }
            created.insert((numbered(&schema), table));
        }
    }
    for (schema, listed) in &tables.0 {
        for table in listed.tables.keys() {
            if !created.contains(&(schema.clone(), table.clone())) {
                let message = format!("{schema}.{table} is listed, and nothing creates it");
                found.push(Finding::new(FILE, 1, message));
            }
            let named = |page: &String| {
                page.contains(&format!("`{schema}.{table}`"))
                    || page.contains(&format!("`{table}`"))
            };
            if tree.texts.get(PAGE).is_some_and(|page| !named(page)) {
                let message = format!("{schema}.{table} is missing: say what it holds");
                found.push(Finding::new(PAGE, 1, message));
            }
        }
    }
    found
}

/// The table or view that a line creates.
fn creates(line: &str) -> Option<(String, String)> {
    let line = line.trim_start().to_lowercase();
    let begins = ["create table ", "create view ", "create or replace view "];
    let rest = begins.iter().find_map(|begin| line.strip_prefix(begin))?;
    let letter = |letter: char| letter.is_alphanumeric() || "_.".contains(letter);
    let name = rest.trim_start_matches("if not exists ").split(|one| !letter(one)).next()?;
    let (schema, table) = name.split_once('.')?;
    (!schema.is_empty()).then(|| (schema.to_owned(), table.to_owned()))
}

/// Every string that is built into the product.
fn literals<'s>(house: &House<'s>) -> Vec<(&'s str, usize, String)> {
    let mut found = BTreeSet::new();
    for (number, module) in house.modules.iter().enumerate().filter(|(_, module)| !module.test) {
        let mut strings = Vec::new();
        for item in module.items {
            let inner = matches!(item, syn::Item::Mod(_));
            if !inner && !tokens::attributes(item).is_some_and(is_test) {
                tokens::strings(item.to_token_stream(), &mut strings);
            }
        }
        found.extend(strings.into_iter().map(|(text, line)| (house.path(number), line, text)));
    }
    let views = house.sources.tree.texts.iter().filter(|(path, _)| path.ends_with("views.sql"));
    found.extend(views.map(|(path, text)| (path.as_str(), 1, text.clone())));
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    fn red(folder: &str, sql: &str) -> Vec<String> {
        let rooms = "[rooms]\nowner.sees = []\nguest.sees = []\n";
        let tables =
            "[s]\nwriters = [\"owner\"]\n[s.tables]\nt = { readers = [\"guest\"] }\nu = {}\n";
        let (lib, code) = (format!("{folder}/src/lib.rs"), format!("fn f() {{ q({sql:?}) }}"));
        let made = "create table s.t (\n);\ncreate or replace view s.u as\n";
        let texts = [
            ("house/rooms.toml", rooms),
            (FILE, tables),
            (lib.as_str(), code.as_str()),
            ("owner/migrations/1.sql", made),
        ];
        let sources = Sources::of(&texts).expect("the sample is Rust");
        let (rooms, tables) = (Rooms::of(&sources.tree), Tables::of(&sources.tree));
        let found =
            findings(&House::new(&sources), &rooms.expect("rooms"), &tables.expect("tables"));
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn only_the_owner_writes_and_only_readers_read() {
        assert_eq!(red("owner", "insert into s.t select * from s.u for update"), [""; 0]);
        assert_eq!(red("guest", "select 1 from s.t"), [""; 0]);
        for write in
            ["insert into s.t", "update s.t set", "delete from s.t", "with x as (update s.t"]
        {
            assert_eq!(red("guest", write), ["`guest` writes s.t, which belongs to owner"]);
        }
        assert_eq!(
            red("guest", "select from s.t join s.u on"),
            ["`guest` reads s.u, which belongs to owner"]
        );
        assert_eq!(red("owner", "select from s.gone"), ["s.gone is no table of house/tables.toml"]);
    }

    #[test]
    fn numbered_schemas_are_one() {
        assert_eq!(numbered("inbox_v12"), "inbox_vN");
        assert_eq!(numbered("worker"), "worker");
    }
}

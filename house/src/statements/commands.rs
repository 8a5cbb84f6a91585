//! ◆ Pure. What is done with a statement to check it: by its first word.

/// How a statement is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Prepared: names, types and parameters are resolved, nothing happens.
    Prepare,
    /// Carried out in a transaction that is rolled back, because preparing it would resolve no names.
    Execute,
    /// Not at all, and why.
    Skip(&'static str),
}

/// By the first word of `sql`.
#[must_use]
pub fn treatment(sql: &str) -> Treatment {
    let word = sql.split(|one: char| !one.is_alphanumeric()).find(|word| !word.is_empty());
    match word.unwrap_or_default().to_lowercase().as_str() {
        "begin" | "commit" | "rollback" | "savepoint" | "release" => {
            Treatment::Skip("it ends the transaction that it would be tried in, and names nothing")
        }
        "vacuum" | "checkpoint" => Treatment::Skip("it cannot run in a transaction"),
        "alter" | "analyze" | "comment" | "create" | "do" | "drop" | "grant" | "listen"
        | "lock" | "notify" | "reset" | "revoke" | "set" | "truncate" | "unlisten" => {
            Treatment::Execute
        }
        _ => Treatment::Prepare,
    }
}

/// The statements of a text with several, without comments before them.
#[must_use]
pub fn split(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = sql;
    let mut statement = String::new();
    while !rest.is_empty() {
        let end = if rest.starts_with("--") {
            rest.find('\n').map_or(rest.len(), |at| at + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(quote) = quote(rest) {
            let end = rest[quote.len()..].find(quote);
            let end = end.map_or(rest.len(), |at| at + 2 * quote.len());
            statement += &rest[..end];
            end
        } else {
            let end = rest.chars().next().map_or(1, char::len_utf8);
            match &rest[..end] {
                ";" => found.push(std::mem::take(&mut statement)),
                letter => statement += letter,
            }
            end
        };
        rest = &rest[end..];
    }
    found.push(statement);
    let some = |statement: &String| !statement.trim().is_empty();
    found.iter().filter(|one| some(one)).map(|one| one.trim().to_owned()).collect()
}

/// `'`, `"`, `$$` or `$tag$` at the beginning of `rest`. (A doubled quote ends one text and begins the next, which is as good.)
fn quote(rest: &str) -> Option<&str> {
    if rest.starts_with(['\'', '"']) {
        return rest.get(..1);
    }
    let tag = rest.strip_prefix('$')?;
    let end = tag.find('$')?;
    let word = |letter: char| letter.is_alphabetic() || letter == '_';
    tag[..end].chars().all(word).then(|| &rest[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_where_a_statement_ends() {
        let text =
            "-- a; comment\nselect ';', \"a;b\" /* ; */; do $$ begin x; end $$;\n insert $1 $2 ;";
        assert_eq!(split(text), ["select ';', \"a;b\"", "do $$ begin x; end $$", "insert $1 $2"]);
        assert_eq!(split("select 'it''s; fine'"), ["select 'it''s; fine'"]);
    }

    #[test]
    fn what_names_nothing_when_prepared_is_executed() {
        assert_eq!(treatment("select 1"), Treatment::Prepare);
        assert_eq!(treatment("  with x as (delete …)"), Treatment::Prepare);
        assert_eq!(treatment("LOCK table x"), Treatment::Execute);
        assert!(matches!(treatment("commit"), Treatment::Skip(_)));
    }
}

//! ◆ Pure. Columns that are read by hand: each is a name that nobody compares with the statement.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

use crate::Finding;
use crate::house::House;

const TRY_GETS: [&str; 3] = ["try_get", "try_get_raw", "try_get_unchecked"];

pub(super) fn findings(house: &House<'_>) -> Vec<Finding> {
    let row = |path: &[String]| path == ["sqlx", "Row"];
    let with_rows: BTreeSet<usize> = house
        .modules
        .iter()
        .filter(|module| module.imports.iter().any(|import| row(&import.path)))
        .map(|module| module.file)
        .collect();
    let mut found = Vec::new();
    for (number, file) in house.sources.files.iter().enumerate() {
        let mut lines = Vec::new();
        read(file.ast.to_token_stream(), with_rows.contains(&number), &mut lines);
        found.extend(lines.into_iter().map(|line| {
            let message = "a column is read by hand: `#[derive(FromRow)]` and `query_as`";
            Finding::new(&file.path, line, message.to_owned())
        }));
    }
    found
}

/// Lines of `.try_get…`, and of `.get("…")` where rows are at hand.
fn read(tokens: TokenStream, rows: bool, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, letters: [char; 2]| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if letters.contains(&punct.as_char()));
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => read(group.stream(), rows, lines),
            TokenTree::Ident(name) if at > 0 && is(at - 1, ['.', ':']) => {
                let name_is = name.to_string();
                let get = || {
                    let mut behind = tokens[at + 1..].iter().take(8);
                    let arguments = behind.find_map(|token| match token {
                        TokenTree::Group(group) => Some(group.stream().to_string()),
                        _ => None,
                    });
                    arguments.is_some_and(|text| text.starts_with('"'))
                };
                if TRY_GETS.contains(&name_is.as_str()) || (rows && name_is == "get" && get()) {
                    lines.push(name.span().start().line);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    fn red(code: &str) -> usize {
        let sources = Sources::of(&[("a/src/lib.rs", code)]).expect("the sample is Rust");
        findings(&House::new(&sources)).len()
    }

    #[test]
    fn columns_that_are_read_by_hand_are_counted() {
        assert_eq!(
            red("fn f() { row.try_get(\"a\")?; x!(row.try_get::<i64, _>(\"b\")) } fn try_get() {}"),
            2
        );
        assert_eq!(
            red("use sqlx::Row; fn f() { row.get(\"a\"); row.get::<i64, _>(\"b\"); map.get(&c) }"),
            2
        );
        assert_eq!(red("fn f() { map.get(\"a\"); }"), 0, "no rows here");
    }
}

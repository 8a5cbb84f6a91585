//! ◆ Pure. Lists the statements of the product: its code is walked twice, because helpers are known only after the first time.

use std::collections::BTreeSet;

use quote::ToTokens as _;
use syn::Item;
use syn::visit::Visit as _;

use super::Statements;
use super::finder::{Finder, Helpers};
use super::texts::Constants;
use crate::Finding;
use crate::house::House;

/// What reads a column by hand.
const TRY_GETS: [&str; 3] = ["try_get", "try_get_raw", "try_get_unchecked"];

/// Lists the statements of every crate that is not in `dev`, without tests.
#[must_use]
pub fn find(house: &House<'_>, dev: &BTreeSet<String>) -> Statements {
    let constants = Constants::of(house);
    let mut helpers = Helpers::new();
    // The second time all helpers are known.
    walk(house, dev, &constants, &mut helpers);
    let mut found = walk(house, dev, &constants, &mut helpers);
    found.try_gets = house
        .sources
        .files
        .iter()
        .flat_map(|file| {
            let mut lines = Vec::new();
            try_gets(file.ast.to_token_stream(), &mut lines);
            lines.into_iter().map(|line| {
                let message = "a column is read by hand: `#[derive(FromRow)]` and `query_as`";
                Finding::new(&file.path, line, message.to_owned())
            })
        })
        .collect();
    found
}

fn try_gets(tokens: proc_macro2::TokenStream, lines: &mut Vec<usize>) {
    let mut dot = false;
    for token in tokens {
        match &token {
            proc_macro2::TokenTree::Group(group) => try_gets(group.stream(), lines),
            proc_macro2::TokenTree::Ident(name)
                if dot && TRY_GETS.contains(&name.to_string().as_str()) =>
            {
                lines.push(name.span().start().line);
            }
            _ => {}
        }
        dot = matches!(&token, proc_macro2::TokenTree::Punct(punct) if ['.', ':'].contains(&punct.as_char()));
    }
}

fn walk(
    house: &House<'_>,
    dev: &BTreeSet<String>,
    constants: &Constants<'_>,
    helpers: &mut Helpers,
) -> Statements {
    let mut found = Statements::default();
    let mut seen = BTreeSet::new();
    for (number, module) in house.modules.iter().enumerate().filter(|(_, module)| !module.test) {
        if dev.contains(&house.package(number).folder) {
            continue;
        }
        let mut finder = Finder {
            house,
            constants,
            module: number,
            found: &mut found,
            helpers,
            seen: &mut seen,
            scopes: Vec::new(),
            functions: Vec::new(),
            of: None,
            expected: None,
        };
        for item in module.items.iter().filter(|item| !matches!(item, Item::Mod(_))) {
            finder.visit_item(item);
        }
    }
    found
}

#[cfg(test)]
mod tests;

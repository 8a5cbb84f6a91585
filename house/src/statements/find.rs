//! ◆ Pure. Lists the statements of the product: its code is walked twice, because helpers are known only after the first time.

use std::collections::BTreeSet;

use syn::Item;
use syn::visit::Visit as _;

use super::finder::{Finder, Helpers};
use super::texts::Constants;
use super::{Statements, by_hand};
use crate::house::House;

/// Lists the statements of every crate that is not in `dev`, without tests.
#[must_use]
pub fn find(house: &House<'_>, dev: &BTreeSet<String>) -> Statements {
    let constants = Constants::of(house);
    let mut helpers = Helpers::new();
    // The second time all helpers are known.
    walk(house, dev, &constants, &mut helpers);
    let mut found = walk(house, dev, &constants, &mut helpers);
    found.try_gets = by_hand::findings(house);
    found
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

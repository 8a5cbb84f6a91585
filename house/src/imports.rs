//! ◆ Pure. Who uses whom: edges between files, and what comes from outside.

use std::collections::BTreeMap;

use syn::visit::Visit;

use crate::house::{House, is_test};
use crate::resolve::Place;
use crate::tokens;

/// First place where a file uses another one.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub line: usize,
    /// As written.
    pub path: String,
}

/// Uses between files, without tests.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// By the indices of the files, who uses first.
    pub files: BTreeMap<(usize, usize), Use>,
    /// By file and name of the crate from outside.
    pub foreign: BTreeMap<(usize, String), Use>,
}

/// Reads all modules.
///
/// Declaring a child and re-exporting its items is no use of it; using its items is, whichever way they are named.
pub(crate) fn read(house: &House<'_>) -> Imports {
    let mut imports = Imports::default();
    for (number, module) in house.modules.iter().enumerate().filter(|(_, module)| !module.test) {
        let mut reader = Reader { house, module: number, imports: &mut imports };
        for import in &module.imports {
            reader.import(import);
        }
        for item in module.items.iter().filter(|item| !matches!(item, syn::Item::Mod(_))) {
            reader.visit_item(item);
        }
    }
    imports
}

struct Reader<'h, 's> {
    house: &'h House<'s>,
    module: usize,
    imports: &'h mut Imports,
}

impl Reader<'_, '_> {
    fn import(&mut self, import: &crate::house::Import) {
        // What a glob brings is found where it is used.
        if import.name == "*" {
            return;
        }
        let below = |module: usize| {
            std::iter::successors(Some(module), |module| self.house.modules[*module].parent)
                .any(|above| above == self.module)
        };
        match self.house.resolve(self.module, &import.path) {
            Some(Place::Item { module, .. }) if import.exported && below(module) => {}
            Some(Place::Module(_)) => {}
            Some(_) | None => self.used(&import.path, import.line),
        }
    }

    fn used(&mut self, path: &[String], line: usize) {
        let file = self.house.modules[self.module].file;
        let used = || Use { line, path: path.join("::") };
        match self.house.resolve(self.module, path) {
            Some(Place::Item { module, .. }) => {
                let to = self.house.modules[module].file;
                if to != file {
                    self.imports.files.entry((file, to)).or_insert_with(used);
                }
            }
            Some(Place::Foreign(name)) => {
                self.imports.foreign.entry((file, name)).or_insert_with(used);
            }
            Some(Place::Module(_)) | None => {}
        }
    }

    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut found = Vec::new();
        tokens::paths(tokens, &mut found);
        for path in found {
            self.used(&path.segments, path.line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_, '_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !tokens::attributes(item).is_some_and(is_test) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let mut segments = tokens::segments(path);
            if path.leading_colon.is_some() {
                segments.insert(0, "::".to_owned());
            }
            self.used(&segments, first.ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.visit_path(&mac.path);
        self.tokens(mac.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let syn::Meta::List(list) = &attribute.meta else { return };
        self.tokens(list.tokens.clone());
        // `#[serde(with = "crate::time::millis")]`
        let mut strings = Vec::new();
        tokens::strings(list.tokens.clone(), &mut strings);
        for (text, line) in strings.iter().filter(|(text, _)| text.contains("::")) {
            let path: Vec<String> = text.split("::").map(|part| part.trim().to_owned()).collect();
            self.used(&path, *line);
        }
    }
}

//! ◆ Pure. What rows are read into: the type that is written, and the columns that its fields name.

use quote::ToTokens as _;
use syn::{Item, ItemStruct, Type};

use super::texts::Scope;
use super::{Field, Row};
use crate::house::House;
use crate::resolve::Place;
use crate::tokens;

/// Deeper than this a struct contains itself.
const DEPTH_MAX: usize = 8;

pub(super) struct Rows<'r, 's> {
    pub house: &'r House<'s>,
    pub module: usize,
    pub scopes: &'r [Scope],
}

impl Rows<'_, '_> {
    /// `None`: not a tuple and no struct of ours.
    pub(super) fn row(&self, of: &Type) -> Option<Row> {
        self.row_within(of, DEPTH_MAX)
    }

    fn row_within(&self, of: &Type, depth: usize) -> Option<Row> {
        let depth = depth.checked_sub(1)?;
        match of {
            Type::Tuple(tuple) => Some(Row::Tuple(tuple.elems.iter().map(kind).collect())),
            Type::Paren(inner) => self.row_within(&inner.elem, depth),
            Type::Path(path) => {
                let path = tokens::segments(&path.path);
                if let [name] = path.as_slice()
                    && let Some(found) =
                        self.scopes.iter().rev().find_map(|scope| scope.structs.get(name))
                {
                    return self.of_struct(found, depth);
                }
                let Some(Place::Item { module, name }) = self.house.resolve(self.module, &path)
                else {
                    return None;
                };
                let there = Rows { house: self.house, module, scopes: &[] };
                self.house.modules[module].items.iter().find_map(|item| match item {
                    Item::Struct(found) if tokens::plain(&found.ident) == name => {
                        there.of_struct(found, depth)
                    }
                    Item::Type(alias) if tokens::plain(&alias.ident) == name => {
                        there.row_within(&alias.ty, depth)
                    }
                    _ => None,
                })
            }
            _ => None,
        }
    }

    fn of_struct(&self, found: &ItemStruct, depth: usize) -> Option<Row> {
        if !derives_from_row(&found.attrs) {
            // Read by hand, and counted as that (`try_get`).
            return Some(Row::Nothing);
        }
        let outer = Attributes::of(&found.attrs);
        let syn::Fields::Named(named) = &found.fields else {
            return Some(Row::Tuple(found.fields.iter().map(|field| kind(&field.ty)).collect()));
        };
        let mut fields = Vec::new();
        for field in &named.named {
            let own = Attributes::of(&field.attrs);
            let name = field.ident.as_ref().map(tokens::plain).unwrap_or_default();
            if own.skip {
                continue;
            }
            if own.flatten {
                if let Some(Row::Struct { fields: inner, .. }) = self.row_within(&field.ty, depth) {
                    fields.extend(inner);
                    continue;
                }
                return None;
            }
            let renamed =
                || outer.rename_all.as_deref().map_or(name.clone(), |how| case(&name, how));
            fields.push(Field {
                column: own.rename.clone().unwrap_or_else(renamed),
                kind: own.kind(&field.ty),
                optional: own.default || outer.default,
            });
        }
        Some(Row::Struct { name: tokens::plain(&found.ident), fields })
    }
}

fn derives_from_row(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let mut words = std::collections::BTreeSet::new();
        tokens::words(attribute.to_token_stream(), &mut words);
        words.contains("FromRow")
    })
}

pub(super) fn kind(of: &Type) -> String {
    of.to_token_stream().to_string().replace(' ', "")
}

/// `#[sqlx(…)]` of a struct or a field.
#[derive(Default)]
struct Attributes {
    rename: Option<String>,
    rename_all: Option<String>,
    try_from: Option<String>,
    default: bool,
    flatten: bool,
    json: bool,
    skip: bool,
}

impl Attributes {
    fn of(attributes: &[syn::Attribute]) -> Self {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("sqlx")) {
            // What cannot be read stays as it is: sqlx's own macro has refused it before.
            let _ = attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                match name.as_str() {
                    "default" => found.default = true,
                    "flatten" => found.flatten = true,
                    "json" => found.json = true,
                    "skip" => found.skip = true,
                    _ => {}
                }
                if meta.input.peek(syn::token::Paren) {
                    let inner;
                    syn::parenthesized!(inner in meta.input);
                    inner.parse::<proc_macro2::TokenStream>()?;
                } else if meta.input.peek(syn::Token![=]) {
                    let text = meta.value()?.parse::<syn::LitStr>()?.value();
                    match name.as_str() {
                        "rename" => found.rename = Some(text),
                        "rename_all" => found.rename_all = Some(text),
                        "try_from" => found.try_from = Some(text.replace(' ', "")),
                        _ => {}
                    }
                }
                Ok(())
            });
        }
        found
    }

    fn kind(&self, of: &Type) -> String {
        match &self.try_from {
            Some(from) => from.clone(),
            None if self.json => "Json<_>".to_owned(),
            None => kind(of),
        }
    }
}

fn case(name: &str, how: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect::<String>()
        })
    };
    let pascal = || name.split('_').map(capital).collect::<String>();
    match how {
        "lowercase" => name.to_lowercase(),
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_uppercase(),
        "kebab-case" => name.replace('_', "-"),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            pascal
                .chars()
                .take(1)
                .flat_map(char::to_lowercase)
                .chain(pascal.chars().skip(1))
                .collect()
        }
        _ => name.to_owned(),
    }
}

/// The type of a row within the type of what a statement returns: `Result<Vec<Row>, Error>`.
pub(super) fn within<'t>(of: &'t Type, end: Option<&str>) -> &'t Type {
    let of = generic(of, "Result").unwrap_or(of);
    match end {
        Some("fetch_all") => generic(of, "Vec").unwrap_or(of),
        Some("fetch_optional") => generic(of, "Option").unwrap_or(of),
        Some("fetch_one") => of,
        _ => generic(of, "Vec").or_else(|| generic(of, "Option")).unwrap_or(of),
    }
}

fn generic<'t>(of: &'t Type, name: &str) -> Option<&'t Type> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let syn::PathArguments::AngleBracketed(list) = &last.arguments else { return None };
    list.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

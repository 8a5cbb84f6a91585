//! ◆ Pure. Helpers for what `syn` leaves as tokens: macros, attributes, identifiers.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Item;

/// An identifier without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// The segments of a path.
pub(crate) fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| plain(&segment.ident)).collect()
}

/// All identifiers.
pub(crate) fn words(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => words(group.stream(), found),
            TokenTree::Ident(ident) => {
                found.insert(plain(&ident));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// A path within tokens, and its line.
pub(crate) struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

/// What looks like a path: `a::b`, or one word with a capital.
pub(crate) fn paths(tokens: TokenStream, found: &mut Vec<Path>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let colons = |at: usize| {
        let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        colon(at) && colon(at + 1)
    };
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => paths(group.stream(), found),
            TokenTree::Ident(first) => {
                let begun = at;
                let mut segments = vec![plain(first)];
                while colons(at + 1)
                    && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                {
                    segments.push(plain(next));
                    at += 3;
                }
                let follows = begun.checked_sub(1).is_some_and(|before| {
                    matches!(&tokens[before], TokenTree::Punct(punct) if punct.as_char() == '.')
                }) || begun.checked_sub(2).is_some_and(colons);
                let capital = segments[0].starts_with(|letter: char| letter.is_uppercase());
                if !follows && (segments.len() > 1 || capital) {
                    found.push(Path { segments, line: first.span().start().line });
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

/// All string literals outside attributes (a comment is one), with their lines.
pub(crate) fn strings(tokens: TokenStream, found: &mut Vec<(String, usize)>) {
    let mut hash = false;
    for token in tokens {
        let in_attribute = hash;
        hash = matches!(&token, TokenTree::Punct(punct) if ['#', '!'].contains(&punct.as_char()) && (hash || punct.as_char() == '#'));
        match token {
            TokenTree::Group(_) if in_attribute => {}
            TokenTree::Group(group) => strings(group.stream(), found),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    found.push((text.value(), line));
                }
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) => {}
        }
    }
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> Option<&[syn::Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

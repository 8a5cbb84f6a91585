//! ◆ Pure. What a statement says, read from the expression that is handed to sqlx.

use std::collections::BTreeMap;

use syn::{Expr, Item};

use crate::house::{House, folder_of, join};
use crate::resolve::Place;
use crate::tokens;

/// What is known of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// One of these.
    Known(Vec<String>),
    /// Parameter of the function around it, by its place; callers know it.
    Parameter(usize),
    /// Made by the function of this name while the program runs.
    Composed(String),
    Unknown,
}

impl Text {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(mut some), Self::Known(more)) => {
                some.extend(more);
                Self::Known(some)
            }
            _ => Self::Unknown,
        }
    }
}

/// Names within a function.
#[derive(Default)]
pub(super) struct Scope {
    /// `const` and `let`. `None`: bound to something that is not followed.
    pub values: BTreeMap<String, Option<Expr>>,
    pub structs: BTreeMap<String, syn::ItemStruct>,
}

/// A function around an expression.
pub(super) struct Function {
    pub name: String,
    /// Parameters behind `self`.
    pub parameters: Vec<String>,
    pub output: Option<syn::Type>,
    /// Type of the `impl` around it.
    pub of: Option<String>,
}

/// A constant of an `impl` or a trait.
struct Associated<'s> {
    package: usize,
    of: String,
    module: usize,
    text: &'s Expr,
}

/// All associated constants, by name.
#[derive(Default)]
pub(super) struct Constants<'s>(BTreeMap<String, Vec<Associated<'s>>>);

impl<'s> Constants<'s> {
    pub(super) fn of(house: &House<'s>) -> Self {
        let mut constants = Self::default();
        for (module, here) in house.modules.iter().enumerate().filter(|(_, here)| !here.test) {
            let package = house.targets[here.target].package;
            let mut add = |name: &syn::Ident, of: String, text: &'s Expr| {
                let constant = Associated { package, of, module, text };
                constants.0.entry(tokens::plain(name)).or_default().push(constant);
            };
            for item in here.items {
                match item {
                    Item::Impl(block) => {
                        for item in &block.items {
                            if let syn::ImplItem::Const(constant) = item {
                                add(&constant.ident, type_name(&block.self_ty), &constant.expr);
                            }
                        }
                    }
                    Item::Trait(block) => {
                        for item in &block.items {
                            if let syn::TraitItem::Const(constant) = item
                                && let Some((_, text)) = &constant.default
                            {
                                add(&constant.ident, tokens::plain(&block.ident), text);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        constants
    }
}

/// Functions whose names end so make statements. A test calls each of them and prepares what it returns.
fn composed(function: &str) -> Text {
    if function.ends_with("_sql") { Text::Composed(function.to_owned()) } else { Text::Unknown }
}

pub(super) fn type_name(of: &syn::Type) -> String {
    match of {
        syn::Type::Path(path) => {
            path.path.segments.last().map(|last| tokens::plain(&last.ident)).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// What an expression means where it stands.
pub(super) struct Reader<'r, 's> {
    pub house: &'r House<'s>,
    pub constants: &'r Constants<'s>,
    pub module: usize,
    pub scopes: &'r [Scope],
    pub function: Option<&'r Function>,
}

impl Reader<'_, '_> {
    pub(super) fn text(&self, text: &Expr) -> Text {
        match text {
            Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(text) => Text::Known(vec![text.value()]),
                _ => Text::Unknown,
            },
            Expr::Paren(inner) => self.text(&inner.expr),
            Expr::Group(inner) => self.text(&inner.expr),
            Expr::Reference(inner) => self.text(&inner.expr),
            Expr::Array(array) => self.any_of(array.elems.iter()),
            Expr::Macro(call) => self.macro_text(&call.mac),
            Expr::Block(block) => self.last_of(&block.block),
            Expr::If(choice) => match &choice.else_branch {
                Some((_, other)) => self.last_of(&choice.then_branch).or(self.text(other)),
                None => Text::Unknown,
            },
            Expr::Match(choice) => self.any_of(choice.arms.iter().map(|arm| &*arm.body)),
            Expr::Path(path) => self.path(&tokens::segments(&path.path)),
            Expr::Call(call) => match &*call.func {
                Expr::Path(function) => match tokens::segments(&function.path).last() {
                    Some(name) if name == "AssertSqlSafe" => self.any_of(call.args.iter()),
                    Some(name) => composed(name),
                    None => Text::Unknown,
                },
                _ => Text::Unknown,
            },
            Expr::MethodCall(call) => composed(&tokens::plain(&call.method)),
            _ => Text::Unknown,
        }
    }

    fn any_of<'e>(&self, texts: impl Iterator<Item = &'e Expr>) -> Text {
        texts.map(|text| self.text(text)).reduce(Text::or).unwrap_or(Text::Unknown)
    }

    fn last_of(&self, block: &syn::Block) -> Text {
        match block.stmts.as_slice() {
            [syn::Stmt::Expr(last, None)] => self.text(last),
            _ => Text::Unknown,
        }
    }

    fn macro_text(&self, call: &syn::Macro) -> Text {
        let parser = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        let Ok(parts) = call.parse_body_with(parser) else { return Text::Unknown };
        let texts = parts.iter().map(|part| match self.text(part) {
            Text::Known(texts) if texts.len() == 1 => texts.into_iter().next(),
            _ => None,
        });
        let Some(text) = texts.collect::<Option<String>>() else { return Text::Unknown };
        match call.path.segments.last().map(|last| tokens::plain(&last.ident)).as_deref() {
            Some("concat") => Text::Known(vec![text]),
            Some("include_str") => {
                let file = join(&folder_of(self.house.path(self.module)), &text);
                let text = self.house.sources.tree.texts.get(&file);
                text.map_or(Text::Unknown, |text| Text::Known(vec![text.clone()]))
            }
            _ => Text::Unknown,
        }
    }

    fn path(&self, path: &[String]) -> Text {
        if let [name] = path {
            for scope in self.scopes.iter().rev() {
                if let Some(value) = scope.values.get(name) {
                    return value.as_ref().map_or(Text::Unknown, |value| self.text(value));
                }
            }
            let parameter = self.function.and_then(|function| {
                function.parameters.iter().position(|parameter| parameter == name)
            });
            if let Some(parameter) = parameter {
                return Text::Parameter(parameter);
            }
        }
        if let Some(Place::Item { module, name }) = self.house.resolve(self.module, path) {
            let constant = self.house.modules[module].items.iter().find_map(|item| match item {
                Item::Const(one) if tokens::plain(&one.ident) == name => Some(&*one.expr),
                Item::Static(one) if tokens::plain(&one.ident) == name => Some(&*one.expr),
                _ => None,
            });
            if let Some(constant) = constant {
                return self.elsewhere(module).text(constant);
            }
        }
        self.associated(path)
    }

    /// `Self::SQL`, `Kind::SQL`; for a generic type that of every implementation.
    fn associated(&self, path: &[String]) -> Text {
        let [.., of, name] = path else { return Text::Unknown };
        let of = match (of.as_str(), self.function) {
            ("Self", Some(Function { of: Some(of), .. })) => of,
            _ => of,
        };
        let package = self.house.targets[self.house.modules[self.module].target].package;
        let all = self.constants.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let ours = || all.iter().filter(|constant| constant.package == package);
        let exact = ours().any(|constant| constant.of == *of);
        ours()
            .filter(|constant| !exact || constant.of == *of)
            .map(|constant| self.elsewhere(constant.module).text(constant.text))
            .reduce(Text::or)
            .unwrap_or(Text::Unknown)
    }

    fn elsewhere(&self, module: usize) -> Reader<'_, '_> {
        Reader { house: self.house, constants: self.constants, module, scopes: &[], function: None }
    }
}

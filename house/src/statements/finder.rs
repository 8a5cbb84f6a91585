//! ◆ Pure. What is kept while code is walked, and what a call of sqlx adds to the list.

use std::collections::{BTreeMap, BTreeSet};

use syn::Expr;
use syn::spanned::Spanned as _;

use super::calls::{self, Call, Kind};
use super::rows::{self, Rows};
use super::texts::{Constants, Function, Reader, Scope, Text};
use super::{Composed, Row, Statement, Statements};
use crate::house::House;
use crate::{Finding, tokens};

/// A function that hands one of its parameters to sqlx: its callers have the statements.
pub(super) struct Helper {
    call: (Option<usize>, Row),
    parameter: usize,
}

/// By the module and the name of the function; methods by the crate and their name.
pub(super) type Helpers = BTreeMap<(Owner, String), Helper>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Module(usize),
    Package(usize),
}

/// Reads one module.
pub(super) struct Finder<'f, 's> {
    pub house: &'f House<'s>,
    pub constants: &'f Constants<'s>,
    pub module: usize,
    pub found: &'f mut Statements,
    pub helpers: &'f mut Helpers,
    /// Calls that are listed: file, line, column.
    pub seen: &'f mut BTreeSet<(usize, usize, usize)>,
    pub scopes: Vec<Scope>,
    pub functions: Vec<Function>,
    /// Type of the `impl` around.
    pub of: Option<String>,
    /// Type written at the `let` around.
    pub expected: Option<syn::Type>,
}

impl Finder<'_, '_> {
    pub(super) fn finding(&mut self, line: usize, message: &str) {
        let finding = Finding::new(self.house.path(self.module), line, message.to_owned());
        self.found.findings.push(finding);
    }

    fn text(&self, text: &Expr) -> Text {
        let reader = Reader {
            house: self.house,
            constants: self.constants,
            module: self.module,
            scopes: &self.scopes,
            function: self.functions.last(),
        };
        reader.text(text)
    }

    /// Lists a statement; a helper's is left to its callers.
    pub(super) fn statement(&mut self, text: &Expr, binds: Option<usize>, row: Row) {
        let line = text.span().start().line;
        match self.text(text) {
            Text::Known(texts) => {
                for sql in texts {
                    let statement = self.statement_at(line, sql, binds, row.clone());
                    self.found.statements.push(statement);
                }
            }
            Text::Composed(by) => {
                let statement = self.statement_at(line, String::new(), binds, row);
                self.found.composed.push(Composed { by, statement });
            }
            Text::Parameter(parameter) => {
                let Some(function) = self.functions.last() else { return };
                let owner = match function.of {
                    Some(_) => Owner::Package(self.package()),
                    None => Owner::Module(self.module),
                };
                let helper = Helper { call: (binds, row), parameter };
                self.helpers.insert((owner, function.name.clone()), helper);
            }
            Text::Unknown => self.finding(
                line,
                "no statement to be read here: hand sqlx a string literal, a constant of one, or what a function `…_sql` returns",
            ),
        }
    }

    fn statement_at(&self, line: usize, sql: String, binds: Option<usize>, row: Row) -> Statement {
        let crate_folder = self.house.package(self.module).folder.clone();
        let file = self.house.path(self.module).to_owned();
        Statement { crate_folder, file, line, sql, binds, row }
    }

    pub(super) fn package(&self) -> usize {
        self.house.targets[self.house.modules[self.module].target].package
    }

    pub(super) fn sqlx_call(&mut self, call: &syn::ExprCall, methods: &[String]) {
        let Some(kind) = calls::kind(self.house, self.module, call) else { return };
        let start = call.span().start();
        let file = self.house.modules[self.module].file;
        if !self.seen.insert((file, start.line, start.column)) {
            return;
        }
        let call_of = Call::of(kind, call, methods);
        let row = self.row(&call_of, start.line);
        if let Some(text) = call.args.first() {
            self.statement(text, call_of.binds, row);
        }
    }

    fn row(&mut self, call: &Call, line: usize) -> Row {
        let written = call.row.clone().or_else(|| {
            self.expected.as_ref().map(|of| rows::within(of, call.end.as_deref()).clone())
        });
        let rows = Rows { house: self.house, module: self.module, scopes: &self.scopes };
        match call.kind {
            Kind::Plain => Row::Nothing,
            Kind::Scalar => Row::Scalar(written.as_ref().map(rows::kind)),
            Kind::Struct => {
                let output = self.functions.last().and_then(|function| function.output.as_ref());
                let returned = output.map(|of| rows::within(of, call.end.as_deref()));
                let row = match (&written, returned) {
                    (Some(of), _) => rows.row(of),
                    (None, Some(of)) => rows.row(of),
                    (None, None) => None,
                };
                row.unwrap_or_else(|| {
                    self.finding(line, "the row is not named: write `query_as::<_, Row>(…)`");
                    Row::Nothing
                })
            }
        }
    }

    pub(super) fn call_of_helper(&mut self, key: &(Owner, String), arguments: &[&Expr]) {
        let Some(helper) = self.helpers.get(key) else { return };
        let Some(text) = arguments.get(helper.parameter) else { return };
        let (binds, row) = helper.call.clone();
        // A helper may hand its parameter on to another one, but not to itself.
        if self.functions.last().is_none_or(|function| function.name != key.1) {
            self.statement(text, binds, row);
        }
    }

    pub(super) fn within_function(
        &mut self,
        signature: &syn::Signature,
        visit: impl FnOnce(&mut Self),
    ) {
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => Some(match &*typed.pat {
                syn::Pat::Ident(name) => tokens::plain(&name.ident),
                _ => String::new(),
            }),
            syn::FnArg::Receiver(_) => None,
        });
        let output = match &signature.output {
            syn::ReturnType::Type(_, of) => Some((**of).clone()),
            syn::ReturnType::Default => None,
        };
        self.functions.push(Function {
            name: tokens::plain(&signature.ident),
            parameters: parameters.collect(),
            output,
            of: self.of.clone(),
        });
        let (scopes, expected) = (std::mem::take(&mut self.scopes), self.expected.take());
        visit(self);
        (self.scopes, self.expected) = (scopes, expected);
        self.functions.pop();
    }

    /// Names of a pattern, with what they stand for; a tuple is taken apart, also one of each element of an array.
    pub(super) fn bind(&mut self, pattern: &syn::Pat, value: Option<&Expr>) {
        match pattern {
            syn::Pat::Type(typed) => self.bind(&typed.pat, value),
            syn::Pat::Tuple(tuple) => {
                for (at, part) in tuple.elems.iter().enumerate() {
                    self.bind(part, value.and_then(|value| element(value, at)).as_ref());
                }
            }
            syn::Pat::Ident(name) => {
                if let Some(scope) = self.scopes.last_mut() {
                    let value = value.filter(|_| name.mutability.is_none()).cloned();
                    scope.values.insert(tokens::plain(&name.ident), value);
                }
            }
            _ => {}
        }
    }
}

/// Element `at` of a tuple; of an array of tuples, the array of those elements.
fn element(value: &Expr, at: usize) -> Option<Expr> {
    match value {
        Expr::Tuple(tuple) => tuple.elems.iter().nth(at).cloned(),
        Expr::Reference(inner) => element(&inner.expr, at),
        Expr::Array(array) => {
            let elems = array.elems.iter().map(|value| element(value, at));
            Some(Expr::Array(syn::ExprArray {
                elems: elems.collect::<Option<_>>()?,
                ..array.clone()
            }))
        }
        _ => None,
    }
}

//! ◆ Pure. Calls of sqlx, and the methods chained to them.

use syn::{Expr, ExprCall, ExprMethodCall};

use crate::house::House;
use crate::resolve::Place;
use crate::tokens;

/// What a call of sqlx reads rows into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `query`, `raw_sql`: rows are left to the caller.
    Plain,
    /// `query_as`
    Struct,
    /// `query_scalar`
    Scalar,
}

const CALLS: [(&str, Kind); 7] = [
    ("query", Kind::Plain),
    ("query_with", Kind::Plain),
    ("raw_sql", Kind::Plain),
    ("query_as", Kind::Struct),
    ("query_as_with", Kind::Struct),
    ("query_scalar", Kind::Scalar),
    ("query_scalar_with", Kind::Scalar),
];

/// Methods that carry a statement out.
const ENDS: [&str; 7] =
    ["execute", "execute_many", "fetch", "fetch_all", "fetch_many", "fetch_one", "fetch_optional"];

/// A call of sqlx with what is chained to it.
pub(super) struct Call {
    pub kind: Kind,
    /// The type of a row, where it is written behind `::<_, `.
    pub row: Option<syn::Type>,
    /// Number of `.bind(…)`, when the chain is whole.
    pub binds: Option<usize>,
    /// The method that carries it out, when it is in the chain.
    pub end: Option<String>,
}

/// Whether `path` in `module` names something of sqlx.
pub(super) fn is_sqlx(house: &House<'_>, module: usize, path: &[String]) -> bool {
    house.resolve(module, path) == Some(Place::Foreign("sqlx".to_owned()))
}

/// The function that is called, when it takes a statement.
pub(super) fn kind(house: &House<'_>, module: usize, call: &ExprCall) -> Option<Kind> {
    let Expr::Path(function) = &*call.func else { return None };
    kind_of(house, module, &tokens::segments(&function.path))
}

pub(super) fn kind_of(house: &House<'_>, module: usize, path: &[String]) -> Option<Kind> {
    let last = path.last()?;
    let (_, kind) = CALLS.iter().find(|(name, _)| name == last)?;
    is_sqlx(house, module, path).then_some(*kind)
}

impl Call {
    /// A call and the names of the methods behind it.
    pub(super) fn of(kind: Kind, call: &ExprCall, methods: &[String]) -> Self {
        let name = match &*call.func {
            Expr::Path(function) => function.path.segments.last(),
            _ => None,
        };
        let row = name.and_then(|name| match &name.arguments {
            syn::PathArguments::AngleBracketed(list) => {
                list.args.iter().nth(1).and_then(|argument| match argument {
                    syn::GenericArgument::Type(syn::Type::Infer(_)) => None,
                    syn::GenericArgument::Type(kind) => Some(kind.clone()),
                    _ => None,
                })
            }
            _ => None,
        });
        let end = methods.iter().find(|method| ENDS.contains(&method.as_str())).cloned();
        let with = name.is_some_and(|name| name.ident.to_string().ends_with("_with"));
        let binds = methods.iter().filter(|method| *method == "bind").count();
        Self { kind, row, binds: (end.is_some() && !with).then_some(binds), end }
    }
}

/// Where a chain of methods begins, and their names in the order of the calls.
pub(super) fn unwind(chain: &ExprMethodCall) -> (&Expr, Vec<String>) {
    let mut methods = vec![tokens::plain(&chain.method)];
    let mut base = &*chain.receiver;
    loop {
        match base {
            Expr::MethodCall(call) => {
                methods.push(tokens::plain(&call.method));
                base = &call.receiver;
            }
            Expr::Paren(inner) => base = &inner.expr,
            Expr::Await(inner) => base = &inner.base,
            Expr::Try(inner) => base = &inner.expr,
            _ => break,
        }
    }
    methods.reverse();
    (base, methods)
}

/// Whether what is carried out here is a statement, and no query made before: `connection.execute("…")`.
pub(super) fn executes_text(call: &ExprMethodCall) -> Option<&Expr> {
    let text = call.args.first()?;
    let safe = |call: &ExprCall| match &*call.func {
        Expr::Path(function) => {
            tokens::segments(&function.path).iter().any(|name| name == "AssertSqlSafe")
        }
        _ => false,
    };
    let is_text = match text {
        Expr::Lit(literal) => matches!(literal.lit, syn::Lit::Str(_)),
        Expr::Call(call) => safe(call),
        _ => false,
    };
    (is_text && ENDS.contains(&tokens::plain(&call.method).as_str())).then_some(text)
}

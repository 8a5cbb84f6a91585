//! ◆ Pure. Walks the code of a module: scopes, calls, macros.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Expr, Item};

use super::Row;
use super::calls;
use super::finder::{Finder, Owner};
use super::texts::{Scope, type_name};
use crate::house::is_test;
use crate::resolve::Place;
use crate::tokens;

/// Whether a chain hands on what a statement returns as it is, so that the type at its `let` is that of the rows.
fn is_direct(value: &Expr) -> bool {
    match value {
        Expr::Await(inner) => is_direct(&inner.base),
        Expr::Try(inner) => is_direct(&inner.expr),
        Expr::Paren(inner) => is_direct(&inner.expr),
        Expr::MethodCall(call) => {
            let name = call.method.to_string();
            let hands_on = ["bind", "persistent", "context", "with_context", "map_err"];
            (hands_on.contains(&name.as_str()) || name.starts_with("fetch"))
                && is_direct(&call.receiver)
        }
        Expr::Call(_) => true,
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_, '_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !tokens::attributes(item).is_some_and(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let of = self.of.replace(type_name(&block.self_ty));
        visit::visit_item_impl(self, block);
        self.of = of;
    }

    fn visit_item_trait(&mut self, block: &'ast syn::ItemTrait) {
        let of = self.of.replace(tokens::plain(&block.ident));
        visit::visit_item_trait(self, block);
        self.of = of;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let of = self.of.take();
        self.within_function(&item.sig, |finder| visit::visit_item_fn(finder, item));
        self.of = of;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.within_function(&item.sig, |finder| visit::visit_impl_item_fn(finder, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.within_function(&item.sig, |finder| visit::visit_trait_item_fn(finder, item));
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let mut scope = Scope::default();
        for statement in &block.stmts {
            match statement {
                syn::Stmt::Item(Item::Const(item)) => {
                    scope.values.insert(tokens::plain(&item.ident), Some((*item.expr).clone()));
                }
                syn::Stmt::Item(Item::Static(item)) => {
                    scope.values.insert(tokens::plain(&item.ident), Some((*item.expr).clone()));
                }
                syn::Stmt::Item(Item::Struct(item)) => {
                    scope.structs.insert(tokens::plain(&item.ident), item.clone());
                }
                _ => {}
            }
        }
        self.scopes.push(scope);
        visit::visit_block(self, block);
        self.scopes.pop();
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let value = local.init.as_ref().map(|init| &*init.expr);
        let written = match &local.pat {
            syn::Pat::Type(typed) if value.is_some_and(is_direct) => Some((*typed.ty).clone()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.expected, written);
        visit::visit_local(self, local);
        self.expected = outer;
        self.bind(&local.pat, value);
    }

    fn visit_expr_for_loop(&mut self, each: &'ast syn::ExprForLoop) {
        self.scopes.push(Scope::default());
        self.bind(&each.pat, Some(&each.expr));
        visit::visit_expr_for_loop(self, each);
        self.scopes.pop();
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let (base, methods) = calls::unwind(call);
        if let Expr::Call(base) = base {
            self.sqlx_call(base, &methods);
        }
        if let Some(text) = calls::executes_text(call) {
            self.statement(text, None, Row::Nothing);
        }
        let key = (Owner::Package(self.package()), tokens::plain(&call.method));
        self.call_of_helper(&key, &call.args.iter().collect::<Vec<_>>());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        self.sqlx_call(call, &[]);
        if let Expr::Path(function) = &*call.func {
            let path = tokens::segments(&function.path);
            if let [.., "QueryBuilder", "new"] =
                path.iter().map(String::as_str).collect::<Vec<_>>()[..]
            {
                let message =
                    "a statement is composed when the program runs: nobody can prepare it before";
                self.finding(call.span().start().line, message);
            }
            let arguments: Vec<&Expr> = call.args.iter().collect();
            if let [.., _, name] = path.as_slice() {
                // `Self::helper(text)`, or `Type::helper(self, text)`.
                let key = (Owner::Package(self.package()), name.clone());
                self.call_of_helper(&key, &arguments);
            }
            if let Some(Place::Item { module, name }) = self.house.resolve(self.module, &path) {
                self.call_of_helper(&(Owner::Module(module), name), &arguments);
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let list = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        if let Ok(parts) = call.parse_body_with(list) {
            parts.iter().for_each(|part| self.visit_expr(part));
        } else if let Ok(parts) = call.parse_body_with(syn::Block::parse_within) {
            parts.iter().for_each(|part| self.visit_stmt(part));
        } else {
            let mut paths = Vec::new();
            tokens::paths(call.tokens.clone(), &mut paths);
            for path in paths {
                if calls::kind_of(self.house, self.module, &path.segments).is_some() {
                    let message =
                        "a statement within a macro cannot be read: move it into a function";
                    self.finding(path.line, message);
                }
            }
        }
    }
}

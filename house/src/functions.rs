//! ◆ Pure. How long functions are, counted as `clippy::too_many_lines` does: lines of code between the braces.

use syn::visit::Visit;

use crate::house::SourceFile;

pub(crate) struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// All functions of a file, with those of its tests.
pub(crate) fn of(file: &SourceFile) -> Vec<Function> {
    let mut reader = Reader { lines: file.text.lines().collect(), found: Vec::new() };
    reader.visit_file(&file.ast);
    reader.found
}

struct Reader<'t> {
    lines: Vec<&'t str>,
    found: Vec<Function>,
}

impl Reader<'_> {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (open, close) =
            (block.brace_token.span.open().start(), block.brace_token.span.close().start());
        let body = self.lines.get(open.line..close.line.saturating_sub(1)).unwrap_or_default();
        self.found.push(Function {
            name: signature.ident.to_string(),
            line: signature.ident.span().start().line,
            lines: lines_of_code(body),
        });
    }
}

fn lines_of_code(lines: &[&str]) -> usize {
    let mut in_comment = false;
    let has_code = |line: &&&str| {
        let mut rest = line.trim();
        let mut code = false;
        while !rest.is_empty() {
            if in_comment {
                let Some(end) = rest.find("*/") else { break };
                rest = rest[end + 2..].trim_start();
                in_comment = false;
                continue;
            }
            let (block, line) = (rest.find("/*"), rest.find("//").unwrap_or(rest.len()));
            code |= block.unwrap_or(line).min(line) > 0;
            let Some(block) = block.filter(|block| *block < line) else { break };
            rest = &rest[block + 2..];
            in_comment = true;
        }
        code
    };
    lines.iter().filter(has_code).count()
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        let text =
            "fn f() {\n    // why\n\n    a(); // how\n    /* long\n    b */ c();\n    d();\n}\n";
        let sources = Sources::of(&[("a/src/lib.rs", text)]).expect("the sample is Rust");
        let found = of(&sources.files[0]);
        assert_eq!(found.iter().map(|one| (one.line, one.lines)).collect::<Vec<_>>(), [(1, 3)]);
    }
}

//! ◆ Pure. The sources parsed: files, and the modules that they make.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use syn::Item;
use syn::visit::Visit;

use crate::tokens;
use crate::tree::{Package, Target, Tree};

/// A parsed Rust file.
pub struct SourceFile {
    /// Path from the root.
    pub path: String,
    /// Its text.
    pub text: String,
    pub(crate) ast: syn::File,
}

/// All that is known without looking at how files belong together.
pub struct Sources {
    /// All files.
    pub tree: Tree,
    /// All crates.
    pub packages: Vec<Package>,
    /// All Rust files.
    pub files: Vec<SourceFile>,
}

impl Sources {
    /// Parses every Rust file of `tree`.
    ///
    /// # Errors
    /// A file that is not Rust; the message names file and line.
    pub fn parse(tree: Tree, packages: Vec<Package>) -> anyhow::Result<Self> {
        let rust = |(path, _): &(&String, &String)| path.ends_with(".rs");
        let mut files = Vec::new();
        for (path, text) in tree.texts.iter().filter(rust) {
            let ast = syn::parse_file(text)
                .map_err(|error| anyhow::anyhow!("line {}: {error}", error.span().start().line))
                .with_context(|| format!("parsing {path}"))?;
            files.push(SourceFile { path: path.clone(), text: text.clone(), ast });
        }
        Ok(Self { tree, packages, files })
    }

    /// Sources for samples: every `x/src/lib.rs` makes a crate `x` that sees all others.
    ///
    /// # Errors
    /// A text that is not Rust.
    pub fn of(texts: &[(&str, &str)]) -> anyhow::Result<Self> {
        let tree = Tree::of(texts);
        let package = |(path, _): &(&str, &str)| {
            let folder = path.strip_suffix("/src/lib.rs")?.to_owned();
            let name = folder.rsplit('/').next().unwrap_or_default().replace('-', "_");
            let target = Target { library: true, root: (*path).to_owned() };
            Some(Package { name, folder, targets: vec![target], dependencies: Vec::new() })
        };
        let packages = texts.iter().filter_map(package).collect();
        Self::parse(tree, packages)
    }
}

/// Name that an `use` makes.
pub(crate) struct Import {
    /// `*` for a glob.
    pub name: String,
    pub path: Vec<String>,
    /// `pub use` of any kind: names pass through here.
    pub exported: bool,
    pub line: usize,
}

/// A module: a file, or an inline part of one.
pub(crate) struct Module<'s> {
    /// Index into [`House::targets`].
    pub target: usize,
    pub parent: Option<usize>,
    /// Index into [`Sources::files`].
    pub file: usize,
    pub items: &'s [Item],
    pub children: BTreeMap<String, usize>,
    /// Names declared here.
    pub names: BTreeSet<String>,
    /// Words within macros that may declare names.
    pub maybe: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Only built for tests.
    pub test: bool,
}

pub(crate) struct TargetRoot {
    /// Index into [`Sources::packages`].
    pub package: usize,
    pub library: bool,
    /// Index into [`House::modules`].
    pub module: usize,
    /// Exported macros, which live at the crate's root: the module that has them.
    pub macros: BTreeMap<String, usize>,
}

/// All modules of all crates.
pub struct House<'s> {
    /// What it was made of.
    pub sources: &'s Sources,
    pub(crate) modules: Vec<Module<'s>>,
    pub(crate) targets: Vec<TargetRoot>,
    by_path: BTreeMap<&'s str, usize>,
}

impl<'s> House<'s> {
    /// Follows `mod` from the first file of every target.
    #[must_use]
    pub fn new(sources: &'s Sources) -> Self {
        let by_path =
            sources.files.iter().enumerate().map(|(n, file)| (file.path.as_str(), n)).collect();
        let mut house = Self { sources, modules: Vec::new(), targets: Vec::new(), by_path };
        for (package, target) in sources
            .packages
            .iter()
            .enumerate()
            .flat_map(|(n, package)| package.targets.iter().map(move |target| (n, target)))
        {
            let Some(&file) = house.by_path.get(target.root.as_str()) else { continue };
            let module = house.modules.len();
            house.targets.push(TargetRoot {
                package,
                library: target.library,
                module,
                macros: BTreeMap::new(),
            });
            let items = &sources.files[file].ast.items;
            house.add(None, file, folder_of(&target.root), items, false);
        }
        house
    }

    /// Path of the file that a module stands in.
    pub(crate) fn path(&self, module: usize) -> &'s str {
        &self.sources.files[self.modules[module].file].path
    }

    /// The crate that a module belongs to.
    pub(crate) fn package(&self, module: usize) -> &'s Package {
        &self.sources.packages[self.targets[self.modules[module].target].package]
    }

    /// Files that no target reaches: nobody builds them.
    pub(crate) fn unreached(&self) -> Vec<&'s str> {
        let reached: BTreeSet<usize> = self.modules.iter().map(|module| module.file).collect();
        let left = |(n, _): &(usize, &SourceFile)| !reached.contains(n);
        let files = self.sources.files.iter().enumerate();
        files.filter(left).map(|(_, file)| file.path.as_str()).collect()
    }

    fn add(
        &mut self,
        parent: Option<usize>,
        file: usize,
        folder: String,
        items: &'s [Item],
        test: bool,
    ) -> usize {
        let (index, target) = (self.modules.len(), self.targets.len() - 1);
        let mut module = Module {
            target,
            parent,
            file,
            items,
            children: BTreeMap::new(),
            names: BTreeSet::new(),
            maybe: BTreeSet::new(),
            imports: Vec::new(),
            test,
        };
        for item in items {
            declare(item, &mut module);
            if let Some(name) = exported_macro(item) {
                self.targets[target].macros.insert(name, index);
            }
        }
        self.modules.push(module);
        for item in items {
            let Item::Mod(declared) = item else { continue };
            let name = tokens::plain(&declared.ident);
            let test = test || is_test(&declared.attrs);
            let child = match &declared.content {
                Some((_, items)) => {
                    Some(self.add(Some(index), file, format!("{folder}/{name}"), items, test))
                }
                None => self.add_file(index, &folder, &name, declared, test),
            };
            if let Some(child) = child {
                self.modules[index].children.insert(name, child);
            }
        }
        index
    }

    fn add_file(
        &mut self,
        parent: usize,
        folder: &str,
        name: &str,
        declared: &syn::ItemMod,
        test: bool,
    ) -> Option<usize> {
        let path = match named_path(&declared.attrs) {
            Some(path) => join(&folder_of(self.path(parent)), &path),
            None => [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
                .into_iter()
                .find(|path| self.by_path.contains_key(path.as_str()))?,
        };
        let file = *self.by_path.get(path.as_str())?;
        let folder = match path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None => path.trim_end_matches(".rs").to_owned(),
        };
        let items = &self.sources.files[file].ast.items;
        Some(self.add(Some(parent), file, folder, items, test))
    }
}

/// Whether these attributes leave an item out of everything but tests.
pub(crate) fn is_test(attributes: &[syn::Attribute]) -> bool {
    fn needs_test(meta: &syn::Meta) -> bool {
        let list = |meta: &syn::MetaList| {
            meta.parse_args_with(
                syn::punctuated::Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated,
            )
            .unwrap_or_default()
        };
        match meta {
            syn::Meta::Path(path) => path.is_ident("test"),
            syn::Meta::List(all) if all.path.is_ident("all") || all.path.is_ident("cfg") => {
                list(all).iter().any(needs_test)
            }
            syn::Meta::List(any) if any.path.is_ident("any") => list(any).iter().all(needs_test),
            _ => false,
        }
    }
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") && needs_test(&attribute.meta))
}

fn named_path(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find(|attribute| attribute.path().is_ident("path")).and_then(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else {
            return None;
        };
        Some(text.value())
    })
}

pub(crate) fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// `path` as seen from `folder`, without `.` and `..`.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn exported_macro(item: &Item) -> Option<String> {
    let Item::Macro(declared) = item else { return None };
    let exported = declared.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
    declared.ident.as_ref().filter(|_| exported).map(tokens::plain)
}

fn declare(item: &Item, module: &mut Module<'_>) {
    let name = match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        Item::Macro(item) => {
            if item.ident.is_none() {
                tokens::words(item.mac.tokens.clone(), &mut module.maybe);
            }
            item.ident.as_ref()
        }
        _ => None,
    };
    module.names.extend(name.map(tokens::plain));
    if !matches!(item, Item::Mod(_)) {
        Uses { imports: &mut module.imports, test: module.test }.visit_item(item);
    }
}

/// Every `use` of an item, also those within functions.
struct Uses<'m> {
    imports: &'m mut Vec<Import>,
    test: bool,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if self.test || !tokens::attributes(item).is_some_and(is_test) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        let leading = if item.leading_colon.is_some() { vec!["::".to_owned()] } else { Vec::new() };
        flatten(&item.tree, leading, exported, self.imports);
    }
}

fn flatten(tree: &syn::UseTree, mut path: Vec<String>, exported: bool, into: &mut Vec<Import>) {
    let mut import = |name: String, path: Vec<String>, span: proc_macro2::Span| {
        into.push(Import { name, path, exported, line: span.start().line });
    };
    match tree {
        syn::UseTree::Path(part) => {
            path.push(tokens::plain(&part.ident));
            flatten(&part.tree, path, exported, into);
        }
        syn::UseTree::Name(leaf) => {
            let name = tokens::plain(&leaf.ident);
            if name == "self" {
                import(path.last().cloned().unwrap_or_default(), path, leaf.ident.span());
            } else {
                path.push(name.clone());
                import(name, path, leaf.ident.span());
            }
        }
        syn::UseTree::Rename(leaf) => {
            let name = tokens::plain(&leaf.ident);
            if name != "self" {
                path.push(name);
            }
            import(tokens::plain(&leaf.rename), path, leaf.ident.span());
        }
        syn::UseTree::Glob(star) => import("*".to_owned(), path, star.star_token.spans[0]),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path.clone(), exported, into);
            }
        }
    }
}

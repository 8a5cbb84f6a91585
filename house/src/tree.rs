//! What lies on the disk: the texts of the repository and cargo's list of packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// Folders with nothing of ours in them.
const NOT_OURS: [&str; 6] = ["target", ".git", ".dev", ".hookline", "node_modules", "dist"];
/// Endings of files whose text the rules look at.
const TEXTS: [&str; 8] = ["rs", "md", "toml", "sql", "sh", "yaml", "yml", "conf"];

/// The files of a repository, by path from its root with `/` between folders.
#[derive(Debug, Default)]
pub struct Tree {
    /// Texts of the files that rules look at.
    pub texts: BTreeMap<String, String>,
    /// All files and folders.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads all files below `root`.
    ///
    /// # Errors
    /// A folder or file that cannot be read, or a text that is not UTF-8; the message names it.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree of these texts, for samples.
    #[must_use]
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in texts {
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
            for (end, _) in path.match_indices('/') {
                tree.paths.insert(path[..end].to_owned());
            }
            tree.paths.insert((*path).to_owned());
        }
        tree
    }

    fn read_folder(&mut self, folder: &Path, path: &str) -> anyhow::Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {path}/"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {path}/"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    self.paths.insert(path.clone());
                    self.read_folder(&entry.path(), &path)?;
                }
                continue;
            }
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            if TEXTS.contains(&ending) {
                let text = std::fs::read_to_string(entry.path())
                    .with_context(|| format!("reading {path}"))?;
                self.texts.insert(path.clone(), text);
            }
            self.paths.insert(path);
        }
        Ok(())
    }
}

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Name as code writes it, with `_`.
    pub name: String,
    /// Folder from the root of the workspace.
    pub folder: String,
    /// Library, programs, tests.
    pub targets: Vec<Target>,
    /// Everything in its manifest, by the name that code uses.
    pub dependencies: Vec<Dependency>,
}

/// What cargo builds of a crate: one tree of modules.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whether it is the library that other crates see.
    pub library: bool,
    /// Path of its first file.
    pub root: String,
}

/// A line of a manifest's dependencies.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Name as code writes it, with `_`.
    pub name: String,
    /// Folder, of a crate of this workspace.
    pub folder: Option<String>,
    /// For tests only.
    pub dev: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: String,
    targets: Vec<MetadataTarget>,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    kind: Vec<String>,
    src_path: String,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    rename: Option<String>,
    kind: Option<String>,
    path: Option<String>,
}

/// The packages of the workspace at `root`, as `cargo metadata` lists them.
///
/// # Errors
/// cargo is missing or refuses a manifest; its own message is part of the error.
pub fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("running `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("reading the output of `cargo metadata`")?;
    let base = format!("{}/", metadata.workspace_root);
    let below = |path: &str| path.strip_prefix(&base).unwrap_or(path).to_owned();
    let package = |package: MetadataPackage| Package {
        name: package.name.replace('-', "_"),
        folder: below(package.manifest_path.trim_end_matches("/Cargo.toml")),
        targets: package
            .targets
            .into_iter()
            .map(|target| Target {
                library: target.kind.iter().any(|kind| kind == "lib"),
                root: below(&target.src_path),
            })
            .collect(),
        dependencies: package
            .dependencies
            .into_iter()
            .map(|dependency| Dependency {
                name: dependency.rename.unwrap_or(dependency.name).replace('-', "_"),
                folder: dependency.path.as_deref().map(below),
                dev: dependency.kind.as_deref() == Some("dev"),
            })
            .collect(),
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}

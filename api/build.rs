//! What the binary holds besides code: the JSON Schemas that the api serves (every file of `schemas/json`), and the console.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    list_schemas()?;
    prepare_console()
}

fn list_schemas() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/json");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut list = String::from("&[");
    for name in names {
        let path = folder.join(&name);
        println!("cargo::rerun-if-changed={}", path.display());
        write!(list, "({name:?}, include_str!({:?})), ", path.display().to_string())
            .map_err(io::Error::other)?;
    }
    list.push(']');
    let out = std::env::var("OUT_DIR").map_err(io::Error::other)?;
    std::fs::write(Path::new(&out).join("schemas.rs"), list)
}

fn prepare_console() -> io::Result<()> {
    let dist = Path::new("../console/dist");
    // Empty where the console is not built. A debug binary reads it while it runs, and must know where it is.
    std::fs::create_dir_all(dist)?;
    // A debug binary holds no files, so it need not be compiled again when they change.
    if std::env::var("PROFILE").as_deref() != Ok("debug") {
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    Ok(())
}

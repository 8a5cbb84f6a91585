//! Files of `.hookline/` that hold secrets: `NAME='value'` lines, mode 0600, replaced in one step.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Lines a shell can source.
pub(crate) fn pairs(values: &BTreeMap<String, String>) -> String {
    values
        .iter()
        .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', "'\\''")))
        .collect()
}

/// Reads such lines; an absent file is empty.
///
/// # Errors
/// When the file cannot be read; the error never quotes it.
pub(crate) fn read_pairs(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let mut values = BTreeMap::new();
    for line in dotenvy::from_path_iter(path)? {
        let (name, value) = line.map_err(|_| anyhow::anyhow!("a line is not NAME='value'"))?;
        values.insert(name, value);
    }
    Ok(values)
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// `std::io::Error`; the old file is still there.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_private_and_comes_back() {
        let folder = std::env::temp_dir().join(format!("hookline-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("keys");
        let values = BTreeMap::from([
            ("A".to_owned(), "postgres://u:p$HOME#1@h/db".to_owned()),
            ("B".to_owned(), "two words".to_owned()),
        ]);
        write_private(&path, &pairs(&values)).unwrap();
        write_private(&path, &pairs(&values)).unwrap();
        assert_eq!(read_pairs(&path).unwrap(), values);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

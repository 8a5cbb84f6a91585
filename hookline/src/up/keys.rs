//! Keys and tokens that `up` makes once and keeps in `.hookline/keys`, mode 0600.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use rand::Rng;

use super::files;

/// `bytes` random bytes as hex.
fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0_u8; bytes];
    rand::rng().fill_bytes(&mut buffer);
    hex::encode(buffer)
}

/// The kept keys; what is missing is made. `simulate`: also what Meta would give.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn load_or_make(
    folder: &Path,
    simulate: bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let path = folder.join("keys");
    let mut keys =
        files::read_pairs(&path).with_context(|| format!("reading {}", path.display()))?;
    let before = keys.clone();
    keys.entry("ENCRYPTION_KEY".to_owned()).or_insert_with(|| random_hex(32));
    keys.entry("API_TOKENS".to_owned())
        .or_insert_with(|| format!("local={}:admin:person", random_hex(20)));
    if simulate {
        keys.entry("META_APP_SECRETS".to_owned())
            .or_insert_with(|| format!("simulated={}", random_hex(16)));
        keys.entry("META_VERIFY_TOKENS".to_owned()).or_insert_with(|| random_hex(12));
    }
    if keys != before {
        files::write_private(&path, &files::pairs(&keys))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(keys)
}

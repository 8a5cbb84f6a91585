//! ◆ Pure: `ENCRYPTION_KEY`: one key, or several while one is rotated out.

use std::fmt;

use super::units::is_name;

/// The form of the variable.
const FORM: &str =
    "use 32 bytes as 64 hex digits, or several keys as id:hex,… (the first seals, all open)";

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    /// Its name; that of a bare key is its place: `1`, `2`, …
    pub id: String,
    /// The key.
    pub bytes: [u8; 32],
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptionKey").field(&self.id).finish()
    }
}

/// All keys; the first one seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKeys {
    /// What is sealed from now on is sealed by this one.
    pub first: EncryptionKey,
    /// These open what was sealed before.
    pub others: Vec<EncryptionKey>,
}

impl EncryptionKeys {
    /// Reads `[id:]hex,…`.
    ///
    /// # Errors
    /// Says which one cannot be used, without showing it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<EncryptionKey> = Vec::new();
        for (n, part) in text.trim().split(',').map(str::trim).enumerate() {
            let place = n + 1;
            let (id, hex) = match part.split_once(':') {
                Some((id, hex)) => (id.trim().to_owned(), hex.trim()),
                None => (place.to_string(), part),
            };
            if !is_name(&id) {
                return Err(format!("the id of key {place} must be 1 to 64 of A-Z a-z 0-9 _ - ."));
            }
            let mut bytes = [0_u8; 32];
            hex::decode_to_slice(hex, &mut bytes)
                .map_err(|_| format!("key {place} is not 32 bytes in hex: {FORM}"))?;
            if let Some(other) = keys.iter().find(|key| key.id == id || key.bytes == bytes) {
                return Err(format!("key {place} is the same as `{}`, or has its id", other.id));
            }
            keys.push(EncryptionKey { id, bytes });
        }
        let others = keys.split_off(keys.len().min(1));
        let first = keys.pop().ok_or_else(|| FORM.to_owned())?;
        Ok(Self { first, others })
    }

    /// All of them, the first one first.
    pub fn all(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_or_several_by_id() {
        let (a, b) = ("0a".repeat(32), "0b".repeat(32));
        let one = EncryptionKeys::parse(&format!(" {a}\n")).unwrap();
        assert_eq!((one.first.id.as_str(), one.others.len()), ("1", 0));
        let two = EncryptionKeys::parse(&format!("new:{b}, {a}")).unwrap();
        let ids: Vec<&str> = two.all().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["new", "2"]);
        assert_eq!((two.first.bytes, two.others[0].bytes), ([0x0b; 32], [0x0a; 32]));
        for wrong in [
            "",
            "0a",
            &format!("{a},"),
            &format!("{a},{a}"),
            &format!("x:{a},x:{b}"),
            &format!("a b:{a}"),
        ] {
            let error = EncryptionKeys::parse(wrong).unwrap_err();
            assert!(!error.contains("0a0a"), "{error}");
        }
    }
}

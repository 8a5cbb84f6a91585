//! ◆ Pure: cursors: where a list goes on. Opaque to callers, and signed so that only what we handed out comes back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const TAG: usize = 12;

/// The last row of a page: lists are ordered by time, then id, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its time, microseconds since the Unix epoch.
    pub micros: i64,
    /// Its id.
    pub id: String,
}

/// Signs and reads cursors.
#[derive(Clone)]
pub(crate) struct Cursors(Hmac<Sha256>);

impl Cursors {
    /// With a key of its own, derived from the deployment's secret: every api process reads the others' cursors.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let mut mac = Self::keyed(secret);
        mac.update(b"hookline cursor v1");
        let key = mac.finalize().into_bytes();
        Self(Self::keyed(&key))
    }

    fn keyed(key: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
    }

    /// The cursor after `key` in the list that `scope` names (with its filters).
    pub(crate) fn write(&self, scope: &str, key: &Key) -> String {
        let mut bytes = self.tag(scope, key.micros, &key.id).to_vec();
        bytes.extend_from_slice(&key.micros.to_be_bytes());
        bytes.extend_from_slice(key.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the same list with the same filters; `None` for anything else.
    pub(crate) fn read(&self, scope: &str, text: &str) -> Option<Key> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, rest) = bytes.split_at_checked(TAG)?;
        let (micros, id) = rest.split_first_chunk::<8>()?;
        let micros = i64::from_be_bytes(*micros);
        let id = std::str::from_utf8(id).ok()?;
        let expected = self.tag(scope, micros, id);
        bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_slice(), tag))
            .then(|| Key { micros, id: id.to_owned() })
    }

    fn tag(&self, scope: &str, micros: i64, id: &str) -> [u8; TAG] {
        let mut mac = self.0.clone();
        mac.update(&(scope.len() as u64).to_be_bytes());
        mac.update(scope.as_bytes());
        mac.update(&micros.to_be_bytes());
        mac.update(id.as_bytes());
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|n| whole[n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(micros in any::<i64>(), id in ".{0,80}", scope in ".{0,40}") {
            let cursors = Cursors::new(b"secret");
            let key = Key { micros, id };
            prop_assert_eq!(cursors.read(&scope, &cursors.write(&scope, &key)), Some(key));
        }

        #[test]
        fn any_changed_byte_is_noticed(at in 0_usize..40, flip in 1_u8..=255) {
            let cursors = Cursors::new(b"secret");
            let text = cursors.write("list", &Key { micros: 1_795_000_200_000_000, id: "cnv_0123456789abcdef0123".into() });
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_eq!(cursors.read("list", &URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn what_is_no_cursor_is_refused(text in ".{0,60}") {
            prop_assert_eq!(Cursors::new(b"secret").read("list", &text), None);
        }
    }

    #[test]
    fn a_cursor_of_another_list_or_key_is_refused() {
        let key = Key { micros: 1, id: "a".into() };
        let text = Cursors::new(b"secret").write("conversations?channel=instagram", &key);
        assert_eq!(Cursors::new(b"secret").read("conversations", &text), None);
        assert_eq!(Cursors::new(b"other").read("conversations?channel=instagram", &text), None);
    }
}

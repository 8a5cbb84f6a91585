//! ◆ Pure: `appsecret_proof`, which ties a call to the app (docs/meta-platform.md 8), and the list of app secrets.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Lower-case hex of HMAC-SHA256 with the app secret as key over the token.
pub(crate) fn appsecret_proof(secret: &str, token: &str) -> Option<String> {
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(token.as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// The named secrets of `META_APP_SECRETS` (`[name=]secret,…`); those without a name belong to no known app and are left out. Of a
/// name given twice (a rotation under way) the first counts.
pub(crate) fn named_secrets(text: &str) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for part in text.split(',').map(str::trim) {
        if let Some((name, secret)) = part.split_once('=')
            && !name.trim().is_empty()
            && !secret.trim().is_empty()
        {
            named.entry(name.trim().to_owned()).or_insert_with(|| secret.trim().to_owned());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_an_hmac_of_the_token() {
        // RFC 4231, test case 2.
        assert_eq!(
            appsecret_proof("Jefe", "what do ya want for nothing?").unwrap(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn only_named_secrets_are_known_by_app() {
        let secrets = named_secrets("main=abc, plain ,insta=def=,main=old,=x");
        assert_eq!(secrets.len(), 2);
        assert_eq!(secrets["main"], "abc");
        assert_eq!(secrets["insta"], "def=");
    }
}

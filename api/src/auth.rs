//! ◆ Pure: API tokens: reading `API_TOKENS`, recognising a caller, and what each may do.

use std::collections::BTreeSet;

use runtime::config::{ConfigError, Settings, is_name};
use schemas::command::{RequestedBy, Requester};
use schemas::{AccountId, Channel};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token allows; each includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Reading.
    Read,
    /// Reading, answering and acting.
    Write,
    /// Everything.
    Admin,
}

impl Scope {
    /// `read`, `write` or `admin`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// Which accounts a token sees, hears and changes. What is of another account is, for its caller, not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All there are, and all that will be.
    All,
    /// These, by their canonical ids.
    Only(BTreeSet<String>),
}

/// None at all: a list that forgets its caller shows nothing.
impl Default for Reach {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Reach {
    /// Whether an account is among them.
    pub(crate) fn has(&self, account: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(account),
        }
    }

    /// The accounts whose rows a list shows, where the caller asks for `account` or for all; `None`: whichever.
    pub(crate) fn within(&self, account: Option<&str>) -> Option<Vec<String>> {
        match (self, account) {
            (Self::All, None) => None,
            (Self::All, Some(account)) => Some(vec![account.to_owned()]),
            (Self::Only(ids), None) => Some(ids.iter().cloned().collect()),
            (Self::Only(ids), Some(account)) => {
                Some(ids.get(account).cloned().into_iter().collect())
            }
        }
    }
}

/// Who calls: the token's name and what it allows. Never the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The token's name: part of the identity of what it asks for.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// A person or a program: decides what the policy of Meta allows.
    pub kind: Requester,
    /// Whose conversations, comments, replies and commands it may see and act on.
    pub reach: Reach,
}

impl Caller {
    /// An administrator of all accounts: only they may connect one, which nobody sees yet.
    pub(crate) fn administers_all(&self) -> bool {
        Scope::Admin <= self.scope && self.reach == Reach::All
    }

    /// Whether they see what is of this account, and mean it where they name a channel or an account.
    pub(crate) fn means(
        &self,
        (named_channel, named_account): (Option<Channel>, Option<&str>),
        channel: Channel,
        account: &AccountId,
    ) -> bool {
        self.reach.has(account.as_str())
            && named_channel.is_none_or(|named| named == channel)
            && named_account.is_none_or(|named| named == account.as_str())
    }

    /// As commands carry it.
    pub(crate) fn requested_by(&self) -> RequestedBy {
        RequestedBy { kind: self.kind, name: self.name.clone() }
    }
}

struct Entry {
    hash: [u8; 32],
    caller: Caller,
}

/// All tokens, as hashes: the tokens themselves are not kept.
#[derive(Default)]
pub(crate) struct Tokens(Vec<Entry>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| &entry.caller.name)).finish()
    }
}

impl Tokens {
    /// Reads `API_TOKENS`.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.parsed("API_TOKENS", "", Self::parse)
    }

    /// Reads `[name=]token[:read|write|admin][:person|automation][:accounts=ID+ID…],…`. The empty text is no token at all.
    ///
    /// # Errors
    /// Says which entry is wrong, by its number; never quotes a token.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Self::default();
        if text.trim().is_empty() {
            return Ok(tokens);
        }
        for (n, entry) in text.split(',').enumerate() {
            let entry =
                parse_entry(entry.trim()).map_err(|reason| format!("entry {}: {reason}", n + 1))?;
            if tokens.0.iter().any(|other| other.caller.name == entry.caller.name) {
                return Err(format!(
                    "entry {}: the name `{}` is taken by an earlier entry",
                    n + 1,
                    entry.caller.name
                ));
            }
            if tokens.0.iter().any(|other| other.hash == entry.hash) {
                return Err(format!("entry {}: the token is that of an earlier entry", n + 1));
            }
            tokens.0.push(entry);
        }
        Ok(tokens)
    }

    /// Whether there is no token: then every request is refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. Takes as long for a wrong token as for a right one.
    pub(crate) fn find(&self, token: &str) -> Option<&Caller> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for entry in &self.0 {
            if bool::from(entry.hash.ct_eq(&hash)) {
                found = Some(&entry.caller);
            }
        }
        found
    }

    /// Whether a token still allows its caller what it did.
    pub(crate) fn has(&self, caller: &Caller) -> bool {
        self.0.iter().any(|entry| entry.caller == *caller)
    }

    /// The hash of a token of ours.
    pub(crate) fn hash_of(&self, token: &str) -> Option<[u8; 32]> {
        self.find(token).map(|_| Sha256::digest(token.as_bytes()).into())
    }

    /// The caller whose token has a hash like this.
    pub(crate) fn bound(&self, is: impl Fn(&[u8; 32]) -> bool) -> Option<&Caller> {
        self.0.iter().find(|entry| is(&entry.hash)).map(|entry| &entry.caller)
    }
}

fn parse_entry(text: &str) -> Result<Entry, String> {
    // `=` may also pad a base64 token, and follows `accounts`: a name stands before the first colon and is followed by something else.
    let first = text.split_once(':').map_or(text, |(first, _)| first);
    let (name, rest) = match first.split_once('=') {
        Some((name, token)) if !token.trim_start_matches('=').is_empty() => {
            (Some(name), &text[name.len() + 1..])
        }
        _ => (None, text),
    };
    if name.is_some_and(|name| !is_name(name)) {
        return Err("use 1 to 64 of A-Z a-z 0-9 . _ - for the name before `=`".to_owned());
    }
    let mut parts = rest.split(':');
    let token = parts.next().unwrap_or_default();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token is visible ASCII without spaces, commas and colons".to_owned());
    }
    let (mut scope, mut kind, mut reach) = (None, None, None);
    for part in parts {
        match part {
            "read" if scope.is_none() => scope = Some(Scope::Read),
            "write" if scope.is_none() => scope = Some(Scope::Write),
            "admin" if scope.is_none() => scope = Some(Scope::Admin),
            "person" if kind.is_none() => kind = Some(Requester::Person),
            "automation" if kind.is_none() => kind = Some(Requester::Automation),
            _ => match part.strip_prefix("accounts=").filter(|_| reach.is_none()) {
                Some(ids) => reach = Some(parse_accounts(ids)?),
                None => {
                    return Err(
                        "after the token use :read, :write or :admin, :person or :automation, and :accounts=ID+ID"
                            .to_owned(),
                    );
                }
            },
        }
    }
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    // A name that stays when entries are added or moved: it is part of the identity of requests.
    let name = name
        .map_or_else(|| format!("token-{}", &schemas::ids::sha256_hex(&hash)[..8]), str::to_owned);
    Ok(Entry {
        hash,
        caller: Caller {
            name,
            scope: scope.unwrap_or(Scope::Write),
            kind: kind.unwrap_or(Requester::Person),
            reach: reach.unwrap_or(Reach::All),
        },
    })
}

/// Without any account a token would see nothing, which nobody means.
fn parse_accounts(text: &str) -> Result<Reach, String> {
    let ids: BTreeSet<String> = text.split('+').map(str::to_owned).collect();
    let usable = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    if ids.iter().all(usable) {
        Ok(Reach::Only(ids))
    } else {
        Err("after `accounts=` name one or more ids, with `+` between them".to_owned())
    }
}

/// The token of an `Authorization: Bearer …` header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, token: &str, name: Option<&str>, scope: Scope, kind: Requester) {
        let tokens = Tokens::parse(text).unwrap();
        let caller = tokens.find(token).unwrap();
        if let Some(name) = name {
            assert_eq!(caller.name, name);
        }
        assert_eq!((caller.scope, caller.kind), (scope, kind), "{text}");
    }

    #[test]
    fn tokens_with_and_without_names_scopes_and_kinds() {
        use Requester::{Automation, Person};
        check("abc", "abc", None, Scope::Write, Person);
        check("ann=abc", "abc", Some("ann"), Scope::Write, Person);
        check("ann=abc:read", "abc", Some("ann"), Scope::Read, Person);
        check("x=1,bot=abc:automation", "abc", Some("bot"), Scope::Write, Automation);
        check("bot=abc:admin:automation", "abc", Some("bot"), Scope::Admin, Automation);
        check("YWJj==", "YWJj==", None, Scope::Write, Person);
        check("n=YWJj==:read", "YWJj==", Some("n"), Scope::Read, Person);
    }

    #[test]
    fn a_token_may_be_of_some_accounts() {
        let reach = |text: &str, token: &str| {
            Tokens::parse(text).unwrap().find(token).unwrap().reach.clone()
        };
        let only = |ids: &[&str]| Reach::Only(ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(reach("abc", "abc"), Reach::All);
        assert_eq!(reach("ann=abc:read:accounts=1+2", "abc"), only(&["1", "2"]));
        assert_eq!(reach("abc:accounts=1", "abc"), only(&["1"]));
        assert_eq!(reach("YWJj==:accounts=1:automation", "YWJj=="), only(&["1"]));
        for wrong in
            ["a=b:accounts=", "a=b:accounts=1+", "a=b:accounts=1:accounts=2", "a=b:accounts"]
        {
            assert!(Tokens::parse(wrong).is_err(), "{wrong}");
        }
        let some = only(&["1", "2"]);
        assert!(some.has("1") && !some.has("3") && Reach::All.has("3"));
        assert_eq!(some.within(Some("3")), Some(vec![]));
        assert_eq!(some.within(Some("2")), Some(vec!["2".to_owned()]));
        assert_eq!(some.within(None), Some(vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(Reach::All.within(None), None);
        assert_eq!(Reach::All.within(Some("3")), Some(vec!["3".to_owned()]));
    }

    #[test]
    fn mistakes_are_named_without_quoting_the_token() {
        for (text, part) in [
            ("a=1,b=sesame:wriet", "entry 2"),
            ("a=sesame:read:write", "entry 1"),
            ("a=sesame,,b=2", "entry 2"),
            ("a b=sesame", "name"),
            ("a=sesame,a=other", "`a` is taken"),
            ("a=sesame,b=sesame", "entry 2"),
        ] {
            let error = Tokens::parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("sesame"), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_known_token_is_let_in() {
        let tokens = Tokens::parse("ann=abc:read,bob=def").unwrap();
        assert_eq!(tokens.find("def").unwrap().name, "bob");
        for wrong in ["", "ab", "abcd", "ann=abc", "abc:read", "ABC"] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
        assert!(Tokens::parse("").unwrap().is_empty());
        assert!(!format!("{tokens:?}").contains("abc"));
    }

    #[test]
    fn unnamed_tokens_keep_their_name_when_others_come() {
        let name = |text: &str| Tokens::parse(text).unwrap().find("abc").unwrap().name.clone();
        assert_eq!(name("abc"), name("x=1,abc:read"));
    }

    #[test]
    fn bearer_headers() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for wrong in ["abc", "Basic abc", "Bearer", "Bearer ", ""] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_are_ordered() {
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Admin);
    }
}

//! ◆ Pure: streams, subjects, partitions and shards, as docs/contract.md 4 names them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ids::sha256_hex;
use crate::raw::RawPath;
use crate::{AccountId, Channel, Kind};

/// Stream of raw webhooks.
pub const META_RAW: &str = "META_RAW";
/// Stream of normalised events.
pub const INBOX_EVENTS: &str = "INBOX_EVENTS";
/// Stream of commands.
pub const INBOX_COMMANDS: &str = "INBOX_COMMANDS";
/// Stream of the published copies of what is parked.
pub const INBOX_DEAD: &str = "INBOX_DEAD";
/// Stream of the attempts to send: what is known of them outside Postgres.
pub const INBOX_ATTEMPTS: &str = "INBOX_ATTEMPTS";

/// All subjects of META_RAW.
pub const RAW_ALL: &str = "meta.v1.raw.>";
/// Raw webhooks: all of META_RAW but Meta's callbacks.
pub const RAW_WEBHOOKS: &str = "meta.v1.raw.*.*";
/// Meta's callbacks about people who removed the app or asked for deletion. In META_RAW, out of the way of those who read webhooks.
pub const CALLBACK_ALL: &str = "meta.v1.raw.callback.>";
/// All subjects of INBOX_EVENTS.
pub const EVENT_ALL: &str = "inbox.v1.event.>";
/// All subjects of INBOX_COMMANDS.
pub const COMMAND_ALL: &str = "inbox.v1.command.>";
/// All subjects of INBOX_DEAD.
pub const DEAD_ALL: &str = "inbox.v1.dead.>";
/// All subjects of INBOX_ATTEMPTS.
pub const ATTEMPT_ALL: &str = "inbox.v1.attempt.>";

/// Where the api asks the role `ops`. Requests and answers are in no stream: nobody keeps what they say.
pub const OPS: &str = "inbox.v1.ops";

/// Number of shards of META_RAW, and of INBOX_ATTEMPTS.
pub const SHARDS: u32 = 8;
/// Number of partitions of INBOX_EVENTS and INBOX_COMMANDS.
pub const PARTITIONS: u32 = 64;

const TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
const TOKEN_MAX_BYTES: usize = 128;

/// One subject token: everything outside `[A-Za-z0-9_-]` percent-encoded; longer than 128 bytes becomes `sha256-<hex>`; empty
/// (unknown) becomes `_`.
pub fn token(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        return "_".into();
    }
    let encoded: Cow<'_, str> = utf8_percent_encode(text, TOKEN).into();
    if encoded.len() > TOKEN_MAX_BYTES {
        format!("sha256-{}", sha256_hex(text.as_bytes())).into()
    } else {
        encoded
    }
}

/// FNV-1a, 32 bit.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What decides the partition of an event or command, and with it its order.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// A conversation: key `channel/account/contact`.
    Contact(&'a str),
    /// A comment, post or media: key `channel/account/<media or post>`.
    Object(&'a str),
    /// Nothing finer than the account: key `channel/account`.
    Account,
}

/// The key of a route: what has the same one stays in order.
pub fn route_key(channel: Channel, account: &AccountId, route: Route<'_>) -> String {
    match route {
        Route::Contact(part) | Route::Object(part) => format!("{channel}/{account}/{part}"),
        Route::Account => format!("{channel}/{account}"),
    }
}

/// The partition, 0–63, of a route.
pub fn partition(channel: Channel, account: &AccountId, route: Route<'_>) -> u32 {
    fnv1a(route_key(channel, account, route).as_bytes()) % PARTITIONS
}

/// The shard, 0–7, of a raw webhook, from its first `entry[].id`; the empty text where it has none.
pub fn shard(first_entry_id: &str) -> u32 {
    fnv1a(first_entry_id.as_bytes()) % SHARDS
}

/// The shard that the subject of a raw webhook names; `None`: it names none.
pub fn shard_of(subject: &str) -> Option<u32> {
    let (_, shard) = subject.strip_prefix("meta.v1.raw.")?.split_once('.')?;
    shard.parse().ok().filter(|shard| *shard < SHARDS)
}

/// `meta.v1.raw.<path>.<shard>`
pub fn raw(path: RawPath, shard: u32) -> String {
    format!("meta.v1.raw.{}.{shard:02}", path.as_str())
}

/// `meta.v1.raw.callback.<kind>.<app>`
pub fn callback(kind: &str, app: &str) -> String {
    format!("meta.v1.raw.callback.{}.{}", token(kind), token(app))
}

/// The filter that reads one shard of META_RAW over all paths.
pub fn raw_shard_filter(shard: u32) -> String {
    format!("meta.v1.raw.*.{shard:02}")
}

/// `inbox.v1.event.<partition>.<channel>.<account>.<kind>`
pub fn event(channel: Channel, account: &AccountId, route: Route<'_>, kind: Kind) -> String {
    let partition = partition(channel, account, route);
    format!(
        "inbox.v1.event.{partition:02}.{channel}.{}.{}",
        token(account.as_str()),
        kind.as_str().replace('.', "-")
    )
}

/// `inbox.v1.command.<partition>.<channel>.<account>.<command>`
pub fn command(channel: Channel, account: &AccountId, route: Route<'_>, command: &str) -> String {
    let partition = partition(channel, account, route);
    format!(
        "inbox.v1.command.{partition:02}.{channel}.{}.{}",
        token(account.as_str()),
        token(command)
    )
}

/// `inbox.v1.dead.<stage>.<channel>.<account>`; an unknown channel is `_`.
pub fn dead(stage: &str, channel: Option<Channel>, account: &str) -> String {
    format!(
        "inbox.v1.dead.{}.{}.{}",
        token(stage),
        channel.map_or("_", Channel::as_str),
        token(account)
    )
}

/// The shard, 0–7, of the attempts of an account.
pub fn attempt_shard(channel: Channel, account: &AccountId) -> u32 {
    fnv1a(format!("{channel}/{account}").as_bytes()) % SHARDS
}

/// `inbox.v1.attempt.<shard>`
pub fn attempt(shard: u32) -> String {
    format!("inbox.v1.attempt.{shard:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_safe_and_bounded() {
        assert_eq!(token("17841400000000101"), "17841400000000101");
        assert_eq!(token("a.b c*>ä"), "a%2Eb%20c%2A%3E%C3%A4");
        assert_eq!(token(""), "_");
        assert!(token(&"x".repeat(129)).starts_with("sha256-"));
        assert_eq!(token(&"x".repeat(128)).len(), 128);
    }

    #[test]
    fn fnv_matches_the_published_vectors() {
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn subjects_are_as_the_contract_says() {
        let account = AccountId::from("17841400000000101");
        let subject = event(
            Channel::Instagram,
            &account,
            Route::Contact("5200000000000011"),
            Kind::MessageReceived,
        );
        let expected = fnv1a(b"instagram/17841400000000101/5200000000000011") % 64;
        assert_eq!(
            subject,
            format!("inbox.v1.event.{expected:02}.instagram.17841400000000101.message-received")
        );
        assert_eq!(raw(RawPath::Any, 3), "meta.v1.raw.any.03");
        assert_eq!(callback("deletion", "my.app"), "meta.v1.raw.callback.deletion.my%2Eapp");
        assert_eq!(shard_of(&callback("deletion", "3")), None);
        assert_eq!(dead("projector", None, ""), "inbox.v1.dead.projector._._");
        let shard = attempt_shard(Channel::Instagram, &account);
        assert_eq!(shard, fnv1a(b"instagram/17841400000000101") % 8);
        assert_eq!(attempt(3), "inbox.v1.attempt.03");
    }
}

//! What must change for a stream to be as it should, and what that may cost. It only decides, but in the words of the broker's client.

use std::fmt::Debug;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use serde::Serialize;

/// What a change may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing that is stored is lost by it.
    Safe,
    /// Stored messages, or copies of them, may be lost by it: only with `--allow-destructive`.
    Destructive,
    /// The server cannot make it; the stream would have to be made anew.
    Impossible,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The setting.
    pub setting: &'static str,
    /// As it is.
    pub is: String,
    /// As it should be.
    pub should: String,
    /// What changing it may cost.
    pub risk: Risk,
    /// Why it may cost that; empty where it does not.
    pub why: &'static str,
}

/// Everything in which a stream differs from what it should be. Limits that only an operator sets (`max_bytes`, placement, mirrors) are
/// theirs and are left alone.
pub fn changes(desired: &Config, actual: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |setting, is: &dyn Debug, should: &dyn Debug, risk, why| {
        let (is, should) = (format!("{is:?}"), format!("{should:?}"));
        if is != should {
            changes.push(Change { setting, is, should, risk, why });
        }
    };
    let lost = |truth: bool| if truth { Risk::Destructive } else { Risk::Safe };
    let why = |truth: bool, why| if truth { why } else { "" };
    let removed = actual.subjects.iter().any(|subject| !desired.subjects.contains(subject));
    add(
        "subjects",
        &actual.subjects,
        &desired.subjects,
        lost(removed),
        why(removed, "messages of the removed subjects are taken no more"),
    );
    add(
        "retention",
        &actual.retention,
        &desired.retention,
        Risk::Destructive,
        "another retention may drop messages at once",
    );
    add(
        "storage",
        &actual.storage,
        &desired.storage,
        Risk::Impossible,
        "the server cannot change where a stream is stored: back it up (`nats stream backup`), remove it, restore it with the other storage",
    );
    let drops = desired.discard == DiscardPolicy::Old;
    add(
        "discard",
        &actual.discard,
        &desired.discard,
        lost(drops),
        why(drops, "a full stream would drop its oldest messages"),
    );
    let shorter = !desired.max_age.is_zero()
        && (actual.max_age.is_zero() || desired.max_age < actual.max_age);
    add(
        "max_age",
        &actual.max_age,
        &desired.max_age,
        lost(shorter),
        why(shorter, "older messages are removed at once"),
    );
    add("duplicate_window", &actual.duplicate_window, &desired.duplicate_window, Risk::Safe, "");
    let fewer = desired.num_replicas < actual.num_replicas.max(1);
    add(
        "replicas",
        &actual.num_replicas.max(1),
        &desired.num_replicas,
        lost(fewer),
        why(fewer, "fewer copies survive the loss of a server"),
    );
    add("allow_direct", &actual.allow_direct, &desired.allow_direct, Risk::Safe, "");
    add(
        "allow_atomic",
        &actual.allow_atomic_publish,
        &desired.allow_atomic_publish,
        Risk::Safe,
        "",
    );
    let off = actual.deny_purge && !desired.deny_purge;
    add(
        "deny_purge",
        &actual.deny_purge,
        &desired.deny_purge,
        lost(off),
        why(off, "the whole stream could be purged by mistake"),
    );
    changes
}

/// The stream as it is, with every setting of ours that the server can change as it should be.
pub fn changed(desired: &Config, actual: &Config) -> Config {
    Config {
        subjects: desired.subjects.clone(),
        retention: desired.retention,
        discard: desired.discard,
        max_age: desired.max_age,
        duplicate_window: desired.duplicate_window,
        num_replicas: desired.num_replicas,
        allow_direct: desired.allow_direct,
        allow_atomic_publish: desired.allow_atomic_publish,
        deny_purge: desired.deny_purge,
        ..actual.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config() -> Config {
        Config {
            subjects: vec!["a.>".to_owned()],
            discard: DiscardPolicy::New,
            num_replicas: 1,
            deny_purge: true,
            ..Config::default()
        }
    }

    fn risk(desired: &Config, actual: &Config) -> Vec<(&'static str, Risk)> {
        changes(desired, actual).into_iter().map(|change| (change.setting, change.risk)).collect()
    }

    #[test]
    fn equal_streams_differ_in_nothing_and_an_operators_limits_are_theirs() {
        assert_eq!(risk(&config(), &config()), []);
        let limited = Config { max_bytes: 1 << 30, ..config() };
        assert_eq!(risk(&config(), &limited), []);
        assert_eq!(changed(&config(), &limited).max_bytes, 1 << 30);
    }

    #[test]
    fn a_shorter_age_is_destructive_and_a_longer_one_is_not() {
        let day = Duration::from_secs(86_400);
        let aged = |days: u32| Config { max_age: day * days, ..config() };
        assert_eq!(risk(&aged(1), &aged(2)), [("max_age", Risk::Destructive)]);
        assert_eq!(risk(&aged(1), &aged(0)), [("max_age", Risk::Destructive)]);
        assert_eq!(risk(&aged(2), &aged(1)), [("max_age", Risk::Safe)]);
        assert_eq!(risk(&aged(0), &aged(1)), [("max_age", Risk::Safe)]);
    }

    #[test]
    fn what_loses_data_and_what_cannot_be_changed_is_distinguished() {
        let old = Config { discard: DiscardPolicy::Old, ..config() };
        assert_eq!(risk(&old, &config()), [("discard", Risk::Destructive)]);
        assert_eq!(risk(&config(), &old), [("discard", Risk::Safe)]);
        let three = Config { num_replicas: 3, ..config() };
        assert_eq!(risk(&config(), &three), [("replicas", Risk::Destructive)]);
        assert_eq!(risk(&three, &config()), [("replicas", Risk::Safe)]);
        let more = Config { subjects: vec!["a.>".to_owned(), "b.>".to_owned()], ..config() };
        assert_eq!(risk(&config(), &more), [("subjects", Risk::Destructive)]);
        assert_eq!(risk(&more, &config()), [("subjects", Risk::Safe)]);
        let open = Config { deny_purge: false, ..config() };
        assert_eq!(risk(&open, &config()), [("deny_purge", Risk::Destructive)]);
        let memory =
            Config { storage: async_nats::jetstream::stream::StorageType::Memory, ..config() };
        assert_eq!(risk(&config(), &memory), [("storage", Risk::Impossible)]);
        assert_eq!(changed(&config(), &memory).storage, memory.storage);
    }
}

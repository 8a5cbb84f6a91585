//! The streams of docs/contract.md 4: what each should be, and making sure that it is there.

mod era;
mod erase;
pub mod plan;
mod seen;
mod stored;

use std::time::Duration;

use async_nats::jetstream::stream;
use schemas::subjects;

use crate::config::NatsConfig;

pub use era::{Era, NotAnEra};
pub use erase::{EraseError, erase, may_erase};
pub use seen::{ensure, era_of, find, followed_era, is_marked, keeps_for, make, mark};
pub use stored::{NothingStored, StoredEras};

/// One of the five streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamName {
    /// META_RAW
    Raw,
    /// INBOX_EVENTS
    Events,
    /// INBOX_COMMANDS
    Commands,
    /// INBOX_DEAD
    Dead,
    /// INBOX_ATTEMPTS
    Attempts,
}

impl StreamName {
    /// All five.
    pub const ALL: [Self; 5] =
        [Self::Raw, Self::Events, Self::Commands, Self::Dead, Self::Attempts];

    /// Its name in the broker.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => subjects::META_RAW,
            Self::Events => subjects::INBOX_EVENTS,
            Self::Commands => subjects::INBOX_COMMANDS,
            Self::Dead => subjects::INBOX_DEAD,
            Self::Attempts => subjects::INBOX_ATTEMPTS,
        }
    }

    /// The stream of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == name)
    }

    /// The stream that takes a subject.
    pub fn of_subject(subject: &str) -> Option<Self> {
        let takes = |stream: &Self| {
            let all = match stream {
                Self::Raw => subjects::RAW_ALL,
                Self::Events => subjects::EVENT_ALL,
                Self::Commands => subjects::COMMAND_ALL,
                Self::Dead => subjects::DEAD_ALL,
                Self::Attempts => subjects::ATTEMPT_ALL,
            };
            subject.starts_with(all.trim_end_matches(['*', '>']))
        };
        Self::ALL.into_iter().find(takes)
    }

    /// Whether positions of it are stored, so that nobody may make it anew but an operator.
    pub const fn has_positions(self) -> bool {
        !matches!(self, Self::Dead)
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// What a stream should look like.
pub fn desired(name: StreamName, config: &NatsConfig) -> stream::Config {
    let (subjects, max_age, duplicate_window) = match name {
        StreamName::Raw => (subjects::RAW_ALL, config.raw_max_age, 30 * MINUTE),
        StreamName::Events => (subjects::EVENT_ALL, config.events_max_age, 60 * MINUTE),
        StreamName::Commands => (subjects::COMMAND_ALL, config.commands_max_age, 60 * MINUTE),
        StreamName::Dead => (subjects::DEAD_ALL, 30 * DAY, 60 * MINUTE),
        // As long as commands: what is older cannot be asked for again.
        StreamName::Attempts => (subjects::ATTEMPT_ALL, config.commands_max_age, 60 * MINUTE),
    };
    stream::Config {
        name: name.as_str().to_owned(),
        subjects: vec![subjects.to_owned()],
        retention: stream::RetentionPolicy::Limits,
        storage: stream::StorageType::File,
        // A full stream refuses; it never drops its oldest, unread messages.
        discard: stream::DiscardPolicy::New,
        max_age,
        duplicate_window: if max_age.is_zero() {
            duplicate_window
        } else {
            duplicate_window.min(max_age)
        },
        num_replicas: config.replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        // Whole streams are never purged; erasure deletes by sequence.
        deny_purge: true,
        ..stream::Config::default()
    }
}

/// In what a stream differs from what it should be, as `name: is → should be`.
pub fn differences(desired: &stream::Config, actual: &stream::Config) -> Vec<String> {
    plan::changes(desired, actual)
        .into_iter()
        .map(|change| format!("{}: {} → {}", change.setting, change.is, change.should))
        .collect()
}

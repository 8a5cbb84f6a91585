//! Whether the streams that a process needs are there, and are those that its positions are of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, stream};

use super::refused::Refused;
use super::state::{KnownEra, Needs};
use crate::config::NatsConfig;
use crate::streams::{self, Era, StoredEras, StreamName, era_of};

/// How long the broker may take over one stream.
const WITHIN: Duration = Duration::from_secs(5);
/// The same where the process may lack the permission to look, which the broker does not answer.
const BEST_EFFORT_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take to find out which era is stored.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// What is found when all needed streams are looked at.
pub(super) struct Found {
    /// Whether all are there and the known ones.
    pub(super) ready: Result<(), String>,
    pub(super) eras: BTreeMap<StreamName, KnownEra>,
}

/// Looks at the needed streams.
pub(super) struct Streams {
    pub(super) client: async_nats::Client,
    pub(super) js: jetstream::Context,
    pub(super) config: Arc<NatsConfig>,
    pub(super) needs: Needs,
    pub(super) stored: Arc<dyn StoredEras>,
    /// What was known at the last look; the first era that was seen of a stream without a stored one.
    eras: BTreeMap<StreamName, KnownEra>,
    /// Streams whose metadata was to get the era already: once, for it may not be allowed.
    marked: BTreeSet<StreamName>,
    refused: Refused,
}

/// Why this process does not make a stream that is missing.
fn not_made(name: StreamName) -> String {
    format!(
        "stream {} is not there yet, and the user of the broker may not make it: the worker does as it starts",
        name.as_str()
    )
}

/// Why a stream is not ready.
enum Trouble {
    /// It could not be looked at.
    Unseen(String),
    /// Something else.
    Said(String),
}

impl Streams {
    pub(super) fn new(
        client: async_nats::Client,
        js: jetstream::Context,
        config: Arc<NatsConfig>,
        needs: Needs,
        stored: Arc<dyn StoredEras>,
        refused: Refused,
    ) -> Self {
        let (eras, marked) = (BTreeMap::new(), BTreeSet::new());
        Self { client, js, config, needs, stored, eras, marked, refused }
    }

    /// The stream; `None` where there is none.
    async fn find(&self, name: StreamName) -> Result<Option<stream::Stream>, Trouble> {
        let name = name.as_str();
        let asked = self
            .refused
            .or(&format!("$JS.API.STREAM.INFO.{name}"), streams::find(&self.js, name))
            .await;
        match asked {
            Some(found) => found.map_err(|error| Trouble::Unseen(error.to_string())),
            None => Err(Trouble::Unseen("the user of the broker may not look at it".to_owned())),
        }
    }

    /// Makes a stream that was never there.
    async fn make(&self, name: StreamName) -> Result<(), Trouble> {
        let subject = format!("$JS.API.STREAM.CREATE.{}", name.as_str());
        let asked = self.refused.or(&subject, streams::make(&self.js, name, &self.config)).await;
        match asked {
            Some(made) => made.map_err(|error| Trouble::Unseen(error.to_string())),
            None => Err(Trouble::Said(not_made(name))),
        }
    }

    /// Looks at all of them, and makes those that were never there.
    pub(super) async fn look(&mut self) -> Found {
        let mut ready = Ok(());
        for name in self.needs.streams {
            let within = if self.needs.best_effort { BEST_EFFORT_WITHIN } else { WITHIN };
            let looked = tokio::time::timeout(within + STORED_WITHIN, self.look_at(*name)).await;
            let trouble = match looked {
                Ok(Ok(())) => continue,
                Ok(Err(Trouble::Unseen(_))) | Err(_)
                    if self.needs.best_effort
                        && self.eras.get(name).is_none_or(|known| known.foreign.is_none())
                        && self.client.connection_state() == State::Connected =>
                {
                    tracing::debug!(
                        stream = name.as_str(),
                        "May not look at the stream; publishing will show whether it is there"
                    );
                    continue;
                }
                Ok(Err(Trouble::Unseen(reason))) => format!("stream {}: {reason}", name.as_str()),
                Ok(Err(Trouble::Said(reason))) => reason,
                Err(_) => format!("stream {}: the broker did not answer in time", name.as_str()),
            };
            if ready.is_ok() {
                ready = Err(trouble);
            }
        }
        Found { ready, eras: self.eras.clone() }
    }

    async fn look_at(&mut self, name: StreamName) -> Result<(), Trouble> {
        let remembered = self.eras.get(&name).map(|known| known.era);
        let asked = tokio::time::timeout(STORED_WITHIN, self.stored.stored(name)).await;
        // Postgres may be away for a while; what was known stays known.
        let (stored, asked) = match asked {
            Ok(Ok(stored)) => (stored, true),
            Ok(Err(_)) | Err(_) => (None, false),
        };
        let known = stored.or(remembered);
        let found = self.find(name).await?;
        let stream = match (found, known) {
            (Some(stream), _) => stream,
            (None, Some(era)) if name.has_positions() => {
                return self.foreign(name, era, gone(name.as_str()));
            }
            (None, _) => {
                if self.needs.best_effort {
                    match self.log_has_begun().await {
                        Some(true) => return Err(Trouble::Said(gone(name.as_str()))),
                        None => return Err(Trouble::Said(not_made(name))),
                        Some(false) => {}
                    }
                }
                if !asked {
                    let name = name.as_str();
                    let reason = format!(
                        "stream {name} is missing, and Postgres does not say whether it was there before"
                    );
                    return Err(Trouble::Said(reason));
                }
                self.made(name).await?
            }
        };
        let (info, era) = (stream.cached_info(), era_of(stream.cached_info()));
        if let Some(known) = known.filter(|known| *known != era && name.has_positions())
            // Of what is only remembered, the stream itself says whether the change was meant.
            && (stored.is_some() || streams::followed_era(info) != Some(known))
        {
            return self.foreign(name, known, made_anew(name.as_str(), era, known));
        }
        if known.is_none() && !asked {
            return Ok(());
        }
        self.mark(name, info).await;
        self.eras.insert(name, KnownEra { era, foreign: None });
        if asked && stored.is_none() && name.has_positions() {
            let kept = self.stored.keep(name, era).await;
            kept.map_err(|_| {
                Trouble::Said(format!("stream {}: its era is not stored yet", name.as_str()))
            })?;
        }
        Ok(())
    }

    async fn made(&self, name: StreamName) -> Result<stream::Stream, Trouble> {
        self.make(name).await?;
        let missing = || Trouble::Unseen("it was made and is not there".to_owned());
        self.find(name).await?.ok_or_else(missing)
    }

    fn foreign(&mut self, name: StreamName, era: Era, reason: String) -> Result<(), Trouble> {
        self.eras.insert(name, KnownEra { era, foreign: Some(reason.clone()) });
        Err(Trouble::Said(reason))
    }

    /// Writes the era of a stream from before eras into its metadata, once: a restore in a cluster would give it another otherwise.
    async fn mark(&mut self, name: StreamName, info: &stream::Info) {
        if streams::is_marked(info) || !self.stored.marks() || !self.marked.insert(name) {
            return;
        }
        match streams::mark(&self.js, info, None).await {
            Ok(()) => {
                tracing::info!(stream = name.as_str(), era = %era_of(info), "Wrote the era of the stream into its metadata")
            }
            Err(error) => {
                tracing::warn!(stream = name.as_str(), %error, "The stream does not take its era; `hookline streams apply` writes it");
            }
        }
    }

    /// Whether events were ever stored, so that raw webhooks were, too: a process without Postgres must not take a stream that was lost
    /// for one that never was. `None`: it may not look, and so it may not make streams either.
    async fn log_has_begun(&self) -> Option<bool> {
        match self.find(StreamName::Events).await {
            Ok(Some(stream)) => Some(stream.cached_info().state.last_sequence > 0),
            Ok(None) => Some(false),
            Err(_) => None,
        }
    }
}

/// What is reported of a stream that is not there although positions of it are known.
pub fn gone(stream: &str) -> String {
    format!(
        "stream {stream} is gone, and positions of it are known: restore it from a backup, or declare a new beginning with \
         `hookline streams adopt {stream}` (deploy/runbooks/stream-restored.md)"
    )
}

/// What is reported of a stream that is not the one whose positions are known.
pub fn made_anew(stream: &str, found: Era, known: Era) -> String {
    format!(
        "stream {stream} was made anew: its era is {}, the known positions are of era {}. Restore it from a backup, or declare a new \
         beginning with `hookline streams adopt {stream}` (deploy/runbooks/stream-restored.md)",
        found.short(),
        known.short()
    )
}

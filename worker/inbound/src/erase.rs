//! Redacts raw webhooks: META_RAW, and the bytes kept with parked rows (docs/decisions/43).
//!
//! What is erased in a body follows from the rules alone. So redacting it again changes nothing, and a crash at any place is followed by the
//! same work. The body without erased items is stored, durably, before the one with them is erased.

mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use facts::accounts::directory::Directory;
use facts::accounts::refresh;
use facts::erase::{self, item_rule_ids, rule_ids, rules_among};
use facts::erased::Erased;
use runtime::broker::Broker;
use runtime::follow::{Received, stored};
use runtime::publish::Outgoing;
use runtime::streams;
use schemas::ids::sha256_hex;
use schemas::raw::header;
use schemas::subjects::META_RAW;
use sqlx::PgPool;

use crate::output::Normalized;
use crate::raw_webhook::{RawWebhook, first_position};
use crate::reading::normalize_safely;
use crate::redact::{Named, Redaction, cut, erased_items, named};

pub use rows::forget_parked;

/// How long storing redacted bodies may take.
const WAIT: Duration = Duration::from_secs(10);
/// Bodies of parked rows that are read at once.
const PARKED_AT_ONCE: i64 = 20;
/// What ingest noted beside a body.
const KEPT: [&str; 4] = [header::RECEIVED_AT, header::SECRET, header::PATH, header::TRACEPARENT];

/// Redacts raw webhooks.
pub struct Redactor {
    broker: Broker,
    pool: PgPool,
    accounts: Arc<Directory>,
}

/// A raw webhook as today's normaliser reads it.
struct Read {
    normalized: Normalized,
    named: Named,
}

impl Redactor {
    /// Over `broker`, by the rules in `pool`.
    pub fn new(broker: &Broker, pool: &PgPool) -> Self {
        Self {
            broker: broker.clone(),
            pool: pool.clone(),
            accounts: Arc::new(Directory::new(-1, Vec::new())),
        }
    }

    /// Redacts raw webhooks of META_RAW. Returns how many had something erased in them.
    ///
    /// # Errors
    /// Broker or Postgres did not answer; call again with the same.
    pub async fn redact(&mut self, batch: &[Received]) -> anyhow::Result<u64> {
        if batch.is_empty() {
            return Ok(0);
        }
        self.refresh_accounts().await?;
        let raws: Vec<RawWebhook> = batch.iter().map(RawWebhook::of).collect();
        let read: Vec<Read> = raws.iter().map(|raw| self.read(raw)).collect();
        let (mut before, mut copies, mut stale) = (Vec::new(), Vec::new(), Vec::new());
        let gone = loop {
            let rules = self.rules(&read).await?;
            let of = |read: &Read| erased_items(&read.normalized, &read.named, &rules);
            let erased: Vec<BTreeSet<u32>> = read.iter().map(of).collect();
            let (mut again, mut gone) = (Vec::new(), Vec::new());
            for ((raw, webhook), erased) in batch.iter().zip(&raws).zip(&erased) {
                match cut(&webhook.body, erased) {
                    Redaction::Unchanged => {}
                    Redaction::Nothing => gone.push(raw.sequence),
                    Redaction::Body(body) => {
                        again.push((raw, body));
                        gone.push(raw.sequence);
                    }
                }
            }
            // A rule that came while the copies were stored has perhaps looked for them too early: they are made by the same rules as are
            // there when they stand.
            if erased == before {
                break gone;
            }
            stale.append(&mut copies);
            runtime::failpoint!("erase.before_store");
            copies = self.store_again(&again).await?;
            runtime::failpoint!("erase.after_store");
            if copies.is_empty() {
                break gone;
            }
            before = erased;
        };
        stale.retain(|copy| !copies.contains(copy));
        stale.extend(&gone);
        streams::erase(self.broker.js(), META_RAW, &stale).await?;
        runtime::failpoint!("erase.after_raw");
        Ok(gone.len() as u64)
    }

    /// Stores bodies again, and notes where they stand. Returns their positions.
    async fn store_again(&self, again: &[(&Received, Vec<u8>)]) -> anyhow::Result<Vec<u64>> {
        if again.is_empty() {
            return Ok(Vec::new());
        }
        let outgoing = again.iter().map(|(raw, body)| outgoing(raw, body)).collect();
        let placed = self.broker.publish_all(outgoing, WAIT).await?;
        let mut conn = self.pool.acquire().await?;
        for ((raw, _), placed) in again.iter().zip(&placed) {
            let first = first_position(raw).unwrap_or(raw.sequence);
            erase::redacted(&mut conn, first, placed.sequence).await?;
        }
        Ok(placed.iter().map(|placed| placed.sequence).collect())
    }

    /// Redacts raw webhooks that came again with something erased. Returns how many.
    ///
    /// # Errors
    /// As [`Redactor::redact`].
    pub async fn redact_waiting(&mut self, limit: i64) -> anyhow::Result<u64> {
        let waiting = erase::waiting_raws(&self.pool, limit).await?;
        for (first, now) in &waiting {
            let at = u64::try_from(*now).unwrap_or(0);
            if let Some(raw) = stored::at(self.broker.js(), META_RAW, at).await? {
                self.redact(std::slice::from_ref(&raw)).await?;
            }
            erase::take_raw(&self.pool, *first).await?;
        }
        Ok(waiting.len() as u64)
    }

    /// Redacts the bytes that are kept with parked rows. Returns how many bodies were changed.
    ///
    /// # Errors
    /// `sqlx::Error`; call again.
    pub async fn redact_parked(&mut self) -> anyhow::Result<u64> {
        self.refresh_accounts().await?;
        let (mut after, mut changed) = ((i16::MIN, i64::MIN), 0);
        loop {
            let kept = rows::kept_after(&self.pool, after, PARKED_AT_ONCE).await?;
            let Some(last) = kept.last() else { return Ok(changed) };
            after = (last.raw_era, last.raw_seq);
            for row in &kept {
                let Some(raw) = &row.raw else { continue };
                let read = self.read(raw);
                let rules = self.rules(std::slice::from_ref(&read)).await?;
                let body =
                    match cut(&raw.body, &erased_items(&read.normalized, &read.named, &rules)) {
                        Redaction::Unchanged => continue,
                        Redaction::Nothing => Vec::new(),
                        Redaction::Body(body) => body,
                    };
                rows::replace(&self.pool, row, raw, &body).await?;
                changed += 1;
            }
        }
    }

    fn read(&self, raw: &RawWebhook) -> Read {
        let (normalized, broken) = normalize_safely(raw, &self.accounts);
        // What nobody can read now stands for nothing.
        let normalized = if broken { Normalized::default() } else { normalized };
        let named = named(&raw.body, &normalized);
        Read { normalized, named }
    }

    async fn rules(&self, read: &[Read]) -> sqlx::Result<Erased> {
        let events = read.iter().flat_map(|read| read.normalized.facts());
        let mut ids = rule_ids(events.map(|draft| &draft.event));
        ids.extend(item_rule_ids(read.iter().flat_map(|read| read.normalized.senderless())));
        ids.extend(read.iter().flat_map(|read| read.named.values().flatten().cloned()));
        rules_among(&mut *self.pool.acquire().await?, &ids).await
    }

    async fn refresh_accounts(&mut self) -> sqlx::Result<()> {
        let mut conn = self.pool.acquire().await?;
        if let Some(accounts) = refresh::refresh(&mut conn, self.accounts.version()).await? {
            self.accounts = Arc::new(accounts);
        }
        Ok(())
    }
}

/// A redacted body as it is stored, under an id that follows from it.
fn outgoing(raw: &Received, body: &[u8]) -> Outgoing {
    let first = first_position(raw).unwrap_or(raw.sequence);
    let mut headers = HeaderMap::new();
    for name in KEPT {
        if let Some(value) = raw.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    if raw.header(header::RECEIVED_AT).is_none() {
        headers.insert(header::RECEIVED_AT, raw.stored_at.to_string());
    }
    let of_body = raw.header(header::BODY).map(str::to_owned);
    headers.insert(header::REDACTED, first.to_string());
    headers.insert(header::BODY, of_body.unwrap_or_else(|| sha256_hex(&raw.payload)));
    Outgoing {
        subject: raw.subject.clone(),
        id: format!("redacted.{first}.{}", sha256_hex(body)),
        headers,
        payload: body.to_vec().into(),
    }
}

//! The first pass: nothing is written.

use std::collections::HashMap;
use std::time::Instant;

use futures::future::LocalBoxFuture;
use runtime::follow::stored;
use schemas::{Event, EventId, subjects};
use serde_json::Value;

use super::bounds::Bounds;
use super::diff::Gone;
use super::reader::{BATCH_MAX, Replay};
use super::source::Source;
use super::survey::Survey;
use super::tally::{ReplayPlan, Sample, Verdict, differing_fields};

/// A plan, and what it found out for the second pass.
pub struct PlannedReplay {
    /// What is shown.
    pub plan: ReplayPlan,
    /// Facts to withdraw when everything else is done.
    pub(super) gone: Vec<Gone>,
}

impl Replay {
    /// Compares the slice with what is recorded; `at` is called with how many of its positions are done.
    ///
    /// # Errors
    /// When the broker or Postgres does not answer; nothing was changed, try again.
    pub fn plan<'a>(
        &'a self,
        bounds: &'a Bounds,
        rate: Option<f64>,
        at: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, anyhow::Result<PlannedReplay>> {
        Box::pin(async move {
            let began = Instant::now();
            let directory = self.directory().await?;
            let source = Source::open(&self.broker, self.facts.pool()).await?;
            bounds.are_of(source.era().n)?;
            let mut slice = source.slice(bounds.from, bounds.to);
            let mut survey = Survey::default();
            while let Some(batch) = slice.next(BATCH_MAX).await? {
                let mut reading = self.read(&batch, bounds, &directory, survey.expected()).await?;
                let drafts = survey.add_reading(&mut reading);
                let mut conn = self.facts.pool().acquire().await?;
                let decision = self.facts.plan_after(&mut conn, drafts, survey.planned()).await?;
                drop(conn);
                survey.add_decision(&decision);
                at(batch.last().map_or(0, |raw| raw.sequence.saturating_sub(bounds.from) + 1));
            }
            let gone = survey.take_gone(bounds.to_head);
            let mut found = survey.into_found();
            self.name_fields(&mut found.samples, &found.changed).await?;
            let looked = began.elapsed().as_secs_f64();
            let plan = ReplayPlan {
                slice: (bounds.from <= bounds.to).then_some((bounds.from, bounds.to)),
                span: found.span,
                expected_seconds: expected_seconds(looked, found.tally.raw_webhooks, rate),
                tally: found.tally,
                accounts: found.accounts,
                conversations: found.conversations,
                samples: found.samples,
            };
            Ok(PlannedReplay { plan, gone })
        })
    }

    /// Which fields of the changed examples differ from what is published.
    async fn name_fields(
        &self,
        samples: &mut [Sample],
        changed: &HashMap<String, Event>,
    ) -> anyhow::Result<()> {
        let ids: Vec<&str> = samples
            .iter()
            .filter(|sample| sample.verdict == Verdict::Changed)
            .map(|sample| sample.event_id.as_str())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let places = self.facts.places(&ids).await?;
        let js = self.broker.js();
        for sample in samples.iter_mut().filter(|sample| sample.verdict == Verdict::Changed) {
            let (Some(place), Some(event)) = (
                places.get(&EventId::from(sample.event_id.as_str())),
                changed.get(&sample.event_id),
            ) else {
                continue;
            };
            let stored = stored::at(js, subjects::INBOX_EVENTS, place.event_seq).await;
            let Ok(Some(stored)) = stored else { continue };
            let Ok(was) = serde_json::from_slice::<Value>(&stored.payload) else { continue };
            if was["id"] != sample.event_id.as_str() {
                continue;
            }
            sample.fields = differing_fields(&was, &serde_json::to_value(event)?);
        }
        Ok(())
    }
}

/// Applying costs about twice what looking does, or what the rate allows.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
fn expected_seconds(looked: f64, raws: u64, rate: Option<f64>) -> u64 {
    let limited = rate.filter(|rate| *rate > 0.0).map_or(0.0, |rate| raws as f64 / rate);
    (looked * 2.0).max(limited).ceil() as u64
}

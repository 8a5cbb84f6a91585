//! Keeping long work in step with its operator: the claim on the job, wishes, the rate, and what is shown.

use ops::{BEAT, Beat, Claim, Wish};
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RebuildError;
use crate::store::SchemaName;

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The position it has come to.
    pub position: u64,
    /// The position to come to.
    pub target: u64,
    /// What it does now, for people.
    pub doing: &'a str,
}

/// Shows how far the work is.
pub type Show<'a> = Box<dyn FnMut(Seen<'_>) + Send + 'a>;

/// The heartbeat of the work.
pub(crate) struct Heartbeat<'a> {
    claim: Option<&'a Claim>,
    pool: PgPool,
    stop: CancellationToken,
    show: Show<'a>,
    schema: Option<SchemaName>,
    position: u64,
    target: u64,
    beaten: Option<Instant>,
    rate: Option<f64>,
}

impl<'a> Heartbeat<'a> {
    /// `claim`: the job, where there is one.
    pub(crate) fn new(
        claim: Option<&'a Claim>,
        pool: PgPool,
        stop: CancellationToken,
        show: Show<'a>,
    ) -> Self {
        let rate = claim.and_then(|claim| claim.job.rate);
        Self { claim, pool, stop, show, schema: None, position: 0, target: 0, beaten: None, rate }
    }

    /// Says which schema the job builds or goes back to.
    pub(super) fn works_on(&mut self, schema: &SchemaName) {
        self.schema = Some(schema.clone());
    }

    /// The schema that the job builds or goes back to.
    pub(super) const fn schema(&self) -> Option<&SchemaName> {
        self.schema.as_ref()
    }

    /// Says how far it is.
    pub(super) const fn at(&mut self, position: u64, target: u64) {
        (self.position, self.target) = (position, target);
    }

    /// Events per second at most.
    pub(super) const fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Shows how far it is; renews the claim and looks for wishes, where it is time to.
    ///
    /// # Errors
    /// [`RebuildError::Stopped`] and [`RebuildError::Lost`] when it is to stop.
    pub(crate) async fn beat(&mut self, doing: &str) -> Result<(), RebuildError> {
        if self.stop.is_cancelled() {
            return Err(RebuildError::Stopped(Wish::Pause));
        }
        (self.show)(Seen { position: self.position, target: self.target, doing });
        if self.beaten.is_some_and(|beaten| beaten.elapsed() < BEAT) {
            return Ok(());
        }
        self.beaten = Some(Instant::now());
        let Some(claim) = self.claim else { return Ok(()) };
        match claim.beat().await? {
            Beat::Go { rate } => self.rate = rate,
            Beat::Stop(wish) => return Err(RebuildError::Stopped(wish)),
            Beat::Lost => return Err(RebuildError::Lost),
        }
        let mut conn = self.pool.acquire().await?;
        let schema = self.schema.as_ref().map_or("", SchemaName::as_str);
        let progress = json!({
            "schema": schema, "position": self.position, "target": self.target, "doing": doing,
        });
        if claim.save(&mut conn, &progress).await? { Ok(()) } else { Err(RebuildError::Lost) }
    }

    /// Does something that takes long and shows nothing by itself.
    pub(crate) async fn during<T, E: Into<RebuildError>>(
        &mut self,
        doing: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RebuildError> {
        let mut work = std::pin::pin!(work);
        loop {
            self.beat(doing).await?;
            tokio::select! {
                done = &mut work => return done.map_err(Into::into),
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
}

//! The ledger of a database that lost it, from the streams (docs/decisions/34). Facts are there already, with every outcome.
//!
//! A command with an outcome ends with that. One without an outcome and with an attempt in the log may have been sent: it is looked for as after
//! a backup was put back. One without either was never attempted, and is carried out: the log shows that as far as it reaches back. Of older
//! ones nobody knows; they are `unknown` and parked, as for a ledger that was lost before there was a log.

use facts::eras;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::follow::stored;
use runtime::health::Health;
use runtime::lease::Leases;
use runtime::streams::{StreamName, era_of};
use runtime::vouch::Vouch;
use schemas::Timestamp;
use schemas::subjects::{COMMAND_ALL, INBOX_COMMANDS};
use sqlx::PgPool;

use crate::attempt_log::AttemptLog;
use crate::handover::handover;
use crate::intake::Commands;
use crate::ledger::mark::{self, Mark};

/// What fills the ledger.
pub struct Ledger {
    /// Commands, outcomes and attempts.
    pub broker: Broker,
    /// The database.
    pub pool: PgPool,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// Knows the commands of people from those of automation.
    pub vouch: Vouch,
}

impl Ledger {
    /// Takes in every command, each with what became of it. `show` is called with the position that was reached.
    ///
    /// # Errors
    /// Database or broker failed, or a worker runs: call again, it goes on where it stopped.
    pub fn commands<'a>(
        &'a self,
        show: &'a mut (dyn FnMut(u64) + Send),
    ) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(async move {
            if mark::read(&self.pool).await?.is_none() {
                let mark = self.first_mark().await?;
                mark::create(&mut *self.pool.acquire().await?, mark).await?;
            }
            let intake = Commands {
                broker: self.broker.clone(),
                pool: self.pool.clone(),
                leases: self.leases.clone(),
                health: Health::new(),
                vouch: self.vouch.clone(),
                // Nobody sends here.
                handover: handover().0,
            };
            intake.accept_all(show).await
        })
    }

    /// Learns what the log of attempts knows. Returns the number of parts.
    ///
    /// # Errors
    /// Database or broker failed: call again.
    pub fn attempts(&self) -> BoxFuture<'_, anyhow::Result<usize>> {
        Box::pin(async move {
            AttemptLog::new(self.broker.clone(), self.pool.clone(), "recover").regain().await
        })
    }

    /// Commands up to the mark may have been attempted although the log does not know: they are from before its beginning.
    async fn first_mark(&self) -> anyhow::Result<Mark> {
        let js = self.broker.js();
        let commands = eras::there(js, StreamName::Commands).await?;
        let log = eras::there(js, StreamName::Attempts).await?;
        let (state, made) = (&log.state, Timestamp::from_nanos(log.created.unix_timestamp_nanos()));
        let first = Timestamp::from_nanos(state.first_timestamp.unix_timestamp_nanos());
        let first = (state.messages > 0).then_some(first);
        let since = known_since(made, state.first_sequence, first, runtime::now());
        let from = stored::first_since(js, INBOX_COMMANDS, COMMAND_ALL, since).await?;
        Ok(Mark { seq: from.saturating_sub(1), era: Some(era_of(&commands)), at: None })
    }
}

/// From when on the log has every attempt: since it was `made` or, where it has forgotten the ones before `first_sequence`, since the first that
/// is left.
fn known_since(
    made: Timestamp,
    first_sequence: u64,
    first: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    if first_sequence <= 1 { made } else { made.max(first.unwrap_or(now)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_believed_as_far_as_it_reaches_back() {
        let [made, first, now] = [1, 2, 3].map(Timestamp::from_millis);
        assert_eq!(known_since(made, 0, None, now), made, "nothing was ever attempted");
        assert_eq!(known_since(made, 1, Some(first), now), made);
        assert_eq!(known_since(made, 7, Some(first), now), first, "six have expired");
        assert_eq!(known_since(made, 8, None, now), now, "all have expired");
        assert_eq!(known_since(first, 7, Some(made), now), first, "restored elsewhere");
    }
}

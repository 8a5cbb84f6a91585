//! Who is alive: table `worker.members`, by the database's clock; and which shards this process holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::subjects;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::balance;

/// The shards this process holds, and how many it may hold.
#[derive(Clone, Debug)]
pub(super) struct Shares(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    allowed: usize,
    held: BTreeMap<u32, CancellationToken>,
}

/// One shard of the share; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    shares: Shares,
    shard: u32,
    /// Cancelled when the shard is to be released.
    pub(super) stop: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.state().held.remove(&self.shard);
    }
}

impl Shares {
    /// Nothing is held before the members were counted.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { allowed: 0, held: BTreeMap::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a shard, when fewer are held than allowed.
    pub(super) fn take(&self, shard: u32, shutdown: &CancellationToken) -> Option<Place> {
        let mut state = self.state();
        if state.held.len() >= state.allowed || state.held.contains_key(&shard) {
            return None;
        }
        let stop = shutdown.child_token();
        state.held.insert(shard, stop.clone());
        Some(Place { shares: self.clone(), shard, stop })
    }

    fn allow(&self, allowed: usize) {
        let mut state = self.state();
        state.allowed = allowed;
        let held: BTreeSet<u32> = state.held.keys().copied().collect();
        for shard in balance::surplus(&held, allowed) {
            if let Some(stop) = state.held.get(&shard) {
                stop.cancel();
            }
        }
    }
}

/// Says that `owner` is alive, three times in the life of a `lease`, and adjusts its share, until `shutdown`; then says goodbye. Silent for
/// longer than a lease lives, a worker counts as gone.
pub(super) async fn keep(
    pool: PgPool,
    owner: String,
    lease: Duration,
    shares: Shares,
    shutdown: CancellationToken,
) {
    loop {
        match beat(&pool, &owner, lease.as_secs_f64()).await {
            Ok(members) => shares.allow(balance::share(subjects::SHARDS, members)),
            // Unknown is not alone: hold what is held, the leases show whether it still is ours.
            Err(error) => tracing::debug!(%error, "Could not count the workers"),
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(lease / 3) => {}
        }
    }
    let goodbye =
        sqlx::query("delete from worker.members where owner = $1").bind(&owner).execute(&pool);
    if !matches!(tokio::time::timeout(lease / 3, goodbye).await, Ok(Ok(_))) {
        tracing::debug!("Could not say goodbye to the other workers; they notice by themselves");
    }
}

async fn beat(pool: &PgPool, owner: &str, gone_after_secs: f64) -> sqlx::Result<u32> {
    sqlx::query(
        "insert into worker.members (owner, seen_at) values ($1, clock_timestamp())
         on conflict (owner) do update set seen_at = excluded.seen_at",
    )
    .bind(owner)
    .execute(pool)
    .await?;
    sqlx::query(
        "delete from worker.members where seen_at < clock_timestamp() - make_interval(secs => $1)",
    )
    .bind(gone_after_secs * 50.0)
    .execute(pool)
    .await?;
    let count: i64 = sqlx::query_scalar(
        "select count(*) from worker.members where seen_at > clock_timestamp() - make_interval(secs => $1)",
    )
    .bind(gone_after_secs)
    .fetch_one(pool)
    .await?;
    Ok(u32::try_from(count).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_exceeded_and_shrinks_from_the_end() {
        let (shares, shutdown) = (Shares::new(), CancellationToken::new());
        assert!(shares.take(0, &shutdown).is_none());
        shares.allow(2);
        let first = shares.take(0, &shutdown).unwrap();
        let second = shares.take(5, &shutdown).unwrap();
        assert!(shares.take(6, &shutdown).is_none());
        assert!(shares.take(0, &shutdown).is_none());
        shares.allow(1);
        assert!(!first.stop.is_cancelled() && second.stop.is_cancelled());
        drop(second);
        assert!(shares.take(6, &shutdown).is_none());
        drop(first);
        assert!(shares.take(6, &shutdown).is_some());
    }
}

//! Folding an event that was set aside.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{FOLD_FAILED, Store, StoreError};
use crate::fold::Arrival;
use crate::read::Incoming;

/// How an event that was set aside came out when it was folded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// Its rows are what they should be, and it is off the list.
    Folded,
    /// It failed again; the list has the cause.
    Failed(&'static str),
    /// It is not on the list any more.
    Gone,
}

impl Store {
    /// Folds an event that was set aside, computes every row that is kept of it anew, and takes it off the list; nothing where a row fails.
    /// `name`: of the lease whose holder is to wait meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was written.
    pub async fn fold_again(&self, name: &str, incoming: Incoming) -> Result<Again, StoreError> {
        let mut tx = self.begin(name).await?;
        let seq = i64::try_from(incoming.seq).unwrap_or(i64::MAX);
        let taken = sqlx::query(self.text(&self.sql.unpark)).bind(seq).execute(&mut *tx).await?;
        if taken.rows_affected() == 0 {
            return Ok(Again::Gone);
        }
        let cause = match incoming.outcome {
            Err(parked) => Some((parked.cause, parked.detail)),
            Ok((arrival, _)) => {
                let held = self.forget(&mut tx, &arrival).await?;
                let failed = self.absorb(&mut tx, vec![arrival], Some(held)).await?;
                (!failed.entities.is_empty())
                    .then(|| (FOLD_FAILED, "computing the row failed again".to_owned()))
            }
        };
        let Some((cause, detail)) = cause else {
            tx.commit().await?;
            return Ok(Again::Folded);
        };
        tx.rollback().await?;
        self.note(seq, cause, &detail).await?;
        Ok(Again::Failed(cause))
    }

    /// Notes why an event that is set aside failed again.
    ///
    /// # Errors
    /// Of the database.
    pub async fn note(&self, seq: i64, cause: &str, detail: &str) -> sqlx::Result<()> {
        let query = sqlx::query(self.text(&self.sql.note)).bind(seq).bind(cause).bind(detail);
        query.execute(&self.pool).await.map(|_| ())
    }

    /// Takes back what is kept of this very version of an event, since today's code may split it differently, and answers with the rows that
    /// any version of it spoke of: which of them failed is not known.
    async fn forget(
        &self,
        tx: &mut PgConnection,
        arrival: &Arrival,
    ) -> sqlx::Result<BTreeSet<String>> {
        let event = arrival.event_id().as_str();
        let held: Vec<String> = sqlx::query_scalar(self.text(&self.sql.entities_of))
            .bind(event)
            .fetch_all(&mut *tx)
            .await?;
        if let Arrival::Fact { version, .. } = arrival {
            sqlx::query(self.text(&self.sql.forget_fact))
                .bind(event)
                .bind(version.revision)
                .bind(version.rank)
                .bind(&version.digest)
                .execute(tx)
                .await?;
        }
        Ok(held.into_iter().collect())
    }
}

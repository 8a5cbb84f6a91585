//! The read model against the stream: folded again into a scratch schema and compared, while everything goes on.

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::rebuild::build::{Builder, meet};
use crate::rebuild::compare::{Comparison, Reader};
use crate::rebuild::live::Live;
use crate::rebuild::{Pace, Place, RebuildError, Show};

mod sample;

use serde::Serialize;

pub use sample::{Sample, sample};

/// How names of scratch schemas begin.
const SCRATCH: &str = "inbox_verify_";

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The schema that was looked at.
    pub schema: String,
    /// The position at which it was compared.
    pub position: u64,
    /// Which conversations, where not all were looked at.
    pub sample: Option<Sample>,
    /// How it differs from what the stream says.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// A schema for one look; whoever comes later drops it where this process cannot.
struct Scratch {
    schema: String,
    /// Holds a lock that says that somebody is at it.
    conn: PgConnection,
}

impl Scratch {
    async fn make(pool: &PgPool) -> sqlx::Result<Self> {
        let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let mut conn = PgConnection::connect_with(&options).await?;
        let left: Vec<String> = sqlx::query_scalar(
            "select nspname::text from pg_namespace where nspname like 'inbox\\_verify\\_%'",
        )
        .fetch_all(&mut conn)
        .await?;
        for schema in left {
            if lock(&mut conn, &schema).await? {
                drop_schema(&mut conn, &schema).await?;
                sqlx::query("select pg_advisory_unlock(hashtextextended($1, 0))")
                    .bind(&schema)
                    .execute(&mut conn)
                    .await?;
            }
        }
        let schema = format!("{SCRATCH}{:08x}", rand::random::<u32>());
        lock(&mut conn, &schema).await?;
        Ok(Self { schema, conn })
    }

    async fn gone(mut self) -> sqlx::Result<()> {
        drop_schema(&mut self.conn, &self.schema).await?;
        self.conn.close().await
    }
}

async fn lock(conn: &mut PgConnection, schema: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(schema)
        .fetch_one(conn)
        .await
}

async fn drop_schema(conn: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(format!("drop schema if exists {schema} cascade")))
        .execute(conn)
        .await
        .map(|_| ())
}

/// Folds the whole stream and compares every row.
///
/// # Errors
/// See [`RebuildError`].
pub async fn whole(
    place: &Place,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Verified, RebuildError> {
    let mut pace = Pace::new(None, place.pool.clone(), stop, show);
    let scratch = Scratch::make(&place.pool).await?;
    let verified = fold_and_compare(place, &scratch.schema, &mut pace).await;
    let gone = scratch.gone().await;
    let verified = verified?;
    gone?;
    Ok(verified)
}

async fn fold_and_compare(
    place: &Place,
    scratch: &str,
    pace: &mut Pace<'_>,
) -> Result<Verified, RebuildError> {
    let mut live = Live::find(place).await?;
    let mut builder = Builder::open(place, scratch).await?;
    let met = meet(place, &mut builder, &mut live, pace).await?;
    let position = met.position;
    let reader = Reader::open(&place.pool).await?;
    met.part().await?;
    let comparison = pace.during("comparing", reader.compare(&live.schema, scratch)).await?;
    Ok(Verified { schema: live.schema, position, sample: None, comparison })
}

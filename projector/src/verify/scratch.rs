//! A schema for one verification; whoever comes later drops it where this process cannot.

use sqlx::{Connection, PgConnection, PgPool};

use crate::store::SchemaName;
use crate::store::schema::{drop_schema, existing};

/// A schema in use.
pub(super) struct Scratch {
    pub(super) schema: SchemaName,
    /// Holds a lock that says that the schema is in use.
    conn: PgConnection,
}

impl Scratch {
    /// Chooses a name; the schema itself is made by a migration. Drops those that nobody uses.
    pub(super) async fn make(pool: &PgPool) -> sqlx::Result<Self> {
        let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let mut conn = PgConnection::connect_with(&options).await?;
        for schema in existing(&mut conn).await?.into_iter().filter(SchemaName::is_scratch) {
            if lock(&mut conn, &schema).await? {
                drop_schema(&mut conn, &schema).await?;
                unlock(&mut conn, &schema).await?;
            }
        }
        let schema = SchemaName::scratch(rand::random());
        lock(&mut conn, &schema).await?;
        Ok(Self { schema, conn })
    }

    /// Drops the schema.
    pub(super) async fn gone(mut self) -> sqlx::Result<()> {
        drop_schema(&mut self.conn, &self.schema).await?;
        self.conn.close().await
    }
}

async fn lock(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(schema.as_str())
        .fetch_one(conn)
        .await
}

async fn unlock(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_unlock(hashtextextended($1, 0))")
        .bind(schema.as_str())
        .execute(conn)
        .await
        .map(|_| ())
}

//! Table `leases`: who may write a read model. Projectors take and renew theirs by `runtime::lease`; a rebuild takes that of the model it
//! builds whoever holds it.

use sqlx::PgConnection;

/// Takes a lease for good, whoever holds it; they are fenced by the epoch, which is returned.
pub(crate) async fn seize(conn: &mut PgConnection, name: &str, owner: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into leases as held (name, owner, epoch, expires_at) values ($1, $2, 1, 'infinity')
         on conflict (name) do update set owner = excluded.owner, epoch = held.epoch + 1, expires_at = 'infinity'
         returning epoch",
    )
    .bind(name)
    .bind(owner)
    .fetch_one(conn)
    .await
}

/// Lets go of all leases, so that others need not wait.
pub(crate) async fn free(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "update leases set owner = '', epoch = epoch + 1, expires_at = clock_timestamp() - interval '1 second'",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

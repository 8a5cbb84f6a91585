//! Table `leases`: who may write a read model. Projectors take and renew theirs by `runtime::lease`; a rebuild takes that of the model it
//! builds whoever holds it.

use runtime::lease::Lease;
use sqlx::PgConnection;

/// Takes a lease for good, whoever holds it; they are fenced by the epoch of the one that is returned.
pub(crate) async fn seize(conn: &mut PgConnection, name: &str, owner: &str) -> sqlx::Result<Lease> {
    let (epoch, server_started) = sqlx::query_as::<_, (i64, i64)>(
        "insert into leases as held (name, owner, epoch, expires_at) values ($1, $2, 1, 'infinity')
         on conflict (name) do update set owner = excluded.owner, epoch = held.epoch + 1, expires_at = 'infinity'
         returning epoch, (extract(epoch from greatest(pg_postmaster_start_time(),
                              (select stats_reset from pg_stat_bgwriter))) * 1000000)::bigint",
    )
    .bind(name)
    .bind(owner)
    .fetch_one(conn)
    .await?;
    Ok(Lease { name: name.to_owned(), owner: owner.to_owned(), epoch, server_started })
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

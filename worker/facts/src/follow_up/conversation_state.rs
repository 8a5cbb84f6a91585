//! What the sending side must know of conversations, accounts and echoes: written in the transaction of the shard that read them.

use runtime::BoxFuture;
use schemas::{Event, Timestamp};
use sqlx::PgConnection;

use super::conversations;
use super::knowledge::{Echo, Knowledge};

/// The channel by which a waiting sender is woken.
pub const WAKE: &str = "worker_send";
/// The channel by which workers are notified of echoes that are to be compared with the ledger.
pub const ECHOES: &str = "worker_echoes";

/// Remembers what `events` say: windows, thread control, echoes, policy notices. Belongs into the transaction that records
/// them; may be called again with the same events, in any order. Takes no lock of the ledger, so it never waits for a send.
///
/// # Errors
/// `sqlx::Error`: roll back and do all of it again.
pub fn note<'a>(
    conn: &'a mut PgConnection,
    events: &'a [Event],
    now: Timestamp,
) -> BoxFuture<'a, sqlx::Result<()>> {
    Box::pin(async move {
        let knowledge = Knowledge::of(events, now);
        if knowledge.is_empty() {
            return Ok(());
        }
        runtime::failpoint!("note.before");
        conversations::note(conn, &knowledge).await?;
        note_policies(conn, &knowledge).await?;
        let echoes: Vec<&Echo> = knowledge.echoes.values().collect();
        note_echoes(conn, &echoes).await?;
        runtime::failpoint!("note.after");
        Ok(())
    })
}

async fn note_policies(conn: &mut PgConnection, knowledge: &Knowledge) -> sqlx::Result<()> {
    for ((channel, account), policy) in &knowledge.policies {
        let Some((time, event, enforced)) = &policy.notice else { continue };
        let ruled = policy.blocked.as_ref();
        sqlx::query(
            "insert into worker.account_policy as p
                    (channel, account_id, action, reason, time, event_id, blocked, ruled_at, ruled_event)
             values ($1, $2, $3, $4, $5, $6, coalesce($7, false), $8, $9)
             on conflict (channel, account_id) do update set
                (action, reason, time, event_id) = (
                    select n.* from (values (excluded.action, excluded.reason, excluded.time, excluded.event_id),
                                            (p.action, p.reason, p.time, p.event_id)) as n (action, reason, time, event_id)
                     order by n.time desc, n.event_id desc limit 1),
                (blocked, ruled_at, ruled_event) = (
                    select r.* from (values (excluded.blocked, excluded.ruled_at, excluded.ruled_event),
                                            (p.blocked, p.ruled_at, p.ruled_event)) as r (blocked, ruled_at, ruled_event)
                     order by r.ruled_at desc nulls last, r.ruled_event desc nulls last limit 1)",
        )
        .bind(channel.as_str())
        .bind(account)
        .bind(&enforced.action)
        .bind(&enforced.reason)
        .bind(time.to_datetime())
        .bind(event)
        .bind(ruled.map(|(.., blocked)| *blocked))
        .bind(ruled.map(|(time, ..)| time.to_datetime()))
        .bind(ruled.map(|(_, event, _)| event))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Keeps echoes as evidence and notifies the workers to compare them with what is open. The first report of a message stays.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
async fn note_echoes(conn: &mut PgConnection, echoes: &[&Echo]) -> sqlx::Result<()> {
    if echoes.is_empty() {
        return Ok(());
    }
    let kept = sqlx::query(
        "insert into worker.echoes (channel, account_id, item_id, kind, peer, content, metadata, app_id, time)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                              $9::timestamptz[])
         on conflict (channel, account_id, item_id) do update
            set metadata = coalesce(echoes.metadata, excluded.metadata), app_id = coalesce(echoes.app_id, excluded.app_id),
                examined = false, examine_at = now()
          where echoes.claimed_by is null and echoes.metadata is null and excluded.metadata is not null",
    )
    .bind(echoes.iter().map(|echo| echo.channel.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.account_id.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.item_id.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.kind).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.peer.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.content.to_vec()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.metadata.as_deref()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.app_id.as_deref()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|echo| echo.time.to_datetime()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if kept > 0 { runtime::notify::notify(conn, ECHOES).await } else { Ok(()) }
}

/// Echoes among these events were seen when the broker stored them, not when they were noted.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub(crate) async fn seen_at(
    conn: &mut PgConnection,
    events: &[(&Event, Timestamp)],
) -> sqlx::Result<()> {
    let echoes: Vec<(Echo, Timestamp)> = events
        .iter()
        .flat_map(|(event, at)| {
            let knowledge = Knowledge::of(std::slice::from_ref(*event), *at);
            knowledge.echoes.into_values().map(|echo| (echo, *at))
        })
        .collect();
    if echoes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update worker.echoes e set seen_at = t.at
           from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as t (channel, account_id, item_id, at)
          where e.channel = any(array[t.channel]) and e.account_id = t.account_id and e.item_id = t.item_id and t.at < e.seen_at",
    )
    .bind(echoes.iter().map(|(echo, _)| echo.channel.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|(echo, _)| echo.account_id.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|(echo, _)| echo.item_id.as_str()).collect::<Vec<_>>())
    .bind(echoes.iter().map(|(_, at)| at.to_datetime()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Wakes the senders of all workers once the transaction commits.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn wake(conn: &mut PgConnection) -> sqlx::Result<()> {
    runtime::notify::notify(conn, WAKE).await
}

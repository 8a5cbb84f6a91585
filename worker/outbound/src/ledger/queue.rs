//! `worker.commands` as the queue: what is due, and what is let go.

use std::collections::HashMap;
use std::time::Duration;

use schemas::{AccountId, Channel};
use sqlx::{PgConnection, PgPool};

/// What one look returns of an account at most, of each kind.
const SHARE: usize = 32;
/// What one look returns of all accounts, about: the more accounts wait, the less of each. So a look costs what it returns, not what waits.
const LOOKED_MAX: usize = 1024;
/// Accounts of one look at most, those first whose first command has waited longest.
const ACCOUNTS_MAX: usize = LOOKED_MAX / 2;

/// A command that may be due.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct DueRow {
    pub(crate) identity: String,
    /// As text: a command of a channel that only a newer release knows must not hold up the others.
    pub(crate) channel: String,
    pub(crate) account_id: AccountId,
    /// It would only read.
    pub(crate) reading: bool,
}

/// What one look has found.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) commands: Vec<DueRow>,
    /// Some may have been left out.
    pub(crate) more: bool,
}

/// An account with commands that are due.
#[derive(Debug, sqlx::FromRow)]
struct WaitingRow {
    channel: String,
    account_id: AccountId,
}

/// Commands that are due, first in their lane, with nothing else of the lane in flight. People pass automations that wait for a
/// parked outcome, and all pass those whose time has not come. A share for every account, for sending and for reading back, so that a long queue of one holds up no other.
pub(crate) async fn due(pool: &PgPool, active: &[String]) -> sqlx::Result<Due> {
    let accounts = waiting(pool).await?;
    let share = (LOOKED_MAX / accounts.len().max(1)).min(SHARE);
    let commands = due_of(pool, &accounts, share, active).await?;
    let mut found: HashMap<(&str, &AccountId, bool), usize> = HashMap::new();
    for row in &commands {
        *found.entry((&row.channel, &row.account_id, row.reading)).or_default() += 1;
    }
    let more = accounts.len() == ACCOUNTS_MAX || found.values().any(|&count| share <= count);
    Ok(Due { commands, more })
}

/// Accounts with commands that are due. They are found by stepping from one to the next in `commands_due`.
async fn waiting(pool: &PgPool) -> sqlx::Result<Vec<WaitingRow>> {
    sqlx::query_as(
        "with recursive accounts as (
                (select c.channel, c.account_id, c.due_at from worker.commands c where c.state = 'open'
                  order by c.channel, c.account_id, c.due_at limit 1)
              union all
                select n.channel, n.account_id, n.due_at from accounts a
                 cross join lateral (select c.channel, c.account_id, c.due_at from worker.commands c
                                      where c.state = 'open' and (c.channel, c.account_id) > (a.channel, a.account_id)
                                      order by c.channel, c.account_id, c.due_at limit 1) n)
         select channel, account_id from accounts where due_at <= statement_timestamp() order by due_at limit $1",
    )
    .bind(i64::try_from(ACCOUNTS_MAX).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}

/// What is due: of what is to be sent, `share` of each of these accounts; of what is read back, of all.
///
/// Of what is to be sent, twice as many of an account are looked at, in the order of `commands_due`. Only where fewer than an eighth of
/// `share` of these are first in their lane, because long lanes fill the window, are all of them. A lane has one part in flight at most,
/// which is why the part of a command that is read back is not asked for in its own lane. `offset 0` keeps a look-up by key apart from what
/// is around it: a plan made while the tables were empty would read a whole index for each command instead.
async fn due_of(
    pool: &PgPool,
    accounts: &[WaitingRow],
    share: usize,
    active: &[String],
) -> sqlx::Result<Vec<DueRow>> {
    let channels: Vec<&str> = accounts.iter().map(|row| row.channel.as_str()).collect();
    let ids: Vec<&str> = accounts.iter().map(|row| row.account_id.as_str()).collect();
    sqlx::query_as(
        "select due.identity, due.channel, due.account_id, due.reading
           from (
             select s.identity, s.channel, s.account_id, false as reading, s.due_at
               from unnest($2::text[], $3::text[]) as a (channel, account_id)
              cross join lateral (
                    with first as materialized (
                       select c.identity, c.channel, c.account_id, c.due_at
                         from (select c.identity, c.channel, c.account_id, c.due_at, c.stream_era, c.stream_seq, c.lane, c.requester
                                 from worker.commands c
                                where c.channel = a.channel and c.account_id = a.account_id
                                  and c.state = 'open' and c.due_at <= statement_timestamp()
                                  and c.identity <> all($1) and c.command not in ('sync', 'media_sync', 'insights_refresh', 'template_status')
                                  and not exists (select from (select from worker.parts p
                                                                where p.lane = c.lane and p.state = 'sending' offset 0) in_flight)
                                order by c.due_at limit $4 * 2) c
                        where not exists (select from (select e.held, e.due_at from worker.commands e
                                                        where e.lane = c.lane and e.state = 'open'
                                                          and (e.stream_era, e.stream_seq) < (c.stream_era, c.stream_seq)
                                                       offset 0) earlier
                                           where not (earlier.held is not distinct from 'parked' and c.requester = 'person')
                                             and not (earlier.held is not distinct from 'scheduled' and earlier.due_at > statement_timestamp()))
                        order by c.due_at, c.stream_seq limit $4)
                    select identity, channel, account_id, due_at from first where $4 <= 8 * (select count(*) from first)
                     union all
                    (select c.identity, c.channel, c.account_id, c.due_at from worker.commands c
                      where 8 * (select count(*) from first) < $4
                        and c.channel = a.channel and c.account_id = a.account_id
                        and c.state = 'open' and c.due_at <= statement_timestamp()
                        and c.identity <> all($1) and c.command not in ('sync', 'media_sync', 'insights_refresh', 'template_status')
                        and not exists (select from (select from worker.parts p
                                                      where p.lane = c.lane and p.state = 'sending' offset 0) in_flight)
                        and not exists (select from (select e.held, e.due_at from worker.commands e
                                                      where e.lane = c.lane and e.state = 'open'
                                                        and (e.stream_era, e.stream_seq) < (c.stream_era, c.stream_seq)
                                                     offset 0) earlier
                                         where not (earlier.held is not distinct from 'parked' and c.requester = 'person')
                                             and not (earlier.held is not distinct from 'scheduled' and earlier.due_at > statement_timestamp()))
                      order by c.due_at, c.stream_seq limit $4)) s
              union all
             select k.identity, k.channel, k.account_id, true, k.due_at
               from (select c.identity, c.channel, c.account_id, c.due_at,
                            row_number() over (partition by c.channel, c.account_id order by c.due_at, c.stream_seq) as place
                       from (select r.identity from worker.parts r where r.state = 'sending'
                              union all
                             select y.identity from worker.commands y where y.command in ('sync', 'media_sync', 'insights_refresh', 'template_status') and y.state = 'open') r
                      cross join lateral (select * from worker.commands one where one.identity = r.identity offset 0) c
                      where c.state = 'open' and c.due_at <= statement_timestamp() and c.identity <> all($1)
                        and not exists (select from (select e.held, e.due_at from worker.commands e
                                                      where e.lane = c.lane and e.state = 'open'
                                                        and (e.stream_era, e.stream_seq) < (c.stream_era, c.stream_seq)
                                                     offset 0) earlier
                                         where not (earlier.held is not distinct from 'parked' and c.requester = 'person')
                                             and not (earlier.held is not distinct from 'scheduled' and earlier.due_at > statement_timestamp()))) k
              where k.place <= $4) due
          order by due.due_at",
    )
    .bind(active)
    .bind(channels)
    .bind(ids)
    .bind(i64::try_from(share).unwrap_or(i64::MAX))
    // Planned for the tables as they are now: between an empty queue and a long one the right plan differs, and a kept one is of the empty.
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// Whether an import of the account in another lane than this is due and first there, and nobody works on it.
pub(crate) async fn import_is_due(
    pool: &PgPool,
    channel: Channel,
    account_id: &AccountId,
    lane: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.commands c
                         where c.channel = $1 and c.account_id = $2 and c.state = 'open' and c.due_at <= clock_timestamp()
                           and c.command = 'sync' and c.lane <> $3
                           and not exists (select from worker.commands e
                                            where e.lane = c.lane and e.state = 'open'
                                              and (e.stream_era, e.stream_seq) < (c.stream_era, c.stream_seq)))",
    )
    .bind(channel)
    .bind(account_id)
    .bind(lane)
    .fetch_one(pool)
    .await
}

/// A claim that was rolled back leaves its commands due: it would fail again at once, and again.
pub(crate) async fn reschedule(
    pool: &PgPool,
    identities: &[String],
    pause: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = clock_timestamp() + make_interval(secs => $2)
          where identity = any($1) and state = 'open' and due_at <= clock_timestamp()",
    )
    .bind(identities)
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// A claimed command is due again after `pause`, not when its claim would have lapsed.
pub(crate) async fn repeat_in(pool: &PgPool, identity: &str, pause: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = clock_timestamp() + make_interval(secs => $2) where identity = $1 and state = 'open'",
    )
    .bind(identity)
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Lets go of commands that wait for a freeze or a stopped account which is none any more, and of those that wait for one that is
/// disconnected: they end. What is frozen stays so.
pub(crate) async fn release(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set due_at = clock_timestamp(), held = null
          where identity in (
                select c.identity from worker.commands c join worker.accounts a on a.channel = c.channel and a.id = c.account_id
                 where c.state = 'open' and c.held in ('account_stopped', 'frozen')
                   and ((c.held = 'account_stopped' and a.state <> 'stopped')
                        or (c.held = 'frozen' and not exists (select from worker.behind_log)
                            and not exists (select from worker.freezes f
                                             where f.scope in ('*', 'account:' || c.channel || '/' || c.account_id,
                                                               'conversation:' || coalesce(c.conversation_id, '')))))
                   for update of c skip locked)",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many commands are open in a scope; `None` leaves a condition out.
pub(crate) async fn count_open(
    pool: &PgPool,
    channel: Option<&str>,
    account_id: Option<&str>,
    conversation_id: Option<&str>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from worker.commands
          where state = 'open' and ($1::text is null or channel = $1) and ($2::text is null or account_id = $2)
            and ($3::text is null or conversation_id = $3)",
    )
    .bind(channel)
    .bind(account_id)
    .bind(conversation_id)
    .fetch_one(pool)
    .await
}

/// Numbers of commands, for the gauge.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct QueueCounts {
    pub(crate) open: i64,
    pub(crate) parked: i64,
    pub(crate) held: i64,
    pub(crate) unpublished: i64,
}

/// Counts the queue.
pub(crate) async fn counts(pool: &PgPool) -> sqlx::Result<QueueCounts> {
    sqlx::query_as(
        "select count(*) filter (where state = 'open') as open, count(*) filter (where state = 'unknown') as parked,
                count(*) filter (where state = 'open' and held is not null) as held,
                (select count(*) from worker.commands where state <> 'open' and not outcome_published) as unpublished
           from worker.commands where state in ('open', 'unknown')",
    )
    .fetch_one(pool)
    .await
}

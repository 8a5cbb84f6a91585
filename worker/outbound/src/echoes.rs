//! Comparing echoes with the ledger: every outbound message that Meta tells is the effect of one of our parts, or somebody else's.
//!
//! Echoes come before the answer to their send, after it, or without it. By our key (Messenger) or by the message id they are exact;
//! by content (Instagram) they are matched only with parts whose own answer will never come.

use std::time::Duration;

use runtime::failpoint;
use schemas::{AccountId, Channel, ContactId, ConversationId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::decide::State;
use super::ledger::{self, CommandRow, SettledBy};
use super::matching::{Item, LATE, Owner, SKEW, Wanted, owner};
use super::plan;

/// Echoes compared in one go.
const BATCH: i64 = 100;
/// How long an echo is left alone that could not be compared.
const PUT_OFF: Duration = Duration::from_secs(1);

struct EchoRow {
    channel: Channel,
    account_id: String,
    kind: String,
    metadata: Option<String>,
    item: Item,
}

/// Compares the echoes that wait for it, each in a transaction of its own: one that fails, or whose command somebody else has locked,
/// holds up no other. Gives the commands that ended by it: their outcomes are to be published.
///
/// # Errors
/// Of the database: the rest is compared later.
pub async fn examine(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "select channel, account_id, item_id, kind, peer, content, metadata, time from worker.echoes
          where not examined and examine_at <= clock_timestamp() order by time, item_id limit $1
            for no key update skip locked",
    )
    .bind(BATCH)
    .fetch_all(pool)
    .await?;
    let mut ended = Vec::new();
    for row in &rows {
        let settled = async { settle(pool, &EchoRow::from_row(row)?).await };
        match settled.await {
            Ok(command) => ended.extend(command),
            Err(error) => {
                tracing::debug!(%error, "Could not compare an echo with the ledger");
                let mut conn = pool.acquire().await?;
                let until = ledger::now(&mut conn).await?.plus(PUT_OFF);
                postpone(&mut conn, key(row)?, until).await?;
            }
        }
    }
    Ok(ended)
}

impl EchoRow {
    fn key(&self) -> Key<'_> {
        (self.channel.as_str(), &self.account_id, &self.item.id)
    }

    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            channel: row
                .try_get::<String, _>("channel")?
                .parse()
                .map_err(|_| ledger::bad("channel"))?,
            account_id: row.try_get("account_id")?,
            kind: row.try_get("kind")?,
            metadata: row.try_get("metadata")?,
            item: Item {
                id: row.try_get("item_id")?,
                content: ledger::content(row)?,
                peer: row.try_get("peer")?,
                time: ledger::time(row, "time")?.unwrap_or(Timestamp::EPOCH),
                claimed: false,
            },
        })
    }
}

async fn settle(pool: &PgPool, echo: &EchoRow) -> sqlx::Result<Option<String>> {
    let mut conn = pool.acquire().await?;
    if let Some((identity, n)) = exact(&mut conn, echo).await? {
        drop(conn);
        return take(pool, echo, &identity, n).await;
    }
    // Messenger tells who sent it: without our key it is not ours, whatever it says.
    let by_content = echo.channel == Channel::Instagram || echo.kind == "comment";
    let wanted = if by_content { candidates(&mut conn, echo).await? } else { Vec::new() };
    match owner(&wanted, &echo.item) {
        Owner::Part(part) => {
            let Some((identity, n)) = plan::parse_key(&part.key) else { return Ok(None) };
            let (identity, n) = (identity.to_owned(), n);
            drop(conn);
            take(pool, echo, &identity, n).await
        }
        Owner::Wait(until) => postpone(&mut conn, echo.key(), until).await.map(|()| None),
        Owner::Nobody => nobodys(&mut conn, echo).await.map(|()| None),
    }
}

/// The part an echo names: by our key, or by the message id its answer gave.
async fn exact(conn: &mut PgConnection, echo: &EchoRow) -> sqlx::Result<Option<(String, i32)>> {
    if let Some((identity, n)) = echo.metadata.as_deref().and_then(plan::parse_key) {
        let known = sqlx::query_scalar::<_, bool>(
            "select exists (select from worker.parts p join worker.commands c using (identity)
                             where p.identity = $1 and p.n = $2 and c.channel = $3 and c.account_id = $4)",
        )
        .bind(identity)
        .bind(n)
        .bind(echo.channel.as_str())
        .bind(&echo.account_id)
        .fetch_one(&mut *conn)
        .await?;
        return Ok(known.then(|| (identity.to_owned(), n)));
    }
    let row = sqlx::query(
        "select p.identity, p.n from worker.parts p join worker.commands c using (identity)
          where p.message_id = $1 and c.channel = $2 and c.account_id = $3",
    )
    .bind(&echo.item.id)
    .bind(echo.channel.as_str())
    .bind(&echo.account_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.try_get("identity")?, row.try_get("n")?))).transpose()
}

/// Parts that say the same to the same peer and may have had this effect: in flight, lost, ended without certainty, or known to be sent
/// but not as which message. A private reply names a comment, not a person: it is compared whomever the message went to.
async fn candidates(conn: &mut PgConnection, echo: &EchoRow) -> sqlx::Result<Vec<Wanted>> {
    let rows = sqlx::query(
        "select p.identity, p.n, p.peer, p.first_at, p.deadline,
                (p.state = 'sending' and not p.lost and clock_timestamp() < p.deadline) as in_flight
           from worker.parts p join worker.commands c using (identity)
          where c.channel = $1 and c.account_id = $2 and p.content = $4 and p.message_id is null
            and ((p.peer = $3 and p.peer <> '') or ($7 and p.peer = '' and p.payload ->> 'op' = 'private_reply'))
            and p.state in ('sending', 'refused', 'unknown', 'failed', 'sent') and (p.state in ('sending', 'sent') or p.uncertain)
            and p.first_at <= $5 and $6 <= p.deadline",
    )
    .bind(echo.channel.as_str())
    .bind(&echo.account_id)
    .bind(&echo.item.peer)
    .bind(echo.item.content.to_vec())
    .bind(echo.item.time.plus(SKEW).to_datetime())
    .bind(echo.item.time.minus(LATE).to_datetime())
    .bind(echo.kind == "message")
    .fetch_all(conn)
    .await?;
    let mut wanted = Vec::new();
    for row in &rows {
        let (Some(first_at), Some(deadline)) =
            (ledger::time(row, "first_at")?, ledger::time(row, "deadline")?)
        else {
            continue;
        };
        wanted.push(Wanted {
            key: plan::key(row.try_get("identity")?, row.try_get("n")?),
            content: echo.item.content,
            peer: row.try_get("peer")?,
            first_at,
            deadline,
            in_flight: row.try_get("in_flight")?,
        });
    }
    Ok(wanted)
}

/// The echo is the effect of this part: whatever the ledger said before, it was sent. Gives the command, if it ended by it.
async fn take(
    pool: &PgPool,
    echo: &EchoRow,
    identity: &str,
    n: i32,
) -> sqlx::Result<Option<String>> {
    let mut tx = pool.begin().await?;
    let Some(command) = ledger::try_lock(&mut tx, identity).await? else { return Ok(None) };
    let parts = ledger::parts(&mut tx, identity).await?;
    let Some(part) = parts.iter().find(|part| part.n == n) else { return Ok(None) };
    // Another part may have been quicker; the echo is examined by its claim then.
    if !ledger::claim(&mut tx, &command, &echo.item.id, &plan::key(identity, n)).await? {
        return Ok(None);
    }
    let now = ledger::now(&mut tx).await?;
    let (item, at) = (Some(echo.item.id.as_str()), echo.item.time.min(now));
    if part.state == State::Sent {
        let named = told_again(&mut tx, &command, n, &echo.item.id, at).await?;
        let ended = named && ledger::conclude(&mut tx, &command, None).await?;
        failpoint!("echo.before_claim_commit");
        tx.commit().await?;
        failpoint!("echo.after_claim_commit");
        return Ok(ended.then(|| identity.to_owned()));
    }
    let mut ended = None;
    if ledger::mark_sent(&mut tx, &command, n, item, at, SettledBy::Echo).await? {
        if ledger::conclude(&mut tx, &command, None).await? {
            ended = Some(identity.to_owned());
        } else {
            // The next part goes at once.
            ledger::wait(&mut tx, identity, now, None).await?;
            facts::follow_up::conversation_state::wake(&mut tx).await?;
        }
    }
    failpoint!("echo.before_settle_commit");
    tx.commit().await?;
    failpoint!("echo.after_settle_commit");
    Ok(ended)
}

/// A part that is sent is told to be sent as `item_id`: mostly the same message. One whose message nobody knew (a person said that it was
/// sent) gets it now; then it is `true`, and its outcome is to be told anew. Two messages for one part mean that the residual risk has
/// happened; nothing can take it back, but somebody must know.
pub(super) async fn told_again(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    item_id: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    if ledger::name_sent(conn, command, n, item_id, at).await? {
        return Ok(true);
    }
    let other: bool = sqlx::query_scalar(
        "select exists (select from worker.parts where identity = $1 and n = $2 and state = 'sent' and message_id <> $3)",
    )
    .bind(&command.identity)
    .bind(n)
    .bind(item_id)
    .fetch_one(conn)
    .await?;
    if other {
        metrics::counter!("hookline_send_doubles_total").increment(1);
        tracing::error!(
            command.id = %command.command_id, account.id = %command.account_id,
            "Meta delivered command `{}` twice", command.command_id
        );
    }
    Ok(false)
}

/// Channel, account and item of an echo.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(row: &PgRow) -> sqlx::Result<Key<'_>> {
    Ok((row.try_get("channel")?, row.try_get("account_id")?, row.try_get("item_id")?))
}

async fn postpone(conn: &mut PgConnection, key: Key<'_>, until: Timestamp) -> sqlx::Result<()> {
    sqlx::query("update worker.echoes set examine_at = $4 where channel = $1 and account_id = $2 and item_id = $3")
        .bind(key.0)
        .bind(key.1)
        .bind(key.2)
        .bind(until.to_datetime())
        .execute(conn)
        .await?;
    Ok(())
}

/// None of ours: a person in Meta's own inbox, or another app, has answered.
async fn nobodys(conn: &mut PgConnection, echo: &EchoRow) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.echoes set examined = true
          where channel = $1 and account_id = $2 and item_id = $3 and claimed_by is null",
    )
    .bind(echo.channel.as_str())
    .bind(&echo.account_id)
    .bind(&echo.item.id)
    .execute(&mut *conn)
    .await?;
    if echo.kind == "message" {
        // The person may not have written yet, or their message may still wait for its sender.
        let contact = ContactId::new(&echo.item.peer);
        let account = AccountId::new(&echo.account_id);
        sqlx::query(
            "insert into worker.conversations as c (conversation_id, channel, account_id, contact_id, others_replied_at)
             values ($1, $2, $3, $4, least($5, clock_timestamp()))
             on conflict (conversation_id) do update
                set others_replied_at = greatest(c.others_replied_at, excluded.others_replied_at)",
        )
        .bind(ConversationId::of(echo.channel, &account, &contact).as_str())
        .bind(echo.channel.as_str())
        .bind(&echo.account_id)
        .bind(&echo.item.peer)
        .bind(echo.item.time.to_datetime())
        .execute(conn)
        .await?;
    }
    Ok(())
}

//! Comparing echoes with the ledger: every outbound message that Meta reports is the effect of one of our parts, or somebody else's.
//!
//! Echoes come before the answer to their send, after it, or without it. By our key (Messenger) or by the message id they are exact;
//! by content (Instagram) they are matched only with parts whose own answer will never come.

use std::time::Duration;

use facts::follow_up::conversation_state;
use facts::follow_up::conversations;
use facts::news;
use runtime::failpoint;
use schemas::{Channel, ContactId};
use sqlx::{PgConnection, PgPool};

use crate::ledger::echoes::{self, Echo, EchoRow};
use crate::ledger::parts::{self, EffectQuery};
use crate::ledger::{self, commands, transitions};
use crate::matching::{LATE, Owner, SKEW, Wanted, owner};
use crate::payload::{parse_key, part_key};
use crate::state::{EchoKind, PartState, SettledBy};

/// Echoes compared in one go.
const BATCH: i64 = 100;
/// How long an echo is left alone that could not be compared.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// Compares the echoes that wait for it, each in a transaction of its own: one that fails, or whose command somebody else has locked,
/// holds up no other. Returns the commands that ended by it: their outcomes are to be published.
///
/// # Errors
/// `sqlx::Error`: the rest is compared at the next call.
pub(crate) async fn examine(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let mut ended = Vec::new();
    for row in echoes::to_examine(pool, BATCH).await? {
        match settle(pool, &row).await {
            Ok(command) => ended.extend(command),
            Err(error) => {
                tracing::debug!(%error, "Could not compare an echo with the ledger");
                let mut conn = pool.acquire().await?;
                let until = ledger::now(&mut conn).await?.plus(FAILED_PAUSE);
                let key = (row.channel.as_str(), &row.account_id, row.item_id.as_str());
                echoes::reschedule(&mut conn, key, until).await?;
            }
        }
    }
    Ok(ended)
}

async fn settle(pool: &PgPool, row: &EchoRow) -> sqlx::Result<Option<String>> {
    let echo = &row.read()?;
    let channel = echo.channel;
    let mut conn = pool.acquire().await?;
    if let Some((identity, n)) = exact(&mut conn, channel, echo).await? {
        drop(conn);
        return take(pool, echo, &identity, n).await;
    }
    // Messenger names the app that sent it: without our key it is not ours, whatever it says.
    let by_content = channel == Channel::Instagram || echo.kind == EchoKind::Comment;
    let wanted = if by_content { candidates(&mut conn, channel, echo).await? } else { Vec::new() };
    match owner(&wanted, &echo.item()) {
        Owner::Part(part) => {
            let Some((identity, n)) = parse_key(&part.key) else { return Ok(None) };
            drop(conn);
            take(pool, echo, identity, n).await
        }
        Owner::Wait(until) => echoes::reschedule(&mut conn, echo.key(), until).await.map(|()| None),
        Owner::Nobody => mark_foreign(&mut conn, channel, echo).await.map(|()| None),
    }
}

/// The part an echo names: by our key, or by the message id its answer gave.
async fn exact(
    conn: &mut PgConnection,
    channel: Channel,
    echo: &Echo,
) -> sqlx::Result<Option<(String, i32)>> {
    match echo.metadata.as_deref().and_then(parse_key) {
        Some((identity, n)) => {
            let known = parts::exists(conn, channel, &echo.account_id, identity, n).await?;
            Ok(known.then(|| (identity.to_owned(), n)))
        }
        None => parts::by_message(conn, channel, &echo.account_id, &echo.item_id).await,
    }
}

/// Parts that may have had the effect that is reported.
async fn candidates(
    conn: &mut PgConnection,
    channel: Channel,
    echo: &Echo,
) -> sqlx::Result<Vec<Wanted>> {
    let effect = EffectQuery {
        channel,
        account_id: &echo.account_id,
        kind: echo.kind,
        peer: &echo.peer,
        content: &echo.content,
        begun_by: echo.time.plus(SKEW),
        ended_after: echo.time.minus(LATE),
    };
    let rows = parts::unsettled(conn, effect).await?;
    let wanted = rows.into_iter().map(|row| Wanted {
        key: part_key(&row.identity, row.n),
        content: echo.content,
        peer: row.peer,
        first_at: row.first_at,
        deadline: row.deadline,
        in_flight: row.in_flight,
    });
    Ok(wanted.collect())
}

/// The echo is the effect of this part: whatever the ledger said before, it was sent. Returns the command, if it ended by it.
async fn take(pool: &PgPool, echo: &Echo, identity: &str, n: i32) -> sqlx::Result<Option<String>> {
    let mut tx = pool.begin().await?;
    let Some(command) = commands::try_lock(&mut tx, identity).await? else { return Ok(None) };
    let parts = parts::of(&mut tx, identity).await?;
    let Some(part) = parts.iter().find(|part| part.n == n) else { return Ok(None) };
    // Another part may have been quicker; the echo is examined by its claim then.
    if !echoes::claim(&mut tx, &command, &echo.item_id, &part_key(identity, n)).await? {
        return Ok(None);
    }
    let now = ledger::now(&mut tx).await?;
    let (item, at) = (echo.item_id.as_str(), echo.time.min(now));
    if part.state == PartState::Sent {
        let named = transitions::reported_again(&mut tx, &command, n, item, at).await?;
        let ended = named && transitions::conclude(&mut tx, &command, None).await?;
        failpoint!("echo.before_claim_commit");
        tx.commit().await?;
        failpoint!("echo.after_claim_commit");
        return Ok(ended.then(|| identity.to_owned()));
    }
    let mut ended = false;
    if transitions::mark_sent(&mut tx, &command, n, Some(item), at, SettledBy::Echo).await? {
        ended = transitions::conclude_or_go_on(&mut tx, &command, now).await?;
        if !ended {
            conversation_state::wake(&mut tx).await?;
        }
    }
    failpoint!("echo.before_settle_commit");
    tx.commit().await?;
    failpoint!("echo.after_settle_commit");
    Ok(ended.then(|| identity.to_owned()))
}

/// None of ours: a person in Meta's own inbox, or another app, has answered.
async fn mark_foreign(conn: &mut PgConnection, channel: Channel, echo: &Echo) -> sqlx::Result<()> {
    if echo.kind == EchoKind::Message {
        let contact = ContactId::new(&echo.peer);
        // First: as long as the echo is not examined, replies that were based on something wait for it.
        news::of_echo(conn, channel, &echo.account_id, &contact, &echo.item_id).await?;
        conversations::others_replied(conn, channel, &echo.account_id, &contact, echo.time).await?;
    }
    echoes::mark_foreign(conn, echo).await
}

//! Statements that write `worker.conversations`: what the reply policy must know of a conversation, from events and from what sending learns.

use schemas::{AccountId, Channel, ContactId, ConversationId, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::knowledge::Knowledge;

/// What events say.
pub(super) async fn note(conn: &mut PgConnection, knowledge: &Knowledge) -> sqlx::Result<()> {
    // Sorted by id (a BTreeMap), so that two shards cannot wait for each other.
    let rows: Vec<_> = knowledge
        .conversations
        .iter()
        .filter_map(|(id, conversation)| {
            conversation.key.as_ref().map(|key| (id, key, conversation))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into worker.conversations as c
                (conversation_id, channel, account_id, contact_id, opened_at, opened_event, last_inbound_at, last_inbound_id,
                 other_owns, owner_at, owner_event, ad_at, ad_event, ad_id, ad_ref)
         select id, channel, account, contact, opened_at, opened_event, inbound_at, inbound_id, coalesce(other, false), owner_at,
                owner_event, ad_at, ad_event, ad_id, ad_ref
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::timestamptz[], $8::text[],
                       $9::boolean[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], $15::text[])
             as new (id, channel, account, contact, opened_at, opened_event, inbound_at, inbound_id, other, owner_at, owner_event,
                     ad_at, ad_event, ad_id, ad_ref)
         on conflict (conversation_id) do update set
            opened_event = case when c.opened_at is null or (excluded.opened_at, excluded.opened_event) > (c.opened_at, c.opened_event)
                                then coalesce(excluded.opened_event, c.opened_event) else c.opened_event end,
            opened_at = greatest(c.opened_at, excluded.opened_at),
            last_inbound_id = case when c.last_inbound_at is null or excluded.last_inbound_at > c.last_inbound_at
                                   then coalesce(excluded.last_inbound_id, c.last_inbound_id) else c.last_inbound_id end,
            last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at),
            other_owns = case when excluded.owner_at is not null
                               and (c.owner_at is null or (excluded.owner_at, excluded.owner_event) > (c.owner_at, c.owner_event))
                              then excluded.other_owns
                              when (excluded.owner_at, excluded.owner_event) = (c.owner_at, c.owner_event)
                              then c.other_owns and excluded.other_owns else c.other_owns end,
            owner_event = case when excluded.owner_at is not null
                                and (c.owner_at is null or (excluded.owner_at, excluded.owner_event) > (c.owner_at, c.owner_event))
                               then excluded.owner_event else c.owner_event end,
            owner_at = greatest(c.owner_at, excluded.owner_at),
            (ad_at, ad_event, ad_id, ad_ref) = (
                select n.* from (values (excluded.ad_at, excluded.ad_event, excluded.ad_id, excluded.ad_ref),
                                        (c.ad_at, c.ad_event, c.ad_id, c.ad_ref)) as n (ad_at, ad_event, ad_id, ad_ref)
                 order by n.ad_at desc nulls last, n.ad_event desc nulls last limit 1)",
    )
    .bind(rows.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, key, _)| key.0.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, key, _)| key.1.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, key, _)| key.2.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.opened.as_ref().map(|(time, ..)| time.to_datetime())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.opened.as_ref().map(|(_, event, ())| event.as_str())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.inbound.as_ref().map(|(time, ..)| time.to_datetime())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.inbound.as_ref().map(|(.., id)| id.as_str())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.other_owns.as_ref().map(|(.., other)| *other)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.other_owns.as_ref().map(|(time, ..)| time.to_datetime())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.other_owns.as_ref().map(|(_, event, _)| event.as_str())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.ad.as_ref().map(|(time, ..)| time.to_datetime())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.ad.as_ref().map(|(_, event, _)| event.as_str())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.ad.as_ref().map(|(.., ad)| ad.id.as_str())).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.ad.as_ref().and_then(|(.., ad)| ad.reference.as_deref())).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The last ad that brought this person here: Meta's id of it.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub async fn last_ad(pool: &PgPool, conversation: &ConversationId) -> sqlx::Result<Option<String>> {
    let ad: Option<Option<String>> =
        sqlx::query_scalar("select ad_id from worker.conversations where conversation_id = $1")
            .bind(conversation)
            .fetch_optional(pool)
            .await?;
    Ok(ad.flatten())
}

/// Meta said that the person cannot be reached. It holds until they act again.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn set_unreachable(
    conn: &mut PgConnection,
    conversation: &ConversationId,
) -> sqlx::Result<()> {
    sqlx::query("update worker.conversations set unreachable_at = clock_timestamp() where conversation_id = $1")
        .bind(conversation)
        .execute(conn)
        .await?;
    Ok(())
}

/// Meta said that another app controls the thread. It holds until the next notice about the thread.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn set_other_owns(
    conn: &mut PgConnection,
    conversation: &ConversationId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.conversations set other_owns = true, owner_at = clock_timestamp(), owner_event = 'answer'
          where conversation_id = $1 and (owner_at is null or owner_at < clock_timestamp())",
    )
    .bind(conversation)
    .execute(conn)
    .await?;
    Ok(())
}

/// A person in Meta's own inbox, or another app, answered. The contact may not have written yet, or their message may still wait for its
/// sender: then the row is made.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn others_replied(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    contact_id: &ContactId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.conversations as c (conversation_id, channel, account_id, contact_id, others_replied_at)
         values ($1, $2, $3, $4, least($5, clock_timestamp()))
         on conflict (conversation_id) do update
            set others_replied_at = greatest(c.others_replied_at, excluded.others_replied_at)",
    )
    .bind(ConversationId::of(channel, account_id, contact_id))
    .bind(channel)
    .bind(account_id)
    .bind(contact_id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

//! Whose profile is wanted: table `worker.contacts`, noted in the transaction that records the triggering event.

use std::collections::BTreeMap;

use schemas::{AccountId, Channel, ContactId, Event, Kind, Timestamp};
use sqlx::PgConnection;

/// An act that allows a person's profile to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    /// The person.
    pub contact_id: ContactId,
    /// When the person acted.
    pub time: Timestamp,
}

impl Want {
    /// The want an event gives rise to: consent comes with a message, a tap, a referral or an opt-in (`docs/meta-platform.md` 8.2).
    /// `None` for all others, and for what the account wrote to itself.
    pub fn of(event: &Event) -> Option<Self> {
        let data = &event.data;
        let trigger = matches!(
            event.kind(),
            Kind::MessageReceived
                | Kind::PostbackReceived
                | Kind::ReferralReceived
                | Kind::OptinReceived
        );
        let contact_id = data.contact_id.clone().filter(|_| trigger && !data.is_self)?;
        Some(Self {
            channel: data.channel,
            account_id: data.account_id.clone(),
            contact_id,
            time: event.time,
        })
    }
}

/// Notes wants in the caller's transaction. A profile that is fresh, was refused for good, or is asked for already stays as it is.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn note(conn: &mut PgConnection, wants: &[Want]) -> sqlx::Result<()> {
    // One row per person, in one order, so that two shards cannot wait for each other.
    let mut rows = BTreeMap::new();
    for want in wants {
        let key = (want.channel.as_str(), want.account_id.as_str(), want.contact_id.as_str());
        let time = rows.entry(key).or_insert(want.time);
        *time = want.time.max(*time);
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into worker.contacts as c (channel, account_id, contact_id, last_trigger_at, due_at)
         select w.*, clock_timestamp()
           from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as w (channel, account_id, contact_id, time)
         on conflict (channel, account_id, contact_id) do update
            set last_trigger_at = greatest(c.last_trigger_at, excluded.last_trigger_at), noted_at = clock_timestamp(),
                due_at = case when c.due_at is null and c.refresh_after <= clock_timestamp() then clock_timestamp() else c.due_at end",
    )
    .bind(rows.keys().map(|key| key.0).collect::<Vec<_>>())
    .bind(rows.keys().map(|key| key.1).collect::<Vec<_>>())
    .bind(rows.keys().map(|key| key.2).collect::<Vec<_>>())
    .bind(rows.values().map(|time| time.to_datetime()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks again for people of an account whose profile was refused for a permission, if they wrote lately.
pub(crate) async fn retry_refused(
    conn: &mut PgConnection,
    channel: Channel,
    account: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.contacts
            set refresh_after = clock_timestamp(), attempts = 0,
                due_at = case when clock_timestamp() - interval '7 days' < last_trigger_at then clock_timestamp() else due_at end
          where channel = $1 and account_id = $2 and answer = 'no_permission'",
    )
    .bind(channel)
    .bind(account)
    .execute(conn)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{Message, Receipt};
    use schemas::{EventId, Fact, Via};

    use super::*;

    fn event(fact: Fact, contact: Option<&str>) -> Event {
        let time = Timestamp::from_millis(1_795_000_200_000);
        Event::new(
            EventId::from("evt_1"),
            time,
            Channel::Instagram,
            "1".into(),
            contact.map(ContactId::from),
            Origin::of(Via::Webhook),
            fact,
        )
    }

    #[test]
    fn only_acts_of_a_person_allow_a_profile_to_be_read() {
        let received = Fact::MessageReceived(Message::default());
        assert!(Want::of(&event(received.clone(), Some("5200000000000011"))).is_some());
        assert_eq!(Want::of(&event(received.clone(), None)), None);
        assert_eq!(
            Want::of(&event(Fact::MessageSent(Message::default()), Some("5200000000000011"))),
            None
        );
        assert_eq!(
            Want::of(&event(Fact::MessageRead(Receipt::default()), Some("5200000000000011"))),
            None
        );
        let mut own = event(received, Some("5200000000000011"));
        own.data.is_self = true;
        assert_eq!(Want::of(&own), None);
    }
}

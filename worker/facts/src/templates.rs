//! `worker.templates`: message templates of pages, as Meta has them. The one place that writes them: from webhooks, from the answer to a
//! submission, and from what Graph shows.
//!
//! A status that Meta has decided is replaced by a later one only; one that it has not is replaced by anything.

use std::time::Duration;

use schemas::ids::template_id;
use schemas::{AccountId, Channel, Event, Fact, Timestamp};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

/// Whether Meta has it is not known: its answer was lost.
pub const UNKNOWN: &str = "UNKNOWN";
/// Meta refused to take it.
pub const FAILED: &str = "FAILED";
/// Meta looks at it.
pub const PENDING: &str = "PENDING";

/// A template as its page knows it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TemplateKey {
    /// The channel.
    pub channel: Channel,
    /// The page.
    pub account_id: AccountId,
    /// Its name at Meta.
    pub name: String,
    /// Its language.
    pub language: String,
}

/// What a submission has led to.
#[derive(Clone, Debug)]
pub struct Submitted<'a> {
    /// Which.
    pub key: &'a TemplateKey,
    /// As it was submitted.
    pub category: &'a str,
    /// As it was submitted.
    pub components: &'a Value,
    /// As it was submitted.
    pub parameter_format: Option<&'a str>,
    /// Meta's word, or one of ours.
    pub status: &'a str,
    /// Why Meta refused it.
    pub reason: Option<&'a str>,
    /// Meta's id of it.
    pub meta_template_id: Option<&'a str>,
}

/// What Graph shows of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Meta's id of it.
    pub id: Option<&'a str>,
    /// Meta's word.
    pub status: &'a str,
    /// Its category.
    pub category: Option<&'a str>,
    /// Why Meta rejected it.
    pub reason: Option<&'a str>,
}

/// Notes what webhooks say of templates, in the transaction that records the events.
///
/// # Errors
/// `sqlx::Error`: roll back and do all of it again.
pub(crate) async fn note(conn: &mut PgConnection, events: &[Event]) -> sqlx::Result<()> {
    for event in events {
        let Fact::TemplateStatusChanged(body) = &event.data.fact else { continue };
        let Some(status) = &body.status else { continue };
        let (channel, account) = (event.data.channel, &event.data.account_id);
        let reason = body.reason.as_deref().filter(|reason| *reason != "NONE");
        if let (Some(name), Some(language)) = (&body.name, &body.language) {
            let key = TemplateKey {
                channel,
                account_id: account.clone(),
                name: name.clone(),
                language: language.clone(),
            };
            let id = body.template_id.as_deref();
            let seen = Shown { id, status: status.as_str(), category: None, reason };
            shown(&mut *conn, &key, &seen, event.time).await?;
        } else {
            sqlx::query(
                "update worker.templates t
                    set status = $4, reason = $5, status_at = $6,
                        look_at = case when $4 in ('PENDING', 'IN_APPEAL') then coalesce(t.look_at, clock_timestamp() + interval '1 minute') end
                  where t.channel = $1 and t.account_id = $2 and t.meta_template_id = $3
                    and (t.status in ('PENDING', 'IN_APPEAL', 'UNKNOWN', 'FAILED') or t.status_at <= $6)",
            )
            .bind(channel)
            .bind(account)
            .bind(&body.template_id)
            .bind(status)
            .bind(reason)
            .bind(event.time)
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

/// Notes what a submission has led to. Where a webhook was quicker with a decision, that stays.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn submitted(
    conn: &mut PgConnection,
    submitted: &Submitted<'_>,
    look_after: Duration,
) -> sqlx::Result<()> {
    let key = submitted.key;
    sqlx::query(
        "insert into worker.templates as t
                (channel, account_id, name, language, template_id, category, components, parameter_format, status, reason,
                 meta_template_id, status_at, look_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp(),
                 case when $9 in ('PENDING', 'IN_APPEAL', 'UNKNOWN') then clock_timestamp() + make_interval(secs => $12) end)
         on conflict (channel, account_id, name, language) do update
            set category = excluded.category, components = excluded.components, parameter_format = excluded.parameter_format,
                meta_template_id = coalesce(excluded.meta_template_id, t.meta_template_id),
                status = case when t.status in ('PENDING', 'IN_APPEAL') and excluded.status in ('FAILED', 'UNKNOWN') then t.status
                              when t.status in ('PENDING', 'IN_APPEAL', 'UNKNOWN', 'FAILED') then excluded.status else t.status end,
                reason = case when t.status in ('PENDING', 'IN_APPEAL') and excluded.status in ('FAILED', 'UNKNOWN') then t.reason
                              when t.status in ('PENDING', 'IN_APPEAL', 'UNKNOWN', 'FAILED') then excluded.reason else t.reason end,
                look_at = case when t.status in ('PENDING', 'IN_APPEAL') and excluded.status in ('FAILED', 'UNKNOWN') then t.look_at
                               when t.status in ('PENDING', 'IN_APPEAL', 'UNKNOWN', 'FAILED') then excluded.look_at end,
                looks = 0",
    )
    .bind(key.channel)
    .bind(&key.account_id)
    .bind(&key.name)
    .bind(&key.language)
    .bind(template_id(key.channel, &key.account_id, &key.name, &key.language))
    .bind(submitted.category)
    .bind(submitted.components)
    .bind(submitted.parameter_format)
    .bind(submitted.status)
    .bind(submitted.reason)
    .bind(submitted.meta_template_id)
    .bind(look_after.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what Graph shows of a template, as of a read that began at `since`: a decision that came later stays.
///
/// # Errors
/// `sqlx::Error`: roll back and repeat what belongs to the transaction.
pub async fn shown(
    conn: &mut PgConnection,
    key: &TemplateKey,
    shown: &Shown<'_>,
    since: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.templates as t
                (channel, account_id, name, language, template_id, category, status, reason, meta_template_id, status_at, look_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                 case when $7 in ('PENDING', 'IN_APPEAL') then clock_timestamp() + interval '1 minute' end)
         on conflict (channel, account_id, name, language) do update
            set category = coalesce(excluded.category, t.category), meta_template_id = coalesce(excluded.meta_template_id, t.meta_template_id),
                status = excluded.status, reason = excluded.reason, status_at = excluded.status_at,
                look_at = case when excluded.status in ('PENDING', 'IN_APPEAL') then coalesce(t.look_at, clock_timestamp() + interval '1 minute') end
          where t.status in ('PENDING', 'IN_APPEAL', 'UNKNOWN', 'FAILED') or t.status_at <= excluded.status_at",
    )
    .bind(key.channel)
    .bind(&key.account_id)
    .bind(&key.name)
    .bind(&key.language)
    .bind(template_id(key.channel, &key.account_id, &key.name, &key.language))
    .bind(shown.category)
    .bind(shown.status)
    .bind(shown.reason)
    .bind(shown.id)
    .bind(since)
    .execute(conn)
    .await?;
    Ok(())
}

/// Templates that Meta has not decided about and is to be asked about now. Each is asked about again after twice as long, at most `max`.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn due(pool: &PgPool, first: Duration, max: Duration) -> sqlx::Result<Vec<TemplateKey>> {
    sqlx::query_as(
        "update worker.templates t
            set looks = t.looks + 1,
                look_at = clock_timestamp() + make_interval(secs => least($2, $1 * power(2, least(t.looks + 1, 20))))
          where (t.channel, t.account_id, t.name, t.language) in (
                select d.channel, d.account_id, d.name, d.language from worker.templates d
                 where d.look_at <= clock_timestamp() order by d.look_at limit 20 for update skip locked)
         returning t.channel, t.account_id, t.name, t.language",
    )
    .bind(first.as_secs_f64())
    .bind(max.as_secs_f64())
    .fetch_all(pool)
    .await
}

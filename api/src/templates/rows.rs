//! `api.templates` beside `worker.template_list`: as they were written, and as Meta has them.

use std::borrow::Cow;

use schemas::Channel;
use serde::Serialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::list::{Keyed, Page};
use crate::time::Time;

/// A message template.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Template {
    /// Our id.
    pub id: String,
    /// `messenger`.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The page.
    pub account_id: String,
    /// As a person calls it.
    pub name: String,
    /// Its name at Meta.
    pub slug: String,
    /// Such as `en_US`.
    pub language: String,
    /// `UTILITY`.
    pub category: Option<String>,
    /// As Meta takes them; null where it was made elsewhere.
    #[schema(value_type = Option<Vec<Object>>)]
    pub components: Option<Value>,
    /// `POSITIONAL` or `NAMED`.
    pub parameter_format: Option<String>,
    /// `DRAFT`; what Meta says (`APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, …); `FAILED`: Meta did not take it; `UNKNOWN`: its answer was lost.
    #[schema(example = "APPROVED")]
    pub status: String,
    /// Why it was rejected, or not taken.
    pub reason: Option<String>,
    /// Meta's id of it.
    pub meta_template_id: Option<String>,
    /// Whether it can be sent.
    pub approved: bool,
    /// When it was written, or first seen.
    pub created_at: Time,
}

impl Keyed for Template {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, Cow::Borrowed(&self.id))
    }
}

/// One page of them.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(super) async fn page(
    pool: &PgPool,
    accounts: Option<&[String]>,
    status: Option<&str>,
    page: &Page,
) -> sqlx::Result<Vec<Template>> {
    sqlx::query_as(
        "select t.id, t.channel, t.account_id, t.name, t.slug, t.language, t.category, t.components, t.parameter_format, t.status,
                t.reason, t.meta_template_id, t.approved, t.created_at
         from (select coalesce(a.id, w.template_id) as id, coalesce(a.channel, w.channel) as channel,
                      coalesce(a.account_id, w.account_id) as account_id, coalesce(a.name, w.name) as name,
                      coalesce(a.slug, w.name) as slug, coalesce(a.language, w.language) as language,
                      coalesce(w.category, a.category) as category, coalesce(w.components, a.components) as components,
                      coalesce(w.parameter_format, a.parameter_format) as parameter_format, coalesce(w.status, 'DRAFT') as status,
                      w.reason, w.meta_template_id, coalesce(w.status = 'APPROVED', false) as approved,
                      coalesce(a.created_at, w.created_at) as created_at
                 from api.templates a full join worker.template_list w on w.template_id = a.id) t
         where ($1::text[] is null or t.account_id = any($1))
           and ($2::text is null or t.status = $2)
           and (t.created_at, t.id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
         order by t.created_at desc, t.id desc
         limit $5",
    )
    .bind(accounts)
    .bind(status)
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// The one with this id.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(super) async fn by_id(pool: &PgPool, id: &str) -> sqlx::Result<Option<Template>> {
    sqlx::query_as(
        "select coalesce(a.id, w.template_id) as id, coalesce(a.channel, w.channel) as channel,
                coalesce(a.account_id, w.account_id) as account_id, coalesce(a.name, w.name) as name, coalesce(a.slug, w.name) as slug,
                coalesce(a.language, w.language) as language, coalesce(w.category, a.category) as category,
                coalesce(w.components, a.components) as components,
                coalesce(w.parameter_format, a.parameter_format) as parameter_format, coalesce(w.status, 'DRAFT') as status, w.reason,
                w.meta_template_id, coalesce(w.status = 'APPROVED', false) as approved, coalesce(a.created_at, w.created_at) as created_at
         from (select * from api.templates one where one.id = $1) a
         full join (select * from worker.template_list one where one.template_id = $1) w on w.template_id = a.id",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// A template as somebody writes it.
pub(super) struct NewTemplate<'a> {
    pub(super) id: &'a str,
    pub(super) channel: Channel,
    pub(super) account_id: &'a str,
    pub(super) name: &'a str,
    pub(super) slug: &'a str,
    pub(super) language: &'a str,
    pub(super) category: &'a str,
    pub(super) components: &'a [Value],
    pub(super) parameter_format: Option<&'a str>,
    pub(super) created_by: &'a str,
}

/// Writes it, also over an earlier draft of the same name and language.
///
/// # Errors
/// `sqlx::Error`: nothing was written, call again.
pub(super) async fn write(pool: &PgPool, new: &NewTemplate<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into api.templates (id, channel, account_id, name, slug, language, category, components, parameter_format, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (id) do update
            set name = excluded.name, category = excluded.category, components = excluded.components,
                parameter_format = excluded.parameter_format, created_by = excluded.created_by",
    )
    .bind(new.id)
    .bind(new.channel)
    .bind(new.account_id)
    .bind(new.name)
    .bind(new.slug)
    .bind(new.language)
    .bind(new.category)
    .bind(Json(new.components))
    .bind(new.parameter_format)
    .bind(new.created_by)
    .execute(pool)
    .await
    .map(|_| ())
}

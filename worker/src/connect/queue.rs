//! Statements over `worker.connections`.

use std::time::Duration;

use schemas::Timestamp;
use sqlx::{FromRow, PgPool};

use super::candidates::Candidates;

/// A login that was claimed.
#[derive(Debug, FromRow)]
pub(super) struct Login {
    pub(super) id: String,
    pub(super) login: schemas::Login,
    pub(super) app: String,
    step: String,
    pub(super) redirect_uri: String,
    pub(super) code: Vec<u8>,
    chosen: Option<Vec<String>>,
    pub(super) token: Option<Vec<u8>>,
    pub(super) token_ends: Option<Timestamp>,
    pub(super) granted: Vec<String>,
    pub(super) granted_by: Option<String>,
    #[sqlx(json)]
    pub(super) candidates: Candidates,
}

impl Login {
    /// What is to be stored: what the person chose, or all of it where there was no choice. `None`: the code is to be exchanged first.
    pub(super) fn chosen(&self) -> Option<Vec<String>> {
        let all = || self.candidates.0.iter().map(|candidate| candidate.name_of()).collect();
        (self.step == "connecting").then(|| self.chosen.clone().unwrap_or_else(all))
    }
}

/// Why a login ends without an account.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// A stable word: the page of the api says what to do.
    pub(super) word: &'static str,
    /// What the page shows beside it.
    pub(super) detail: Option<String>,
}

impl Refusal {
    pub(super) const fn new(word: &'static str) -> Self {
        Self { word, detail: None }
    }
}

/// What the exchange of a code found.
pub(super) struct Found {
    pub(super) token: Vec<u8>,
    pub(super) token_ends: Option<Timestamp>,
    pub(super) granted: Vec<String>,
    pub(super) granted_by: Option<String>,
    pub(super) candidates: Candidates,
}

/// Takes in what came back from Meta and what people chose, and claims up to `limit` logins that have a step to take.
pub(super) async fn claim(
    pool: &PgPool,
    owner: &str,
    lease: Duration,
    limit: i64,
) -> sqlx::Result<Vec<Login>> {
    // Tokens of logins that nobody went on with are forgotten; so are those whose request is gone with its session.
    sqlx::query(
        "update worker.connections c
            set step = 'refused', refusal = 'late', token = null, claimed_by = null, claimed_until = null, updated_at = now()
          where c.created_at < now() - interval '1 hour'
            and (c.step = 'choosing'
                 or (c.step in ('exchanging', 'connecting') and (c.claimed_until is null or c.claimed_until < now())
                     and not exists (select from api.connect_requests r where r.id = c.id)))",
    )
    .execute(pool)
    .await?;
    sqlx::query("delete from worker.connections where created_at < now() - interval '7 days'")
        .execute(pool)
        .await?;
    sqlx::query(
        "insert into worker.connections (id, login, app)
         select r.id, r.login, r.app from api.connect_requests r
          where r.returned_at > now() - interval '1 hour'
            and not exists (select from worker.connections c where c.id = r.id)
         on conflict (id) do nothing",
    )
    .execute(pool)
    .await?;
    sqlx::query(
        "update worker.connections c set step = 'connecting', tries = 0, due_at = now(), updated_at = now()
           from api.connect_requests r
          where r.id = c.id and c.step = 'choosing' and r.chosen is not null",
    )
    .execute(pool)
    .await?;
    sqlx::query_as(
        "with due as (
             select q.id, r.redirect_uri, r.code, r.chosen
               from worker.connections q join api.connect_requests r using (id)
              where q.step in ('exchanging', 'connecting') and q.due_at <= clock_timestamp()
                and (q.claimed_until is null or q.claimed_until < clock_timestamp())
              order by q.due_at limit $3 for update of q skip locked
         )
         update worker.connections c
            set claimed_by = $1, claimed_until = clock_timestamp() + make_interval(secs => $2)
           from due d
          where c.id = d.id
         returning c.id, c.login, c.app, c.step, d.redirect_uri, d.code, d.chosen, c.token, c.token_ends, c.granted, c.granted_by,
                   c.candidates",
    )
    .bind(owner)
    .bind(lease.as_secs_f64())
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Writes down that the code is on its way to Meta. `false`: it was before, and nobody knows the answer.
pub(super) async fn exchanging(pool: &PgPool, login: &Login) -> sqlx::Result<bool> {
    let first = sqlx::query(
        "update worker.connections set exchanged_at = now() where id = $1 and exchanged_at is null",
    )
    .bind(&login.id)
    .execute(pool)
    .await?;
    Ok(first.rows_affected() == 1)
}

/// Takes that back: the code never left.
pub(super) async fn not_sent(pool: &PgPool, login: &Login) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections set exchanged_at = null where id = $1 and step = 'exchanging'",
    )
    .bind(&login.id)
    .execute(pool)
    .await?;
    Ok(())
}

/// Keeps the short token that the code was exchanged for: the next try goes on from it.
pub(super) async fn exchanged(
    pool: &PgPool,
    login: &Login,
    token: &[u8],
    granted: &[String],
    granted_by: &Option<String>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections set token = $2, granted = $3, granted_by = $4, updated_at = now()
          where id = $1 and step = 'exchanging'",
    )
    .bind(&login.id)
    .bind(token)
    .bind(granted)
    .bind(granted_by)
    .execute(pool)
    .await?;
    Ok(())
}

/// Stores what the exchange found. `choose`: a person is to choose of it.
pub(super) async fn found(
    pool: &PgPool,
    login: &Login,
    found: &Found,
    choose: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections
            set step = case when $7 then 'choosing' else 'connecting' end, token = $2, token_ends = $3, granted = $4, granted_by = $5,
                candidates = $6, tries = 0, due_at = now(), claimed_by = null, claimed_until = null, updated_at = now()
          where id = $1 and step = 'exchanging'",
    )
    .bind(&login.id)
    .bind(&found.token)
    .bind(found.token_ends)
    .bind(&found.granted)
    .bind(&found.granted_by)
    .bind(sqlx::types::Json(&found.candidates))
    .bind(choose)
    .execute(pool)
    .await?;
    Ok(())
}

/// Stores what became of the accounts so far: the next try leaves those out, and its tries count anew.
pub(super) async fn progress(
    pool: &PgPool,
    login: &Login,
    candidates: &Candidates,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections set candidates = $2, tries = 0, updated_at = now() where id = $1 and step = 'connecting'",
    )
    .bind(&login.id)
    .bind(sqlx::types::Json(candidates))
    .execute(pool)
    .await?;
    Ok(())
}

/// How far a step came.
#[derive(FromRow)]
pub(super) struct Standing {
    pub(super) tries: i32,
    #[sqlx(json)]
    pub(super) candidates: Candidates,
}

pub(super) async fn standing(pool: &PgPool, login: &Login) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as("select tries, candidates from worker.connections where id = $1")
        .bind(&login.id)
        .fetch_optional(pool)
        .await
}

/// Ends a login with what became of each account; its token is forgotten.
pub(super) async fn done(
    pool: &PgPool,
    login: &Login,
    candidates: &Candidates,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections
            set step = 'done', candidates = $2, token = null, claimed_by = null, claimed_until = null, updated_at = now()
          where id = $1 and step = 'connecting'",
    )
    .bind(&login.id)
    .bind(sqlx::types::Json(candidates))
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends a login without an account; its token is forgotten.
pub(super) async fn refuse(pool: &PgPool, login: &Login, refusal: &Refusal) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections
            set step = 'refused', refusal = $2, detail = $3, token = null, claimed_by = null, claimed_until = null, updated_at = now()
          where id = $1 and step in ('exchanging', 'connecting')",
    )
    .bind(&login.id)
    .bind(refusal.word)
    .bind(&refusal.detail)
    .execute(pool)
    .await?;
    Ok(())
}

/// The same with what was found, so that the page can say what is missing on each.
pub(super) async fn refuse_all(
    pool: &PgPool,
    login: &Login,
    refusal: &Refusal,
    granted: &[String],
    candidates: &Candidates,
) -> sqlx::Result<()> {
    sqlx::query("update worker.connections set candidates = $2, granted = $3 where id = $1")
        .bind(&login.id)
        .bind(sqlx::types::Json(candidates))
        .bind(granted)
        .execute(pool)
        .await?;
    refuse(pool, login, refusal).await
}

/// Tries the step again later.
pub(super) async fn put_off(pool: &PgPool, login: &Login, pause: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.connections
            set tries = tries + 1, due_at = clock_timestamp() + make_interval(secs => $2), claimed_by = null, claimed_until = null
          where id = $1",
    )
    .bind(&login.id)
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

//! One step of one command: claim it, write down what is about to happen, do it, write down what came of it.

use std::time::{Duration, Instant};

use runtime::db::within;
use runtime::failpoint;
use schemas::facts::OutcomeError;
use schemas::{Kind, Timestamp, subjects};
use sqlx::PgConnection;
use tracing::{Instrument, Span};

use super::answer::{self, Learnt, Reading};
use super::decide::{self, AfterAnswer, Repeat, State, Step};
use super::ledger::{self, CommandRow, PartRow, SettledBy};
use super::outcome::own_error;
use super::policy::{self, Verdict};
use super::request::{Request, request};
use super::sender::{LEDGER_WITHIN, Sender};
use super::situation::{self, Surroundings};
use super::{deadline, echoes, plan};
use facts::accounts::Connected;
use facts::follow_up::conversation_state;
use graph::{Call, GraphError, Lane, client};

/// How long a held command is left alone; whatever ends the hold wakes it earlier.
const HELD_PAUSE: Duration = Duration::from_secs(60);
/// A window that looks closed is looked at again for this long: the message that opens it may be known to the sender of the command
/// before this database has it.
const NEWS_GRACE: Duration = Duration::from_secs(2);
/// The same where the command names the event it answers and that event is not recorded yet.
const CAUSE_GRACE: Duration = Duration::from_secs(60);
/// Between two such looks.
const NEWS_PAUSE: Duration = Duration::from_millis(100);
/// The same where such an event is published already, and only this database does not have it.
const UNRECORDED_GRACE: Duration = Duration::from_secs(600);
/// Between two such looks, which ask the broker.
const UNRECORDED_PAUSE: Duration = Duration::from_millis(500);
/// How long a claim for a page of an import lasts.
const PAGE_CLAIM: Duration = Duration::from_secs(60);
/// What a claim for reading back lasts beyond its one call; so long others wait after a death in the middle of it.
const LOOK_SLACK: Duration = Duration::from_secs(5);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing more for now.
    Idle,
    /// There is more to do at once.
    Again,
    /// The command has ended: publish its outcome.
    Ended,
}

/// What was claimed.
enum Claimed {
    Nothing(Next),
    /// The window looks closed: ask the broker for news, with no transaction open, and claim again.
    AskForNews(Box<CommandRow>),
    Send(Box<Attempt>),
    Look(Box<(CommandRow, PartRow)>),
    Sync(Box<CommandRow>),
}

/// An attempt that is written down.
struct Attempt {
    command: CommandRow,
    part: PartRow,
    connected: Connected,
    /// By this machine's monotonic clock, well before the deadline in the ledger.
    ends_at: Instant,
}

/// The work goes on in the trace that asked for it, however long that is ago.
fn in_trace(span: Span, command: &CommandRow) -> Span {
    runtime::telemetry::continue_trace(&span, command.traceparent.as_deref());
    span
}

impl Sender {
    /// Does what is next for a command, if it is due and nobody else has it.
    ///
    /// # Errors
    /// Of the database, the broker or the store of tokens; the ledger tells what to do then.
    pub(super) async fn step(&self, identity: &str) -> anyhow::Result<Next> {
        let mut claimed = within(LEDGER_WITHIN, self.claim(identity, News::NotAsked)).await?;
        if let Claimed::AskForNews(command) = claimed {
            let news = self.ask_for_news(&command).await;
            claimed = within(LEDGER_WITHIN, self.claim(identity, news)).await?;
        }
        match claimed {
            Claimed::Nothing(next) => Ok(next),
            Claimed::AskForNews(_) => Ok(Next::Idle),
            Claimed::Send(attempt) => {
                let command = &attempt.command;
                let span = tracing::info_span!("send", command.id = %command.command_id, attempt = attempt.part.attempt);
                let span = in_trace(span, command);
                self.send(*attempt).instrument(span).await
            }
            Claimed::Look(found) => {
                let (command, part) = *found;
                let span = tracing::info_span!("reconcile", command.id = %command.command_id);
                let span = in_trace(span, &command);
                self.look(command, part).instrument(span).await
            }
            Claimed::Sync(command) => crate::import::run(self, &command).await,
        }
    }

    async fn claim(&self, identity: &str, news: News) -> anyhow::Result<Claimed> {
        // Taken before the database's clock is read, so that what is counted from it ends earlier.
        let begun = Instant::now();
        failpoint!("send.before_claim");
        let mut tx = self.pool.begin().await?;
        let Some(command) = due(&mut tx, identity).await? else {
            return Ok(Claimed::Nothing(Next::Idle));
        };
        let parts = ledger::parts(&mut tx, identity).await?;
        let open = parts.iter().find(|part| !part.state.is_final());
        let around =
            situation::read(&mut tx, &command, open.and_then(|part| part.payload.comment_id()))
                .await?;
        let Some(part) = open.cloned() else {
            return self.without_parts(tx, command, &parts, &around).await;
        };
        if around.account_state.is_none() && part.state != State::Sending {
            let error = own_error(
                "account_unknown",
                "auth",
                "no such account: connect it with `hookline accounts add`",
            );
            ledger::mark_failed(&mut tx, identity, part.n, &error).await?;
            return self.ended(tx, &command, None).await;
        }
        let verdict = policy::judge(
            &around.situation(&command, &part, self.waits.auto_reply_max_age),
            around.now,
        );
        if closed(&verdict) && part.state == State::Planned {
            let age = around.now.since(command.created_at);
            match wait_for_news(age, around.cause_known, news) {
                NewsStep::Judge => {}
                NewsStep::Ask => return Ok(Claimed::AskForNews(Box::new(command))),
                NewsStep::Wait(pause) => {
                    let until = around.now.plus(pause);
                    ledger::wait(&mut tx, identity, until, None).await?;
                    failpoint!("send.before_wait_commit");
                    tx.commit().await?;
                    failpoint!("send.after_wait_commit");
                    return Ok(Claimed::Nothing(Next::Idle));
                }
            }
        }
        let hold = self.hold(&command, &part, &around);
        let journal = part.journal(command.created_at);
        let waits = self.decision_waits();
        match decide::next_step(
            &journal,
            &verdict,
            hold.map(|(until, _)| until),
            &waits,
            around.now,
        ) {
            Step::Done => Ok(Claimed::Nothing(Next::Idle)),
            Step::WaitUntil(until) => {
                let held = hold.filter(|_| part.state != State::Sending).map(|(_, why)| why);
                ledger::wait(&mut tx, identity, until, held).await?;
                failpoint!("send.before_wait_commit");
                tx.commit().await?;
                failpoint!("send.after_wait_commit");
                Ok(Claimed::Nothing(Next::Idle))
            }
            Step::Fail(refusal) => {
                let error = own_error(refusal.code, refusal.class, refusal.message);
                ledger::mark_failed(&mut tx, identity, part.n, &error).await?;
                self.ended(tx, &command, Some(refusal.rule)).await
            }
            Step::Park => {
                ledger::mark_unknown(&mut tx, identity, part.n, &parked_error()).await?;
                self.ended(tx, &command, None).await
            }
            Step::Look => {
                let claim = self.waits.graph_timeout + LOOK_SLACK;
                ledger::wait(&mut tx, identity, around.now.plus(claim), None).await?;
                failpoint!("look.before_claim_commit");
                tx.commit().await?;
                failpoint!("look.after_claim_commit");
                Ok(Claimed::Look(Box::new((command, part))))
            }
            Step::Send { rule } => {
                let Some(connected) =
                    self.accounts.get_with(&mut *tx, command.channel, &command.account_id).await?
                else {
                    return Ok(Claimed::Nothing(Next::Idle));
                };
                // Asked before the attempt is written down: a call that is kept back is no attempt.
                if let Err(kept) = self.graph.allow(&connected.account, lane(&command), around.now)
                {
                    let pause = kept
                        .retry_after
                        .unwrap_or(self.waits.retry_min)
                        .max(Duration::from_millis(50));
                    ledger::wait(&mut tx, identity, around.now.plus(pause), Some("budget")).await?;
                    tx.commit().await?;
                    return Ok(Claimed::Nothing(Next::Idle));
                }
                let deadline = around.now.plus(self.waits.send_lease);
                let part = begin(&mut tx, &command, part, &self.worker, around.now, deadline, rule)
                    .await?;
                failpoint!("send.before_begin_commit");
                tx.commit().await?;
                failpoint!("send.after_begin_commit");
                let ends_at = begun + usable(self.waits.send_lease);
                Ok(Claimed::Send(Box::new(Attempt { command, part, connected, ends_at })))
            }
        }
    }

    /// A command without an open part: `sync`, or one whose end was not written (which no path leaves behind).
    async fn without_parts(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        command: CommandRow,
        parts: &[PartRow],
        around: &Surroundings,
    ) -> anyhow::Result<Claimed> {
        if !parts.is_empty() {
            return self.ended(tx, &command, None).await;
        }
        match (around.account_state.as_deref(), around.paused_until) {
            (None, _) => {
                let error = own_error(
                    "account_unknown",
                    "auth",
                    "no such account: connect it with `hookline accounts add`",
                );
                ledger::finish(
                    &mut tx,
                    &command.identity,
                    "failed",
                    None,
                    serde_json::to_value(error).ok(),
                    None,
                )
                .await?;
                tx.commit().await?;
                Ok(Claimed::Nothing(Next::Ended))
            }
            (Some("active"), None) => {
                ledger::wait(&mut tx, &command.identity, around.now.plus(PAGE_CLAIM), None).await?;
                tx.commit().await?;
                Ok(Claimed::Sync(Box::new(command)))
            }
            (Some("active"), Some(until)) => {
                ledger::wait(&mut tx, &command.identity, until, Some("paused")).await?;
                tx.commit().await?;
                Ok(Claimed::Nothing(Next::Idle))
            }
            (Some(_), _) => {
                ledger::wait(
                    &mut tx,
                    &command.identity,
                    around.now.plus(HELD_PAUSE),
                    Some("account_stopped"),
                )
                .await?;
                tx.commit().await?;
                Ok(Claimed::Nothing(Next::Idle))
            }
        }
    }

    async fn ended(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        command: &CommandRow,
        rule: Option<&str>,
    ) -> anyhow::Result<Claimed> {
        let ended = ledger::conclude(&mut tx, command, rule).await?;
        failpoint!("send.before_refusal_commit");
        tx.commit().await?;
        failpoint!("send.after_refusal_commit");
        Ok(Claimed::Nothing(if ended { Next::Ended } else { Next::Again }))
    }

    /// Whether an event that may open this window is published and not recorded. Of an account those published first are recorded
    /// first, so the newest tells for all. Where the broker does not say, it may be so.
    async fn ask_for_news(&self, command: &CommandRow) -> News {
        let Some(contact) = command.contact_id.as_deref() else { return News::None };
        for kind in [Kind::MessageReceived, Kind::PostbackReceived] {
            let route = subjects::Route::Contact(contact);
            let subject = subjects::event(command.channel, &command.account_id, route, kind);
            match self.facts.newest_unrecorded(&subject).await {
                Ok(false) => {}
                Ok(true) => return News::Unrecorded,
                Err(error) => {
                    tracing::debug!(%error, "Could not ask whether a message is still to be recorded");
                    return News::Unrecorded;
                }
            }
        }
        News::None
    }

    /// Why nothing may be sent now, and until when that holds at the longest.
    fn hold(
        &self,
        command: &CommandRow,
        part: &PartRow,
        around: &Surroundings,
    ) -> Option<(Timestamp, &'static str)> {
        let later = around.now.plus(HELD_PAUSE);
        if around.frozen {
            Some((later, "frozen"))
        } else if around.account_state.as_deref() == Some("stopped") {
            Some((later, "account_stopped"))
        } else if around.parked
            && command.requester == schemas::command::Requester::Automation
            && part.payload.repeat() == Repeat::AfterProof
        {
            Some((later, "parked"))
        } else {
            around.paused_until.map(|until| (until, "paused"))
        }
    }

    /// The waits of the decision.
    pub(super) const fn decision_waits(&self) -> decide::Waits {
        decide::Waits {
            reconcile_after: self.waits.reconcile_after,
            retry_min: self.waits.retry_min,
            retry_max: self.waits.retry_max,
        }
    }

    async fn send(&self, attempt: Attempt) -> anyhow::Result<Next> {
        let key = plan::key(&attempt.command.identity, attempt.part.n);
        let account = (attempt.command.channel, attempt.command.account_id.to_string());
        let remaining = attempt.ends_at.saturating_duration_since(Instant::now());
        let work = self.ask(&attempt, &key, remaining.min(self.waits.graph_timeout));
        failpoint!("send.before_call");
        let answered = match deadline::until(attempt.ends_at, work).await {
            Ok(answered) => answered,
            Err(deadline::TooLate) => {
                Err(GraphError::without_answer(graph::Failure::Timeout, graph::Use::Write))
            }
        };
        failpoint!("send.after_call");
        let reading = answer::read(answered, runtime::now());
        let well =
            !matches!(reading.answer, decide::Answer::Lost | decide::Answer::NotExecuted { .. });
        self.learn(&account, well && reading.stop.is_none());
        if let Some(reason) = &reading.stop {
            // Written down here or not: the ledger's row is settled in any case.
            let stop = self.accounts.stop(&attempt.connected, reason);
            if let Err(error) = within(LEDGER_WITHIN, stop).await {
                tracing::warn!(%error, "Could not stop the account");
            }
        }
        metrics::histogram!("hookline_send_seconds", "command" => attempt.command.command.clone())
            .record(runtime::now().since(attempt.command.requested_at).as_secs_f64());
        self.settle_answer(&attempt, reading).await
    }

    async fn ask(
        &self,
        attempt: &Attempt,
        key: &str,
        within: Duration,
    ) -> Result<serde_json::Value, GraphError> {
        let (command, connected) = (&attempt.command, &attempt.connected);
        let contact = command.contact_id.as_deref().unwrap_or_default();
        let call = Call::new(call_name(&command.command), lane(command)).within(within);
        match request(&attempt.part.payload, command.channel, connected.account.login, contact, key)
        {
            Request::Send(body) => {
                self.graph
                    .post(
                        connected,
                        call,
                        &[client::node(&connected.account), "messages"],
                        &[],
                        &body,
                    )
                    .await
            }
            Request::Post { path, params } => {
                let parts: Vec<&str> = path.split('/').collect();
                // Hiding is documented with a parameter of the query; words never belong into a URL.
                let (query, body): (Vec<_>, Vec<_>) =
                    params.iter().partition(|(name, _)| *name != "message");
                let query: Vec<(&str, &str)> =
                    query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let body = body
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                    .collect();
                self.graph
                    .post(connected, call, &parts, &query, &serde_json::Value::Object(body))
                    .await
            }
            Request::Delete { path } => self.graph.delete(connected, call, &[path.as_str()]).await,
        }
    }

    /// Writes down what came of an attempt. Only the attempt that is still the current one may; a late answer that names a message is
    /// nevertheless proof that it was sent.
    async fn settle_answer(&self, attempt: &Attempt, reading: Reading) -> anyhow::Result<Next> {
        let mut pause =
            runtime::retry::Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match within(LEDGER_WITHIN, self.try_settle(attempt, &reading)).await {
                Ok(next) => return Ok(next),
                // The answer is worth a few tries: without it the send has to be reconciled.
                Err(error) if pause.attempts() < 8 => {
                    tracing::debug!(%error, "Could not write down an answer; trying again");
                    tokio::time::sleep(pause.next(rand::random())).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn try_settle(&self, attempt: &Attempt, reading: &Reading) -> sqlx::Result<Next> {
        let (identity, n) = (attempt.command.identity.as_str(), attempt.part.n);
        let mut tx = self.pool.begin().await?;
        let Some(command) = ledger::lock(&mut tx, identity).await? else { return Ok(Next::Idle) };
        let now = ledger::now(&mut tx).await?;
        let current = sqlx::query(
            "update worker.parts set answer = $5
              where identity = $1 and n = $2 and state = 'sending' and attempt = $3 and worker = $4",
        )
        .bind(identity)
        .bind(n)
        .bind(i32::try_from(attempt.part.attempt).unwrap_or(i32::MAX))
        .bind(&self.worker)
        .bind(&reading.kept)
        .execute(&mut *tx)
        .await?
        .rows_affected()
            == 1;
        let journal = attempt.part.journal(command.created_at);
        let after = decide::after_answer(
            &journal,
            reading.answer.clone(),
            &self.decision_waits(),
            rand::random(),
            now,
        );
        // A success may tell that it was the last one for a while.
        let closed = self.graph.closed_until(&attempt.connected.account, runtime::now()).is_some();
        if reading.limited || closed {
            self.pause_scope(&mut tx, attempt, now).await?;
        }
        let ended = match after {
            AfterAnswer::Sent { item_id } => {
                // Holds for a late answer too: what Meta names was sent.
                let item = item_id.as_deref();
                let sent =
                    ledger::mark_sent(&mut tx, &command, n, item, now, SettledBy::Answer).await?;
                match item {
                    Some(item) if !sent => {
                        echoes::told_again(&mut tx, &command, n, item, now).await?
                    }
                    _ => sent,
                }
            }
            _ if !current => false,
            AfterAnswer::Refused { not_before } => {
                refuse(&mut tx, &command, n, not_before, reading.error.as_ref()).await?;
                false
            }
            AfterAnswer::Lost => {
                lose(&mut tx, &command, &attempt.part, self.waits.reconcile_after).await?;
                false
            }
            AfterAnswer::Failed => {
                let error = reading
                    .error
                    .clone()
                    .unwrap_or_else(|| own_error("no_answer", "unknown", "Meta did not answer"));
                ledger::mark_failed(&mut tx, identity, n, &error).await?;
                if let Some(learnt) = reading.learnt {
                    learn_of_conversation(&mut tx, &command, learnt).await?;
                }
                true
            }
        };
        let next = if !ended {
            Next::Idle
        } else if ledger::conclude(&mut tx, &command, None).await? {
            Next::Ended
        } else {
            // The next part goes at once.
            ledger::wait(&mut tx, identity, now, None).await?;
            Next::Again
        };
        failpoint!("send.before_settle_commit");
        tx.commit().await?;
        failpoint!("send.after_settle_commit");
        Ok(next)
    }

    /// Tells the other workers of a limit that was met.
    async fn pause_scope(
        &self,
        tx: &mut PgConnection,
        attempt: &Attempt,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let account = &attempt.connected.account;
        let until = self
            .graph
            .closed_until(account, runtime::now())
            .unwrap_or_else(|| now.plus(self.waits.retry_min));
        let app = self.graph.app_closed_until(account, runtime::now());
        let scopes = [
            Some((format!("account:{}/{}", account.channel, account.id), until)),
            app.map(|(app, until)| (format!("app:{app}"), until)),
        ];
        for (scope, until) in scopes.into_iter().flatten() {
            sqlx::query(
                "insert into worker.pauses as p (scope, until, reason) values ($1, $2, 'rate limit')
                 on conflict (scope) do update set until = greatest(p.until, excluded.until), reason = excluded.reason",
            )
            .bind(scope)
            .bind(until.to_datetime())
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}

/// The part of a lease that an attempt may use: the rest is for writing down what came of it, and for clocks.
fn usable(lease: Duration) -> Duration {
    lease - (lease / 5).min(Duration::from_secs(2))
}

fn parked_error() -> OutcomeError {
    own_error(
        "outcome_unknown",
        "unknown",
        "nobody can tell whether Meta delivered it: look into the conversation, then `hookline replies resolve`",
    )
}

/// The words of metrics and spans; names of commands come from outside.
fn call_name(command: &str) -> &'static str {
    match command {
        "reply" => "send",
        "sender_action" => "sender_action",
        "comment_reply" => "comment_reply",
        "comment_private_reply" => "private_reply",
        "comment_create" => "comment_create",
        "comment_hide" | "comment_unhide" => "comment_hide",
        "comment_delete" => "comment_delete",
        _ => "other",
    }
}

/// Replies to people come before moderation.
fn lane(command: &CommandRow) -> Lane {
    match command.command.as_str() {
        "comment_hide" | "comment_unhide" | "comment_delete" => Lane::Moderate,
        _ => Lane::Reply,
    }
}

/// Locks a command if it is open, due, and nobody else has it.
async fn due(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Option<CommandRow>> {
    ledger::find(
        conn,
        identity,
        "and c.state = 'open' and c.due_at <= clock_timestamp() for update skip locked",
    )
    .await
}

/// What the broker says of events that may open a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    NotAsked,
    /// One is published, and this database does not have it yet.
    Unrecorded,
    /// The database has all of them: what it says now is true.
    None,
}

/// What to do about a window that looks closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewsStep {
    Wait(Duration),
    Ask,
    Judge,
}

/// A closed window may only be news that has not arrived. Whoever answers has seen the message among the events, and the worker that
/// published it may have died before this database knew.
fn wait_for_news(age: Duration, cause_known: bool, news: News) -> NewsStep {
    let grace = if cause_known { NEWS_GRACE } else { CAUSE_GRACE };
    match news {
        _ if age < grace => NewsStep::Wait(NEWS_PAUSE),
        _ if UNRECORDED_GRACE <= age => NewsStep::Judge,
        News::NotAsked => NewsStep::Ask,
        News::Unrecorded => NewsStep::Wait(UNRECORDED_PAUSE),
        News::None => NewsStep::Judge,
    }
}

/// Refused because the window is closed, as far as is known.
fn closed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(refusal) if refusal.code == "window_closed")
}

/// Writes down that an attempt begins; the index `parts_one_in_flight` refuses a second one in the lane.
async fn begin(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: PartRow,
    worker: &str,
    now: Timestamp,
    deadline: Timestamp,
    rule: &str,
) -> sqlx::Result<PartRow> {
    let begun = sqlx::query(
        "update worker.parts
            set state = 'sending', attempt = attempt + 1, worker = $3, first_at = coalesce(first_at, $4), started_at = $4,
                deadline = $5, lost = false, not_before = null, looks = 0, absent_at = null, error = null
          where identity = $1 and n = $2 and state in ('planned', 'refused')",
    )
    .bind(&command.identity)
    .bind(part.n)
    .bind(worker)
    .bind(now.to_datetime())
    .bind(deadline.to_datetime())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if begun != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    sqlx::query(
        "update worker.commands set due_at = $2, held = null, rule = $3 where identity = $1",
    )
    .bind(&command.identity)
    .bind(deadline.to_datetime())
    .bind(rule)
    .execute(conn)
    .await?;
    let (attempt, started_at) = (part.attempt + 1, Some(now));
    Ok(PartRow {
        state: State::Sending,
        attempt,
        started_at,
        first_at: part.first_at.or(started_at),
        deadline: Some(deadline),
        lost: false,
        looks: 0,
        absent_at: None,
        ..part
    })
}

/// Keeps what a refusal tells of the conversation, for the policy: it holds until the person's next act, or the next notice about the
/// thread, tells otherwise.
async fn learn_of_conversation(
    conn: &mut PgConnection,
    command: &CommandRow,
    learnt: Learnt,
) -> sqlx::Result<()> {
    let Some(conversation) = command.conversation_id.as_deref() else { return Ok(()) };
    let sql = match learnt {
        Learnt::Unreachable => {
            "update worker.conversations set unreachable_at = clock_timestamp() where conversation_id = $1"
        }
        Learnt::OtherOwns => {
            "update worker.conversations set other_owns = true, owner_at = clock_timestamp(), owner_event = 'answer'
              where conversation_id = $1 and (owner_at is null or owner_at < clock_timestamp())"
        }
    };
    sqlx::query(sql).bind(conversation).execute(conn).await?;
    Ok(())
}

/// Not executed: again later.
async fn refuse(
    conn: &mut PgConnection,
    command: &CommandRow,
    n: i32,
    not_before: Timestamp,
    error: Option<&OutcomeError>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'refused', refusals = refusals + 1, not_before = $3, error = $4
          where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(&command.identity)
    .bind(n)
    .bind(not_before.to_datetime())
    .bind(error.and_then(|error| serde_json::to_value(error).ok()))
    .execute(&mut *conn)
    .await?;
    ledger::wait(conn, &command.identity, not_before, None).await
}

/// Nobody knows: it stays `sending`. An echo that has come already is compared at once, the thread is read later.
async fn lose(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    after: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set lost = true, uncertain = true where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(&command.identity)
    .bind(part.n)
    .execute(&mut *conn)
    .await?;
    reopen_echoes(conn, command, &part.peer).await?;
    let deadline = part.deadline.unwrap_or(Timestamp::EPOCH);
    ledger::wait(conn, &command.identity, deadline.plus(after), None).await
}

/// Echoes of the same peer that nobody claims are compared with the ledger again.
pub(super) async fn reopen_echoes(
    conn: &mut PgConnection,
    command: &CommandRow,
    peer: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.echoes set examined = false, examine_at = clock_timestamp()
          where (channel, account_id, item_id) in (
                select channel, account_id, item_id from worker.echoes
                 where channel = $1 and account_id = $2 and peer = $3 and claimed_by is null
                   and seen_at > clock_timestamp() - interval '1 day'
                   for update skip locked)",
    )
    .bind(command.channel.as_str())
    .bind(command.account_id.as_str())
    .bind(peer)
    .execute(&mut *conn)
    .await?;
    conversation_state::wake(conn).await
}

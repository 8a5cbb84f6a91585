//! Claims a command: reads it and what is around it under its lock, and writes down what is about to happen.

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::deadline::{Deadline, Moment};
use runtime::failpoint;
use schemas::Timestamp;
use schemas::facts::OutcomeError;
use sqlx::{Postgres, Transaction};

use super::claim_step::{ClaimStep, News, Read, claim_step, open_part};
use crate::attempt_log::{AttemptLog, Behind, Entry, shard_of};
use crate::claim_context::{self, Around};
use crate::decide::LoggedAttempt;
use crate::ledger::commands::{self, End};
use crate::ledger::{CommandRow, PartRow, part_states, parts, transitions, under_way};
use crate::payload::Payload;
use crate::services::{Next, Services};
use crate::state::{CommandState, Hold};
use facts::accounts::Connected;
use graph::Lane;

/// How long a claim for what has no parts lasts, such as a page of an import.
const PAGE_CLAIM: Duration = Duration::from_secs(60);
/// What a claim for reading back lasts beyond its one call; so long others wait after a death in the middle of it.
const LOOK_SLACK: Duration = Duration::from_secs(5);
/// A wait that is shorter is waited for where it is: writing it down, and the next look, take longer.
const MOMENT: Duration = Duration::from_millis(100);
/// The shortest pause of a call that is kept back.
const BUDGET_PAUSE_MIN: Duration = Duration::from_millis(50);

/// What was claimed.
pub(super) enum Claimed {
    Nothing(Next),
    /// The ledger is behind the log of attempts: nothing was changed. Catch up, and claim again.
    Behind,
    /// The window looks closed: ask the broker for news, with no transaction open, and claim again.
    AskForNews(Box<CommandRow>),
    Send(Box<Attempt>),
    Look(Box<(CommandRow, PartRow)>),
    Work(Box<CommandRow>),
}

/// An attempt that is written down.
pub(crate) struct Attempt {
    pub(crate) command: CommandRow,
    pub(super) part: PartRow,
    pub(super) connected: Connected,
    /// By the clocks of this machine, well before the deadline in the ledger.
    pub(super) ends_at: Deadline,
}

impl Attempt {
    /// Replies to people come before moderation.
    pub(super) fn lane(&self) -> Lane {
        lane(&self.part.payload)
    }
}

/// An open transaction that holds the lock of `command`.
struct Locked {
    tx: Transaction<'static, Postgres>,
    command: CommandRow,
    now: Timestamp,
}

/// Claims a command, if it is open, due and nobody else has it.
///
/// # Errors
/// Database or the store of tokens failed; whether the claim was committed is unknown. If it was, others look at it again when it
/// lapses.
pub(super) async fn claim(
    services: &Services,
    identity: &str,
    news: News,
) -> anyhow::Result<Claimed> {
    match try_claim(services, identity, news).await {
        Err(error) if error.is::<Behind>() => Ok(Claimed::Behind),
        claimed => claimed,
    }
}

async fn try_claim(services: &Services, identity: &str, news: News) -> anyhow::Result<Claimed> {
    // Taken before the database's clock is read, so that what is counted from it ends earlier.
    let begun = Moment::now();
    failpoint!("send.before_claim");
    let mut tx = services.pool.begin().await?;
    let Some(command) = commands::lock_due(&mut tx, identity).await? else {
        return Ok(Claimed::Nothing(Next::Idle));
    };
    let parts = parts::of(&mut tx, identity).await?;
    let around = Around { command: &command, part: open_part(&parts) };
    let context = claim_context::read(&mut tx, around).await?;
    let read = Read { command: &command, parts: &parts, context: &context };
    let step = claim_step(read, news, &services.waits, &services.retry_waits());
    let locked = Locked { tx, command, now: context.now };
    match step {
        ClaimStep::Leave => Ok(Claimed::Nothing(Next::Idle)),
        ClaimStep::AskForNews => Ok(Claimed::AskForNews(Box::new(locked.command))),
        ClaimStep::Conclude => locked.conclude(None).await,
        ClaimStep::Refuse(error) => locked.refuse(error).await,
        ClaimStep::Wait { until, held: None } if until.since(locked.now) < MOMENT => {
            Ok(Claimed::Nothing(Next::In(until.since(locked.now))))
        }
        ClaimStep::Wait { until, held } => locked.wait(until, held).await,
        ClaimStep::Fail { n, error, rule } => locked.fail(services, n, &error, rule).await,
        ClaimStep::Park { n, error } => locked.park(services, n, &error).await,
        ClaimStep::Recall { part, logged } => locked.recall(services, &part, logged).await,
        ClaimStep::Look(part) => locked.look(services, *part).await,
        ClaimStep::Send { part, rule } => locked.begin(services, *part, rule, begun).await,
        ClaimStep::Work => locked.work().await,
    }
}

impl Locked {
    async fn wait(mut self, until: Timestamp, held: Option<Hold>) -> anyhow::Result<Claimed> {
        commands::wait(&mut self.tx, &self.command.identity, until, held).await?;
        failpoint!("send.before_wait_commit");
        self.tx.commit().await?;
        failpoint!("send.after_wait_commit");
        Ok(Claimed::Nothing(Next::Idle))
    }

    /// What the log knows of the part counts more than what its row says.
    async fn recall(
        mut self,
        services: &Services,
        part: &PartRow,
        logged: LoggedAttempt,
    ) -> anyhow::Result<Claimed> {
        let after = services.waits.reconcile_after;
        transitions::recall(&mut self.tx, &self.command, part, logged, after).await?;
        self.tx.commit().await?;
        tracing::warn!(
            command.id = %self.command.command_id, attempt = logged.attempt,
            "Command `{}` may have been sent by attempt {}, which this ledger did not know", self.command.command_id, logged.attempt
        );
        Ok(Claimed::Nothing(Next::Idle))
    }

    /// A verdict of a ledger that is behind could be about something that was sent.
    async fn verify(&mut self, services: &Services, n: i32) -> anyhow::Result<()> {
        let Self { tx, command, .. } = self;
        let shard = shard_of(command.channel, &command.account_id);
        let attempt = part_states::attempts(tx, &command.identity, n).await?;
        services.log.verify(tx, shard, (&command.identity, n, attempt + 1)).await
    }

    async fn fail(
        mut self,
        services: &Services,
        n: i32,
        error: &OutcomeError,
        rule: Option<&str>,
    ) -> anyhow::Result<Claimed> {
        self.verify(services, n).await?;
        part_states::set_failed(&mut self.tx, &self.command.identity, n, error).await?;
        self.conclude(rule).await
    }

    async fn park(
        mut self,
        services: &Services,
        n: i32,
        error: &OutcomeError,
    ) -> anyhow::Result<Claimed> {
        self.verify(services, n).await?;
        part_states::set_unknown(&mut self.tx, &self.command.identity, n, error).await?;
        self.conclude(None).await
    }

    async fn conclude(mut self, rule: Option<&str>) -> anyhow::Result<Claimed> {
        let ended = transitions::conclude(&mut self.tx, &self.command, rule).await?;
        failpoint!("send.before_refusal_commit");
        self.tx.commit().await?;
        failpoint!("send.after_refusal_commit");
        Ok(Claimed::Nothing(if ended { Next::Ended } else { Next::Again }))
    }

    async fn refuse(mut self, error: OutcomeError) -> anyhow::Result<Claimed> {
        let end = End { state: CommandState::Failed, rule: None, error: Some(error), result: None };
        commands::finish(&mut self.tx, &self.command.identity, end).await?;
        self.tx.commit().await?;
        Ok(Claimed::Nothing(Next::Ended))
    }

    async fn look(mut self, services: &Services, part: PartRow) -> anyhow::Result<Claimed> {
        let lapses = self.now.plus(services.waits.graph_timeout + LOOK_SLACK);
        commands::wait(&mut self.tx, &self.command.identity, lapses, None).await?;
        failpoint!("look.before_claim_commit");
        self.tx.commit().await?;
        failpoint!("look.after_claim_commit");
        Ok(Claimed::Look(Box::new((self.command, part))))
    }

    async fn work(mut self) -> anyhow::Result<Claimed> {
        let lapses = self.now.plus(PAGE_CLAIM);
        commands::wait(&mut self.tx, &self.command.identity, lapses, None).await?;
        self.tx.commit().await?;
        Ok(Claimed::Work(Box::new(self.command)))
    }

    /// Writes an attempt down, unless there is no token or the budget keeps the call back.
    async fn begin(
        mut self,
        services: &Services,
        part: PartRow,
        rule: &str,
        begun: Moment,
    ) -> anyhow::Result<Claimed> {
        let Self { tx, command, now } = &mut self;
        let now = *now;
        let connected =
            services.accounts.get_with(&mut **tx, command.channel, &command.account_id).await?;
        let Some(connected) = connected else { return Ok(Claimed::Nothing(Next::Idle)) };
        // Asked before the attempt is written down: a call that is kept back is no attempt.
        if let Err(kept) = services.graph.allow(&connected.account, lane(&part.payload)) {
            let pause = kept.retry_after.unwrap_or(services.waits.retry_min);
            let until = now.plus(pause.max(BUDGET_PAUSE_MIN));
            return self.wait(until, Some(Hold::Budget)).await;
        }
        let shard = shard_of(command.channel, &command.account_id);
        if !services.places.are_all() {
            // Until the end of this transaction nobody else begins an attempt of the account.
            AttemptLog::lock(tx, &BTreeSet::from([shard])).await?;
            let under_way = under_way::by_account(tx).await?;
            let taken = under_way.get(&(command.channel, command.account_id.clone()));
            let taken = taken.copied().unwrap_or(0);
            if !services.places.has_room(command.channel, &command.account_id, taken) {
                return Ok(Claimed::Nothing(Next::In(MOMENT)));
            }
        }
        let deadline = now.plus(services.waits.send_lease);
        let part =
            transitions::begin_attempt(tx, command, part, &services.worker, now, deadline, rule)
                .await?;
        failpoint!("send.before_log");
        let entry = entry(command, &part, now, deadline);
        let logged = services.log.append_one(tx, shard, entry).await?;
        failpoint!("send.after_log");
        failpoint!("send.before_begin_commit");
        self.tx.commit().await?;
        failpoint!("send.after_begin_commit");
        logged.made();
        let ends_at = begun.plus(usable(services.waits.send_lease));
        Ok(Claimed::Send(Box::new(Attempt { command: self.command, part, connected, ends_at })))
    }
}

/// The attempt as the log has it.
pub(super) fn entry(
    command: &CommandRow,
    part: &PartRow,
    now: Timestamp,
    deadline: Timestamp,
) -> Entry {
    Entry {
        identity: command.identity.clone(),
        n: part.n,
        attempt: part.attempt,
        started_at: now,
        deadline,
    }
}

/// The part of a lease that an attempt may use: the rest is for writing down what came of it, and for clocks.
pub(super) fn usable(lease: Duration) -> Duration {
    lease - (lease / 5).min(Duration::from_secs(2))
}

pub(super) const fn lane(payload: &Payload) -> Lane {
    match payload {
        Payload::CommentHide { .. } | Payload::CommentDelete { .. } => Lane::Moderate,
        Payload::Conversion { .. } | Payload::TemplateSubmit { .. } => Lane::Enrich,
        _ => Lane::Reply,
    }
}

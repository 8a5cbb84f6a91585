//! `hookline erase`: a plan, then the erasure. What it does is `worker::erase`.

use std::time::{Duration, Instant};

use clap::Args;
use ops::{Act, Ops};
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use schemas::{AccountId, Channel, ContactId, MessageId};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use worker::erase::{Moved, NEEDS, Work};
use worker::facts::FactStore;
use worker::facts::erase::{ErasurePlan, NewErasure, Target};

use crate::args::{ChannelArg, CommonArgs};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::{account_name, connect, operator};

const VERB: &str = "erase";
/// How long it waits for something else, such as a worker that is to accept commands, before it leaves the rest to the worker.
const WAITS_MAX: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the read model may take to follow.
const PROJECTED_WITHIN: Duration = Duration::from_secs(30);

/// Arguments of `erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The channel of the account, where an account of this id is on both
    #[arg(long, value_enum)]
    channel: Option<ChannelArg>,
    /// The account: ID or CHANNEL/ID
    #[arg(long, value_name = "ID", required_unless_present = "again")]
    account: Option<String>,
    /// The person, by the id that the account knows them by
    #[arg(long, value_name = "ID", conflicts_with = "message")]
    contact: Option<String>,
    /// A message, by Meta's id; may be given several times
    #[arg(long, value_name = "MID")]
    message: Vec<String>,
    /// Looks through all streams for what was erased before: after a stream was restored from a backup
    #[arg(long, conflicts_with_all = ["channel", "account", "contact", "message"])]
    again: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Carries out `hookline erase`.
///
/// # Errors
/// Exit code 2 for wrong arguments or without a reason, 3 where the database waits for a recovery, 4 where broker or Postgres do not answer.
pub(crate) async fn run(args: EraseArgs, settings: &Settings) -> anyhow::Result<Exit> {
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    let reason = args.common.reason.clone().unwrap_or_default();
    if !args.common.dry_run && reason.trim().is_empty() {
        return Err(Failure::usage("--reason: say why, without naming the person"));
    }
    let nats = NatsConfig::from_settings(settings)?;
    connect::broker(&nats).await?;
    let pool = connect::postgres(settings).await?;
    let stop = CancellationToken::new();
    worker::migrate(&pool, &stop).await?;
    let broker = Broker::connect(VERB, nats, NEEDS, stop).await?;
    connect::connected(&broker).await?;
    if let Some(why) = worker::recover::gate::closed(&pool, broker.js()).await? {
        return Err(Failure::refused(why.to_owned()));
    }
    // Before anything is begun that could not go on.
    if let Err(error) = worker::erase::may_erase(broker.js()).await {
        return Err(Failure::refused(format!("{error}; load the nats-users.conf of this release")));
    }
    let facts = FactStore::new(broker.clone(), pool.clone(), worker::config::seal(settings)?);
    let work = Work::new(&broker, &facts);
    let done = match args.again {
        true => again(&args, &pool, work, &reason).await,
        false => one(&args, &pool, work, &reason).await,
    };
    done.map_err(away)
}

async fn one(
    args: &EraseArgs,
    pool: &PgPool,
    mut work: Work,
    reason: &str,
) -> anyhow::Result<Exit> {
    let (channel, account) = account(args, pool).await?;
    let target = match (&args.contact, args.message.as_slice()) {
        (Some(contact), _) => Target::Person(ContactId::new(contact)),
        (None, []) => return Err(Failure::usage("--contact ID or --message MID: say what")),
        (None, mids) => Target::Messages(mids.iter().map(MessageId::new).collect()),
    };
    let plan = worker::erase::plan(pool, channel, &account, &target).await?;
    if args.common.dry_run {
        print_plan(&plan, args.common.output, true)?;
        return Ok(Exit::Done);
    }
    let who = operator::name();
    let until = runtime::now();
    let new = NewErasure {
        channel,
        account: &account,
        target: &target,
        until,
        reason,
        asked_by: &who,
        callback: None,
    };
    let id = work.add(new).await?;
    let ops = Ops::open(pool.clone()).await?;
    let arguments = json!({
        "erasure": id, "channel": channel, "account": account, "contact": args.contact, "messages": args.message,
    });
    let act = |result: Value| Act {
        who: &who,
        verb: VERB,
        arguments: arguments.clone(),
        reason: Some(reason),
        job: None,
        result: Some(result),
    };
    // Before anything is done: whoever kills this process has begun it all the same, and a worker goes on with it.
    ops.record(act(json!({ "begins": true, "plan": plan }))).await?;
    if args.common.output == Output::Table {
        print_plan(&plan, Output::Table, false)?;
    }
    let counts = follow(&mut work, &id).await?;
    let projected = is_projected(pool, work.newest_event().await?).await?;
    let left = match projected {
        true => work.scrub().await?,
        false => Vec::new(),
    };
    let result =
        json!({ "erasure": id, "erased": counts, "read_model_followed": projected, "left": left });
    ops.record(act(result.clone())).await?;
    match args.common.output {
        Output::Json => say(result),
        Output::Table => {
            say(format!("Erased ({id}): {counts}."));
            left.iter().for_each(say);
            if !projected {
                say("The read model has not followed yet: it does once a projector runs.");
            }
        }
    }
    Ok(if projected { Exit::Done } else { Exit::SomeFailed })
}

/// Works until all of it is done. Returns what was erased.
async fn follow(work: &mut Work, id: &str) -> anyhow::Result<Value> {
    let mut bar = Progress::new(VERB, "positions", None);
    let mut waits_since: Option<Instant> = None;
    loop {
        let moved = work.go_on(id).await?;
        let now = work.look(id).await?;
        if let Some(now) = &now {
            bar.at(now.position, &now.step);
        }
        match moved {
            Moved::Done => {
                bar.end();
                return Ok(now.map(|now| now.counts).unwrap_or_default());
            }
            Moved::On => waits_since = None,
            Moved::Waits(why) => {
                if waits_since.get_or_insert_with(Instant::now).elapsed() > WAITS_MAX {
                    let text = format!("{id} waits for {why}; a worker goes on with it");
                    return Err(Failure { exit: Exit::SomeFailed, message: text }.into());
                }
                bar.at(0, &why);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Whether the read model has come to this position of INBOX_EVENTS, or does soon.
async fn is_projected(pool: &PgPool, newest: u64) -> anyhow::Result<bool> {
    let began = Instant::now();
    loop {
        let at = runtime::db::absent_is_empty(projector::status::position(pool).await)?;
        if at.is_none_or(|(seq, _)| seq >= newest) {
            return Ok(true);
        }
        if began.elapsed() > PROJECTED_WITHIN {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn again(
    args: &EraseArgs,
    pool: &PgPool,
    mut work: Work,
    reason: &str,
) -> anyhow::Result<Exit> {
    if args.common.dry_run {
        return Err(Failure::usage(
            "--again has no --dry-run: it changes only what was erased before",
        ));
    }
    let mut bar = Progress::new(VERB, "positions", None);
    let (raws, events) = work.again(&mut |stream, at| bar.at(at, stream)).await?;
    bar.end();
    let left = work.scrub().await?;
    let result = json!({ "raw_webhooks": raws, "events": events, "left": left });
    operator::record(pool, "erase --again", json!({}), Some(reason), result.clone()).await?;
    match args.common.output {
        Output::Json => say(result),
        Output::Table => say(format!("Erased again: {raws} raw webhooks, {events} events.")),
    }
    if args.common.output == Output::Table {
        left.iter().for_each(say);
    }
    Ok(Exit::Done)
}

async fn account(args: &EraseArgs, pool: &PgPool) -> anyhow::Result<(Channel, AccountId)> {
    let text = args.account.as_deref().unwrap_or_default();
    let text = match args.channel {
        Some(channel) if !text.contains('/') => format!("{}/{text}", channel.channel()),
        _ => text.to_owned(),
    };
    account_name::connected(pool, "--account", &text).await
}

fn print_plan(plan: &ErasurePlan, output: Output, dry_run: bool) -> anyhow::Result<()> {
    match output {
        Output::Json => say(serde_json::to_string(&json!({ "dry_run": dry_run, "plan": plan }))?),
        Output::Table => say(format!(
            "{} events, {} raw webhooks, {} messages, {} commands, {} in the waiting room, {} parked rows.",
            plan.events, plan.raw_webhooks, plan.messages, plan.commands, plan.waiting, plan.parked
        )),
    }
    Ok(())
}

/// Exit code 4 for a broker that is lost in the middle; others have their own.
fn away(error: anyhow::Error) -> anyhow::Error {
    let is_known = error.chain().any(|cause| cause.is::<sqlx::Error>() || cause.is::<Failure>());
    match is_known {
        true => error,
        false => Failure::unreachable(format!("{error:#}; run the same command again to go on")),
    }
}

//! Finds out whether a send took effect that no answer settled: by its echo, or by reading back what Meta has.

mod evidence;
mod read;
mod settle;
mod thread;

use std::time::Duration;

use runtime::db::within;
use runtime::failpoint;

use crate::decide::{self, Look};
use crate::ledger::{self, CommandRow, PartRow, commands};
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::state::Hold;
use read::{Read, STOPPED_PAUSE, read_back};

/// How long a read may be postponed that is not allowed now: then it counts as one that showed nothing.
const WAIT_FOR_READ_MAX: Duration = Duration::from_secs(24 * 3600);

/// Looks once, and writes down what follows. The command is claimed.
///
/// # Errors
/// Database or the store of tokens failed; the command is looked at again when its claim lapses.
pub(crate) async fn look(
    services: &Services,
    command: CommandRow,
    part: PartRow,
) -> anyhow::Result<Next> {
    let among = evidence::among_echoes(&services.pool, &command, &part);
    let (begun_at, echo) = within(LEDGER_WITHIN, among).await?;
    // What an echo has shown already needs no call; it may have been examined while the part was still in flight.
    let read = match echo {
        Some(item) => Read::Look(Look::Found { item_id: Some(item.id), time: Some(item.time) }),
        None => read(services, &command, &part).await?,
    };
    // No read, so nothing is counted; but that does not go on for ever either.
    let (look, later) = match read {
        Read::Look(look) => (look, None),
        Read::Later(pause, why) => {
            let since = part.started_at.map(|at| begun_at.since(at));
            let later = since.filter(|since| *since < WAIT_FOR_READ_MAX);
            (Look::Inconclusive, later.map(|_| (pause, Some(why))))
        }
        Read::Unanswered => {
            let journal = part.journal(command.created_at);
            let pause = decide::read_again(&journal, &services.retry_waits(), begun_at);
            (Look::Inconclusive, pause.map(|pause| (pause, None)))
        }
    };
    if let Some((pause, why)) = later {
        within(LEDGER_WITHIN, look_later(services, &command, pause, why)).await?;
        return Ok(Next::Idle);
    }
    metrics::counter!("hookline_reconcile_looks_total", "found" => word(&look)).increment(1);
    within(LEDGER_WITHIN, settle::settle(services, &command, &part, look, begun_at)).await
}

async fn read(services: &Services, command: &CommandRow, part: &PartRow) -> anyhow::Result<Read> {
    let connected = services.accounts.get(command.channel, &command.account_id);
    match within(LEDGER_WITHIN, connected).await? {
        Some(connected) if connected.account.stopped => {
            Ok(Read::Later(STOPPED_PAUSE, Hold::AccountStopped))
        }
        Some(connected) => {
            failpoint!("look.before_read");
            let read = read_back(services, &connected, command, part).await?;
            failpoint!("look.after_read");
            Ok(read)
        }
        None => Ok(Read::Look(Look::Inconclusive)),
    }
}

async fn look_later(
    services: &Services,
    command: &CommandRow,
    pause: Duration,
    why: Option<Hold>,
) -> sqlx::Result<()> {
    let mut conn = services.pool.acquire().await?;
    let until = ledger::now(&mut conn).await?.plus(pause);
    commands::wait(&mut conn, &command.identity, until, why).await
}

/// The label of the metric.
const fn word(look: &Look) -> &'static str {
    match look {
        Look::Found { .. } => "found",
        Look::Absent => "absent",
        Look::Inconclusive => "inconclusive",
    }
}

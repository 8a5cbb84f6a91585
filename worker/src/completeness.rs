//! Whether the log has what Graph shows: recent conversations are compared with the facts, what is missing is imported, and the figures are
//! kept by account and hour (docs/decisions/49).
//!
//! `compare` decides (pure), `rows` claims and counts, [`overview`](figures) is for operators. Each account is compared by one worker at a time,
//! which claims its row.

mod compare;
mod overview;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use facts::FactStore;
use facts::accounts::{AccountStore, Connected};
use facts::follow_up::FollowUp;
use graph::{Class, Failure, Graph, GraphError, Host, Lane};
use runtime::BoxFuture;
use schemas::{Event, EventId};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use overview::{AccountStanding, Figures, ask, figures, standing};

use crate::config::Waits;
use compare::{Compared, Known, Missing, Page, Span, by_hour};
use rows::{Claimed, Done, Gap, GapOutcome};

/// Conversations per call, where Graph takes so many.
const PAGE: u32 = 25;
/// Accounts that are compared at once.
const AT_ONCE: i64 = 4;
/// How long a claim lasts; each page renews it.
const LEASE: Duration = Duration::from_secs(60);
/// Between two looks for accounts that are due, where the period is long.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// A webhook may be under way for so long.
const UNDER_WAY_MAX: Duration = Duration::from_secs(120);

/// Nothing is concluded from times that cannot be compared (docs/decisions/33-clocks.md).
const CLOCKS_DIFFER: &str =
    "Graph's clock differs from Postgres's by more than GRAPH_CLOCK_MAX_SKEW";

/// Compares accounts with Graph.
#[derive(Clone)]
pub(crate) struct Completeness {
    facts: FactStore,
    accounts: AccountStore,
    graph: Graph,
    owner: String,
    every: Duration,
    retry_max: Duration,
}

/// How a comparison ended.
enum Ended {
    /// It came to its end, or another worker has the account.
    Done,
    /// It is to be made again, with so many conversations per call.
    Failed { error: GraphError, page: u32 },
}

/// One comparison.
struct Comparison<'a> {
    with: &'a Completeness,
    claimed: &'a Claimed,
    connected: Connected,
    span: Span,
    seen: HashMap<EventId, Compared>,
}

impl Completeness {
    pub(crate) fn new(
        facts: &FactStore,
        accounts: &AccountStore,
        graph: &Graph,
        owner: &str,
        waits: &Waits,
    ) -> Self {
        let (facts, accounts, graph) = (facts.clone(), accounts.clone(), graph.clone());
        let (every, retry_max) = (waits.completeness_every, waits.retry_max);
        Self { facts, accounts, graph, owner: owner.to_owned(), every, retry_max }
    }

    /// Compares what is due until `shutdown`.
    pub(crate) fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let pause = (self.every / 4).min(LOOK_EVERY_MAX);
            let mut shown = BTreeSet::new();
            let rounds = async {
                loop {
                    tokio::time::sleep(pause).await;
                    if let Err(error) = self.round(&mut shown).await {
                        tracing::debug!(
                            error = format!("{error:#}"),
                            "Could not look for accounts to compare; trying again"
                        );
                    }
                }
            };
            // A comparison that is cut off has published and counted together, or neither.
            shutdown.run_until_cancelled(rounds).await;
        })
    }

    async fn round(&self, shown: &mut BTreeSet<(String, String)>) -> anyhow::Result<()> {
        let pool = self.facts.pool();
        rows::ensure(pool, PAGE, self.every).await?;
        loop {
            let claimed = rows::claim(pool, &self.owner, LEASE, AT_ONCE).await?;
            if claimed.is_empty() {
                break;
            }
            let mut tasks = JoinSet::new();
            for claimed in claimed {
                let with = self.clone();
                tasks.spawn(async move { with.compare(&claimed).await });
            }
            while let Some(ended) = tasks.join_next().await {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(
                        error = format!("{error:#}"),
                        "Could not compare an account; trying again when its claim has lapsed"
                    ),
                    Err(broken) => std::panic::resume_unwind(broken.into_panic()),
                }
            }
            rows::forget(pool).await?;
        }
        show_lost(pool, shown).await?;
        Ok(())
    }

    async fn compare(&self, claimed: &Claimed) -> anyhow::Result<()> {
        let connected = self.accounts.get(claimed.channel, &claimed.account_id).await?;
        let Some(mut connected) = connected else { return Ok(()) };
        if !self.clocks_agree(&connected).await? {
            let (pool, page) = (self.facts.pool(), claimed.page);
            return Ok(
                rows::failed(pool, &self.owner, claimed, CLOCKS_DIFFER, page, self.every).await?
            );
        }
        if claimed.is_first {
            // Threads may name the account by an id or a handle that nobody has named yet.
            graph::learn(&self.graph, &self.accounts, &mut connected, Lane::Sync).await;
        }
        let under_way = (self.every / 2).min(UNDER_WAY_MAX);
        let to = claimed.now.minus(under_way).max(claimed.compared_to);
        let overlap = claimed.compared_to.minus(self.every).max(claimed.watched_from);
        let span = Span {
            look_from: claimed.look_from.map_or(overlap, |wished| wished.min(overlap)),
            count_from: claimed.compared_to,
            to,
        };
        let seen = HashMap::new();
        let mut comparison = Comparison { with: self, claimed, connected, span, seen };
        let Ended::Failed { error, page } = comparison.run().await? else { return Ok(()) };
        tracing::info!(
            account.id = %claimed.account_id, %error, "Could not compare account `{}` with Graph; trying again", claimed.account_id
        );
        if matches!(error.class, Class::Account) {
            self.accounts.stop(&comparison.connected, &error.refusal()).await?;
        }
        let pause = match error.class {
            Class::Retry | Class::Unknown | Class::Limited(_) => {
                error.retry_after.unwrap_or(self.retry_max).min(self.every)
            }
            _ => self.every,
        };
        let pool = self.facts.pool();
        rows::failed(pool, &self.owner, claimed, &error.brief(), page, pause).await?;
        Ok(())
    }
}

impl Completeness {
    /// Whether Graph's clock is near enough to the database's for times to be compared, as workers measured it last.
    async fn clocks_agree(&self, connected: &Connected) -> anyhow::Result<bool> {
        let host = Host::of(&connected.account).as_str();
        let clocks = outbound::admin::graph_clocks(self.facts.pool()).await?;
        Ok(clocks.iter().all(|clock| clock.host != host || clock.agrees))
    }
}

impl Comparison<'_> {
    async fn run(&mut self) -> anyhow::Result<Ended> {
        let (graph, pool) = (&self.with.graph, self.with.facts.pool());
        let (mut cursor, mut page) = (None, self.claimed.page.max(1));
        loop {
            let after = cursor.as_deref();
            let read = graph.conversations_deep(&self.connected, after, page, Lane::Sync).await;
            let list = match read {
                Ok(list) => list,
                // Large pages fail (docs/meta-platform-2.md 22): half of it, from where the list is.
                Err(error)
                    if page > 1
                        && (matches!(error.code, Some(-2 | 1 | 2))
                            || matches!(error.failure, Failure::Timeout | Failure::TooLarge)) =>
                {
                    page /= 2;
                    continue;
                }
                Err(error) => return Ok(Ended::Failed { error, page }),
            };
            let list = Page::read(&self.connected.account, list, self.span);
            if !self.take(&list).await? {
                return Ok(Ended::Done);
            }
            cursor.clone_from(&list.next);
            if cursor.is_none() {
                break;
            }
        }
        let (claimed, every) = (self.claimed, self.with.every);
        let lost =
            compare::lost(&self.seen, claimed.watched_from, claimed.lost(), every, claimed.now);
        if let Some(lost) = &lost
            && claimed.lost().is_none()
        {
            tracing::error!(
                account.id = %claimed.account_id,
                "Graph shows messages of account `{}` since {} that no webhook of field `{}` has brought: `hookline accounts check`",
                claimed.account_id, lost.since, lost.field
            );
        }
        let hours = by_hour(&self.seen, self.span);
        let done = Done { to: self.span.to, page, lost: lost.as_ref(), every };
        if rows::done(pool, &self.with.owner, claimed, &hours, done).await? {
            let shown: i64 = hours.values().sum();
            count(claimed, "shown", u64::try_from(shown).unwrap_or(0));
        }
        Ok(Ended::Done)
    }

    /// Compares a page and heals what is missing. `false`: another worker has the account.
    async fn take(&mut self, page: &Page) -> anyhow::Result<bool> {
        let (facts, owner) = (&self.with.facts, &self.with.owner);
        let events: Vec<&str> = page.shown().map(|shown| shown.event_id.as_str()).collect();
        let known: Known = rows::known(facts.pool(), &events).await?;
        for shown in page.shown() {
            let compared = Compared::of(&self.connected.account, shown, &known);
            self.seen.entry(shown.event_id.clone()).or_insert(compared);
        }
        let missing = page.missing(&known);
        if missing == Missing::default() {
            let mut conn = facts.pool().acquire().await?;
            return Ok(rows::keep(&mut conn, owner, self.claimed, LEASE).await?);
        }
        let mut emission = facts.begin(&missing.drafts).await?;
        let events: Vec<Event> = emission.published.events().cloned().collect();
        // A person has written, and waits for an answer: their profile may be read.
        FollowUp::WHOLE.note(&mut emission.tx, &events, runtime::now()).await?;
        if !rows::keep(&mut emission.tx, owner, self.claimed, LEASE).await? {
            return Ok(false);
        }
        let gaps = self.gaps(&missing);
        let new = rows::put_gaps(&mut emission.tx, self.claimed, &gaps).await?;
        emission.commit().await?;
        for outcome in [GapOutcome::Healed, GapOutcome::Unreachable] {
            let found = new.iter().filter(|one| *one == outcome.as_str()).count();
            count(self.claimed, outcome.as_str(), found as u64);
        }
        Ok(true)
    }

    fn gaps<'a>(&self, missing: &'a Missing) -> BTreeMap<&'a str, Gap<'a>> {
        let readable = missing.readable.iter().map(|shown| (shown, GapOutcome::Healed));
        let unreadable = missing.unreadable.iter().map(|shown| (shown, GapOutcome::Unreachable));
        let gap = |(shown, outcome): (&'a compare::Shown, GapOutcome)| {
            let late = self.span.is_late(shown.time);
            (shown.message_id.as_str(), Gap { shown, outcome, late })
        };
        readable.chain(unreadable).map(gap).collect()
    }
}

fn count(claimed: &Claimed, state: &'static str, messages: u64) {
    let account = claimed.account_id.to_string();
    metrics::counter!("hookline_completeness_messages_total", "account" => account, "state" => state)
        .increment(messages);
}

/// Every worker shows the same. A field that is lost no more is 0, not gone.
async fn show_lost(pool: &PgPool, shown: &mut BTreeSet<(String, String)>) -> sqlx::Result<()> {
    let standing = overview::standing(pool, None, None).await?;
    let lost: BTreeSet<(String, String)> = standing
        .into_iter()
        .filter_map(|one| Some((one.account_id.to_string(), one.lost_field?)))
        .collect();
    shown.extend(lost.iter().cloned());
    for key in shown.iter() {
        let (account, field) = key.clone();
        metrics::gauge!("hookline_account_field_lost", "account" => account, "field" => field)
            .set(f64::from(u8::from(lost.contains(key))));
    }
    Ok(())
}

/// The earliest time whose figures are asked for where nobody says.
pub const FIGURES_SINCE: Duration = Duration::from_secs(86_400);

/// Figures of several hours together.
pub fn total<'a>(figures: impl IntoIterator<Item = &'a Figures>) -> [i64; 4] {
    figures.into_iter().fold([0; 4], |[shown, known, healed, unreachable], one| {
        [shown + one.shown, known + one.known, healed + one.healed, unreachable + one.unreachable]
    })
}

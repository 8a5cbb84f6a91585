//! Connecting accounts by a login in a browser ([decision 40](../../docs/decisions/40-connecting-in-a-browser.md)).
//!
//! The api sends the browser to Meta and takes it back; what came back stands in `api.connect_requests`. Here the code is exchanged, what
//! can be connected is listed (`candidates`, pure), and what the person chose is stored. `queue` has the statements. The api reads how far
//! it is from the view `worker.connecting`. Any number of workers may run it at once.

mod candidates;
mod exchange;
mod queue;
mod report;
mod store;

use std::time::Duration;

use facts::accounts::AccountStore;
use graph::{Graph, OAuthApp, OAuthError};
use runtime::claim::{self, Claimed, Failure, Limits, Queue, UnderWay};
use runtime::config::LoginUrls;
use runtime::notify::{self, Listener};
use runtime::retry;
use runtime::seal::{Seal, SealError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConnectConfig};
use queue::{Login, Refusal, Standing};
pub use report::{AccountReport, LoginReport, report};

/// A claim outlives the few calls to Meta of one step.
const CLAIM: Duration = Duration::from_secs(60);
/// Tries of a step that Meta does not answer, before the person is asked to begin again.
const TRIES: i32 = 5;
/// Tries of a step that Postgres or the limit of its work cut off, without an account more.
const TRIES_CUT_OFF: i32 = 20;
/// Pause after the first try, and the longest one.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits {
    places: 8,
    poll: Duration::from_secs(5),
    statement: Duration::from_secs(10),
    work: Duration::from_secs(55),
    drain: Duration::from_secs(8),
};

/// Carries logins on until accounts are connected.
pub struct Connector {
    pool: PgPool,
    accounts: AccountStore,
    graph: Graph,
    seal: Seal,
    config: ConnectConfig,
    owner: String,
}

/// Why a step did not end.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the table of logins")]
    Database(#[from] sqlx::Error),
    #[error("the login: {0}")]
    Meta(#[from] OAuthError),
    #[error("what is sealed")]
    Seal(#[from] SealError),
}

impl Connector {
    /// A connector that claims as `owner` (unique per process).
    pub fn new(
        pool: &PgPool,
        accounts: &AccountStore,
        graph: &Graph,
        config: &Config,
        owner: &str,
    ) -> Self {
        Self {
            pool: pool.clone(),
            accounts: accounts.clone(),
            graph: graph.clone(),
            seal: config.seal.clone(),
            config: config.connect.clone(),
            owner: owner.to_owned(),
        }
    }

    /// Runs until `shutdown`; failures of Postgres and of Meta are waited out.
    pub async fn run(self, shutdown: CancellationToken) {
        for app in self.config.apps.iter().filter(|app| self.graph.app_secret(&app.name).is_none())
        {
            tracing::warn!(
                "META_APPS names `{0}`, META_APP_SECRETS has no secret of that name: logins by it are refused; add `{0}=secret`",
                app.name
            );
        }
        let listener = Listener::start(self.pool.clone(), notify::LOGINS);
        if !claim::run(&Logins(&self), &LIMITS, Some(&listener), &shutdown).await {
            tracing::warn!("Left unfinished logins to the next worker");
        }
    }

    async fn step(&self, login: &Login) -> Result<(), ConnectError> {
        let Some((app, urls)) = self.app(login).await? else { return Ok(()) };
        match login.chosen() {
            None => self.exchange(login, &app, urls).await,
            Some(chosen) => self.store(login, &app, chosen).await,
        }
    }

    /// The app of a login; `None`: it was refused, for there is none any more.
    async fn app(&self, login: &Login) -> Result<Option<(OAuthApp, &LoginUrls)>, ConnectError> {
        let known = self.config.apps.find(login.login, Some(&login.app));
        let secret = self.graph.app_secret(&login.app);
        let (Some(app), Some(secret)) = (known, secret) else {
            let refusal = if known.is_none() { "app_unknown" } else { "app_secret_missing" };
            self.end(login, &login.candidates, &Refusal::new(refusal)).await?;
            return Ok(None);
        };
        let app = OAuthApp { id: app.id.clone(), secret, redirect_uri: login.redirect_uri.clone() };
        Ok(Some((app, &self.config.urls)))
    }
}

/// Why Meta's refusal is one, for the page.
fn refusal_of(error: &OAuthError) -> Refusal {
    match error {
        OAuthError::Unreachable(_) => Refusal::new("unreachable"),
        OAuthError::CodeUsed => Refusal::new("code_used"),
        OAuthError::Redirect => Refusal::new("redirect"),
        OAuthError::App => Refusal::new("app"),
        OAuthError::Refused(words) => Refusal { word: "refused", detail: words.clone() },
    }
}

/// Why a step that failed after so many others is not tried again; `None`: it is.
fn gives_up(error: &ConnectError, tries: i32) -> Option<Refusal> {
    match error {
        ConnectError::Meta(error) => {
            let again = error.may_be_repeated() && tries + 1 < TRIES;
            (!again).then(|| refusal_of(error))
        }
        ConnectError::Seal(_) => Some(Refusal::new("key")),
        ConnectError::Database(_) => {
            (tries + 1 >= TRIES_CUT_OFF).then(|| Refusal::new("unreachable"))
        }
    }
}

/// Doubles with every try.
fn pause(tries: i32) -> Duration {
    retry::delay(PAUSE_MIN, PAUSE_MAX, tries.unsigned_abs(), 1.0)
}

/// Logins that have a step to take, as a queue.
struct Logins<'a>(&'a Connector);

impl Queue for Logins<'_> {
    type Item = Login;
    type Owner = String;
    type Error = ConnectError;

    fn owner(login: &Login) -> String {
        login.id.clone()
    }

    async fn claim(&self, free: usize, _: &UnderWay<String>) -> sqlx::Result<Claimed<Login>> {
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        let claimed = queue::claim(&self.0.pool, &self.0.owner, CLAIM, free).await;
        // No api has made its tables yet.
        Ok(runtime::db::absent_is_empty(claimed)?.into())
    }

    async fn work(&self, login: &Login) -> Result<(), ConnectError> {
        self.0.step(login).await
    }

    async fn reschedule(&self, login: &Login, failure: Failure<ConnectError>) -> sqlx::Result<()> {
        // The step may have come further than what was claimed.
        let standing = queue::standing(&self.0.pool, login).await?;
        let Some(Standing { tries, candidates }) = standing else { return Ok(()) };
        let error = match failure {
            Failure::Failed(error) => error,
            Failure::Panicked => {
                return self.0.end(login, &candidates, &Refusal::new("bug")).await;
            }
        };
        if let Some(refusal) = gives_up(&error, tries) {
            return self.0.end(login, &candidates, &refusal).await;
        }
        let error = format!("{:#}", anyhow::Error::from(error));
        tracing::warn!(login.id = %login.id, error, "A login is put off");
        queue::put_off(&self.0.pool, login, pause(tries)).await
    }

    fn unreadable(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The table of logins cannot be read; trying again");
    }

    fn lapses(&self, error: &sqlx::Error) {
        tracing::warn!(%error, "The claim on a login lapses by itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_cut_off_is_not_tried_for_ever() {
        let cut_off = || ConnectError::Database(sqlx::Error::PoolTimedOut);
        assert!(gives_up(&cut_off(), 0).is_none() && gives_up(&cut_off(), 18).is_none());
        assert_eq!(gives_up(&cut_off(), 19).unwrap().word, "unreachable");
        assert_eq!(
            gives_up(&ConnectError::Meta(OAuthError::CodeUsed), 0).unwrap().word,
            "code_used"
        );
        assert_eq!([0, 1, 100].map(|tries| pause(tries).as_secs()), [2, 4, 30]);
    }
}

//! From what a person chose to connected accounts.

use std::collections::BTreeMap;

use facts::accounts::{AccountError, Connected, Grant, NewConnection, Token};
use graph::{OAuthApp, TokenInfo};
use schemas::Channel;

use super::candidates::{Candidate, Candidates};
use super::exchange::{repeat, token_context};
use super::queue::{self, Login, Refusal};
use super::{ConnectError, Connector};

/// An account that was stored.
struct Stored {
    account: Connected,
    /// Whether it was not known before.
    new: bool,
    note: Option<String>,
}

impl Connector {
    pub(super) async fn store(
        &self,
        login: &Login,
        app: &OAuthApp,
        chosen: Vec<String>,
    ) -> Result<(), ConnectError> {
        let Some(sealed) = &login.token else {
            return Ok(queue::refuse(&self.pool, login, &Refusal::new("late")).await?);
        };
        let token = Token::new(&self.seal.open(&token_context(&login.id), sealed)?);
        let of_pages = match login.login {
            schemas::Login::Instagram => BTreeMap::new(),
            schemas::Login::Facebook => self.page_tokens(login, app, &token).await?,
        };
        let mut candidates = login.candidates.clone();
        // Each is stored when it ends: a step that is cut off goes on behind it.
        for n in candidates.open(&chosen) {
            let candidate = &candidates.0[n];
            let own = match &candidate.page_id {
                Some(page) => of_pages.get(page),
                None => Some(&token),
            };
            let stored = match own {
                Some(own) => self.connect_one(login, candidate, own).await?,
                None => Err("the Page is no longer listed for you".to_owned()),
            };
            match stored {
                Err(note) => candidates.0[n].ends("failed", Some(note)),
                Ok(Stored { account, new, note }) => {
                    let outcome = if new { "connected" } else { "reconnected" };
                    candidates.0[n].ends(outcome, note.clone());
                    queue::progress(&self.pool, login, &candidates).await?;
                    let notes: Vec<String> =
                        [self.webhooks(&account).await, note].into_iter().flatten().collect();
                    candidates.0[n].note = (!notes.is_empty()).then(|| notes.join("; "));
                }
            }
            queue::progress(&self.pool, login, &candidates).await?;
        }
        if !candidates.any_outcome() {
            tracing::error!(login.id = %login.id, "A login has a choice of which nothing is offered");
            return Ok(queue::refuse(&self.pool, login, &Refusal::new("bug")).await?);
        }
        Ok(queue::done(&self.pool, login, &candidates).await?)
    }

    /// Ends a login that cannot go on. Where accounts are connected already, the others are named beside them.
    pub(super) async fn end(
        &self,
        login: &Login,
        candidates: &Candidates,
        refusal: &Refusal,
    ) -> sqlx::Result<()> {
        tracing::warn!(login.id = %login.id, app = login.app, reason = refusal.word, "A login is refused");
        match login.chosen() {
            Some(chosen) if candidates.any_outcome() => {
                let mut candidates = candidates.clone();
                for n in candidates.open(&chosen) {
                    candidates.0[n]
                        .ends("failed", Some("it was not reached: connect it again".to_owned()));
                }
                queue::done(&self.pool, login, &candidates).await
            }
            _ => queue::refuse(&self.pool, login, refusal).await,
        }
    }

    /// The tokens of the Pages, which are kept nowhere between listing and choosing.
    async fn page_tokens(
        &self,
        login: &Login,
        app: &OAuthApp,
        token: &Token,
    ) -> Result<BTreeMap<String, Token>, ConnectError> {
        let mut pages: Vec<String> =
            login.candidates.0.iter().filter_map(|one| one.page_id.clone()).collect();
        pages.sort();
        pages.dedup();
        let info = TokenInfo { scopes: login.granted.clone(), person: None, pages };
        let pages = repeat(|| self.graph.facebook_pages(app, token, &info)).await?;
        Ok(pages.into_iter().map(|page| (page.id, page.token)).collect())
    }

    async fn connect_one(
        &self,
        login: &Login,
        candidate: &Candidate,
        token: &Token,
    ) -> Result<Result<Stored, String>, ConnectError> {
        // A Page's token of a long one of its person has no end.
        let ends = login.token_ends.filter(|_| login.login == schemas::Login::Instagram);
        let page = candidate.page_id.clone().filter(|_| candidate.channel == Channel::Instagram);
        let new = NewConnection {
            channel: candidate.channel,
            id: candidate.id.as_str().into(),
            login: login.login,
            app: login.app.clone(),
            token: token.clone(),
            grant: Grant { ends, scopes: login.granted.clone(), person: login.granted_by.clone() },
            name: candidate.name.clone(),
            handle: candidate.handle.clone(),
            page_id: page,
            other_ids: candidate.other_ids.clone(),
        };
        let connected = match self.accounts.connect(new).await {
            Ok(connected) => connected,
            Err(AccountError::Database(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        tracing::info!(
            account.id = %connected.account.id, login.id = %login.id, app = login.app, new = connected.new,
            "Connected account `{}` by a login", connected.account.id
        );
        metrics::counter!("hookline_accounts_connected_total").increment(1);
        let id = connected.account.id.clone();
        let Some(stored) = self.accounts.get(candidate.channel, &id).await.ok().flatten() else {
            return Ok(Err("the account was removed at the same time".to_owned()));
        };
        let refused = connected.refused_ids;
        let note = (!refused.is_empty()).then(|| {
            let refused = refused.join(", ");
            format!("Meta also names it {refused}, which has events of its own here")
        });
        Ok(Ok(Stored { account: stored, new: connected.new, note }))
    }

    /// Asks for the webhook fields, and says which are not subscribed; the account is connected all the same, and asked for every day.
    async fn webhooks(&self, connected: &Connected) -> Option<String> {
        let id = &connected.account.id;
        match graph::first_look(&self.graph, &self.accounts, connected).await {
            Ok(fields) => {
                let withheld: Vec<&str> = fields
                    .iter()
                    .filter(|field| !field.is_subscribed())
                    .map(|field| field.field.as_str())
                    .collect();
                (!withheld.is_empty()).then(|| {
                    let withheld = withheld.join(", ");
                    format!("Meta withholds the webhook fields {withheld}: `hookline accounts subscribe {id}` says why")
                })
            }
            Err(error) => {
                tracing::warn!(account.id = %id, %error, "Webhooks of a connected account are not subscribed yet");
                Some(
                    "its webhooks are not subscribed yet; the worker asks again within a minute"
                        .to_owned(),
                )
            }
        }
    }
}

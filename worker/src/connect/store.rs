//! From what a person chose to connected accounts.

use std::collections::BTreeMap;

use facts::accounts::{AccountError, Connected, Grant, NewConnection, Token};
use graph::{OAuthApp, TokenInfo};
use schemas::Channel;

use super::candidates::Candidate;
use super::exchange::{repeat, token_context};
use super::queue::{self, Login, Refusal};
use super::{ConnectError, Connector};

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
        for candidate in &mut candidates.0 {
            if candidate.obstacle.is_some() || !chosen.contains(&candidate.name_of()) {
                continue;
            }
            let own = match &candidate.page_id {
                Some(page) => of_pages.get(page),
                None => Some(&token),
            };
            let (outcome, note) = match own {
                Some(own) => self.connect_one(login, candidate, own).await?,
                None => ("failed", Some("the Page is no longer listed for you".to_owned())),
            };
            candidate.outcome = Some(outcome.to_owned());
            candidate.note = note;
        }
        Ok(queue::done(&self.pool, login, &candidates).await?)
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
    ) -> Result<(&'static str, Option<String>), ConnectError> {
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
            Err(error) => return Ok(("failed", Some(error.to_string()))),
        };
        tracing::info!(
            account.id = %connected.account.id, login.id = %login.id, app = login.app, new = connected.new,
            "Connected account `{}` by a login", connected.account.id
        );
        metrics::counter!("hookline_accounts_connected_total").increment(1);
        let mut notes = Vec::new();
        let id = connected.account.id.clone();
        let Some(stored) = self.accounts.get(candidate.channel, &id).await.ok().flatten() else {
            return Ok(("failed", Some("the account was removed at the same time".to_owned())));
        };
        notes.extend(self.webhooks(&stored).await);
        if !connected.refused_ids.is_empty() {
            notes.push(format!(
                "Meta also names it {}, which has events of its own here",
                connected.refused_ids.join(", ")
            ));
        }
        let outcome = if connected.new { "connected" } else { "reconnected" };
        Ok((outcome, (!notes.is_empty()).then(|| notes.join("; "))))
    }

    /// Asks for the webhook fields, and says which are not subscribed; the account is connected all the same, and asked for every day.
    async fn webhooks(&self, connected: &Connected) -> Option<String> {
        let id = &connected.account.id;
        match graph::first_look(&self.graph, &self.accounts, connected).await {
            Ok(fields) => {
                let withheld: Vec<&str> = fields
                    .iter()
                    .filter(|field| field.state != "subscribed")
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

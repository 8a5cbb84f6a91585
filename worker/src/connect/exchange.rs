//! From the code of a login to what can be connected.

use std::time::Duration;

use facts::accounts::Token;
use graph::{OAuthApp, OAuthError};
use runtime::config::LoginUrls;

use super::candidates::{self, Candidates};
use super::queue::{self, Found, Login, Refusal};
use super::{ConnectError, Connector};

/// Tries of a read before the step is put off.
const READS: u32 = 3;

impl Connector {
    pub(super) async fn exchange(
        &self,
        login: &Login,
        app: &OAuthApp,
        urls: &LoginUrls,
    ) -> Result<(), ConnectError> {
        let code = self.seal.open(&code_context(&login.id), &login.code)?;
        let first = queue::exchanging(&self.pool, login).await?;
        let found = match login.login {
            schemas::Login::Instagram => self.instagram(login, app, urls, &code).await,
            schemas::Login::Facebook => self.facebook(login, app, &code).await,
        };
        match found {
            Ok(()) => Ok(()),
            // The code was sent before, and the answer was lost: Meta takes no code twice, however it words that.
            Err(ConnectError::Meta(error)) if !first && !error.may_be_repeated() => {
                Ok(queue::refuse(&self.pool, login, &Refusal::new("code_used")).await?)
            }
            Err(error) => Err(error),
        }
    }

    async fn instagram(
        &self,
        login: &Login,
        app: &OAuthApp,
        urls: &LoginUrls,
        code: &str,
    ) -> Result<(), ConnectError> {
        let grant = self.graph.instagram_code(urls, app, code).await?;
        let now = runtime::now();
        let long = repeat(|| self.graph.instagram_long(app, &grant.token, now)).await?;
        let owner = repeat(|| self.graph.instagram_owner(&long.token)).await?;
        let granted = grant.permissions;
        let alias = grant.user_id.as_deref();
        let Some(candidate) = candidates::of_instagram(&owner, &granted, alias) else {
            return Ok(queue::refuse(&self.pool, login, &Refusal::new("not_professional")).await?);
        };
        let candidates = Candidates(vec![candidate]);
        if candidates.all_blocked() {
            let refusal = Refusal::new("missing_scope");
            queue::refuse_all(&self.pool, login, &refusal, &granted, &candidates).await?;
            return Ok(());
        }
        let found = Found {
            token: self.sealed(login, &long.token)?,
            token_ends: long.ends,
            granted,
            granted_by: owner.app_scoped.or(grant.user_id),
            candidates,
        };
        Ok(queue::found(&self.pool, login, &found, false).await?)
    }

    async fn facebook(
        &self,
        login: &Login,
        app: &OAuthApp,
        code: &str,
    ) -> Result<(), ConnectError> {
        let now = runtime::now();
        let short = self.graph.facebook_code(app, code, now).await?;
        let long = repeat(|| self.graph.facebook_long(app, &short.token, now)).await?;
        let info = repeat(|| self.graph.facebook_info(app, &long.token)).await?;
        let pages = repeat(|| self.graph.facebook_pages(app, &long.token, &info)).await?;
        if pages.is_empty() {
            let refusal = Refusal::new("no_pages");
            let none = Candidates::default();
            queue::refuse_all(&self.pool, login, &refusal, &info.scopes, &none).await?;
            return Ok(());
        }
        let candidates = candidates::of_facebook(&pages, &info);
        if candidates.all_blocked() {
            let refusal = Refusal::new("nothing_usable");
            queue::refuse_all(&self.pool, login, &refusal, &info.scopes, &candidates).await?;
            return Ok(());
        }
        let found = Found {
            token: self.sealed(login, &long.token)?,
            token_ends: long.ends,
            granted: info.scopes,
            granted_by: info.person,
            candidates,
        };
        Ok(queue::found(&self.pool, login, &found, true).await?)
    }

    fn sealed(&self, login: &Login, token: &Token) -> Result<Vec<u8>, ConnectError> {
        Ok(self.seal.seal(&token_context(&login.id), token.expose())?)
    }
}

/// What a sealed code is bound to; the api seals it.
fn code_context(id: &str) -> String {
    format!("connect-code/{id}")
}

/// What the sealed token of a login is bound to.
pub(super) fn token_context(id: &str) -> String {
    format!("connect-token/{id}")
}

/// Reads a few times: behind the exchange of the code, nothing has an effect at Meta.
pub(super) async fn repeat<T, F>(mut read: impl FnMut() -> F) -> Result<T, OAuthError>
where
    F: Future<Output = Result<T, OAuthError>>,
{
    for _ in 1..READS {
        match read().await {
            Err(error) if error.may_be_repeated() => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            done => return done,
        }
    }
    read().await
}

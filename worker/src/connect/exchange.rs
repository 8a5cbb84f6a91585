//! From the code of a login to what can be connected.

use std::time::Duration;

use facts::accounts::Token;
use graph::{OAuthApp, OAuthError};
use runtime::config::LoginUrls;
use runtime::failpoint;
use runtime::seal::login_code_context;

use super::candidates::{self, Candidates};
use super::queue::{self, Found, Login, Refusal};
use super::{ConnectError, Connector};

/// Tries of a read before the step is put off.
const READS: u32 = 3;

/// What the code was exchanged for.
struct Short {
    token: Token,
    /// What Meta says beside it: the permissions, and whose they are.
    granted: Vec<String>,
    granted_by: Option<String>,
}

impl Connector {
    pub(super) async fn exchange(
        &self,
        login: &Login,
        app: &OAuthApp,
        urls: &LoginUrls,
    ) -> Result<(), ConnectError> {
        match login.login {
            schemas::Login::Instagram => self.instagram(login, app, urls).await,
            schemas::Login::Facebook => self.facebook(login, app).await,
        }
    }

    /// The short token: of a former try, or by the code. It is stored before anything else is read, so that trouble behind the exchange does
    /// not cost the code. `None`: the login was refused.
    async fn short<F>(
        &self,
        login: &Login,
        exchange: impl FnOnce(String) -> F,
    ) -> Result<Option<Short>, ConnectError>
    where
        F: Future<Output = Result<Short, OAuthError>>,
    {
        if let Some(sealed) = &login.token {
            return Ok(Some(Short {
                token: Token::new(&self.seal.open(&token_context(&login.id), sealed)?),
                granted: login.granted.clone(),
                granted_by: login.granted_by.clone(),
            }));
        }
        if login.code.is_empty() {
            // The api has forgotten it after an hour.
            queue::refuse(&self.pool, login, &Refusal::new("code_used")).await?;
            return Ok(None);
        }
        let code = self.seal.open(&login_code_context(&login.id), &login.code)?;
        let first = queue::exchanging(&self.pool, login).await?;
        match exchange(code).await {
            Ok(short) => {
                failpoint!("connect.after_exchange");
                let sealed = self.sealed(login, &short.token)?;
                queue::exchanged(&self.pool, login, &sealed, &short.granted, &short.granted_by)
                    .await?;
                Ok(Some(short))
            }
            // The code was sent before, and the answer was lost: Meta takes no code twice, however it words that.
            Err(error) if !first && !error.may_be_repeated() => {
                queue::refuse(&self.pool, login, &Refusal::new("code_used")).await?;
                Ok(None)
            }
            Err(error) => {
                if first && error.was_not_sent() {
                    queue::not_sent(&self.pool, login).await?;
                }
                Err(error.into())
            }
        }
    }

    async fn instagram(
        &self,
        login: &Login,
        app: &OAuthApp,
        urls: &LoginUrls,
    ) -> Result<(), ConnectError> {
        let exchange = async |code: String| {
            let grant = self.graph.instagram_code(urls, app, &code).await?;
            let (granted, granted_by) = (grant.permissions, grant.user_id);
            Ok(Short { token: grant.token, granted, granted_by })
        };
        let Some(short) = self.short(login, exchange).await? else { return Ok(()) };
        let now = runtime::now();
        let long = repeat(|| self.graph.instagram_long(app, &short.token, now)).await?;
        let owner = repeat(|| self.graph.instagram_owner(&long.token)).await?;
        let granted = short.granted;
        let alias = short.granted_by.as_deref();
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
            granted_by: owner.app_scoped.or(short.granted_by),
            candidates,
        };
        Ok(queue::found(&self.pool, login, &found, false).await?)
    }

    async fn facebook(&self, login: &Login, app: &OAuthApp) -> Result<(), ConnectError> {
        let now = runtime::now();
        let exchange = async |code: String| {
            let token = self.graph.facebook_code(app, &code, now).await?.token;
            Ok(Short { token, granted: Vec::new(), granted_by: None })
        };
        let Some(short) = self.short(login, exchange).await? else { return Ok(()) };
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

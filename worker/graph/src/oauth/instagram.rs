//! Instagram Login.

use facts::accounts::Token;
use runtime::config::LoginUrls;
use schemas::Timestamp;

use super::read::{self, CodeGrant, GivenToken, Owner};
use super::{OAuthApp, OAuthError, below};
use crate::client::Graph;
use crate::error::Use;
use crate::host::Host;
use crate::response;

impl Graph {
    /// Exchanges a code for a short token: one hour, one use.
    ///
    /// # Errors
    /// [`OAuthError`] says what to do; a code without an answer may have been used.
    pub async fn instagram_code(
        &self,
        urls: &LoginUrls,
        app: &OAuthApp,
        code: &str,
    ) -> Result<CodeGrant, OAuthError> {
        let url = below(urls.instagram_oauth.clone(), &["oauth", "access_token"], &[]);
        let form = [
            ("client_id", app.id.as_str()),
            ("client_secret", app.secret.expose()),
            ("grant_type", "authorization_code"),
            ("redirect_uri", &app.redirect_uri),
            ("code", code),
        ];
        let asked = self.http().post(url).form(&form);
        let (status, body) =
            self.login_call("oauth_code", asked, None).await.map_err(OAuthError::Unreachable)?;
        if let Some(words) = read::instagram_refusal(status, &body) {
            return Err(OAuthError::Refused(Some(words)));
        }
        let answer = response::read(status, &body, Use::Read).map_err(OAuthError::of)?;
        read::code_grant(&answer).ok_or(OAuthError::Refused(None))
    }

    /// Exchanges a short token for one of 60 days.
    ///
    /// # Errors
    /// As [`Graph::instagram_code`]; may be repeated.
    pub async fn instagram_long(
        &self,
        app: &OAuthApp,
        short: &Token,
        now: Timestamp,
    ) -> Result<GivenToken, OAuthError> {
        let url = below(
            self.config().instagram_url.clone(),
            &["access_token"],
            &[
                ("grant_type", "ig_exchange_token"),
                ("client_secret", app.secret.expose()),
                ("access_token", short.expose()),
            ],
        );
        let answer = self.login_read("oauth_long", url, None).await.map_err(OAuthError::of)?;
        read::given_token(&answer, now).ok_or(OAuthError::Refused(None))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// As [`Graph::instagram_code`]; may be repeated.
    pub async fn instagram_owner(&self, token: &Token) -> Result<Owner, OAuthError> {
        let mut url = self.url(Host::Instagram, &["me"]);
        url.query_pairs_mut().append_pair("fields", "id,user_id,username,name,account_type");
        let answer =
            self.login_read("oauth_owner", url, Some(token)).await.map_err(OAuthError::of)?;
        read::owner(&answer).ok_or(OAuthError::Refused(None))
    }
}

//! Facebook Login, and Facebook Login for Business.

use facts::accounts::Token;
use schemas::Timestamp;
use serde_json::Value;

use super::read::{self, GivenToken, Page, TokenInfo};
use super::{OAuthApp, OAuthError};
use crate::client::Graph;
use crate::host::Host;
use crate::proof::appsecret_proof;
use crate::reads::{list, next, text_of};

const PAGE_FIELDS: &str = "id,name,access_token,instagram_business_account{id,username}";
const ACCOUNT_FIELDS: &str = "id,name,access_token,tasks,instagram_business_account{id,username}";
/// Pages of one list that are read at most: 100 entries each.
const LISTS_MAX: usize = 50;
/// Pages that are asked for one by one at most.
const ONE_BY_ONE_MAX: usize = 200;
/// So many of them at once: [`ONE_BY_ONE_MAX`] fit into one step of a login.
const AT_ONCE: usize = 4;

/// Pages that the token names and the list does not have: a business portfolio owns them, beside the person's own.
fn not_listed<'a>(info: &'a TokenInfo, listed: &[Page]) -> Vec<&'a str> {
    let is_listed = |id: &&String| listed.iter().any(|page| page.id == **id);
    let named = info.pages.iter().filter(|id| !is_listed(id));
    named.take(ONE_BY_ONE_MAX).map(String::as_str).collect()
}

impl Graph {
    /// Exchanges a code for a short token of the person.
    ///
    /// # Errors
    /// [`OAuthError`] says what to do; a code without an answer may have been used.
    pub async fn facebook_code(
        &self,
        app: &OAuthApp,
        code: &str,
        now: Timestamp,
    ) -> Result<GivenToken, OAuthError> {
        let query = [
            ("client_id", app.id.as_str()),
            ("client_secret", app.secret.expose()),
            ("redirect_uri", &app.redirect_uri),
            ("code", code),
        ];
        self.facebook_token("oauth_code", &query, now).await
    }

    /// Exchanges a short token of the person for one of 60 days.
    ///
    /// # Errors
    /// As [`Graph::facebook_code`]; may be repeated.
    pub async fn facebook_long(
        &self,
        app: &OAuthApp,
        short: &Token,
        now: Timestamp,
    ) -> Result<GivenToken, OAuthError> {
        let query = [
            ("grant_type", "fb_exchange_token"),
            ("client_id", app.id.as_str()),
            ("client_secret", app.secret.expose()),
            ("fb_exchange_token", short.expose()),
        ];
        self.facebook_token("oauth_long", &query, now).await
    }

    async fn facebook_token(
        &self,
        kind: &'static str,
        query: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<GivenToken, OAuthError> {
        let mut url = self.url(Host::Facebook, &["oauth", "access_token"]);
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.login_read(kind, url, None).await.map_err(OAuthError::of)?;
        read::given_token(&answer, now).ok_or(OAuthError::Refused(None))
    }

    /// Whose token it is, what it may do and on which assets.
    ///
    /// # Errors
    /// As [`Graph::facebook_code`]; may be repeated.
    pub async fn facebook_info(
        &self,
        app: &OAuthApp,
        token: &Token,
    ) -> Result<TokenInfo, OAuthError> {
        let mut url = self.url(Host::Facebook, &["debug_token"]);
        url.query_pairs_mut().append_pair("input_token", token.expose());
        let as_app = Token::new(&format!("{}|{}", app.id, app.secret.expose()));
        let answer =
            self.login_read("oauth_info", url, Some(&as_app)).await.map_err(OAuthError::of)?;
        Ok(read::token_info(&answer))
    }

    /// The Pages the person may act for. Those that a business portfolio owns may be missing in the list: the ones that the token names are
    /// asked for by their ids, or, where nothing is listed and nothing named, those of the portfolios (docs/meta-platform-2.md 16.2).
    ///
    /// # Errors
    /// As [`Graph::facebook_code`]; may be repeated.
    pub async fn facebook_pages(
        &self,
        app: &OAuthApp,
        token: &Token,
        info: &TokenInfo,
    ) -> Result<Vec<Page>, OAuthError> {
        let listed = self.facebook_list(app, token, &["me", "accounts"], ACCOUNT_FIELDS).await?;
        let mut pages: Vec<Page> = listed.iter().filter_map(read::page).collect();
        pages.extend(self.facebook_named(app, token, &not_listed(info, &pages)).await?);
        if pages.is_empty() && info.pages.is_empty() && info.has("business_management") {
            for business in self.facebook_list(app, token, &["me", "businesses"], "id").await? {
                let Some(id) = text_of(business.get("id")) else { continue };
                for edge in ["owned_pages", "client_pages"] {
                    match self.facebook_list(app, token, &[&id, edge], PAGE_FIELDS).await {
                        Ok(listed) => pages.extend(listed.iter().filter_map(read::page)),
                        Err(error) if error.may_be_repeated() => return Err(error),
                        Err(_) => {}
                    }
                }
            }
        }
        pages.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        pages.dedup_by(|a, b| a.id == b.id);
        Ok(pages)
    }

    /// Pages by their ids, some at once. One that the token does not reach hides no other.
    async fn facebook_named(
        &self,
        app: &OAuthApp,
        token: &Token,
        ids: &[&str],
    ) -> Result<Vec<Page>, OAuthError> {
        let read = async |id: &str| match self
            .facebook_get(app, token, &[id], &[("fields", PAGE_FIELDS)])
            .await
        {
            Ok(answer) => Ok(read::page(&answer)),
            Err(error) if error.may_be_repeated() => Err(error),
            Err(_) => Ok(None),
        };
        let mut pages = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            for page in futures::future::join_all(some.iter().map(|id| read(id))).await {
                pages.extend(page?);
            }
        }
        Ok(pages)
    }

    async fn facebook_list(
        &self,
        app: &OAuthApp,
        token: &Token,
        path: &[&str],
        fields: &str,
    ) -> Result<Vec<Value>, OAuthError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..LISTS_MAX {
            let mut query = vec![("fields", fields), ("limit", "100")];
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let answer = self.facebook_get(app, token, path, &query).await?;
            all.extend(list(answer.get("data")).cloned());
            // The link to the next page carries the token: only the cursor is kept of it.
            match next(&answer, after.as_deref()) {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        Ok(all)
    }

    async fn facebook_get(
        &self,
        app: &OAuthApp,
        token: &Token,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, OAuthError> {
        let mut url = self.url(Host::Facebook, path);
        url.query_pairs_mut().extend_pairs(query);
        if let Some(proof) = appsecret_proof(app.secret.expose(), token.expose()) {
            url.query_pairs_mut().append_pair("appsecret_proof", &proof);
        }
        self.login_read("oauth_pages", url, Some(token)).await.map_err(OAuthError::of)
    }
}

//! Logins in a browser: a code becomes a short token, that one a long one, and the owner and the Pages behind it are read
//! (docs/meta-platform-2.md 16.1, 16.2).
//!
//! Two of these calls carry the app's secret and a token in their URL, as Meta documents them. No URL is logged, and no error names one.

mod facebook;
mod instagram;
mod read;

pub(crate) use read::given_token;
pub use read::{CodeGrant, GivenToken, Owner, Page, TokenInfo};

use facts::accounts::Token;
use serde_json::Value;
use url::Url;

use super::client::Graph;
use super::error::{Class, GraphError, Stage, Use};
use super::response;

/// An app at Meta, in whose name a code is exchanged.
#[derive(Clone)]
pub struct OAuthApp {
    /// Its id, of the product that the login is of.
    pub id: String,
    /// Its secret.
    pub secret: Token,
    /// Where Meta sent the browser back to, byte for byte.
    pub redirect_uri: String,
}

/// Why a login did not lead to a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// Meta did not answer, or asks to come back later.
    #[error("Meta did not answer: {0}")]
    Unreachable(GraphError),
    /// The code was exchanged before, or is too old.
    #[error("the code was used before, or is older than an hour")]
    CodeUsed,
    /// The redirect address is another one than in the dialog, or is not listed at the app.
    #[error("Meta does not accept the redirect address")]
    Redirect,
    /// Id or secret of the app are wrong.
    #[error("Meta does not accept the id or the secret of the app")]
    App,
    /// Anything else; the words are Meta's.
    #[error("Meta refused")]
    Refused(Option<String>),
}

impl OAuthError {
    /// Whether the same may be asked once more.
    pub const fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the request never reached Meta.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.stage == Stage::BeforeWrite)
    }

    fn of(error: GraphError) -> Self {
        match (error.class, error.code, error.subcode) {
            (_, Some(100), Some(36_009)) => Self::CodeUsed,
            (_, Some(100), Some(36_008)) => Self::Redirect,
            (_, Some(101), _) => Self::App,
            // With 500 it is an unknown error, with 400 the secret is wrong.
            (_, Some(1), _) if error.status == Some(400) => Self::App,
            (Class::Retry | Class::Unknown | Class::Limited(_), ..) => Self::Unreachable(error),
            _ => Self::Refused(Some(error.to_string())),
        }
    }
}

impl Graph {
    /// Asks once, with the token in the header where there is one.
    async fn login_call(
        &self,
        kind: &'static str,
        request: reqwest::RequestBuilder,
        token: Option<&Token>,
    ) -> Result<(u16, Vec<u8>), GraphError> {
        let request = match token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        // A code is exchanged once and everything else only reads: whether to ask again is for the caller to say.
        let result = match request.send().await {
            Ok(received) => response::body(received, Use::Read).await,
            Err(error) => Err(response::failure(&error, Use::Read)),
        };
        let outcome = match &result {
            Ok((200..300, _)) => "ok",
            Ok(_) => "refused",
            Err(error) => error.class.as_str(),
        };
        metrics::counter!("hookline_graph_calls_total", "kind" => kind, "outcome" => outcome)
            .increment(1);
        result
    }

    async fn login_read(
        &self,
        kind: &'static str,
        url: Url,
        token: Option<&Token>,
    ) -> Result<Value, GraphError> {
        let (status, body) = self.login_call(kind, self.http().get(url), token).await?;
        response::read(status, &body, Use::Read)
    }
}

/// `url` with these parts behind its path.
fn below(mut url: Url, parts: &[&str], query: &[(&str, &str)]) -> Url {
    // `Settings::url` only lets through URLs with a host, which have a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

//! Codes into tokens, and short tokens into long ones.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::grants::{CodeRefusal, Grant};
use crate::config::INSTAGRAM_APP_ID;
use crate::graph::{GraphError, GraphRequest};
use crate::model::{Host, Login};
use crate::shared::Shared;

const LONG_SECONDS: u64 = 5_183_944;

/// Uses a code up.
fn take_code(
    shared: &Shared,
    login: Login,
    field: impl Fn(&str) -> String,
) -> Result<Grant, CodeRefusal> {
    if let Some(refusal) = shared.policy().refuse_codes {
        return Err(refusal);
    }
    let app_id = match login {
        Login::Instagram => INSTAGRAM_APP_ID,
        Login::Facebook => shared.app_id,
    };
    if field("client_id") != app_id.to_string()
        || field("client_secret") != shared.secrets.of(login)
    {
        return Err(CodeRefusal::App);
    }
    let mut world = shared.world();
    let grant = world.grants.codes.get_mut(&field("code")).filter(|grant| grant.login == login);
    let Some(grant) = grant.filter(|grant| !grant.used) else { return Err(CodeRefusal::Used) };
    if grant.redirect_uri != field("redirect_uri") || grant.client_id != field("client_id") {
        return Err(CodeRefusal::Redirect);
    }
    grant.used = true;
    Ok(grant.clone())
}

/// `POST api.instagram.com/oauth/access_token`, in the documented form and the older flat one.
pub(super) async fn instagram_code(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map_or_else(String::new, |(_, value)| value.clone())
    };
    let grant = match take_code(&shared, Login::Instagram, field) {
        Ok(grant) => grant,
        Err(refusal) => {
            let words = match refusal {
                CodeRefusal::Used => "Matching code was not found or was already used",
                CodeRefusal::Redirect => {
                    "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request"
                }
                CodeRefusal::App => "Invalid platform app",
            };
            let body = json!({"error_type": "OAuthException", "code": 400, "error_message": words});
            return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
        }
    };
    let flat = shared.policy().flat_code_answers;
    let mut world = shared.world();
    let token = world.mint_secret("IGAAS");
    let spec = grant.accounts.first().and_then(|id| world.account_by_id(id).cloned());
    let spec = spec.and_then(|key| world.spec(&key).cloned());
    let user_id =
        spec.map_or_else(|| "25500000000000999".to_owned(), |spec| spec.alias.unwrap_or(spec.id));
    let scopes = grant.scopes.clone();
    world.grants.tokens.insert(token.clone(), grant);
    drop(world);
    let body = match flat {
        // A number beyond 2^53, as Meta writes it.
        true => {
            let number: Value = serde_json::from_str(&user_id).unwrap_or_default();
            json!({"access_token": token, "user_id": number, "permissions": scopes})
        }
        false => {
            json!({"data": [{"access_token": token, "user_id": user_id, "permissions": scopes.join(",")}]})
        }
    };
    axum::Json(body).into_response()
}

/// The exchanges that are calls of Graph.
pub(super) fn graph(shared: &Shared, request: &GraphRequest) -> Option<(u16, Value)> {
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let result = match (request.host, path.as_slice()) {
        (Host::Instagram, ["access_token"]) => instagram_long(shared, request),
        (Host::Facebook, ["oauth", "access_token"]) => {
            match request.text("grant_type").as_deref() {
                Some("fb_exchange_token") => facebook_long(shared, request),
                _ => facebook_code(shared, request),
            }
        }
        _ => return None,
    };
    Some(match result {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.body("ASimulatedTrace")),
    })
}

fn instagram_long(shared: &Shared, request: &GraphRequest) -> Result<Value, GraphError> {
    let right =
        request.text("client_secret").as_deref() == Some(shared.secrets.of(Login::Instagram));
    if request.text("grant_type").as_deref() != Some("ig_exchange_token") || !right {
        return Err(GraphError::bad_app_secret());
    }
    let mut world = shared.world();
    let grant = request.token.as_ref().and_then(|token| world.grants.tokens.get(token)).cloned();
    let Some(grant) = grant.filter(|grant| grant.login == Login::Instagram) else {
        return Err(GraphError::token_unknown());
    };
    let token = world.mint_secret("IGAAL");
    match grant.accounts.first() {
        Some(id) => world.admit_instagram_token(id, &token),
        None => {
            world.grants.tokens.insert(token.clone(), grant);
        }
    }
    Ok(json!({"access_token": token, "token_type": "bearer", "expires_in": LONG_SECONDS}))
}

fn facebook_code(shared: &Shared, request: &GraphRequest) -> Result<Value, GraphError> {
    let field = |name: &str| request.text(name).unwrap_or_default();
    let grant = take_code(shared, Login::Facebook, field).map_err(|refusal| match refusal {
        CodeRefusal::Used => GraphError::code_used(),
        CodeRefusal::Redirect => GraphError::other_redirect(),
        CodeRefusal::App if request.text("client_id") == Some(shared.app_id.to_string()) => {
            GraphError::bad_app_secret()
        }
        CodeRefusal::App => GraphError::bad_app(),
    })?;
    let mut world = shared.world();
    let token = world.mint_secret("EAAS");
    world.grants.tokens.insert(token.clone(), grant);
    Ok(json!({"access_token": token, "token_type": "bearer", "expires_in": 5110}))
}

fn facebook_long(shared: &Shared, request: &GraphRequest) -> Result<Value, GraphError> {
    let right =
        request.text("client_secret").as_deref() == Some(shared.secrets.of(Login::Facebook));
    if !right {
        return Err(GraphError::bad_app_secret());
    }
    let mut world = shared.world();
    let short = request.text("fb_exchange_token").unwrap_or_default();
    let Some(grant) = world.grants.tokens.get(&short).cloned() else {
        return Err(GraphError::token_unknown());
    };
    let token = world.mint_secret("EAAL");
    world.grants.tokens.insert(token.clone(), grant);
    Ok(json!({"access_token": token, "token_type": "bearer", "expires_in": LONG_SECONDS}))
}

//! What a person's token may read: their Pages, their portfolios, the token itself; and a personal Instagram account.

use serde_json::{Value, json};

use super::grants::{Grant, Listing, Page};
use crate::graph::{GraphError, GraphRequest};
use crate::model::{Host, Login};
use crate::shared::Shared;
use crate::world::World;

/// The person who logs in at Facebook.
const PERSON: &str = "990000000000777";
/// Their portfolio.
const BUSINESS: &str = "880000000000777";

/// Answers for a person's token; `None`: it is not one.
pub(super) fn read(shared: &Shared, request: &GraphRequest) -> Option<(u16, Value)> {
    let mut world = shared.world();
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    if path == ["debug_token"] {
        let input = request.text("input_token")?;
        let grant = world.grants.tokens.get(&input)?.clone();
        let app_id = shared.app_id.to_string();
        return Some((200, json!({"data": debug(&grant, &app_id)})));
    }
    let grant = world.grants.tokens.get(request.token.as_ref()?)?.clone();
    let result = match (request.host, grant.login, path.as_slice()) {
        (Host::Instagram, Login::Instagram, ["me"]) => Ok(personal()),
        (Host::Facebook, Login::Facebook, ["me", "accounts"]) => {
            let mut pages = granted(&world, &grant);
            pages.truncate(match grant.listing {
                Listing::Listed => usize::MAX,
                Listing::Mixed => 1,
                Listing::Named | Listing::All => 0,
            });
            Ok(listing(&mut world, request, &pages))
        }
        (Host::Facebook, Login::Facebook, ["me", "businesses"]) => Ok(match grant.listing {
            Listing::All => json!({"data": [{"id": BUSINESS, "name": "Portfolio"}]}),
            _ => json!({"data": []}),
        }),
        (Host::Facebook, Login::Facebook, [BUSINESS, "owned_pages"]) => {
            let pages = granted(&world, &grant);
            Ok(listing(&mut world, request, &pages))
        }
        (Host::Facebook, Login::Facebook, [BUSINESS, "client_pages"]) => Ok(json!({"data": []})),
        (Host::Facebook, Login::Facebook, [id]) => {
            let page = granted(&world, &grant).into_iter().find(|page| page.id == *id);
            page.map(|page| shown(&mut world, &page, false))
                .ok_or_else(|| GraphError::unsupported(id, "get"))
        }
        _ => Err(GraphError::token_unknown()),
    };
    Some(match result {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.body("ASimulatedTrace")),
    })
}

fn personal() -> Value {
    json!({"id": "25500000000000999", "user_id": "17841400000000999", "username": "just.me", "account_type": "PERSONAL"})
}

fn granted(world: &World, grant: &Grant) -> Vec<Page> {
    let ticked = |page: &Page| grant.accounts.contains(&page.id);
    world.pages().into_iter().filter(ticked).collect()
}

/// One list page, at most `limit` long, with a link to the next one that carries the token, as Meta's do.
fn listing(world: &mut World, request: &GraphRequest, pages: &[Page]) -> Value {
    let from: usize = request.text("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    // Fewer than asked for, so that the cursor is followed.
    let limit = request.number("limit").unwrap_or(25).clamp(1, 2);
    let some: Vec<Value> =
        pages.iter().skip(from).take(limit).map(|page| shown(world, page, true)).collect();
    let end = from + some.len();
    let mut answer = json!({"data": some, "paging": {"cursors": {"after": end.to_string()}}});
    if end < pages.len() {
        let token = request.token.clone().unwrap_or_default();
        let next = format!(
            "{}/{PERSON}/accounts?access_token={token}&limit={limit}&after={end}",
            request.root
        );
        answer["paging"]["next"] = next.into();
    }
    answer
}

fn shown(world: &mut World, page: &Page, with_tasks: bool) -> Value {
    let token = world.mint_secret("EAAP");
    world.admit_page_token(&page.id, &token);
    let mut shown = json!({"id": page.id, "name": page.name, "access_token": token});
    if with_tasks {
        // A Page by this name is one on which the person may only look at figures.
        let tasks: &[&str] = match page.name.contains("figures only") {
            true => &["ANALYZE"],
            false => &["ANALYZE", "MODERATE", "CREATE_CONTENT", "MANAGE", "MESSAGING"],
        };
        shown["tasks"] = json!(tasks);
    }
    if let Some((id, username)) = &page.instagram {
        shown["instagram_business_account"] = json!({"id": id, "username": username});
    }
    shown
}

fn debug(grant: &Grant, app_id: &str) -> Value {
    let targets = match grant.listing {
        Listing::All => Vec::new(),
        _ => grant.accounts.clone(),
    };
    let granular: Vec<Value> = grant
        .scopes
        .iter()
        .map(|scope| match scope.starts_with("pages_") && !targets.is_empty() {
            true => json!({"scope": scope, "target_ids": targets}),
            false => json!({"scope": scope}),
        })
        .collect();
    json!({
        "app_id": app_id, "type": "USER", "application": "Simulated app", "is_valid": true, "expires_at": 0,
        "data_access_expires_at": 0, "user_id": PERSON, "scopes": grant.scopes, "granular_scopes": granular,
    })
}

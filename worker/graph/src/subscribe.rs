//! Asking Meta for webhook fields: all that the product understands, never taking one away that is there.

use facts::accounts::directory::Account;
use facts::accounts::upkeep::FieldRow;
use facts::accounts::{AccountError, AccountStore, Connected};
use serde_json::{Value, json};

use super::call::Call;
use super::client::Graph;
use super::error::{Class, GraphError};
use super::fields::{Target, targets};
use super::growth::{Growth, Numbers};
use super::limits::Lane;
use super::reads::subscribed_by_app;

/// Why an account could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// Graph did not answer, or refused the token.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// What came of it could not be stored: call again.
    #[error(transparent)]
    Store(#[from] AccountError),
}

/// Asks for the fields of an account and stores what Meta has of them. `app` is our app's id at Meta, where it is known: a Page shows the
/// fields of other apps too.
///
/// # Errors
/// [`UpkeepError`]; what was granted before stays.
pub(crate) async fn subscribe(
    graph: &Graph,
    accounts: &AccountStore,
    connected: &Connected,
    app: Option<&str>,
) -> Result<Vec<FieldRow>, UpkeepError> {
    let mut all = Vec::new();
    for target in targets(&connected.account) {
        let rows = match ask(graph, connected, app, &target).await {
            Ok(rows) => rows,
            // What is stored of it stays until the next look.
            Err(error) if !target.required => {
                tracing::debug!(account.id = %connected.account.id, %error, "Could not ask for the fields of a second object");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        accounts.store_fields(&connected.account, target.object, &rows).await?;
        all.extend(rows);
    }
    Ok(all)
}

/// Takes the subscription of an account away. That of a Page which one of `others` uses too stays: they share it.
///
/// # Errors
/// Of the first object that could not be asked.
pub(crate) async fn unsubscribe(
    graph: &Graph,
    connected: &Connected,
    others: &[Account],
) -> Result<(), GraphError> {
    for target in targets(&connected.account) {
        if is_shared(&target, others) {
            continue;
        }
        let call = Call::new("unsubscribe", Lane::Sync);
        let done = graph.delete(connected, call, &[&target.node, "subscribed_apps"]).await;
        match done {
            Err(error) if target.required || error.class == Class::Account => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_shared(target: &Target, others: &[Account]) -> bool {
    let uses = |other: &Account| {
        other.id.as_str() == target.node || other.page_id.as_ref() == Some(&target.node)
    };
    target.object == "page" && others.iter().any(uses)
}

async fn ask(
    graph: &Graph,
    connected: &Connected,
    app: Option<&str>,
    target: &Target,
) -> Result<Vec<FieldRow>, GraphError> {
    let there = match graph.subscription(connected, &target.node).await {
        Ok(answer) => subscribed_by_app(&answer, app),
        Err(error) if !target.required && is_refusal_of_object(&error) => {
            let numbers = numbers(&error);
            return Ok(rows(target, &[], |_| Some(numbers)));
        }
        Err(error) => return Err(error),
    };
    let wanted = target.fields.iter().map(|field| field.name);
    let mut growth = Growth::new(there.iter().cloned(), wanted);
    if growth.next().is_none() {
        return Ok(rows(target, &there, |_| None));
    }
    while let Some(set) = growth.next() {
        let set = set.join(",");
        let call = Call::new("subscribe", Lane::Sync).without_verdict();
        let path = [target.node.as_str(), "subscribed_apps"];
        let query = [("subscribed_fields", set.as_str())];
        match graph.post(connected, call, &path, &query, &json!({})).await {
            Ok(_) => growth.taken(),
            Err(error) if is_refusal(&error) => growth.refused(numbers(&error)),
            Err(error) => return Err(error),
        }
    }
    let answer = graph.subscription(connected, &target.node).await?;
    let there = subscribed_by_app(&answer, app);
    Ok(rows(target, &there, |field| growth.refusal(field)))
}

/// The fields of one object, with what Meta has of them.
fn rows(
    target: &Target,
    there: &[String],
    refusal: impl Fn(&str) -> Option<Numbers>,
) -> Vec<FieldRow> {
    let wanted = target.fields.iter().map(|field| {
        let is_there = there.iter().any(|name| name == field.name);
        let numbers = if is_there { None } else { refusal(field.name) };
        let state = match (is_there, numbers) {
            (true, _) => "subscribed",
            (false, Some(_)) => "refused",
            (false, None) => "missing",
        };
        let numbers = numbers.unwrap_or_default();
        FieldRow {
            object: target.object.to_owned(),
            field: field.name.to_owned(),
            state: state.to_owned(),
            code: numbers.code,
            subcode: numbers.subcode,
            costs: (!is_there).then(|| field.costs.to_owned()),
        }
    });
    let more = there
        .iter()
        .filter(|name| target.fields.iter().all(|field| field.name != name.as_str()))
        .map(|name| FieldRow {
            object: target.object.to_owned(),
            field: name.clone(),
            state: "subscribed".to_owned(),
            code: None,
            subcode: None,
            costs: None,
        });
    wanted.chain(more).collect()
}

/// A field, or the object, is refused: another set may be taken.
const fn is_refusal(error: &GraphError) -> bool {
    matches!(error.class, Class::Invalid | Class::Permission | Class::Recipient)
}

/// The same of an object that not every login has: its edge may want another kind of token.
const fn is_refusal_of_object(error: &GraphError) -> bool {
    is_refusal(error) || matches!(error.class, Class::Account)
}

const fn numbers(error: &GraphError) -> Numbers {
    Numbers { code: error.code, subcode: error.subcode }
}

impl Graph {
    /// `GET …/subscribed_apps`.
    pub(crate) async fn subscription(
        &self,
        connected: &Connected,
        node: &str,
    ) -> Result<Value, GraphError> {
        let call = Call::new("subscription", Lane::Sync).without_verdict();
        self.get(connected, call, &[node, "subscribed_apps"], &[]).await
    }
}

#[cfg(test)]
mod tests {
    use facts::accounts::directory::Login;
    use schemas::Channel;

    use super::*;

    #[test]
    fn a_page_that_another_account_uses_keeps_its_subscription() {
        let mut shop = crate::testing::account(Login::Facebook, Channel::Instagram);
        shop.page_id = Some("990000000000101".to_owned());
        let mut page = crate::testing::account(Login::Facebook, Channel::Messenger);
        page.id = "990000000000101".into();
        let shared = |account: &Account, others: &[Account]| {
            targets(account).iter().any(|target| is_shared(target, others))
        };
        assert!(shared(&shop, std::slice::from_ref(&page)), "by its id");
        assert!(shared(&page, std::slice::from_ref(&shop)), "by its linked Page");
        shop.page_id = Some("990000000000102".to_owned());
        assert!(!shared(&page, &[shop]) && !shared(&page, &[]));
    }
}

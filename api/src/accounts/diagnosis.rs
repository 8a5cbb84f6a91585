//! ◆ Pure: what is wrong with an account, and what to do next: one thing, the worst first.

use std::time::Duration;

use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::worker_views::Upkeep;

const DAY: Duration = Duration::from_secs(86_400);

/// What to do next about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Diagnosis {
    /// A stable word: `disconnected`, `stopped`, `messages_withheld`, `field_lost`, `token_ends`, `scope_missing`, `fields_withheld`.
    pub code: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub fix: String,
}

fn diagnosis(code: &str, text: impl Into<String>, fix: &str) -> Option<Diagnosis> {
    Some(Diagnosis { code: code.to_owned(), text: text.into(), fix: fix.to_owned() })
}

/// The worst that is wrong; `None`: nothing is. `lost`: the webhook field by which nothing comes although Graph shows messages.
pub(crate) fn diagnose(
    state: &str,
    upkeep: &Upkeep,
    lost: Option<&str>,
    now: Timestamp,
) -> Option<Diagnosis> {
    const CONNECT: &str = "connect the account again (`hookline accounts add`)";
    match state {
        "disconnected" => {
            return diagnosis("disconnected", "the account is disconnected", CONNECT);
        }
        "stopped" => {
            let text = "Meta refused its token: nothing is sent for it, and what is queued waits";
            return diagnosis("stopped", text, CONNECT);
        }
        _ => {}
    }
    let withheld: Vec<&Value> =
        upkeep.fields.iter().flatten().filter(|field| field["state"] != "subscribed").collect();
    let arrive = |object: &str| {
        let mut fields = upkeep.fields.iter().flatten();
        fields.any(|field| {
            field["object"] == object
                && field["field"] == "messages"
                && field["state"] == "subscribed"
        })
    };
    if upkeep.fields.is_some() && !arrive("instagram") && !arrive("page") {
        let text = "Meta does not deliver its messages: the field `messages` is not subscribed";
        let fix = "grant the permission for messages, then `hookline accounts subscribe`";
        return diagnosis("messages_withheld", text, fix);
    }
    if let Some(field) = lost {
        let text = format!("Graph shows messages, and no webhook of the field `{field}` comes");
        let fix = "`hookline accounts subscribe`; else look whether the webhook of the app is active in Meta's dashboard";
        return diagnosis("field_lost", text, fix);
    }
    if let Some(ends) = upkeep.token_ends.map(|ends| Timestamp::from(ends.0))
        && ends.since(now) <= 7 * DAY
    {
        let text = format!("its token ends at {ends}, and refreshing it has failed so far");
        let fix = "`hookline accounts refresh` says why; else connect the account again";
        return diagnosis("token_ends", text, fix);
    }
    if let Some(missing) = upkeep.scopes_missing.as_ref().and_then(|missing| missing.get(0)) {
        let text = |key: &str| missing[key].as_str().unwrap_or_default();
        let what = format!("`{}` is not granted: {}", text("scope"), text("costs"));
        return diagnosis("scope_missing", what, "connect the account again and grant it");
    }
    let first = withheld.first()?;
    let text = |key: &str| first[key].as_str().unwrap_or_default();
    let what = format!("Meta withholds `{}`: {}", text("field"), text("costs"));
    let fix = "look at the permissions of the app and at its fields in Meta's dashboard, then `hookline accounts subscribe`";
    diagnosis("fields_withheld", what, fix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::Time;

    const NOW: Timestamp = Timestamp::from_millis(1_796_000_000_000);

    fn field(object: &str, field: &str, state: &str) -> Value {
        json!({"object": object, "field": field, "state": state, "costs": "something is missing"})
    }

    #[test]
    fn the_worst_comes_first_and_a_sound_account_has_none() {
        let code =
            |state: &str, upkeep: &Upkeep| diagnose(state, upkeep, None, NOW).map(|one| one.code);
        let mut upkeep = Upkeep::default();
        assert_eq!(code("active", &upkeep), None, "nothing is known yet");
        upkeep.fields = Some(vec![field("page", "messages", "subscribed")]);
        assert_eq!(code("active", &upkeep), None);
        upkeep.fields = Some(vec![
            field("instagram", "messages", "refused"),
            field("page", "messages", "subscribed"),
        ]);
        assert_eq!(code("active", &upkeep).as_deref(), Some("fields_withheld"));
        upkeep.scopes_missing = Some(json!([{"scope": "x", "feature": "comments", "costs": "y"}]));
        assert_eq!(code("active", &upkeep).as_deref(), Some("scope_missing"));
        upkeep.token_ends = Some(Time(NOW.plus(3 * DAY).to_datetime()));
        assert_eq!(code("active", &upkeep).as_deref(), Some("token_ends"));
        let lost = diagnose("active", &upkeep, Some("messages"), NOW).unwrap();
        assert!(lost.code == "field_lost" && lost.text.contains("`messages`"), "{lost:?}");
        upkeep.fields = Some(vec![field("page", "messages", "missing")]);
        assert_eq!(code("active", &upkeep).as_deref(), Some("messages_withheld"));
        assert_eq!(code("stopped", &upkeep).as_deref(), Some("stopped"));
        assert_eq!(code("disconnected", &upkeep).as_deref(), Some("disconnected"));
    }
}

//! ◆ Pure: Graph's refusals in Meta's shape (docs/meta-platform.md 9; fixtures `graph/`).

use serde_json::{Map, Value, json};

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) transient: bool,
    pub(crate) user: Option<(&'static str, &'static str)>,
    /// The token is the problem: `www-authenticate` says so too.
    pub(crate) token: bool,
}

const OAUTH: &str = "OAuthException";
const INSTAGRAM: &str = "IGApiException";
const METHOD: &str = "GraphMethodException";

impl GraphError {
    pub(crate) fn new(status: u16, code: i64, kind: &'static str, message: &str) -> GraphError {
        GraphError {
            status,
            message: message.to_owned(),
            kind,
            code,
            subcode: None,
            transient: false,
            user: None,
            token: false,
        }
    }

    fn sub(self, subcode: i64) -> GraphError {
        GraphError { subcode: Some(subcode), ..self }
    }

    pub(crate) fn body(&self, trace: &str) -> Value {
        let mut error = Map::new();
        error.insert("message".to_owned(), self.message.clone().into());
        error.insert("type".to_owned(), self.kind.into());
        error.insert("code".to_owned(), self.code.into());
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".to_owned(), subcode.into());
        }
        if let Some((title, text)) = self.user {
            error.insert("error_user_title".to_owned(), title.into());
            error.insert("error_user_msg".to_owned(), text.into());
        }
        if self.transient {
            error.insert("is_transient".to_owned(), true.into());
        }
        error.insert("fbtrace_id".to_owned(), trace.into());
        json!({"error": error})
    }

    pub(crate) fn unknown_500() -> GraphError {
        GraphError::new(500, 1, OAUTH, "An unknown error has occurred.")
    }

    pub(crate) fn reduce() -> GraphError {
        let text = "Please reduce the amount of data you're asking for, then retry your request";
        GraphError::new(500, 1, OAUTH, text)
    }

    pub(crate) fn temporary() -> GraphError {
        let error = GraphError::new(503, 2, OAUTH, "Service temporarily unavailable");
        GraphError { transient: true, ..error }
    }

    pub(crate) fn rate_limited() -> GraphError {
        let text = "Calls to this api have exceeded the rate limit.";
        GraphError::new(400, 613, OAUTH, text).sub(2_534_040)
    }

    pub(crate) fn app_limited() -> GraphError {
        let error = GraphError::new(400, 4, OAUTH, "(#4) Application request limit reached");
        GraphError { transient: true, ..error }
    }

    pub(crate) fn token_expired() -> GraphError {
        let text = "Error validating access token: Session has expired.";
        GraphError { token: true, ..GraphError::new(400, 190, OAUTH, text).sub(463) }
    }

    pub(crate) fn app_removed() -> GraphError {
        let text = "Error validating access token: The user has not authorized application.";
        GraphError { token: true, ..GraphError::new(400, 190, OAUTH, text).sub(458) }
    }

    pub(crate) fn token_too_young() -> GraphError {
        GraphError::new(400, 100, INSTAGRAM, "The token is less than 24 hours old")
    }

    pub(crate) fn field_refused(code: i64) -> GraphError {
        let text = format!("(#{code}) The app lacks a permission for one of the fields");
        GraphError::new(403, code, OAUTH, &text)
    }

    pub(crate) fn token_unknown() -> GraphError {
        let text = "Invalid OAuth access token - Cannot parse access token";
        GraphError { token: true, ..GraphError::new(400, 190, OAUTH, text) }
    }

    pub(crate) fn token_missing() -> GraphError {
        let text = "An access token is required to request this resource.";
        GraphError { token: true, ..GraphError::new(400, 104, OAUTH, text) }
    }

    pub(crate) fn bad_proof() -> GraphError {
        GraphError::new(400, 100, METHOD, "Invalid appsecret_proof provided in the API argument")
    }

    pub(crate) fn parameter(text: &str) -> GraphError {
        GraphError::new(400, 100, OAUTH, &format!("(#100) {text}"))
    }

    pub(crate) fn unsupported(id: &str, method: &str) -> GraphError {
        let text = format!(
            "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation."
        );
        GraphError::new(400, 100, METHOD, &text).sub(33)
    }

    pub(crate) fn code_used() -> GraphError {
        GraphError::new(400, 100, OAUTH, "This authorization code has been used.").sub(36_009)
    }

    pub(crate) fn other_redirect() -> GraphError {
        let text = "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request";
        GraphError::new(400, 100, OAUTH, text).sub(36_008)
    }

    pub(crate) fn bad_app() -> GraphError {
        GraphError::new(
            400,
            101,
            OAUTH,
            "Error validating application. Cannot get application info due to a system error.",
        )
    }

    pub(crate) fn bad_app_secret() -> GraphError {
        GraphError::new(400, 1, OAUTH, "Error validating client secret.")
    }

    pub(crate) fn no_capability() -> GraphError {
        let text = "(#3) Application does not have the capability to make this API call.";
        GraphError::new(400, 3, OAUTH, text)
    }

    pub(crate) fn no_permission() -> GraphError {
        let text = "(#10) Application does not have permission for this action";
        GraphError::new(403, 10, OAUTH, text)
    }

    pub(crate) fn template_refused(why: &'static str) -> GraphError {
        let error = GraphError::new(400, 100, OAUTH, "Fatal").sub(2_018_416);
        GraphError { user: Some(("Message Template Creation Failed", why)), ..error }
    }

    pub(crate) fn event_too_old() -> GraphError {
        let text = "Fixture wording: event_time lies more than 7 days back";
        let error = GraphError::new(400, 100, OAUTH, "Invalid parameter").sub(2_804_003);
        GraphError { user: Some(("Event Timestamp Too Old", text)), ..error }
    }

    pub(crate) fn event_invalid() -> GraphError {
        let text = "A parameter of the event is missing";
        let error = GraphError::new(400, 100, OAUTH, "Invalid parameter").sub(2_804_050);
        GraphError { user: Some(("Invalid Event", text)), ..error }
    }

    pub(crate) fn too_few_viewers() -> GraphError {
        let text = "(#10) Not enough viewers for the media to show insights";
        GraphError::new(400, 10, OAUTH, text)
    }

    pub(crate) fn deleted() -> GraphError {
        let text = "This Message has been deleted by the user or the business.";
        GraphError::new(400, 9_000_001, OAUTH, text)
    }

    pub(crate) fn window_closed(instagram: bool) -> GraphError {
        if instagram {
            let text = "This message is sent outside of allowed window.";
            GraphError::new(403, 10, INSTAGRAM, text).sub(2_534_022)
        } else {
            let text = "(#10) This message is sent outside of allowed window.";
            GraphError::new(400, 10, OAUTH, text).sub(2_018_278)
        }
    }

    pub(crate) fn no_such_person(instagram: bool) -> GraphError {
        if instagram {
            let text = "The requested user cannot be found.";
            GraphError::new(400, 100, INSTAGRAM, text).sub(2_534_014)
        } else {
            GraphError::new(400, 100, OAUTH, "(#100) No matching user found").sub(2_018_001)
        }
    }

    pub(crate) fn not_available() -> GraphError {
        let text = "(#551) This person isn't available right now.";
        let user = Some(("Not sent", "This person isn't available right now."));
        GraphError { user, ..GraphError::new(400, 551, OAUTH, text).sub(1_545_041) }
    }

    pub(crate) fn not_thread_owner() -> GraphError {
        let text = "(#100) The action is invalid since it's not the thread owner.";
        GraphError::new(400, 100, OAUTH, text).sub(2_534_037)
    }

    pub(crate) fn tag_removed() -> GraphError {
        GraphError::new(400, 100, OAUTH, "(#100) Invalid parameter")
    }

    pub(crate) fn text_too_long(instagram: bool) -> GraphError {
        let text = if instagram {
            "(#100) Length of param message[text] must be less than or equal to 1000"
        } else {
            "(#100) Length of param message[text] must be less than or equal to 2000"
        };
        GraphError::new(400, 100, OAUTH, text)
    }

    pub(crate) fn replied_already(instagram: bool) -> GraphError {
        if instagram {
            let text = "The comment has already been replied to.";
            GraphError::new(500, -1, INSTAGRAM, text).sub(2_534_023)
        } else {
            GraphError::new(400, 10_900, OAUTH, "(#10900) Activity already replied to")
        }
    }

    pub(crate) fn cannot_reply(instagram: bool) -> GraphError {
        if instagram {
            let text = "The comment is invalid for a private reply.";
            GraphError::new(400, 100, INSTAGRAM, text).sub(2_534_025)
        } else {
            let text = "(#10903) This user cannot reply to this activity";
            GraphError::new(400, 10_903, OAUTH, text)
        }
    }

    pub(crate) fn no_consent() -> GraphError {
        GraphError::new(400, 230, INSTAGRAM, "User consent is required to access user profile")
    }

    pub(crate) fn phone_account() -> GraphError {
        GraphError::new(400, 2_018_218, OAUTH, "No profile available for this user.")
    }

    pub(crate) fn profile_permission() -> GraphError {
        let text = "Insufficient permission to access user profile.";
        GraphError::new(400, 2_018_247, OAUTH, text)
    }

    pub(crate) fn bad_subscription(index: usize, field: &str, known: &[&str]) -> GraphError {
        let text = format!(
            "(#100) Param subscribed_fields[{index}] must be one of {{{}}} - got \"{field}\".",
            known.join(", ")
        );
        GraphError::new(400, 100, INSTAGRAM, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixture;

    fn check(name: &str, error: &GraphError) {
        let response = fixture(&format!("graph/{name}.json"))["response"].clone();
        let mut expected = response["body"].clone();
        let mut built = error.body("AFixtureTraceId000000000");
        // Texts for the user are localised at Meta and made up in the fixture.
        for body in [&mut expected, &mut built] {
            if let Some(error) = body["error"].as_object_mut() {
                error.remove("error_user_msg");
            }
        }
        assert_eq!(built, expected, "{name}");
        assert_eq!(response["status"], error.status, "{name}");
    }

    #[test]
    fn refusals_are_those_of_the_fixtures() {
        check("send-ambiguous-500-code1", &GraphError::unknown_500());
        check("send-temporary-2", &GraphError::temporary());
        check("send-rate-limited-613", &GraphError::rate_limited());
        check("send-app-throttled-4", &GraphError::app_limited());
        check("send-token-expired", &GraphError::token_expired());
        check("send-window-closed-ig", &GraphError::window_closed(true));
        check("send-window-closed-fb", &GraphError::window_closed(false));
        check("send-ig-user-not-found", &GraphError::no_such_person(true));
        check("send-no-matching-user", &GraphError::no_such_person(false));
        check("send-user-unavailable", &GraphError::not_available());
        check("send-not-thread-owner", &GraphError::not_thread_owner());
        check("send-tag-removed", &GraphError::tag_removed());
        check("private-reply-duplicate", &GraphError::replied_already(false));
        check("message-lookup-500", &GraphError::unknown_500());
        check("message-lookup-deleted", &GraphError::deleted());
        let too_few = fixture("graph2/insights-story-too-few.json")["response"]["body"].clone();
        assert_eq!(GraphError::too_few_viewers().body("AFixtureTraceId000000000"), too_few);
        check("conversations-no-capability", &GraphError::no_capability());
        check("profile-ig-no-consent", &GraphError::no_consent());
        check("profile-fb-phone-account", &GraphError::phone_account());
        check("profile-fb-unsupported-get", &GraphError::unsupported("7300000000000222", "get"));
    }
}

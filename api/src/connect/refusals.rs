//! ◆ Pure: every reason why nothing was connected, as a page that says what to do.

use axum::http::StatusCode;
use schemas::Login;

use crate::html::Page;

/// What is known of the login.
pub(super) struct About<'a> {
    pub(super) login: Login,
    pub(super) app: &'a str,
    pub(super) app_id: Option<&'a str>,
    pub(super) redirect_uri: &'a str,
}

/// A refusal in words.
pub(super) struct Refusal {
    title: &'static str,
    what: String,
    todo: Vec<String>,
    detail: Option<String>,
}

impl Refusal {
    /// As a page. Nothing was connected, and it says so.
    pub(super) fn page(self, status: StatusCode) -> Page {
        let page = Page::new(status, self.title).error(&self.what);
        let page = match &self.detail {
            Some(words) => page.says(&format!("Meta's words: {words}")),
            None => page,
        };
        page.says("Nothing was connected.")
            .heading("What to do")
            .list(&self.todo)
            .go("/connect", "Begin again")
    }
}

/// The longest part of Meta's words that is shown.
const DETAIL_MAX: usize = 300;

/// What a reason means. `detail`: Meta's words, for people.
pub(super) fn of(word: &str, detail: Option<&str>, about: Option<&About<'_>>) -> Refusal {
    let detail = detail.map(|words| words.chars().take(DETAIL_MAX).collect::<String>());
    let app = about.map_or("the app", |about| about.app);
    let id = about.and_then(|about| about.app_id).unwrap_or("unknown");
    let uri = about.map_or("<PUBLIC_URL>/connect/callback", |about| about.redirect_uri);
    let title_of = about.map_or("Meta", |about| about.login.title());
    let again = || "Begin again; each code of Meta's is used once.".to_owned();
    let list_uri = || {
        format!(
            "List exactly {uri} as a redirect address of the app in Meta's dashboard. A slash at the end counts."
        )
    };
    let check_id = || match about.map(|about| about.login) {
        Some(Login::Instagram) => format!(
            "Compare the id of `{app}` in META_APPS ({id}) with the Instagram app id under \"API setup with Instagram login\". It is not the Meta app id."
        ),
        _ => format!(
            "Compare the id of `{app}` in META_APPS ({id}) with the app id in Meta's dashboard, and its secret in META_APP_SECRETS with the app secret."
        ),
    };
    let (title, what, todo): (&'static str, String, Vec<String>) = match word {
        "cancelled" => ("Cancelled", format!("The login was cancelled at {title_of}."), vec![
            "Begin again and allow the access that is asked for.".to_owned()]),
        "declined" => ("Not allowed", "Meta sent the browser back without a code.".to_owned(), vec![
            "While the app is in development, only people with a role in the app, or accepted testers, can connect. Add the person in Meta's dashboard; an Instagram tester accepts at instagram.com/accounts/manage_access.".to_owned(),
            again()]),
        "state_foreign" => ("Not from this browser", "This answer of Meta does not belong to a login that this browser began in a session that is still open.".to_owned(), vec![
            "Begin and end the login in the same browser, with cookies allowed.".to_owned(),
            "If you did not begin a login, close this page: somebody may have sent you a link.".to_owned()]),
        "state_late" => ("Too late", "The login took longer than ten minutes.".to_owned(), vec![again()]),
        "late" => ("Too late", "Nothing was chosen for an hour, so what Meta gave was forgotten.".to_owned(), vec![again()]),
        "code_used" => ("The code was used", "Meta takes each code once, within an hour, and this one was used or is too old.".to_owned(), vec![again()]),
        "redirect" => ("The redirect address is refused", format!("{title_of} does not accept {uri}."), vec![
            list_uri(), "PUBLIC_URL of the api must be the address that people open, byte for byte.".to_owned(), again()]),
        "app" => ("The app is refused", format!("{title_of} does not accept id or secret of the app `{app}`."), vec![check_id(), again()]),
        "refused" => (if title_of == "Instagram" { "Instagram refused the code" } else { "Meta refused the login" },
            format!("{title_of} did not give a token for the code."), vec![
            "If the code was used or is older than an hour: begin again.".to_owned(), list_uri(), check_id()]),
        "unreachable" => ("Meta does not answer", format!("{title_of} could not be asked, several times in a row."), vec![
            "Begin again in some minutes.".to_owned(),
            "If it stays so, see that the worker reaches INSTAGRAM_OAUTH_URL, GRAPH_INSTAGRAM_URL and GRAPH_FACEBOOK_URL.".to_owned()]),
        "not_professional" => ("No professional account", "This Instagram account is a personal one. Meta opens messages of professional accounts only.".to_owned(), vec![
            "In the Instagram app: Settings, Account type and tools, Switch to professional account. Business and Creator both work, and it costs nothing.".to_owned(),
            "Then begin again, and choose this account at Instagram.".to_owned()]),
        "missing_scope" => ("A permission is missing", "A permission without which the account cannot be connected was not granted.".to_owned(), vec![
            "Begin again and leave all permissions ticked.".to_owned()]),
        "no_pages" => ("No Page", "Facebook lists no Page that you can connect.".to_owned(), vec![
            "Begin again, choose \"Edit access\" or \"Edit previous settings\" at Facebook, and tick the Pages.".to_owned(),
            "If a business portfolio owns the Page: ask its administrator for a task on the Page, and allow `business_management`.".to_owned(),
            "An Instagram account without a Page is connected by Instagram Login.".to_owned()]),
        "nothing_usable" => ("No account can be connected", "Something is missing on each of the accounts that Facebook lists.".to_owned(), vec![
            "See below what is missing on each; then begin again.".to_owned()]),
        "app_unknown" => ("The app is gone", format!("The worker's META_APPS has no app `{app}` of this login."), vec![
            "Give api and worker the same META_APPS and start them again.".to_owned()]),
        "app_secret_missing" => ("The app has no secret", format!("META_APP_SECRETS of the worker has no secret named `{app}`."), vec![
            format!("Add `{app}=<app secret>` to META_APP_SECRETS of worker and ingest, and start them again.")]),
        "key" => ("The code does not open", "The worker has another ENCRYPTION_KEY than the api.".to_owned(), vec![
            "Give api and worker the same ENCRYPTION_KEY and start them again.".to_owned()]),
        _ => ("Something broke", "hookline made a mistake; the log of the worker says more.".to_owned(), vec![again()]),
    };
    Refusal { title, what, todo, detail }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http_body_util::BodyExt as _;

    use super::*;

    const WORDS: [&str; 17] = [
        "cancelled",
        "declined",
        "state_foreign",
        "state_late",
        "late",
        "code_used",
        "redirect",
        "app",
        "refused",
        "unreachable",
        "not_professional",
        "missing_scope",
        "no_pages",
        "nothing_usable",
        "app_unknown",
        "app_secret_missing",
        "key",
    ];

    #[tokio::test]
    async fn every_refusal_says_what_to_do_and_shows_what_is_configured() {
        let about = About {
            login: Login::Instagram,
            app: "shop",
            app_id: Some("88"),
            redirect_uri: "https://h.example/connect/callback",
        };
        for word in WORDS {
            let page =
                of(word, Some("<b>words"), Some(&about)).page(StatusCode::OK).into_response();
            let body = page.into_body().collect().await.unwrap().to_bytes();
            let html = String::from_utf8_lossy(&body);
            assert!(html.contains("What to do") && html.contains("<li>"), "{word}");
            assert!(!html.contains("Something broke") && !html.contains("<b>"), "{word}");
            if word == "redirect" || word == "refused" {
                assert!(html.contains("https://h.example/connect/callback"), "{word}");
            }
        }
    }
}

//! ◆ Pure: the page that opens a session.

use axum::http::StatusCode;

use crate::html::Page;

/// Sends what stands behind the `#` of the address, so that a link need not be pasted.
pub(super) const SCRIPT: &str = "\
const code = location.hash.slice(1);
const field = document.getElementById('code');
if (code && field) {
  history.replaceState(null, '', location.pathname);
  field.value = code;
  field.form.requestSubmit();
}
";

const FORMS: &str = "\
<form method=\"post\" action=\"/session/link\" autocomplete=\"off\">
<label for=\"code\">One-time link or its code</label>
<input id=\"code\" name=\"code\" type=\"password\" required spellcheck=\"false\" autofocus>
<button>Open</button>
</form>
<h2>Or with an API token</h2>
<form method=\"post\" action=\"/session\" autocomplete=\"off\">
<label for=\"token\">Token of API_TOKENS</label>
<input id=\"token\" name=\"token\" type=\"password\" required spellcheck=\"false\">
<button>Open</button>
</form>
";

/// The page that asks who somebody is. `wrong`: why they are asked again.
pub(crate) fn sign_in(status: StatusCode, wrong: Option<&str>) -> Page {
    let page = Page::new(status, "Open a session");
    let page = match wrong {
        Some(words) => page.error(words),
        None => page,
    };
    page.says("`hookline accounts connect --login instagram` and `hookline up` print a link that works once, for ten minutes.")
        .markup(FORMS)
        .with_script("/session.js")
}

//! ◆ Pure: the one template of our pages: plain HTML that needs no script, and headers that let it load nothing.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem}\
main{max-width:40rem;margin:2rem auto}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
label,legend{font-weight:600}\
fieldset{border:1px solid;border-radius:.4rem;margin:1rem 0;padding:.5rem 1rem}\
.choice{display:flex;gap:.6rem;align-items:baseline;margin:.6rem 0}.choice label{font-weight:400}\
input[type=text],input[type=password]{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem;margin:.3rem 0 1rem}\
button,a.button{display:inline-block;font:inherit;font-weight:600;padding:.6rem 1.1rem;border:1px solid;border-radius:.4rem;\
text-decoration:none;color:#fff;background:#0b57d0}\
:focus-visible{outline:3px solid #f29900;outline-offset:2px}\
.error{border-left:.3rem solid #b3261e;padding-left:.8rem}\
code{overflow-wrap:anywhere}";

/// Only this style, and forms that go to us.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// A page that is being written.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    title: String,
    body: String,
    head: String,
    script: bool,
}

impl Page {
    /// A page with this heading.
    pub(crate) fn new(status: StatusCode, title: &str) -> Self {
        let body = format!("<h1>{}</h1>\n", text(title));
        Self { status, title: title.to_owned(), body, head: String::new(), script: false }
    }

    /// A paragraph of plain text.
    pub(crate) fn says(mut self, words: &str) -> Self {
        let _ = writeln!(self.body, "<p>{}</p>", text(words));
        self
    }

    /// What went wrong, read out at once.
    pub(crate) fn error(mut self, words: &str) -> Self {
        let _ = writeln!(self.body, "<p class=\"error\" role=\"alert\">{}</p>", text(words));
        self
    }

    /// A heading within the page.
    pub(crate) fn heading(mut self, words: &str) -> Self {
        let _ = writeln!(self.body, "<h2>{}</h2>", text(words));
        self
    }

    /// A list of plain texts.
    pub(crate) fn list<S: AsRef<str>>(mut self, items: impl IntoIterator<Item = S>) -> Self {
        self.body.push_str("<ul>\n");
        for item in items {
            let _ = writeln!(self.body, "<li>{}</li>", text(item.as_ref()));
        }
        self.body.push_str("</ul>\n");
        self
    }

    /// A link that looks like a button.
    pub(crate) fn go(mut self, path: &str, words: &str) -> Self {
        let _ = writeln!(
            self.body,
            "<p><a class=\"button\" href=\"{}\">{}</a></p>",
            text(path),
            text(words)
        );
        self
    }

    /// Markup that the caller wrote, with every text in it through [`text`].
    pub(crate) fn markup(mut self, markup: &str) -> Self {
        self.body.push_str(markup);
        self
    }

    /// Loads itself again: the page of something that is under way. With a path, that one is loaded: to an address with a fragment, which
    /// Meta's redirects leave behind, some browsers only jump.
    pub(crate) fn again_in(mut self, seconds: u8, path: Option<&str>) -> Self {
        let url = path.map_or_else(String::new, |path| format!(";url={}", text(path)));
        let _ = write!(self.head, "<meta http-equiv=\"refresh\" content=\"{seconds}{url}\">");
        self
    }

    /// Postgres is away.
    pub(crate) fn not_now() -> Self {
        let words = "Postgres does not answer. Nothing is lost: load this page again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now").error(words).again_in(5, None)
    }

    /// With a script of ours, which it also works without.
    pub(crate) fn with_script(mut self, path: &str) -> Self {
        let _ = write!(self.head, "<script src=\"{}\" defer></script>", text(path));
        self.script = true;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{} · hookline</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">{}\
             <style>{STYLE}</style></head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            text(&self.title),
            self.head,
            self.body
        );
        let mut policy = POLICY.clone();
        if self.script {
            policy.push_str("; script-src 'self'");
        }
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html)
                .into_response();
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Not `no-referrer`: with it a form sends `Origin: null`, and a browser without `Sec-Fetch-Site` could not show that it is ours.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }
}

/// Text as it may stand in HTML, in an attribute, too.
pub(crate) fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_is_markup() {
        let page =
            Page::new(StatusCode::OK, "<b>").says("a & \"b\"").list(["<script>"]).go("/x?a='", "y");
        assert!(!page.body.contains("<script>") && !page.body.contains("<b>"), "{}", page.body);
        assert!(page.body.contains("a &amp; &quot;b&quot;") && page.body.contains("a=&#39;"));
    }

    #[test]
    fn a_page_may_load_nothing_and_says_nothing_to_others() {
        let answer = Page::new(StatusCode::OK, "x").into_response();
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("script-src"),
            "{policy}"
        );
        assert_eq!(answer.headers()[header::REFERRER_POLICY], "same-origin");
        let answer = Page::new(StatusCode::OK, "x").with_script("/session.js").into_response();
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("script-src 'self'"), "{policy}");
    }
}

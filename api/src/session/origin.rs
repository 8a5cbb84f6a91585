//! ◆ Pure: whether a browser sends a request from a page of ours.

use axum::http::{HeaderMap, header};
use runtime::config::PublicUrl;
use url::Url;

/// Whether a write with a cookie comes from our own pages: `Sec-Fetch-Site: same-origin`, or an `Origin` that is ours. A browser that says
/// neither is not believed.
pub(crate) fn is_ours(headers: &HeaderMap, public: Option<&PublicUrl>) -> bool {
    match text(headers, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text(headers, header::ORIGIN.as_str())
            .is_some_and(|origin| is_own(origin, headers, public)),
    }
}

/// Whether a request without a cookie may open a session: programs say nothing of where they are, and have nothing that another site could
/// make use of.
pub(crate) fn may_open(headers: &HeaderMap, public: Option<&PublicUrl>) -> bool {
    let speaks = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
    !speaks || is_ours(headers, public)
}

fn is_own(origin: &str, headers: &HeaderMap, public: Option<&PublicUrl>) -> bool {
    if public.is_some_and(|public| public.origin() == origin) {
        return true;
    }
    let Some(host) = text(headers, header::HOST.as_str()) else { return false };
    // The scheme is that of whatever stands before us.
    let Ok(url) = Url::parse(origin) else { return false };
    let own = match (url.host_str(), url.port()) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => return false,
    };
    matches!(url.scheme(), "http" | "https") && own.eq_ignore_ascii_case(host)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        // Given twice: neither is believed.
        (Some(_), Some(_)) => Some(""),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use runtime::config::Settings;

    use super::*;

    #[test]
    fn only_our_own_pages_write() {
        let settings = Settings::from_pairs([("PUBLIC_URL", "https://hookline.example")]);
        let public = PublicUrl::from_settings(&settings).unwrap();
        let check = |pairs: &[(&'static str, &'static str)], ours: bool, opens: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8081"));
            for (name, value) in pairs {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(is_ours(&headers, public.as_ref()), ours, "{pairs:?}");
            assert_eq!(may_open(&headers, public.as_ref()), opens, "{pairs:?}");
        };
        check(&[("sec-fetch-site", "same-origin")], true, true);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "null")], true, true);
        check(&[("origin", "https://hookline.example")], true, true);
        check(&[("origin", "http://127.0.0.1:8081")], true, true);
        check(&[], false, true);
        check(
            &[("sec-fetch-site", "same-site"), ("origin", "https://hookline.example")],
            false,
            false,
        );
        check(&[("sec-fetch-site", "cross-site")], false, false);
        check(&[("sec-fetch-site", "none")], false, false);
        check(&[("origin", "https://hookline.example.evil")], false, false);
        check(&[("origin", "null")], false, false);
        check(&[("origin", "http://127.0.0.1:8082")], false, false);
        check(
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
            false,
            false,
        );
    }
}

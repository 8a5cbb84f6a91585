//! ◆ Pure: cookies.

use axum::http::{HeaderMap, HeaderValue, header};

/// The value of a cookie; `None` where it is absent, empty, or there twice: then somebody else may have set one of them.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() && value.len() <= 256 => Some(value),
        _ => None,
    }
}

/// Sets the cookie of a session: sent by our own pages only.
pub(crate) fn session(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let text =
        format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(text).ok()
}

/// Sets the cookie of a login under way: also sent when Meta sends the browser back.
pub(crate) fn of_login(name: &str, value: &str, path: &str, seconds: u64) -> Option<HeaderValue> {
    let text =
        format!("{name}={value}; Path={path}; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_counts_for_nothing() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            read(&headers, "a").map(str::to_owned)
        };
        assert_eq!(of(&["b=1; a=x=y"]).as_deref(), Some("x=y"));
        for wrong in [&["b=1"][..], &["a="], &["a=1; a=2"], &["a=1", "a=2"], &["aa=1"]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}

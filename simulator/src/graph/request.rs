//! One Graph call as it arrived: path, parameters from query, form or JSON, token.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::GraphError;
use crate::model::Host;

pub(crate) struct GraphRequest {
    pub(crate) host: Host,
    pub(crate) method: Method,
    /// The path behind the version.
    pub(crate) segments: Vec<String>,
    pub(crate) params: Map<String, Value>,
    pub(crate) token: Option<String>,
    /// `…/v26.0` of this call, for `paging.next`.
    pub(crate) root: String,
}

impl GraphRequest {
    pub(crate) fn read(
        host: Host,
        base: &str,
        method: Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<GraphRequest, GraphError> {
        let mut segments: Vec<String> =
            path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let prefix = match host {
            Host::Facebook => "facebook",
            Host::Instagram => "instagram",
        };
        let mut root = format!("{base}/{prefix}");
        if segments.first().is_some_and(|segment| is_version(segment)) {
            root = format!("{root}/{}", segments.remove(0));
        }
        let mut params = Map::new();
        merge_form(&mut params, query.unwrap_or("").as_bytes());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if header("content-type").is_some_and(|kind| kind.contains("json")) {
            if !body.is_empty() {
                let parsed: Value = serde_json::from_slice(body)
                    .map_err(|_| GraphError::parameter("The request body is not valid JSON"))?;
                let Value::Object(fields) = parsed else {
                    return Err(GraphError::parameter("The request body must be a JSON object"));
                };
                params.extend(fields);
            }
        } else {
            merge_form(&mut params, body);
        }
        let bearer = header("authorization").and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let token = bearer
            .or_else(|| params.get("access_token").and_then(Value::as_str).map(str::to_owned));
        Ok(GraphRequest { host, method, segments, params, token, root })
    }

    /// A parameter as text; numbers and booleans as they are written.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.params.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    /// `true`, `false`, or absent; `1` and `0` count.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(|(major, minor)| {
        !major.is_empty()
            && !minor.is_empty()
            && major.chars().chain(minor.chars()).all(|c| c.is_ascii_digit())
    })
}

fn decode(segment: &str) -> String {
    // A path segment is a form value without `+` as space.
    let escaped = segment.replace('+', "%2B");
    url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map(
            |(key, value)| {
                if value.is_empty() { key.into_owned() } else { format!("{key}={value}") }
            },
        )
        .unwrap_or_default()
}

/// Form values that look like JSON objects or lists are read as such, as Graph does.
fn merge_form(params: &mut Map<String, Value>, form: &[u8]) {
    for (key, text) in url::form_urlencoded::parse(form) {
        let nested = (text.starts_with('{') || text.starts_with('['))
            .then(|| serde_json::from_str(&text).ok())
            .flatten();
        params.insert(key.into_owned(), nested.unwrap_or_else(|| text.into_owned().into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_from_query_form_and_json() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer t0".parse().expect("a header"));
        let read = |path: &str, query, headers: &HeaderMap, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let (host, method) = (Host::Facebook, Method::POST);
            GraphRequest::read(host, "http://x", method, path, query, headers, &body)
                .expect("readable")
        };
        let form = r"recipient=%7B%22id%22%3A%221%22%7D&hide=true&access_token=t1";
        let request = read("/v26.0/me/messages", Some("a=b"), &HeaderMap::new(), form);
        assert_eq!(request.segments, ["me", "messages"]);
        assert_eq!(request.params["recipient"]["id"], "1");
        assert_eq!((request.flag("hide"), request.text("a").as_deref()), (Some(true), Some("b")));
        assert_eq!(request.token.as_deref(), Some("t1"));
        assert_eq!(request.root, "http://x/facebook/v26.0");
        headers.insert("content-type", "application/json".parse().expect("a header"));
        let request = read("/1_2/comments", None, &headers, r#"{"message":"hi"}"#);
        assert_eq!(request.token.as_deref(), Some("t0"));
        assert_eq!(request.text("message").as_deref(), Some("hi"));
        let request = read("/v26.0/m_a%2Db%3D", None, &headers, "");
        assert_eq!(request.segment(0), "m_a-b=");
    }
}

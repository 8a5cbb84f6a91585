//! A browser as far as cookies, redirects and forms go: which site a navigation comes from decides which cookies are sent, as in a real one.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method};
use url::Url;

/// A page that was loaded.
pub struct Page {
    pub status: u16,
    pub url: Url,
    pub html: String,
    pub headers: HeaderMap,
}

impl Page {
    /// The fields of its form that a person would send without touching it: hidden ones, and what is ticked.
    pub fn fields(&self) -> Vec<(String, String)> {
        let inputs = self.html.split("<input ").skip(1).filter_map(|rest| rest.split('>').next());
        let sent = inputs.filter(|input| {
            input.contains("type=\"hidden\"") || input.split(' ').any(|word| word == "checked")
        });
        sent.filter_map(|input| {
            Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))
        })
        .collect()
    }

    pub fn has(&self, words: &str) -> bool {
        self.html.contains(words)
    }
}

fn attribute(input: &str, name: &str) -> Option<String> {
    let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&"))
}

#[derive(Clone)]
struct Cookie {
    origin: String,
    name: String,
    value: String,
    path: String,
    strict: bool,
}

/// One browser.
pub struct Web {
    http: Client,
    jar: Vec<Cookie>,
}

impl Default for Web {
    fn default() -> Self {
        runtime::tls::install();
        let http = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self { http, jar: Vec::new() }
    }
}

impl Web {
    /// Opens an address that a person typed, or a link on a page of ours.
    pub async fn open(&mut self, url: &str) -> Page {
        self.go(Method::GET, Url::parse(url).unwrap(), None, false).await
    }

    /// Opens an address that a page of another site leads to.
    pub async fn come_from_elsewhere(&mut self, url: &str) -> Page {
        self.go(Method::GET, Url::parse(url).unwrap(), None, true).await
    }

    /// Sends the form of a page, with these fields changed or added; those that are empty are left out.
    pub async fn submit(&mut self, page: &Page, action: &str, changes: &[(&str, &str)]) -> Page {
        let mut fields = page.fields();
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let given = changes.iter().filter(|(_, value)| !value.is_empty());
        fields.extend(given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.go(Method::POST, page.url.join(action).unwrap(), Some(form), false).await
    }

    /// The same browser once more, as of now: for requests at the same time.
    pub fn twin(&self) -> Self {
        Self { http: self.http.clone(), jar: self.jar.clone() }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    async fn go(&mut self, method: Method, url: Url, form: Option<String>, cross: bool) -> Page {
        let (mut method, mut url, mut form, mut cross) = (method, url, form, cross);
        for _ in 0..10 {
            let origin = url.origin().ascii_serialization();
            let mut request = self.http.request(method.clone(), url.clone());
            let fitting = self.jar.iter().filter(|cookie| {
                let within = url.path() == cookie.path
                    || url.path().starts_with(&format!("{}/", cookie.path.trim_end_matches('/')));
                cookie.origin == origin && within && !(cross && cookie.strict)
            });
            let cookies: Vec<String> =
                fitting.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
            if !cookies.is_empty() {
                request = request.header("cookie", cookies.join("; "));
            }
            request =
                request.header("sec-fetch-site", if cross { "cross-site" } else { "same-origin" });
            if let Some(form) = form.take() {
                let kind = "application/x-www-form-urlencoded";
                request = request.header("content-type", kind).header("origin", &origin).body(form);
            }
            let answer = request.send().await.unwrap();
            self.keep(&origin, answer.headers());
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            if (300..400).contains(&status) {
                let next = url.join(headers[LOCATION].to_str().unwrap()).unwrap();
                cross |= next.origin() != url.origin();
                (method, url) = (Method::GET, next);
                continue;
            }
            return Page { status, url, html: answer.text().await.unwrap(), headers };
        }
        panic!("too many redirects, the last to {url}");
    }

    fn keep(&mut self, origin: &str, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let mut parts = line.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let parts: Vec<&str> = parts.collect();
            assert!(parts.contains(&"Secure") && parts.contains(&"HttpOnly"), "{line}");
            let path = parts.iter().find_map(|part| part.strip_prefix("Path=")).unwrap();
            self.jar.retain(|cookie| !(cookie.origin == origin && cookie.name == name));
            if !parts.contains(&"Max-Age=0") {
                self.jar.push(Cookie {
                    origin: origin.to_owned(),
                    name: name.to_owned(),
                    value: value.to_owned(),
                    path: path.to_owned(),
                    strict: parts.contains(&"SameSite=Strict"),
                });
            }
        }
    }
}

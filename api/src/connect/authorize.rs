//! ◆ Pure: the address at Meta where a person authorises (docs/meta-platform-2.md 16.1, 16.2).

use runtime::config::{LoginUrls, MetaApp};
use schemas::{Login, scopes};
use url::Url;

/// Where the browser goes. Nothing in it comes from the request.
pub(super) fn url(
    urls: &LoginUrls,
    version: &str,
    app: &MetaApp,
    redirect_uri: &str,
    state: &str,
) -> Url {
    let (base, path): (&Url, &[&str]) = match app.login {
        Login::Instagram => (&urls.instagram_login, &["oauth", "authorize"]),
        Login::Facebook => (&urls.facebook_login, &[version, "dialog", "oauth"]),
    };
    let mut url = base.clone();
    // `Settings::url` only lets through URLs with a host, which have a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    let wanted: Vec<&str> =
        scopes::wanted(app.login).iter().map(|permission| permission.name).collect();
    let mut pairs = url.query_pairs_mut();
    pairs
        .append_pair("client_id", &app.id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", state);
    match (&app.config_id, app.login) {
        // A configuration says what is asked for; naming permissions beside it is advised against.
        (Some(config), _) => pairs.append_pair("config_id", config),
        (None, Login::Instagram) => pairs.append_pair("scope", &wanted.join(",")),
        // Asks again for what was declined before.
        (None, Login::Facebook) => {
            pairs.append_pair("scope", &wanted.join(",")).append_pair("auth_type", "rerequest")
        }
    };
    drop(pairs);
    url
}

#[cfg(test)]
mod tests {
    use runtime::config::{MetaApps, Settings};

    use super::*;

    #[test]
    fn each_login_is_asked_in_its_own_way() {
        let apps = "a:instagram:88,a:facebook:99,b:facebook:98:77";
        let settings =
            Settings::from_pairs([("META_APPS", apps), ("FACEBOOK_LOGIN_URL", "http://sim/fb")]);
        let urls = LoginUrls::from_settings(&settings).unwrap();
        let apps = MetaApps::from_settings(&settings).unwrap();
        let of = |login, name| {
            let app = apps.find(login, Some(name)).unwrap();
            url(&urls, "v26.0", app, "https://h.example/connect/callback", "s1").to_string()
        };
        let instagram = of(Login::Instagram, "a");
        assert!(instagram.starts_with("https://www.instagram.com/oauth/authorize?client_id=88&redirect_uri=https%3A%2F%2Fh.example%2Fconnect%2Fcallback&"));
        assert!(
            instagram.contains("state=s1")
                && instagram.contains("scope=instagram_business_basic%2C")
        );
        let facebook = of(Login::Facebook, "a");
        assert!(
            facebook.starts_with("http://sim/fb/v26.0/dialog/oauth?client_id=99&"),
            "{facebook}"
        );
        let business = of(Login::Facebook, "b");
        assert!(business.contains("config_id=77") && !business.contains("scope="), "{business}");
    }
}

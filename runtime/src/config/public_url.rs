//! ◆ Pure: `PUBLIC_URL`: the origin under which browsers and Meta reach us. Addresses that Meta sends somebody back to are made of it and of
//! nothing a request says.

use url::{Host, Url};

use super::error::ConfigError;
use super::settings::Settings;

/// An origin, such as `https://hookline.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads `PUBLIC_URL`; `None` where it is not set.
    ///
    /// # Errors
    /// It is no https origin; http is taken on loopback only, for trying things.
    pub fn from_settings(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        settings.parsed("PUBLIC_URL", "", |text| match text {
            "" => Ok(None),
            text => Self::parse(text).map(Some),
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "use an https origin without a path, such as https://hookline.example";
        let url = Url::parse(text).map_err(|_| FORM.to_owned())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match url.scheme() {
            "https" if bare => {}
            "http" if bare && loopback => {}
            "http" if bare => return Err(format!("{FORM}; http is for loopback only")),
            _ => return Err(FORM.to_owned()),
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// The origin, without a slash behind it.
    pub fn origin(&self) -> &str {
        &self.0
    }

    /// An address below it; `path` begins with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Where Meta sends a browser back to. To be listed at the app in Meta's dashboard, byte for byte.
    pub fn redirect_uri(&self) -> String {
        self.at("/connect/callback")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_https_or_on_loopback() {
        let read = |text: &str| PublicUrl::parse(text).map(|url| url.0);
        assert_eq!(read("https://hookline.example/").unwrap(), "https://hookline.example");
        assert_eq!(read("https://a.example:8443").unwrap(), "https://a.example:8443");
        assert_eq!(read("http://127.0.0.1:8081").unwrap(), "http://127.0.0.1:8081");
        assert_eq!(read("http://[::1]:1").unwrap(), "http://[::1]:1");
        for wrong in [
            "hookline.example",
            "http://hookline.example",
            "https://a/b",
            "https://u:p@a",
            "https://a?b",
            "ftp://a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let url = PublicUrl::parse("https://a.example").unwrap();
        assert_eq!(url.redirect_uri(), "https://a.example/connect/callback");
    }
}

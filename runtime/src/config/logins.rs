//! Where Meta's logins are.

use url::Url;

use super::error::ConfigError;
use super::settings::Settings;

/// Where a browser authorises, and where Instagram's code is exchanged. Facebook's code is exchanged at `GRAPH_FACEBOOK_URL`.
#[derive(Clone, Debug)]
pub struct LoginUrls {
    /// `INSTAGRAM_LOGIN_URL`
    pub instagram_login: Url,
    /// `INSTAGRAM_OAUTH_URL`
    pub instagram_oauth: Url,
    /// `FACEBOOK_LOGIN_URL`
    pub facebook_login: Url,
}

impl LoginUrls {
    /// Reads the variables named at the fields.
    ///
    /// # Errors
    /// Names the variable that is no URL.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            instagram_login: settings.url("INSTAGRAM_LOGIN_URL", "https://www.instagram.com")?,
            instagram_oauth: settings.url("INSTAGRAM_OAUTH_URL", "https://api.instagram.com")?,
            facebook_login: settings.url("FACEBOOK_LOGIN_URL", "https://www.facebook.com")?,
        })
    }
}

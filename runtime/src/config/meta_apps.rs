//! ◆ Pure: `META_APPS`: the apps at Meta by which accounts are connected. Their secrets are those of the same name in `META_APP_SECRETS`.

use schemas::Login;

use super::error::ConfigError;
use super::settings::Settings;
use super::units::is_name;

/// An app at Meta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaApp {
    /// Its name here: that of its secret, and of the accounts it may speak for.
    pub name: String,
    /// The login it is for.
    pub login: Login,
    /// Its id at Meta: for Instagram Login the Instagram app id, which is not the Meta app id.
    pub id: String,
    /// The configuration of Facebook Login for Business, which then says what is asked for.
    pub config_id: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaApps(Vec<MetaApp>);

impl MetaApps {
    /// Reads `META_APPS`.
    ///
    /// # Errors
    /// Names the entry that is wrong and what to write instead.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.parsed("META_APPS", "", Self::parse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut apps = Vec::<MetaApp>::new();
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        for (n, entry) in text.split(',').enumerate() {
            let app =
                entry_of(entry.trim()).map_err(|reason| format!("entry {}: {reason}", n + 1))?;
            if apps.iter().any(|other| (&other.name, other.login) == (&app.name, app.login)) {
                return Err(format!(
                    "entry {}: `{}` has a {} app already",
                    n + 1,
                    app.name,
                    app.login
                ));
            }
            apps.push(app);
        }
        Ok(Self(apps))
    }

    /// Whether there is none: then nothing can be connected.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order they are named in.
    pub fn iter(&self) -> impl Iterator<Item = &MetaApp> {
        self.0.iter()
    }

    /// The app of this name for a login; without a name the first one.
    pub fn find(&self, login: Login, name: Option<&str>) -> Option<&MetaApp> {
        self.0.iter().find(|app| app.login == login && name.is_none_or(|name| app.name == name))
    }
}

fn entry_of(text: &str) -> Result<MetaApp, String> {
    const FORM: &str = "use name:instagram:APP_ID or name:facebook:APP_ID[:CONFIG_ID]";
    let parts: Vec<&str> = text.split(':').collect();
    let (name, login, id, config_id) = match parts.as_slice() {
        [name, login, id] => (name, login, id, None),
        [name, login, id, config] => (name, login, id, Some(*config)),
        _ => return Err(FORM.to_owned()),
    };
    let is_id = |id: &str| (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
    let login: Login = login.parse().map_err(|_| FORM.to_owned())?;
    if !is_name(name) || !is_id(id) || !config_id.is_none_or(is_id) {
        return Err(format!("{FORM}; ids are digits"));
    }
    if config_id.is_some() && login == Login::Instagram {
        return Err("a CONFIG_ID is of Facebook Login for Business only".to_owned());
    }
    let config_id = config_id.map(str::to_owned);
    Ok(MetaApp { name: (*name).to_owned(), login, id: (*id).to_owned(), config_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_found_by_login_and_name() {
        let apps =
            MetaApps::parse("shop:instagram:88, shop:facebook:99:77,other:facebook:66").unwrap();
        let id = |login, name| apps.find(login, name).map(|app| app.id.as_str());
        assert_eq!(id(Login::Instagram, None), Some("88"));
        assert_eq!(id(Login::Facebook, Some("other")), Some("66"));
        assert_eq!(id(Login::Instagram, Some("other")), None);
        assert_eq!(apps.find(Login::Facebook, None).unwrap().config_id.as_deref(), Some("77"));
        assert!(MetaApps::parse("").unwrap().is_empty());
        for wrong in [
            "shop",
            "shop:insta:1",
            "shop:instagram:x",
            ":facebook:1",
            "a b:facebook:1",
            "a:instagram:1:2",
            "a:facebook:1,a:facebook:2",
            "a:facebook:1,,",
        ] {
            assert!(MetaApps::parse(wrong).is_err(), "{wrong}");
        }
    }
}

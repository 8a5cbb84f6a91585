//! The values of one process, read by type.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::error::{ConfigError, Origin};
use super::units::{parse_duration, parse_size};
use super::variables::VARIABLES;

/// All settings of one process. `Debug` shows names only: values may be secret.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, (String, Origin)>,
    /// Where they were read; `None`: they were given.
    pub(super) sources: Option<Sources>,
}

/// Where settings are read.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) toml: Option<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) with_up: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Settings {
    /// From pairs, for `up` and for tests.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut settings = Self::default();
        for (name, value) in pairs {
            settings.put(&name.into(), value.into(), Origin::Program);
        }
        settings
    }

    /// Sets a value; the empty text unsets.
    pub fn put(&mut self, name: &str, value: String, origin: Origin) {
        if value.is_empty() {
            self.values.remove(name);
        } else {
            self.values.insert(name.to_owned(), (value, origin));
        }
    }

    /// The text of a variable, where it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// Where a value came from.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.get(name).map(|(_, origin)| origin)
    }

    /// The same settings as their files say now. What the program set stays.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn reload(&self) -> Result<Self, ConfigError> {
        let Some(Sources { toml, folder, with_up }) = &self.sources else {
            return Ok(self.clone());
        };
        let mut again = Self::load(toml.as_deref(), folder, *with_up)?;
        for (name, (value, origin)) in &self.values {
            if *origin == Origin::Program && again.get(name).is_none() {
                again.put(name, value.clone(), Origin::Program);
            }
        }
        Ok(again)
    }

    /// The text of a variable that must be set.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn require(&self, name: &str) -> Result<&str, ConfigError> {
        self.get(name).ok_or_else(|| ConfigError::Missing {
            name: name.to_owned(),
            meaning: VARIABLES
                .iter()
                .find(|variable| variable.name == name)
                .map_or_else(String::new, |variable| variable.meaning.to_owned()),
        })
    }

    /// An error about a variable's value.
    pub fn invalid(&self, name: &str, reason: impl Into<String>) -> ConfigError {
        let from = self.values.get(name).map_or(Origin::Default, |(_, origin)| origin.clone());
        ConfigError::Invalid { name: name.to_owned(), from, reason: reason.into() }
    }

    /// A variable read by `parse`, with `default` where unset.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with what `parse` says.
    pub fn parsed<T>(
        &self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        parse(self.get(name).unwrap_or(default)).map_err(|reason| self.invalid(name, reason))
    }

    /// A duration such as `500ms`, `8s`, `10m`, `2h`, `30d`; `0` is zero.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn duration(&self, name: &str, default: &str) -> Result<Duration, ConfigError> {
        self.parsed(name, default, parse_duration)
    }

    /// A size such as `4MiB`, `512KiB`, `1048576`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn size(&self, name: &str, default: &str) -> Result<usize, ConfigError> {
        self.parsed(name, default, parse_size)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        self.parsed(name, if default { "true" } else { "false" }, |text| match text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("use true or false".to_owned()),
        })
    }

    /// An address such as `127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn address(&self, name: &str, default: &str) -> Result<SocketAddr, ConfigError> {
        self.parsed(name, default, |text| {
            text.parse().map_err(|_| "use an address and port such as 127.0.0.1:8080".to_owned())
        })
    }

    /// A URL.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn url(&self, name: &str, default: &str) -> Result<Url, ConfigError> {
        self.parsed(name, default, |text| match Url::parse(text) {
            Ok(url) if is_http(&url) => Ok(url),
            _ => Err("use a URL such as https://host".to_owned()),
        })
    }
}

/// `localhost:8222` is a URL of the scheme `localhost`, and nobody means that.
pub(super) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_variable_and_its_source() {
        let settings = Settings::from_pairs([("GRAPH_TIMEOUT", "soon")]);
        let error = settings.duration("GRAPH_TIMEOUT", "8s").unwrap_err().to_string();
        assert!(error.starts_with("GRAPH_TIMEOUT (set by hookline): use a duration"), "{error}");
        let error = settings.require("DATABASE_URL").unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL is not set"), "{error}");
    }
}

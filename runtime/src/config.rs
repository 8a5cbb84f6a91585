//! Configuration: environment variables first, then `.env`, then `--config FILE.toml`, then what a live `hookline up` wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

/// A variable of contract section 2.
#[derive(Debug)]
pub struct Variable {
    /// Its name, in the environment and in the TOML file.
    pub name: &'static str,
    /// Its default, as a person would write it; empty where it has none.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// Every variable hookline reads.
pub const VARIABLES: &[Variable] = &[
    variable(
        "NATS_URL",
        "",
        "nats://[user:pass@]host:port[,…]; a private server under `up` when unset",
    ),
    variable("NATS_CREDS", "", "a NATS credentials file"),
    variable(
        "NATS_MONITOR_URL",
        "port 8222 of each NATS_URL host",
        "monitoring endpoints, where durability is read",
    ),
    variable("NATS_REPLICAS", "1", "replicas of every stream"),
    variable("NATS_REQUIRE_SYNC", "true", "a broker that is not durable makes ingest refuse"),
    variable("DATABASE_URL", "", "postgres://…; a private server under `up` when unset"),
    variable("INGEST_LISTEN", "127.0.0.1:8080", "the webhook door"),
    variable("API_LISTEN", "127.0.0.1:8081", "the inbox API"),
    variable("ADMIN_LISTEN", "127.0.0.1:8082", "health and metrics of worker and projector"),
    variable("META_APP_SECRETS", "", "[name=]secret,…; any of them may verify"),
    variable("META_VERIFY_TOKENS", "", "token,… for the GET handshake"),
    variable(
        "META_ACCEPT_SHA1",
        "false",
        "accept the legacy X-Hub-Signature when the 256 header is absent",
    ),
    variable("INGEST_MAX_BODY", "4MiB", "larger bodies get 413"),
    variable("GRAPH_FACEBOOK_URL", "https://graph.facebook.com", "Graph host of Facebook Login"),
    variable("GRAPH_INSTAGRAM_URL", "https://graph.instagram.com", "Graph host of Instagram Login"),
    variable("GRAPH_VERSION", "v26.0", "Graph version"),
    variable("GRAPH_TIMEOUT", "8s", "per Graph call, connect included"),
    variable("API_TOKENS", "", "[name=]token[:read|write|admin][:person|automation],…"),
    variable("ENCRYPTION_KEY", "", "32 bytes hex; seals account tokens in Postgres"),
    variable("RAW_MAX_AGE", "30d", "how long META_RAW keeps"),
    variable("EVENTS_MAX_AGE", "0", "how long INBOX_EVENTS keeps; 0 is for ever"),
    variable(
        "AUTO_REPLY_MAX_AGE",
        "10m",
        "an older inbound message never triggers an automatic reply",
    ),
    variable("TWIN_GRACE", "10s", "how long a sender-less item waits for its twin"),
    variable("SEND_LEASE", "20s", "how long one attempt to send may take"),
    variable("RECONCILE_AFTER", "30s", "when an unknown send is first looked for"),
    variable("RETRY_MIN", "1s", "first delay of a retry"),
    variable("RETRY_MAX", "10m", "longest delay of a retry"),
    variable("RUST_LOG", "info", "log filter"),
    variable("LOG_FORMAT", "text", "json or text"),
    variable("OTEL_EXPORTER_OTLP_ENDPOINT", "", "where traces go, OTLP over HTTP"),
];

/// Why the configuration cannot be used. One line, naming the variable; never a value that may be secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A needed variable is not set.
    #[error("{name} is not set: {meaning}")]
    Missing {
        /// The variable.
        name: String,
        /// What it is for.
        meaning: String,
    },
    /// A value cannot be understood.
    #[error("{name} ({from}): {reason}")]
    Invalid {
        /// The variable.
        name: String,
        /// Where the value came from.
        from: Origin,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// The TOML file names something unknown.
    #[error("{file}: unknown name `{name}`{hint}")]
    Unknown {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// A likely meaning.
        hint: String,
    },
    /// A file cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment.
    Environment,
    /// `.env`
    DotEnv,
    /// The TOML file.
    File(PathBuf),
    /// `.hookline/env` of a live `hookline up`.
    Up,
    /// The built-in default.
    Default,
    /// Set by the program itself (`up`, tests).
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::DotEnv => f.write_str(".env"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Up => f.write_str(".hookline/env"),
            Self::Default => f.write_str("default"),
            Self::Program => f.write_str("set by hookline"),
        }
    }
}

/// All settings of one process. `Debug` shows names only: values may be secret.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, (String, Origin)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// The folder `up` keeps its state in, relative to the working directory.
pub const UP_FOLDER: &str = ".hookline";

impl Settings {
    /// Reads the environment, `.env` in `folder`, the TOML file, and `.hookline/env` of a live `up` in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read or the TOML file names something unknown.
    pub fn load(toml: Option<&Path>, folder: &Path, with_up: bool) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        if with_up && up_is_alive(folder) {
            settings.add_env_file(&folder.join(UP_FOLDER).join("env"), &Origin::Up)?;
        }
        if let Some(path) = toml {
            settings.add_toml(path)?;
        }
        settings.add_env_file(&folder.join(".env"), &Origin::DotEnv)?;
        for variable in VARIABLES {
            if let Some(value) = std::env::var_os(variable.name) {
                let value = value.into_string().map_err(|_| ConfigError::Invalid {
                    name: variable.name.to_owned(),
                    from: Origin::Environment,
                    reason: "is not UTF-8".to_owned(),
                })?;
                settings.put(variable.name, value, Origin::Environment);
            }
        }
        Ok(settings)
    }

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

    fn add_env_file(&mut self, path: &Path, origin: &Origin) -> Result<(), ConfigError> {
        if !path.exists() {
            return Ok(());
        }
        let file_error =
            |reason: String| ConfigError::File { file: path.display().to_string(), reason };
        let lines = dotenvy::from_path_iter(path).map_err(|error| file_error(error.to_string()))?;
        for line in lines {
            // The error of a malformed line quotes it, and it may be a secret.
            let (name, value) =
                line.map_err(|_| file_error("a line is not NAME=value".to_owned()))?;
            if VARIABLES.iter().any(|variable| variable.name == name) {
                self.put(&name, value, origin.clone());
            }
        }
        Ok(())
    }

    fn add_toml(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { file: file.clone(), reason: error.to_string() })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::File { file: file.clone(), reason: error.message().to_owned() }
        })?;
        for (name, value) in table {
            if !VARIABLES.iter().any(|variable| variable.name == name) {
                let hint = VARIABLES
                    .iter()
                    .find(|variable| variable.name.eq_ignore_ascii_case(&name))
                    .map_or_else(String::new, |variable| {
                        format!(" (did you mean `{}`?)", variable.name)
                    });
                return Err(ConfigError::Unknown { file, name, hint });
            }
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                _ => {
                    return Err(ConfigError::Invalid {
                        name,
                        from: Origin::File(path.to_owned()),
                        reason: "use text, a whole number, true or false".to_owned(),
                    });
                }
            };
            self.put(&name, value, Origin::File(path.to_owned()));
        }
        Ok(())
    }
}

/// `localhost:8222` is a URL of the scheme `localhost`, and nobody means that.
fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Whether a `hookline up` runs in `folder`: it holds a lock on `.hookline/lock` as long as it lives.
pub fn up_is_alive(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(folder.join(UP_FOLDER).join("lock")) else { return false };
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}

/// Reads `500ms`, `8s`, `10m`, `2h`, `30d` or `0`.
///
/// # Errors
/// Says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "use a duration such as 500ms, 8s, 10m, 2h or 30d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads `4MiB`, `512KiB`, `8MB` or a number of bytes.
///
/// # Errors
/// Says what is expected.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let wrong = || "use a size such as 4MiB, 512KiB or 1048576".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// Where the broker is and what is asked of it.
#[derive(Clone)]
pub struct NatsConfig {
    /// `NATS_URL`, split at commas; may hold a password.
    pub servers: Vec<String>,
    /// `NATS_CREDS`
    pub creds: Option<PathBuf>,
    /// `NATS_MONITOR_URL`, or port 8222 of each server.
    pub monitors: Vec<Url>,
    /// `NATS_REPLICAS`
    pub replicas: usize,
    /// `NATS_REQUIRE_SYNC`
    pub require_sync: bool,
    /// `RAW_MAX_AGE`
    pub raw_max_age: Duration,
    /// `EVENTS_MAX_AGE`; zero keeps for ever.
    pub events_max_age: Duration,
}

impl NatsConfig {
    /// Reads it.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let servers: Vec<String> =
            settings.require("NATS_URL")?.split(',').map(|part| part.trim().to_owned()).collect();
        for server in &servers {
            let parsed = server.parse::<async_nats::ServerAddr>();
            if parsed.is_err() {
                return Err(settings.invalid("NATS_URL", "use nats://[user:pass@]host:port[,…]"));
            }
        }
        if let Some(path) = settings.get("NATS_CREDS")
            && let Err(error) = std::fs::File::open(path)
        {
            return Err(settings.invalid("NATS_CREDS", format!("cannot read the file: {error}")));
        }
        let monitors = match settings.get("NATS_MONITOR_URL") {
            Some(text) => text
                .split(',')
                .map(|part| {
                    Url::parse(part.trim()).ok().filter(is_http).ok_or_else(|| {
                        settings.invalid("NATS_MONITOR_URL", "use http://host:8222[,…]")
                    })
                })
                .collect::<Result<_, _>>()?,
            None => servers
                .iter()
                .filter_map(|server| server.parse::<async_nats::ServerAddr>().ok())
                .filter_map(|server| {
                    let host = server.host();
                    let host =
                        if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                    Url::parse(&format!("http://{host}:8222")).ok()
                })
                .collect(),
        };
        Ok(Self {
            servers,
            creds: settings.get("NATS_CREDS").map(PathBuf::from),
            monitors,
            replicas: settings.parsed("NATS_REPLICAS", "1", |text| match text.parse() {
                Ok(number @ (1 | 3 | 5)) => Ok(number),
                _ => Err("use 1, 3 or 5".to_owned()),
            })?,
            require_sync: settings.flag("NATS_REQUIRE_SYNC", true)?,
            raw_max_age: settings.duration("RAW_MAX_AGE", "30d")?,
            events_max_age: settings.duration("EVENTS_MAX_AGE", "0")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "8", "s", "-1s", "8 s", "99999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size("4MiB"), Ok(4 << 20));
        assert_eq!(parse_size("17"), Ok(17));
        assert!(parse_size("4 parsecs").is_err());
    }

    #[test]
    fn errors_name_the_variable_and_its_source() {
        let settings = Settings::from_pairs([("GRAPH_TIMEOUT", "soon")]);
        let error = settings.duration("GRAPH_TIMEOUT", "8s").unwrap_err().to_string();
        assert!(error.starts_with("GRAPH_TIMEOUT (set by hookline): use a duration"), "{error}");
        let error = settings.require("DATABASE_URL").unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL is not set"), "{error}");
    }

    #[test]
    fn an_unknown_name_in_the_file_stops_the_start() {
        let folder = std::env::temp_dir().join(format!("hookline-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("hookline.toml");
        std::fs::write(&path, "GRAPH_TIMEOUT = \"5s\"\nGRAPH_TIMEOT = \"5s\"\n").unwrap();
        let error = Settings::load(Some(&path), &folder, false).unwrap_err().to_string();
        assert!(error.contains("GRAPH_TIMEOT"), "{error}");
        std::fs::write(&path, "GRAPH_TIMEOUT = \"5s\"\nNATS_REPLICAS = 3\n").unwrap();
        std::fs::write(folder.join(".env"), "GRAPH_TIMEOUT=6s\n").unwrap();
        let settings = Settings::load(Some(&path), &folder, false).unwrap();
        assert_eq!(settings.duration("GRAPH_TIMEOUT", "8s").unwrap(), Duration::from_secs(6));
        assert_eq!(settings.get("NATS_REPLICAS"), Some("3"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_monitor_is_beside_each_server() {
        let settings = Settings::from_pairs([("NATS_URL", "nats://u:p@n1:4222,n2")]);
        let config = NatsConfig::from_settings(&settings).unwrap();
        assert_eq!(
            config.monitors.iter().map(Url::as_str).collect::<Vec<_>>(),
            ["http://n1:8222/", "http://n2:8222/"]
        );
    }
}

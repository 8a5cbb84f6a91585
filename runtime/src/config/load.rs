//! Where settings are read from: environment, `.env`, a TOML file, and `.hookline/env` of a live `up`.

use std::path::Path;

use super::error::{ConfigError, Origin};
use super::secret_files;
use super::settings::{Settings, Sources};
use super::variables::VARIABLES;

/// The folder `up` keeps its state in, relative to the working directory.
pub const UP_FOLDER: &str = ".hookline";

impl Settings {
    /// Reads the environment, `.env` in `folder`, the TOML file, and `.hookline/env` of a live `up` in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read or the TOML file names something unknown.
    pub fn load(toml: Option<&Path>, folder: &Path, with_up: bool) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        settings.sources =
            Some(Sources { toml: toml.map(Path::to_owned), folder: folder.to_owned(), with_up });
        if with_up && up_is_alive(folder) {
            settings.add_env_file(&folder.join(UP_FOLDER).join("env"), &Origin::Up)?;
        }
        if let Some(path) = toml {
            settings.add_toml(path)?;
        }
        settings.add_env_file(&folder.join(".env"), &Origin::DotEnv)?;
        let names = VARIABLES.iter().map(|variable| variable.name.to_owned());
        for name in names.chain(secret_files::twins()) {
            if let Some(value) = std::env::var_os(&name) {
                let value = value.into_string().map_err(|_| ConfigError::Invalid {
                    name: name.clone(),
                    from: Origin::Environment,
                    reason: "is not UTF-8".to_owned(),
                })?;
                settings.put(&name, value, Origin::Environment);
            }
        }
        settings.read_secret_files()?;
        Ok(settings)
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
            if is_known(&name) {
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
            if !is_known(&name) {
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

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name == name) || secret_files::is_twin(name)
}

/// Whether a `hookline up` runs in `folder`: it holds a lock on `.hookline/lock` as long as it lives.
pub fn up_is_alive(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(folder.join(UP_FOLDER).join("lock")) else { return false };
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
}

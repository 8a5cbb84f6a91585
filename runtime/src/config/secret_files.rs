//! Secrets in files: every variable that holds a secret has a twin `NAME_FILE` that names a file with its value.

use std::path::PathBuf;

use super::error::{ConfigError, Origin};
use super::settings::Settings;

/// The variables that hold a secret.
pub const SECRETS: [&str; 6] = [
    "NATS_URL",
    "DATABASE_URL",
    "META_APP_SECRETS",
    "META_VERIFY_TOKENS",
    "API_TOKENS",
    "ENCRYPTION_KEY",
];
const SUFFIX: &str = "_FILE";

/// The twins of all variables that hold a secret.
pub(super) fn twins() -> impl Iterator<Item = String> {
    SECRETS.iter().map(|name| format!("{name}{SUFFIX}"))
}

/// Whether `name` is the twin of a variable that holds a secret.
pub(super) fn is_twin(name: &str) -> bool {
    name.strip_suffix(SUFFIX).is_some_and(|name| SECRETS.contains(&name))
}

impl Settings {
    /// Reads the files that are named, blanks around their values dropped.
    ///
    /// # Errors
    /// When a variable and its twin are both set, or a file cannot be read or is empty. What `hookline up` wrote gives way.
    pub(super) fn read_secret_files(&mut self) -> Result<(), ConfigError> {
        for name in SECRETS {
            let twin = format!("{name}{SUFFIX}");
            let Some(path) = self.get(&twin).map(PathBuf::from) else { continue };
            if self.get(name).is_some() && self.origin(name) != Some(&Origin::Up) {
                return Err(self.invalid(&twin, format!("{name} is set too: set one of them")));
            }
            let value = std::fs::read_to_string(&path)
                .map_err(|error| self.invalid(&twin, format!("{}: {error}", path.display())))?;
            let value = value.trim();
            if value.is_empty() {
                return Err(self.invalid(&twin, format!("{} is empty", path.display())));
            }
            self.put(name, value.to_owned(), Origin::File(path));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_and_again() {
        let folder = std::env::temp_dir().join(format!("hookline-secrets-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("tokens");
        std::fs::write(&file, "first\n").unwrap();
        let env = format!("API_TOKENS_FILE={}\n", file.display());
        std::fs::write(folder.join(".env"), &env).unwrap();
        let mut settings = Settings::load(None, &folder, false).unwrap();
        settings.put("API_LISTEN", "127.0.0.1:1".to_owned(), Origin::Program);
        assert_eq!(settings.get("API_TOKENS"), Some("first"));
        std::fs::write(&file, "second").unwrap();
        let again = settings.reload().unwrap();
        assert_eq!(again.get("API_TOKENS"), Some("second"));
        assert_eq!(again.get("API_LISTEN"), Some("127.0.0.1:1"), "what the program set stays");
        std::fs::write(folder.join(".env"), format!("{env}API_TOKENS=third\n")).unwrap();
        let error = settings.reload().unwrap_err().to_string();
        assert!(error.contains("API_TOKENS_FILE") && !error.contains("third"), "{error}");
        std::fs::write(folder.join(".env"), "API_TOKENS_FILE=/nowhere/tokens\n").unwrap();
        let error = Settings::load(None, &folder, false).unwrap_err().to_string();
        assert!(error.starts_with("API_TOKENS_FILE"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

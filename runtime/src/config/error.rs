//! ◆ Pure: why the configuration cannot be used, and where its values come from.

use std::fmt;
use std::path::PathBuf;

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

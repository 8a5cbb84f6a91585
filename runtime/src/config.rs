//! Configuration: environment variables first, then `.env`, then `--config FILE.toml`, then what a live `hookline up` wrote.

mod error;
mod keys;
mod load;
mod nats;
mod secret_files;
mod settings;
mod units;
mod variables;

pub use error::{ConfigError, Origin};
pub use keys::{EncryptionKey, EncryptionKeys};
pub use load::{UP_FOLDER, up_is_alive};
pub use nats::NatsConfig;
pub use secret_files::SECRETS;
pub use settings::Settings;
pub use units::{parse_duration, parse_size};
pub use variables::{VARIABLES, Variable};

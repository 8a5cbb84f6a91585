//! Configuration: environment variables first, then `.env`, then `--config FILE.toml`, then what a live `hookline up` wrote.

mod error;
mod keys;
mod load;
mod logins;
mod meta_apps;
mod nats;
mod public_url;
mod secret_files;
mod settings;
mod units;
mod variables;

pub use error::{ConfigError, Origin};
pub use keys::{EncryptionKey, EncryptionKeys};
pub use load::{UP_FOLDER, up_is_alive};
pub use logins::LoginUrls;
pub use meta_apps::{MetaApp, MetaApps};
pub use nats::NatsConfig;
pub use public_url::PublicUrl;
pub use secret_files::SECRETS;
pub use settings::Settings;
pub use units::{is_name, parse_duration, parse_size};
pub use variables::{VARIABLES, Variable};

//! Configuration: environment variables first, then `.env`, then `--config FILE.toml`, then what a live `hookline up` wrote.

mod error;
mod load;
mod nats;
mod settings;
mod units;
mod variables;

pub use error::{ConfigError, Origin};
pub use load::{UP_FOLDER, up_is_alive};
pub use nats::NatsConfig;
pub use settings::Settings;
pub use units::{parse_duration, parse_size};
pub use variables::{VARIABLES, Variable};

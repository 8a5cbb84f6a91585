//! `hookline api` on its own.

use std::path::{Path, PathBuf};

use clap::Parser;
use runtime::config::Settings;
use runtime::{shutdown, telemetry};

/// The inbox API of hookline. Configured by environment variables, `.env` and a TOML file.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file with the same names as the environment variables.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings = Settings::load(arguments.config.as_deref(), Path::new("."), true)?;
    let _telemetry = telemetry::init("api", &settings)?;
    api::run(settings, shutdown::on_signal()?).await?;
    shutdown::check()
}

//! The ingest role on its own.

use std::path::{Path, PathBuf};

use clap::Parser;
use runtime::config::Settings;
use runtime::{shutdown, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes Meta's webhooks, verifies and stores them. Configured by environment variables.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file that sets the same names at lower precedence.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings = Settings::load(arguments.config.as_deref(), Path::new("."), true)?;
    let _telemetry = telemetry::init("ingest", &settings)?;
    ingest::run(settings, shutdown::on_signal()?).await?;
    shutdown::check()
}

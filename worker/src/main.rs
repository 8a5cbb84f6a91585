//! The worker role on its own.

use runtime::config::Settings;
use runtime::{shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::load(None, &std::env::current_dir()?, true)?;
    let _telemetry = telemetry::init("worker", &settings)?;
    worker::run(settings, shutdown::on_signal()?).await?;
    shutdown::check()
}

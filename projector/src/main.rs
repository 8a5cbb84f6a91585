//! The projector alone; `hookline projector` is the same with the operator's options.

use std::path::Path;

use projector::Config;
use runtime::config::Settings;
use runtime::{shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::load(None, Path::new("."), true)?;
    let _telemetry = telemetry::init("projector", &settings)?;
    projector::run(Config::from_settings(&settings)?, shutdown::on_signal()?).await?;
    shutdown::check()
}

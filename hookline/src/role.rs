//! The roles as processes of their own, and the simulator.

use runtime::config::Settings;

use crate::answer;
use crate::exit::{Exit, Failure};

/// A role that `hookline` runs until a signal comes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Role {
    /// Meta's door
    Ingest,
    /// Normalise, resolve, enrich, send
    Worker,
    /// Events into read models
    Projector,
    /// The inbox API
    Api,
    /// What operators ask by HTTP
    Ops,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Projector => "projector",
            Self::Api => "api",
            Self::Ops => "ops",
        }
    }

    /// The variables it cannot start without.
    pub(crate) const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Ingest => &["NATS_URL"],
            Self::Worker | Self::Projector | Self::Api | Self::Ops => &["NATS_URL", "DATABASE_URL"],
        }
    }

    /// The secrets it cannot start without.
    const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Ingest => &["META_APP_SECRETS", "META_VERIFY_TOKENS"],
            Self::Worker | Self::Api | Self::Ops => &["ENCRYPTION_KEY"],
            Self::Projector => &[],
        }
    }

    /// What it cannot start without and `settings` do not have.
    pub(crate) fn lacks(self, settings: &Settings) -> Vec<&'static str> {
        let all = self.needs().iter().chain(self.secrets());
        all.copied().filter(|name| settings.get(name).is_none()).collect()
    }
}

/// Runs a role until a signal comes.
///
/// # Errors
/// What keeps the role from starting or going on.
pub(crate) async fn run(role: Role, settings: Settings) -> anyhow::Result<Exit> {
    let _telemetry = runtime::telemetry::init(role.name(), &settings)?;
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    let shutdown = runtime::shutdown::on_signal()?;
    match role {
        Role::Ingest => ingest::run(settings, shutdown).await?,
        Role::Worker => worker::run(settings, shutdown).await?,
        Role::Projector => {
            projector::run(projector::Config::from_settings(&settings)?, shutdown).await?
        }
        Role::Api => {
            let answering = answer::beside_api(settings.clone(), shutdown.clone());
            let (served, answered) = tokio::join!(
                async {
                    let served = api::run(settings, shutdown.clone()).await;
                    shutdown.cancel();
                    served
                },
                answering
            );
            served?;
            answered?;
        }
        Role::Ops => answer::run(settings, shutdown).await?,
    }
    runtime::shutdown::check()?;
    Ok(Exit::Done)
}

/// Runs the simulated Meta alone until a signal comes.
///
/// # Errors
/// Exit code 2 for a variable that cannot be understood.
pub(crate) async fn simulate(settings: &Settings) -> anyhow::Result<Exit> {
    let _telemetry = runtime::telemetry::init("simulate", settings)?;
    let read =
        |name: &str| std::env::var(name).ok().or_else(|| settings.get(name).map(str::to_owned));
    let config = simulator::SimulatorConfig::from_variables(read)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let traffic = config.webhook_url.is_some().then(simulator::Traffic::default);
    let shutdown = runtime::shutdown::on_signal()?;
    simulator::run(config, traffic, shutdown.cancelled_owned()).await?;
    Ok(Exit::Done)
}

//! The simulated Meta of `up --simulate`: two demo accounts, people who write, a Graph that answers.

use std::net::SocketAddr;

use anyhow::Context;
use runtime::config::{Origin, Settings};
use schemas::Channel;
use simulator::{AppSecrets, Simulator, SimulatorConfig, SimulatorHandle, Traffic};
use url::Url;
use worker::facts::accounts::directory::Login;
use worker::facts::accounts::{AccountStore, NewAccount, Token};

const AUTO_REPLY: &str = "Thanks for writing! We read every message and answer within the hour.";

/// A running simulated Meta.
pub(crate) struct Meta {
    handle: SimulatorHandle,
}

impl Meta {
    /// Starts it and points the Graph variables at it.
    ///
    /// # Errors
    /// When it cannot listen, or a Graph URL is set already: a simulation must never meet the real Meta.
    pub(crate) async fn start(settings: &mut Settings) -> anyhow::Result<Self> {
        for name in [
            "GRAPH_FACEBOOK_URL",
            "GRAPH_INSTAGRAM_URL",
            "INSTAGRAM_LOGIN_URL",
            "INSTAGRAM_OAUTH_URL",
            "FACEBOOK_LOGIN_URL",
        ] {
            if settings.get(name).is_some() {
                return Err(crate::exit::Failure::usage(format!(
                    "{name} is set: unset it, or leave out --simulate"
                )));
            }
        }
        let config = SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            // Another seed at every start: ids of an earlier run are in the kept data.
            seed: u64::try_from(runtime::now().as_millis()).unwrap_or(1),
            secrets: AppSecrets::parse(settings.get("META_APP_SECRETS").unwrap_or_default())
                .map_err(|error| anyhow::anyhow!("{error}"))?,
            ..SimulatorConfig::default()
        };
        tracing::info!(seed = config.seed, "Simulated Meta");
        let handle = Simulator::start(config).await.context("starting the simulated Meta")?;
        settings.put("GRAPH_FACEBOOK_URL", handle.facebook_url(), Origin::Program);
        settings.put("GRAPH_INSTAGRAM_URL", handle.instagram_url(), Origin::Program);
        settings.put("INSTAGRAM_LOGIN_URL", handle.instagram_login_url(), Origin::Program);
        settings.put("INSTAGRAM_OAUTH_URL", handle.instagram_oauth_url(), Origin::Program);
        settings.put("FACEBOOK_LOGIN_URL", handle.facebook_login_url(), Origin::Program);
        let secrets = settings.get("META_APP_SECRETS").unwrap_or_default();
        // An app is known by the name of its secret.
        let name = secrets
            .split(',')
            .next()
            .and_then(|first| first.split_once('='))
            .map(|(name, _)| name.trim().to_owned());
        if let (None, Some(name)) = (settings.get("META_APPS"), name) {
            settings.put("META_APPS", handle.meta_apps(&name), Origin::Program);
        }
        if settings.get("PUBLIC_URL").is_none() {
            let inbox = settings.address("API_LISTEN", "127.0.0.1:8081")?;
            settings.put(
                "PUBLIC_URL",
                format!("http://127.0.0.1:{}", inbox.port()),
                Origin::Program,
            );
        }
        Ok(Self { handle })
    }

    /// Connects the demo accounts and lets people write.
    ///
    /// # Errors
    /// When the accounts cannot be stored.
    pub(crate) async fn begin(&self, settings: &Settings, door: SocketAddr) -> anyhow::Result<()> {
        let pool = runtime::db::pool(settings, "up", 2)?;
        let accounts = AccountStore::new(pool, worker::config::seal(settings)?);
        for spec in simulator::demo_accounts() {
            let account = match self.handle.account(&spec.id) {
                Some(account) => account,
                None => self.handle.add_account(spec.clone())?,
            };
            let new = NewAccount {
                channel: match spec.channel {
                    simulator::Channel::Instagram => Channel::Instagram,
                    simulator::Channel::Messenger => Channel::Messenger,
                },
                id: spec.id.as_str().into(),
                login: match spec.login {
                    simulator::Login::Instagram => Login::Instagram,
                    simulator::Login::Facebook => Login::Facebook,
                },
                token: Token::new(&account.token()),
                name: Some(spec.name),
                app: None,
                page_id: spec.page_id,
                aliases: spec.alias.into_iter().collect(),
                auto_reply: Some(AUTO_REPLY.to_owned()),
            };
            accounts.add(&new).await.context("connecting the demo account")?;
        }
        // Those that a person may connect in a browser; until then Meta sends nothing of them.
        for spec in simulator::unconnected_accounts() {
            if self.handle.account(&spec.id).is_none() {
                self.handle.add_account(spec)?.unsubscribe();
            }
        }
        self.handle.set_policy(|policy| {
            policy.senderless_rate = 0.1;
            policy.companion_rate = 0.2;
            policy.duplicate_rate = 0.1;
            policy.echo_before_rate = 0.3;
            policy.read_rate = 0.5;
        })?;
        self.handle.set_webhook_url(Url::parse(&format!("http://{door}"))?);
        self.handle.start_traffic(Traffic::default())?;
        Ok(())
    }

    /// Where it can be looked at and controlled.
    pub(crate) fn url(&self) -> String {
        self.handle.control_url()
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }
}

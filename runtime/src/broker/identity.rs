//! Who we are to the broker, and why it would not have us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::NatsConfig;

/// How long a broker may take to let us in.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// How soon it reports that a subscription is refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// Adds to the options who we are, by credentials file or by what stands before the `@` of a URL (the client itself ignores that), and
/// answers with the servers to connect to.
///
/// # Errors
/// When the credentials file cannot be read.
pub async fn identify(
    mut options: async_nats::ConnectOptions,
    config: &NatsConfig,
) -> anyhow::Result<(async_nats::ConnectOptions, Vec<async_nats::ServerAddr>)> {
    if let Some(path) = &config.creds {
        options = options.credentials_file(path).await.map_err(|error| {
            anyhow::anyhow!("NATS_CREDS: cannot read {}: {error}", path.display())
        })?;
    }
    let servers: Vec<async_nats::ServerAddr> =
        config.servers.iter().filter_map(|server| server.parse().ok()).collect();
    if let Some((user, password)) = servers.iter().find_map(credentials) {
        // The inbox of each user is its own, so that permissions can keep users out of each other's answers.
        options = options.custom_inbox_prefix(format!("_INBOX_{user}"));
        if config.creds.is_none() {
            options = options.user_and_password(user, password);
        }
    }
    Ok((options, servers))
}

/// Whether the broker lets us subscribe: asked by a connection of its own, for a refusal is otherwise an alarm.
///
/// # Errors
/// When the broker cannot be reached; ask again.
pub async fn may_subscribe(
    name: &str,
    config: &NatsConfig,
    subject: &'static str,
    group: &str,
) -> anyhow::Result<bool> {
    let refused = Arc::new(AtomicBool::new(false));
    let seen = refused.clone();
    let options = async_nats::ConnectOptions::new()
        .name(format!("hookline-{name}-rights"))
        .connection_timeout(ASKED_WITHIN)
        .event_callback(move |event| {
            if matches!(event, async_nats::Event::ServerError(_)) {
                seen.store(true, Ordering::Relaxed);
            }
            std::future::ready(())
        });
    let (options, servers) = identify(options, config).await?;
    let client = options.connect(servers).await?;
    let _asked = client.queue_subscribe(subject, group.to_owned()).await?;
    client.flush().await?;
    // It says nothing to a subscription that it takes.
    tokio::time::sleep(REFUSED_WITHIN).await;
    Ok(!refused.load(Ordering::Relaxed))
}

/// User and password of a server URL, as they were before they were percent-encoded into it.
fn credentials(server: &async_nats::ServerAddr) -> Option<(String, String)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decode(server.username()?);
    Some((user, decode(server.password().unwrap_or_default())))
}

/// Why the latest attempt to connect failed, in the client's words: those name no server and no user.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub(super) fn learn(&self, event: &async_nats::Event) {
        let reason = match event {
            async_nats::Event::ClientError(error) => Some(error.to_string()),
            async_nats::Event::Connected => None,
            _ => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_url_are_decoded() {
        let of = |url: &str| credentials(&url.parse().expect("a URL"));
        assert_eq!(of("nats://me:p%40ss@h:1"), Some(("me".into(), "p@ss".into())));
        assert_eq!(of("nats://me@h:1"), Some(("me".into(), String::new())));
        assert_eq!(of("nats://h:1"), None);
    }
}

//! Graph: reachable from here.

use runtime::config::Settings;

use super::findings::Findings;
use crate::connect;

pub(crate) async fn check(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    runtime::tls::install();
    let http = reqwest::Client::builder().timeout(connect::PATIENCE).build()?;
    for (name, default) in [
        ("GRAPH_FACEBOOK_URL", "https://graph.facebook.com"),
        ("GRAPH_INSTAGRAM_URL", "https://graph.instagram.com"),
    ] {
        let url = settings.url(name, default)?;
        // Any HTTP answer will do: without a token Graph refuses.
        match http.get(url.clone()).send().await {
            Ok(_) => findings.ok(name, format!("{} answers", url.host_str().unwrap_or_default())),
            Err(error) => {
                let why = if error.is_timeout() {
                    "does not answer in time"
                } else {
                    "cannot be reached"
                };
                findings.problem(
                    name,
                    format!("{} {why}", url.host_str().unwrap_or_default()),
                    "allow outgoing HTTPS to it, and check DNS and CA certificates",
                );
            }
        }
    }
    Ok(())
}

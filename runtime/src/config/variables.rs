//! ◆ Pure: every variable of docs/contract.md 2, with its default and meaning.

/// A variable of docs/contract.md 2.
#[derive(Debug)]
pub struct Variable {
    /// Its name, in the environment and in the TOML file.
    pub name: &'static str,
    /// Its default, as a person would write it; empty where it has none.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// Every variable hookline reads.
pub const VARIABLES: &[Variable] = &[
    variable(
        "NATS_URL",
        "",
        "nats://[user:pass@]host:port[,…]; a private server under `up` when unset",
    ),
    variable("NATS_CREDS", "", "a NATS credentials file"),
    variable(
        "NATS_MONITOR_URL",
        "port 8222 of each NATS_URL host",
        "monitoring endpoints, where durability is read",
    ),
    variable("NATS_REPLICAS", "1", "replicas of every stream"),
    variable("NATS_REQUIRE_SYNC", "true", "a broker that is not durable makes ingest refuse"),
    variable("DATABASE_URL", "", "postgres://…; a private server under `up` when unset"),
    variable("INGEST_LISTEN", "127.0.0.1:8080", "the webhook door"),
    variable("API_LISTEN", "127.0.0.1:8081", "the inbox API and the console"),
    variable("ADMIN_LISTEN", "127.0.0.1:8082", "health with reasons, and metrics, of every role"),
    variable("META_APP_SECRETS", "", "[name=]secret,…; any of them may verify"),
    variable("META_VERIFY_TOKENS", "", "token,… for the GET handshake"),
    variable(
        "META_ACCEPT_SHA1",
        "false",
        "accept the legacy X-Hub-Signature when the 256 header is absent",
    ),
    variable("INGEST_MAX_BODY", "4MiB", "larger bodies get 413"),
    variable("GRAPH_FACEBOOK_URL", "https://graph.facebook.com", "Graph host of Facebook Login"),
    variable("GRAPH_INSTAGRAM_URL", "https://graph.instagram.com", "Graph host of Instagram Login"),
    variable("GRAPH_VERSION", "v26.0", "Graph version"),
    variable("GRAPH_TIMEOUT", "8s", "per Graph call, connect included"),
    variable(
        "API_TOKENS",
        "",
        "[name=]token[:read|write|admin][:person|automation][:accounts=ID+ID…],…",
    ),
    variable("API_CONSOLE", "true", "the console at `/` of the api"),
    variable(
        "OUTBOUND_ALLOW",
        "",
        "host|address|network/bits,…; what outgoing webhooks may reach although it is private; http to these only",
    ),
    variable(
        "META_APPS",
        "",
        "name:instagram|facebook:APP_ID[:CONFIG_ID],…; apps that accounts are connected by; none: connecting is off",
    ),
    variable(
        "INSTAGRAM_LOGIN_URL",
        "https://www.instagram.com",
        "where a browser authorises by Instagram Login",
    ),
    variable(
        "INSTAGRAM_OAUTH_URL",
        "https://api.instagram.com",
        "where Instagram's code is exchanged",
    ),
    variable(
        "FACEBOOK_LOGIN_URL",
        "https://www.facebook.com",
        "where a browser authorises by Facebook Login",
    ),
    variable(
        "ENCRYPTION_KEY",
        "",
        "32 bytes hex, or several as id:hex,…; the first seals account tokens in Postgres, all open",
    ),
    variable(
        "PUBLIC_URL",
        "",
        "the https origin under which browsers and Meta reach api and ingest; none: connecting and requests for deletion are off",
    ),
    variable("RAW_MAX_AGE", "30d", "how long META_RAW keeps"),
    variable("EVENTS_MAX_AGE", "0", "how long INBOX_EVENTS keeps; 0 is for ever"),
    variable(
        "COMMANDS_MAX_AGE",
        "30d",
        "how long INBOX_COMMANDS and INBOX_ATTEMPTS keep; 0 is for ever",
    ),
    variable(
        "AUTO_REPLY_MAX_AGE",
        "10m",
        "an older inbound message never triggers an automatic reply",
    ),
    variable(
        "ERASE_UNSENT_AFTER",
        "24h",
        "how long the content of a message is kept after it was unsent",
    ),
    variable("COMPLETENESS_EVERY", "1h", "how often each account is compared with Graph"),
    variable("TWIN_GRACE", "10s", "how long a sender-less item waits for its twin"),
    variable("SEND_LEASE", "20s", "how long one attempt to send may take"),
    variable(
        "GRAPH_CLOCK_MAX_SKEW",
        "60s",
        "difference of Graph's clock beyond which nothing is concluded from its times",
    ),
    variable("RECONCILE_AFTER", "30s", "when an unknown send is first looked for"),
    variable("RETRY_MIN", "1s", "first delay of a retry"),
    variable("RETRY_MAX", "10m", "longest delay of a retry"),
    variable("RUST_LOG", "info", "log filter"),
    variable("LOG_FORMAT", "text", "json or text"),
    variable("OTEL_EXPORTER_OTLP_ENDPOINT", "", "where traces go, OTLP over HTTP"),
];

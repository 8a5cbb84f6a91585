//! ◆ Pure: every metric that hookline shows, with its labels, unit and meaning. `docs/metrics.md` is written from it; a test holds it against
//! the code, the alerts and the dashboards (`hookline/tests/metrics.rs`).

/// A metric of `/metrics`.
#[derive(Debug)]
pub struct Meter {
    /// Its name. A histogram shows it with `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How it counts.
    pub kind: MeterKind,
    /// What one is: `messages`, `seconds`, `1` for a yes.
    pub unit: &'static str,
    /// The keys of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub meaning: &'static str,
}

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterKind {
    /// Only grows while the process lives.
    Counter,
    /// As it is now.
    Gauge,
    /// By size, in buckets.
    Histogram,
}

impl MeterKind {
    /// The word of Prometheus, which is also the name of the macro.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

type Labels = &'static [&'static str];

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: Labels,
    meaning: &'static str,
) -> Meter {
    Meter { name, kind: MeterKind::Counter, unit, labels, meaning }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: Labels,
    meaning: &'static str,
) -> Meter {
    Meter { name, kind: MeterKind::Gauge, unit, labels, meaning }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: Labels,
    meaning: &'static str,
) -> Meter {
    Meter { name, kind: MeterKind::Histogram, unit, labels, meaning }
}

/// Every metric, by role.
#[rustfmt::skip]
pub const METERS: &[Meter] = &[
    // Every role.
    gauge("hookline_ready", "1", &[], "1 where `/readyz` answers 200, else 0; read when it is scraped"),
    counter("hookline_broker_read_clients_died_total", "connections", &[], "connections for reading single messages that died at one they cannot read; a new one was made"),
    counter("hookline_follow_stuck_total", "times", &["stream"], "times a reader was given no consumer by the broker"),
    counter("hookline_follow_unreadable_total", "messages", &["stream"], "messages that the client could not read whole"),
    counter("hookline_http_connections_refused_total", "connections", &[], "connections closed at once because there were too many"),
    // Ingest.
    counter("hookline_ingest_requests_total", "requests", &["path", "status"], "requests at Meta's door, by answer"),
    counter("hookline_ingest_signature_total", "requests", &["result"], "signatures by result: `right`, or why not"),
    counter("hookline_ingest_callbacks_refused_total", "requests", &["reason"], "callbacks of Meta's that were refused"),
    counter("hookline_ingest_store_failures_total", "batches", &["reason"], "failures to store in META_RAW; each request behind one was answered 503"),
    gauge("hookline_ingest_inflight", "requests", &[], "webhooks being stored now"),
    histogram("hookline_ingest_body_bytes", "bytes", &[], "size of the bodies"),
    histogram("hookline_ingest_batch_messages", "messages", &[], "webhooks stored by one publish"),
    histogram("hookline_ingest_store_seconds", "seconds", &[], "from the body to the durable ack"),
    // Worker: normalise.
    gauge("hookline_normalize_lag_messages", "messages", &["shard"], "raw webhooks that are stored and not normalised; only the holder of the shard shows it, and NaN where it is unknown"),
    gauge("hookline_normalize_parked", "items", &["cause"], "items set aside, by cause"),
    counter("hookline_normalize_raw_total", "messages", &[], "raw webhooks normalised"),
    counter("hookline_normalize_events_total", "events", &["kind"], "events published"),
    counter("hookline_normalize_duplicates_total", "facts", &[], "facts that were known already"),
    counter("hookline_normalize_parked_total", "items", &[], "items set aside"),
    counter("hookline_normalize_released_total", "items", &[], "items that were set aside and carried out since"),
    counter("hookline_normalize_announce_failures_total", "times", &[], "times that copies of parked work did not reach INBOX_DEAD"),
    counter("hookline_normalize_unrecognized_total", "items", &["reason"], "parts of webhooks that nobody understands"),
    counter("hookline_normalize_stream_recreated_total", "times", &["shard"], "times that a shard stopped because META_RAW was made anew"),
    histogram("hookline_normalize_batch_seconds", "seconds", &[], "from reading a batch to its commit"),
    // Worker: senders and profiles.
    gauge("hookline_resolve_waiting", "items", &["state"], "the waiting room, by state"),
    counter("hookline_rows_forgotten_total", "rows", &[], "rows that nothing needs any more and that were deleted"),
    counter("hookline_resolve_admitted_total", "items", &[], "items without a sender that came in"),
    counter("hookline_resolve_resolved_total", "items", &["method"], "senders found, by evidence"),
    counter("hookline_resolve_unresolved_total", "items", &[], "items published without a sender"),
    counter("hookline_resolve_panics_total", "times", &[], "look-ups that broke down: a bug"),
    histogram("hookline_resolve_seconds", "seconds", &[], "from the webhook to its sender"),
    counter("hookline_enrich_answers_total", "profiles", &["answer"], "profiles read, by answer"),
    counter("hookline_enrich_panics_total", "times", &[], "reads of a profile that broke down: a bug"),
    // Worker: accounts.
    gauge("hookline_account_silent", "1", &["account"], "1 where no webhook came for much longer than is usual for the account"),
    gauge("hookline_account_field_silent", "1", &["account", "field"], "1 where no webhook of this field of Meta came for much longer than is usual, while others come"),
    gauge("hookline_account_field_lost", "1", &["account", "field"], "1 where Graph shows messages that no webhook of this field of Meta has brought; every worker shows the same"),
    counter("hookline_completeness_messages_total", "messages", &["account", "state"], "messages that Graph showed (`shown`), and those of them that the log did not have: imported (`healed`), or not readable (`unreachable`)"),
    gauge("hookline_account_fields_withheld", "fields", &["account"], "webhook fields that Meta refuses"),
    gauge("hookline_account_token_days_left", "days", &["account"], "until the token ends; absent where that is not known"),
    counter("hookline_accounts_connected_total", "accounts", &[], "accounts connected in a browser"),
    counter("hookline_accounts_disconnected_total", "accounts", &[], "accounts disconnected"),
    counter("hookline_accounts_stopped_total", "accounts", &[], "accounts stopped because Meta refused a token or a right"),
    gauge("hookline_callbacks_lag_messages", "messages", &[], "callbacks of Meta's that are not carried out; NaN where it is unknown"),
    counter("hookline_endpoint_deliveries_total", "requests", &["endpoint", "outcome"], "requests to receivers of outgoing webhooks, by how they ended"),
    gauge("hookline_endpoint_held_messages", "messages", &["endpoint"], "events that wait to be delivered again"),
    gauge("hookline_endpoint_lag_messages", "messages", &["endpoint"], "messages of INBOX_EVENTS behind the position of an endpoint"),
    gauge("hookline_endpoint_state", "1", &["endpoint", "state"], "1 for the state of an endpoint: active, failing or disabled"),
    counter("hookline_callbacks_total", "callbacks", &["outcome"], "callbacks of Meta's carried out"),
    // Worker: erasing.
    counter("hookline_erasures_total", "erasures", &[], "erasures that a worker carried out to the end"),
    gauge("hookline_erasures_open", "erasures", &[], "erasures that are not done; only the holder of the lease shows it"),
    gauge("hookline_withdrawals_lag_messages", "messages", &[], "withdrawals that the worker has not taken in; NaN where it is unknown"),
    // Worker: Graph.
    counter("hookline_graph_calls_total", "calls", &["kind", "outcome"], "calls to Graph; `kept_back` were not made, to stay within the limits"),
    histogram("hookline_graph_call_seconds", "seconds", &["kind"], "from a call to its answer"),
    gauge("hookline_graph_clock_ahead_seconds", "seconds", &["host"], "how far Graph's clock is ahead of ours"),
    // Worker: sending.
    gauge("hookline_commands_lag_messages", "messages", &[], "commands that are stored and not taken in; NaN where it is unknown"),
    counter("hookline_commands_total", "commands", &["outcome"], "commands taken in"),
    counter("hookline_commands_dead_refused_total", "commands", &[], "dead commands that INBOX_DEAD refused"),
    counter("hookline_commands_panics_total", "times", &[], "commands whose intake broke down: a bug"),
    gauge("hookline_automate_lag_messages", "messages", &[], "events that automatic replies have not looked at; NaN where it is unknown"),
    counter("hookline_automate_messages_total", "messages", &["decision"], "inbound messages, by what automatic replies decided"),
    gauge("hookline_send_commands", "commands", &["state"], "the ledger: `open`, `held` of these, `parked` (outcome unknown), `unpublished` outcomes; every worker shows the same"),
    counter("hookline_send_doubles_total", "sends", &[], "sends that took effect twice at Meta; must stay 0"),
    counter("hookline_send_repeats_total", "sends", &[], "sends repeated after their absence was proven"),
    counter("hookline_conversions_in_part_total", "events", &[], "conversions that Meta answered in part: parked for a person"),
    counter("hookline_send_parked_total", "sends", &[], "sends whose outcome stayed unknown"),
    histogram("hookline_send_seconds", "seconds", &["command"], "from the request to Graph's answer"),
    counter("hookline_reconcile_looks_total", "looks", &["found"], "looks for a send whose answer was lost"),
    counter("hookline_command_outcomes_total", "commands", &["command", "state"], "commands that ended"),
    counter("hookline_command_outcome_failures_total", "times", &[], "times that an outcome could not be published at once"),
    gauge("hookline_attempt_log_behind", "1", &[], "1 where the log of attempts has what the ledger does not: nothing is sent"),
    counter("hookline_attempt_log_recalled_total", "attempts", &[], "attempts that the log had and the ledger did not"),
    counter("hookline_attempt_log_settled_total", "commands", &[], "commands settled by an outcome that the stream had"),
    counter("hookline_attempt_log_unreadable_total", "messages", &[], "messages of INBOX_ATTEMPTS that are no attempts"),
    // Projector.
    gauge("hookline_projector_position", "position", &[], "position in INBOX_EVENTS"),
    gauge("hookline_projector_lag_messages", "messages", &[], "events that are not in the rows; only the holder of the lease moves it, and NaN where it is unknown"),
    gauge("hookline_projector_parked", "events", &[], "events set aside"),
    counter("hookline_projector_parked_total", "events", &["cause"], "events set aside, by cause"),
    counter("hookline_projector_events_total", "events", &["kind"], "events folded"),
    histogram("hookline_projector_batch_seconds", "seconds", &[], "from reading a batch to its commit"),
    // API.
    counter("hookline_api_requests_total", "requests", &["route", "status"], "requests of the inbox API"),
    histogram("hookline_api_request_seconds", "seconds", &["route"], "until the answer begins"),
    counter("hookline_api_requests_swept_total", "requests", &[], "accepted requests whose command was published later, by the sweep"),
    gauge("hookline_api_live_clients", "clients", &[], "clients of `/v1/live`"),
    counter("hookline_api_live_cut_total", "clients", &[], "clients of `/v1/live` that were cut off because they read too slowly"),
];

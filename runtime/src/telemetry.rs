//! Logs, traces and metrics. They carry ids, never a person's words, name or token.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{ConfigError, Settings};
use crate::meters::{METERS, Meter, MeterKind};

/// What traces are made of, whatever `RUST_LOG` is: fewer logs are no reason for fewer traces.
const TRACED: &str = "info";
/// The libraries' own chatter: not ours, and some of it quotes what it carries.
const QUIET: [&str; 7] = [
    "hyper=off",
    "reqwest=off",
    "opentelemetry=off",
    "h2=off",
    "sqlx::query=off",
    "sqlx::postgres::notice=warn",
    "async_nats=off",
];
/// Whether traces go anywhere.
static EXPORTS: AtomicBool = AtomicBool::new(false);
/// How long the last traces may take at the end of the process, which has up to ten seconds for everything.
const FLUSH: Duration = Duration::from_secs(1);

/// Keeps telemetry alive; flushes traces when dropped.
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(tracer) = self.tracer.take() {
            // The exporter blocks on its own threads; give it a thread that may block.
            let _ = std::thread::spawn(move || tracer.shutdown_with_timeout(FLUSH)).join();
        }
    }
}

/// Sets up logs on standard error (`RUST_LOG`, `LOG_FORMAT`), traces by OTLP when configured, and the metrics recorder.
///
/// # Errors
/// When a variable cannot be understood, or telemetry is set up twice.
pub fn init(service: &str, settings: &Settings) -> anyhow::Result<Telemetry> {
    crate::tls::install();
    let _ = metrics_handle();
    let TelemetryConfig { logged, json, endpoint } = TelemetryConfig::from_settings(settings)?;
    let logs = if json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed()
    };
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let resource = Resource::builder().with_service_name(format!("hookline-{service}")).build();
    let mut provider = SdkTracerProvider::builder().with_resource(resource);
    EXPORTS.store(endpoint.is_some(), Ordering::Relaxed);
    if let Some(endpoint) = endpoint {
        use opentelemetry_otlp::WithExportConfig;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        provider = provider
            .with_batch_exporter(ReportingExporter { exporter, failing: AtomicBool::new(false) });
    }
    // Without an exporter spans are still made, so that every message carries a trace id that logs and `trace` can name. Ingest makes the id
    // alone ([`wants_spans`]).
    let provider = provider.build();
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("hookline"))
        .with_filter(filter(TRACED).map_err(anyhow::Error::msg)?);
    // Not `try_init`: it also brings in what libraries write by the crate `log`, and a level that is merely asked about there makes
    // the next line of this thread vanish.
    let subscriber = tracing_subscriber::registry().with(logs.with_filter(logged)).with(traces);
    tracing::subscriber::set_global_default(subscriber).context("telemetry is set up already")?;
    report_panics();
    Ok(Telemetry { tracer: Some(provider) })
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    QUIET.iter().try_fold(filter, |filter, directive| {
        Ok(filter.add_directive(directive.parse().map_err(|_| format!("{directive} is wrong"))?))
    })
}

/// Whether what is set can be understood.
///
/// # Errors
/// Names the variable that cannot.
pub fn check(settings: &Settings) -> Result<(), ConfigError> {
    TelemetryConfig::from_settings(settings).map(|_| ())
}

struct TelemetryConfig {
    logged: EnvFilter,
    json: bool,
    /// Where traces go, if anywhere.
    endpoint: Option<String>,
}

impl TelemetryConfig {
    fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        Ok(Self {
            logged: settings.parsed("RUST_LOG", "info", filter)?,
            json: settings.parsed("LOG_FORMAT", "text", |text| match text {
                "json" => Ok(true),
                "text" => Ok(false),
                _ => Err("use json or text".to_owned()),
            })?,
            endpoint: match settings.get(ENDPOINT) {
                Some(_) => {
                    let url = settings.url(ENDPOINT, "")?;
                    Some(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
                }
                None => None,
            },
        })
    }
}

/// An exporter that logs when it begins to fail and when it works again.
#[derive(Debug)]
struct ReportingExporter<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for ReportingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let failed = result.is_err();
        // The error may quote the answer of whoever is there, so it is not shown.
        match (failed, self.failing.swap(failed, Ordering::Relaxed)) {
            (true, false) => tracing::warn!(
                "Traces do not reach OTEL_EXPORTER_OTLP_ENDPOINT; they are lost until they do"
            ),
            (false, true) => tracing::info!("Traces reach OTEL_EXPORTER_OTLP_ENDPOINT again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Logs panics as any other line, or writes one line to standard error where no subscriber is set, without what they may quote.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic_text(panic.payload());
        if !tracing::dispatcher::has_been_set() {
            let _ = writeln!(std::io::stderr(), "hookline: a bug: panicked at {place}: {text}");
            return;
        }
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, text, backtrace, "A bug: panicked at {place}");
    }));
}

/// The text of a panic, where it is a literal of the source. A text made at run time may quote what it was made from: a slice of a string
/// that goes wrong quotes the string.
fn panic_text(payload: &(dyn std::any::Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("a text made at run time")
}

/// How a task ended that did not end by itself. (`Display` of the error quotes the text of the panic.)
pub fn task_end(error: &tokio::task::JoinError) -> &'static str {
    if error.is_panic() { "it panicked; the log says where" } else { "it was stopped" }
}

/// The process-wide metrics recorder's handle, for `/metrics`. Installs it at the first call.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let seconds =
                [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
            let messages = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];
            let bytes = [512.0, 1024.0, 2048.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Suffix("_messages".to_owned()), &messages)
                })
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &bytes)
                })
                .expect("the buckets are not empty")
                .build_recorder();
            let handle = recorder.handle();
            // Samples pile up until somebody folds them into their buckets, and nobody may ever ask for `/metrics`.
            let upkeep = handle.clone();
            let folding = std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(move || {
                loop {
                    std::thread::park_timeout(std::time::Duration::from_secs(5));
                    upkeep.run_upkeep();
                }
            });
            if let Err(error) = folding {
                tracing::warn!(%error, "No thread for the upkeep of metrics; memory grows until `/metrics` is asked for");
            }
            // Fails only where another library has installed one already.
            let _ = metrics::set_global_recorder(recorder);
            describe();
            handle
        })
        .clone()
}

/// `# HELP` of every metric.
fn describe() {
    for Meter { name, kind, meaning, .. } in METERS {
        match kind {
            MeterKind::Counter => metrics::describe_counter!(*name, *meaning),
            MeterKind::Gauge => metrics::describe_gauge!(*name, *meaning),
            MeterKind::Histogram => metrics::describe_histogram!(*name, *meaning),
        }
    }
}

struct Inject<'a>(&'a mut async_nats::HeaderMap);

impl Injector for Inject<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key, value);
        }
    }
}

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// Whether spans are of use: traces go somewhere, or logs name what happens in a request. Where they are not, [`new_traceparent`] is cheaper.
pub fn wants_spans() -> bool {
    EXPORTS.load(Ordering::Relaxed) || tracing::enabled!(tracing::Level::DEBUG)
}

/// A `traceparent` of a new trace, for a message that no span stands behind.
pub fn new_traceparent() -> String {
    // Zero means "none" in both places.
    let (trace, span) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
    format!("00-{trace:032x}-{span:016x}-01")
}

/// Writes the current span's trace context into the headers of a message.
pub fn inject(headers: &mut async_nats::HeaderMap) {
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Inject(headers));
}

/// The current span's `traceparent`, where it has one.
pub fn traceparent() -> Option<String> {
    let mut headers = async_nats::HeaderMap::new();
    inject(&mut headers);
    headers.get("traceparent").map(|value| value.as_str().to_owned())
}

/// Makes `span` a child of the trace that `traceparent` names.
pub fn continue_trace(span: &tracing::Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        // Fails only where telemetry is off.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier(traceparent)));
    }
}

//! Logs, traces and metrics. They carry ids, never a person's words, name or token.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::Settings;

/// Keeps telemetry alive; flushes traces when dropped.
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(tracer) = self.tracer.take() {
            // The exporter blocks on its own threads; give it a thread that may block.
            let _ = std::thread::spawn(move || tracer.shutdown()).join();
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
    let filter = || -> anyhow::Result<EnvFilter> {
        let text = settings.get("RUST_LOG").unwrap_or("info");
        let filter = EnvFilter::try_new(text)
            .map_err(|error| settings.invalid("RUST_LOG", error.to_string()))?;
        // The libraries' own chatter: not ours, and some of it quotes what it carries.
        [
            "hyper=off",
            "reqwest=off",
            "opentelemetry=off",
            "h2=off",
            "sqlx::query=off",
            "async_nats=off",
        ]
        .iter()
        .try_fold(filter, |filter, directive| anyhow::Ok(filter.add_directive(directive.parse()?)))
    };
    let json = settings.parsed("LOG_FORMAT", "text", |text| match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err("use json or text".to_owned()),
    })?;
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
    let exports = settings.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    if let Some(endpoint) = exports {
        use opentelemetry_otlp::WithExportConfig;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        provider = provider.with_batch_exporter(exporter);
    }
    // Without an exporter spans are still made, so that every message carries a trace id that logs and `trace` can name.
    let provider = provider.build();
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("hookline"))
        .with_filter(filter()?);
    tracing_subscriber::registry()
        .with(logs.with_filter(filter()?))
        .with(traces)
        .try_init()
        .context("telemetry is set up already")?;
    Ok(Telemetry { tracer: Some(provider) })
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
            // An error says that a recorder is installed already, which only another library could have done.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
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
        // An error says that telemetry is off.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier(traceparent)));
    }
}

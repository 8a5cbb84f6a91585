#!/usr/bin/env python3
"""Writes the dashboards. `make.py` writes, `make.py --check` compares, `make.py --queries` prints every query.

A panel is a title, a unit and queries; a line of four panels fills the width.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
# Every worker shows the rows of the ledger, so the highest counts. `>= 0` leaves out NaN: unknown.
DASHBOARDS = {
    "overview": ("hookline: overview", [
        ("Roles that are not ready", "none", "stat", [("", "sum(1 - hookline_ready) or vector(0)")]),
        ("Webhooks answered 503", "percentunit", "stat", [("", 'sum(rate(hookline_ingest_requests_total{status="503"}[5m])) / sum(rate(hookline_ingest_requests_total[5m])) or vector(0)')]),
        ("Unknown sends", "none", "stat", [("", 'max(hookline_send_commands{state="parked"}) or vector(0)')]),
        ("Set aside", "none", "stat", [("", "sum(max by (cause) (hookline_normalize_parked)) + max(hookline_projector_parked) or max(hookline_projector_parked)")]),
        ("Webhooks by answer", "reqps", "timeseries", [("{{status}}", "sum by (status) (rate(hookline_ingest_requests_total[5m]))")]),
        ("From the body to the durable ack", "s", "timeseries", [
            ("p50", "histogram_quantile(0.5, sum by (le) (rate(hookline_ingest_store_seconds_bucket[5m])))"),
            ("p99", "histogram_quantile(0.99, sum by (le) (rate(hookline_ingest_store_seconds_bucket[5m])))")]),
        ("Lag", "none", "timeseries", [
            ("normalize", "sum(hookline_normalize_lag_messages >= 0)"),
            ("project", "max(hookline_projector_lag_messages >= 0)"),
            ("commands", "max(hookline_commands_lag_messages >= 0)"),
            ("automate", "max(hookline_automate_lag_messages >= 0)")]),
        ("Waiting room", "none", "timeseries", [("{{state}}", "max by (state) (hookline_resolve_waiting)")]),
        ("Events published", "cps", "timeseries", [("{{kind}}", "sum by (kind) (rate(hookline_normalize_events_total[5m]))")]),
        ("API by status", "reqps", "timeseries", [("{{status}}", "sum by (status) (rate(hookline_api_requests_total[5m])) or vector(0)")]),
        ("API, p99 by route", "s", "timeseries", [("{{route}}", "histogram_quantile(0.99, sum by (le, route) (rate(hookline_api_request_seconds_bucket[5m]))) or vector(0)")]),
        ("Clients of /v1/live", "none", "timeseries", [("clients", "sum(hookline_api_live_clients) or vector(0)")]),
    ]),
    "accounts": ("hookline: accounts", [
        ("Days until a token ends", "d", "timeseries", [("{{account}}", "min by (account) (hookline_account_token_days_left) or vector(0)")]),
        ("Silent", "none", "timeseries", [("{{account}}", "max by (account) (hookline_account_silent)")]),
        ("Messages that were missing in a day", "none", "timeseries", [("{{account}} {{state}}", "sum by (account, state) (increase(hookline_completeness_messages_total{state!=\"shown\"}[1d])) or vector(0)")]),
        ("Fields of which nothing comes", "none", "timeseries", [("{{account}} {{field}}", "max by (account, field) (hookline_account_field_lost) or vector(0)")]),
        ("Fields that Meta withholds", "none", "timeseries", [("{{account}}", "max by (account) (hookline_account_fields_withheld)")]),
        ("Stopped, connected, disconnected in a day", "none", "timeseries", [
            ("stopped", "sum(increase(hookline_accounts_stopped_total[1d])) or vector(0)"),
            ("connected", "sum(increase(hookline_accounts_connected_total[1d])) or vector(0)"),
            ("disconnected", "sum(increase(hookline_accounts_disconnected_total[1d])) or vector(0)")]),
        ("Calls to Graph by outcome", "cps", "timeseries", [("{{outcome}}", "sum by (outcome) (rate(hookline_graph_calls_total[5m]))")]),
        ("Graph, p99 by kind", "s", "timeseries", [("{{kind}}", "histogram_quantile(0.99, sum by (le, kind) (rate(hookline_graph_call_seconds_bucket[5m])))")]),
        ("Graph's clock ahead of ours", "s", "timeseries", [("{{host}}", "max by (host) (hookline_graph_clock_ahead_seconds)")]),
        ("Senders found, by evidence", "cps", "timeseries", [("{{method}}", "sum by (method) (rate(hookline_resolve_resolved_total[5m]))")]),
        ("Profiles read", "cps", "timeseries", [("{{answer}}", "sum by (answer) (rate(hookline_enrich_answers_total[5m]))")]),
        ("Callbacks of Meta's", "none", "timeseries", [
            ("waiting", "max(hookline_callbacks_lag_messages >= 0) or vector(0)"),
            ("{{outcome}}", "sum by (outcome) (increase(hookline_callbacks_total[1h])) or vector(0)")]),
    ]),
    "sending": ("hookline: sending", [
        ("Commands in the ledger", "none", "timeseries", [("{{state}}", "max by (state) (hookline_send_commands)")]),
        ("Commands that ended", "cps", "timeseries", [("{{command}} {{state}}", "sum by (command, state) (rate(hookline_command_outcomes_total[5m]))")]),
        ("From the request to Graph's answer", "s", "timeseries", [
            ("p50 {{command}}", "histogram_quantile(0.5, sum by (le, command) (rate(hookline_send_seconds_bucket[5m])))"),
            ("p99 {{command}}", "histogram_quantile(0.99, sum by (le, command) (rate(hookline_send_seconds_bucket[5m])))")]),
        ("Taken in", "cps", "timeseries", [("{{outcome}}", "sum by (outcome) (rate(hookline_commands_total[5m]))")]),
        ("Automatic replies: decisions", "cps", "timeseries", [("{{decision}}", "sum by (decision) (rate(hookline_automate_messages_total[5m]))")]),
        ("Looks for lost answers", "none", "timeseries", [("{{found}}", "sum by (found) (increase(hookline_reconcile_looks_total[1h])) or vector(0)")]),
        ("Repeated, unknown, sent twice", "none", "timeseries", [
            ("repeated after proof", "sum(increase(hookline_send_repeats_total[1h])) or vector(0)"),
            ("unknown", "sum(increase(hookline_send_parked_total[1h])) or vector(0)"),
            ("sent twice", "sum(hookline_send_doubles_total) or vector(0)")]),
        ("Ledger behind the log", "none", "timeseries", [("behind", "max(hookline_attempt_log_behind)")]),
    ]),
    "storage": ("hookline: storage", [
        ("Failures to store in META_RAW", "cps", "timeseries", [("{{reason}}", "sum by (reason) (rate(hookline_ingest_store_failures_total[5m])) or vector(0)")]),
        ("Webhooks being stored", "none", "timeseries", [("in flight", "sum(hookline_ingest_inflight)")]),
        ("Webhooks for each publish", "none", "timeseries", [("mean", "sum(rate(hookline_ingest_batch_messages_sum[5m])) / sum(rate(hookline_ingest_batch_messages_count[5m]))")]),
        ("Bytes taken in", "Bps", "timeseries", [("bodies", "sum(rate(hookline_ingest_body_bytes_sum[5m]))")]),
        ("Batches until committed, p99", "s", "timeseries", [
            ("normalize", "histogram_quantile(0.99, sum by (le) (rate(hookline_normalize_batch_seconds_bucket[5m])))"),
            ("project", "histogram_quantile(0.99, sum by (le) (rate(hookline_projector_batch_seconds_bucket[5m])))")]),
        ("Normalised and folded", "cps", "timeseries", [
            ("raw webhooks", "sum(rate(hookline_normalize_raw_total[5m]))"),
            ("events folded", "sum(rate(hookline_projector_events_total[5m]))"),
            ("known already", "sum(rate(hookline_normalize_duplicates_total[5m]))")]),
        ("Position in INBOX_EVENTS", "none", "timeseries", [("projector", "max(hookline_projector_position)")]),
        ("Lag by shard", "none", "timeseries", [("{{shard}}", "max by (shard) (hookline_normalize_lag_messages >= 0)")]),
        ("Readers in trouble", "none", "timeseries", [
            ("stuck {{stream}}", "sum by (stream) (increase(hookline_follow_stuck_total[1h])) or vector(0)"),
            ("unreadable {{stream}}", "sum by (stream) (increase(hookline_follow_unreadable_total[1h])) or vector(0)")]),
        ("Set aside, by cause", "none", "timeseries", [
            ("normalize {{cause}}", "max by (cause) (hookline_normalize_parked) or vector(0)"),
            ("project", "max(hookline_projector_parked)")]),
    ]),
}
SOURCE = {"type": "prometheus", "uid": "${source}"}


def panel(number, title, unit, kind, queries):
    width = 6 if kind == "stat" else 12
    return {
        "id": number + 1, "title": title, "type": kind, "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": chr(65 + at), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
                    for at, (legend, expr) in enumerate(queries)],
        "gridPos": {"w": width, "h": 4 if kind == "stat" else 8},
    }


def placed(panels):
    x = y = 0
    for one in panels:
        at = one["gridPos"]
        if x + at["w"] > 24:
            x, y = 0, y + height
        at["x"], at["y"], height = x, y, at["h"]
        x += at["w"]
    return panels


def dashboard(name, title, panels):
    return {
        "uid": f"hookline-{name}", "title": title, "tags": ["hookline"], "editable": True, "schemaVersion": 39,
        "version": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]},
        "panels": placed([panel(number, *one) for number, one in enumerate(panels)]),
    }


def main(arguments):
    if arguments == ["--queries"]:
        for name, (_, panels) in DASHBOARDS.items():
            for title, _, _, queries in panels:
                for _, expr in queries:
                    print(f"{name}\t{title}\t{expr}")
        return 0
    stale = []
    for name, (title, panels) in DASHBOARDS.items():
        text = json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        path = HERE / f"{name}.json"
        if arguments == ["--check"]:
            stale += [] if path.exists() and path.read_text() == text else [str(path)]
        else:
            path.write_text(text)
    for path in stale:
        print(f"{path} is not what make.py says: run deploy/grafana/make.py", file=sys.stderr)
    return 1 if stale else 0


sys.exit(main(sys.argv[1:]))

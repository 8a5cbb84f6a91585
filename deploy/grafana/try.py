#!/usr/bin/env python3
"""try.py PROMETHEUS METRICS: starts the program PROMETHEUS, lets it scrape METRICS (host:port of an ADMIN_LISTEN) for a minute, and asks it every
query of the dashboards. Fails where one returns nothing."""
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
program, target = sys.argv[1:3]
local = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path, **parameters):
    with local.open(f"http://{listen}{path}?" + urllib.parse.urlencode(parameters), timeout=10) as answer:
        return json.load(answer)["data"]


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    listen = "127.0.0.1:%d" % free.getsockname()[1]
with tempfile.TemporaryDirectory() as folder:
    config = pathlib.Path(folder, "prometheus.yml")
    config.write_text(f"""global: {{ scrape_interval: 5s, evaluation_interval: 5s }}
rule_files: ["{HERE.parent.resolve()}/prometheus/alerts.yml"]
scrape_configs: [{{ job_name: hookline, static_configs: [{{ targets: ["{target}"] }}] }}]
""")
    server = subprocess.Popen([program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                               f"--web.listen-address={listen}", "--log.level=error"])
    try:
        time.sleep(60)
        lines = subprocess.run([HERE / "make.py", "--queries"], check=True, capture_output=True, text=True).stdout
        queries = [line.split("\t") for line in lines.splitlines()]
        empty = [one for one in queries if not ask("/api/v1/query", query=one[2])["result"]]
        rules = [rule for group in ask("/api/v1/rules")["groups"] for rule in group["rules"]]
        unwell = [rule["name"] for rule in rules if rule["health"] != "ok"]
        firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    finally:
        server.terminate()
        server.wait()
for one in empty:
    print("returns nothing: " + " | ".join(one), file=sys.stderr)
print(f"{len(queries) - len(empty)} of {len(queries)} queries return data; {len(rules)} alerts evaluated, not evaluated {unwell}, firing {firing}")
sys.exit(1 if empty or unwell or firing else 0)

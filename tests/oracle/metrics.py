"""Prometheus's own parser of OpenMetrics against a served port: `python3 tests/oracle/metrics.py http://HOST:PORT/metrics`."""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1]) as answer:
    kind, text = answer.headers["content-type"], answer.read().decode()
if not kind.startswith("application/openmetrics-text; version=1.0.0"):
    sys.exit(f"the type is {kind}")
families = {family.name: family for family in text_string_to_metric_families(text)}
for name, kind in [
    ("jarvis_tui_build", "info"),
    ("jarvis_tui_sessions", "gauge"),
    ("jarvis_tui_watchers", "gauge"),
    ("jarvis_tui_turns", "counter"),
    ("jarvis_tui_turn_failures", "counter"),
    ("jarvis_tui_input_tokens", "counter"),
    ("jarvis_tui_output_tokens", "counter"),
    ("jarvis_tui_events", "counter"),
    ("jarvis_tui_http_requests", "counter"),
    ("jarvis_tui_time_to_first_token_seconds", "histogram"),
]:
    if families[name].type != kind:
        sys.exit(f"{name} is a {families[name].type}")
    print(f"ok {name}")
if families["jarvis_tui_time_to_first_token_seconds"].unit != "seconds":
    sys.exit("the histogram has no unit")
print("ok unit")

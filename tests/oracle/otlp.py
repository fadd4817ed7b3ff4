"""OpenTelemetry's own messages against the body of a POST: `python3 tests/oracle/otlp.py FILE`."""

import json
import re
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

text = open(sys.argv[1], encoding="utf-8").read()
# Protobuf's JSON has bytes in base64, OTLP's has the ids in hexadecimal digits: both read, so their form is looked at.
request = json_format.Parse(text, trace_service_pb2.ExportTraceServiceRequest())
for span in json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
    if not re.fullmatch("[0-9a-f]{32}", span["traceId"]) or not re.fullmatch("[0-9a-f]{16}", span["spanId"]):
        sys.exit(f"the ids of {span}")
print("ok parsed")
[resource] = request.resource_spans
names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
if names["service.name"] != "jarvis-tui":
    sys.exit(f"the service is {names}")
[scope] = resource.scope_spans
spans = {}
for span in scope.spans:
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    operation = attributes["gen_ai.operation.name"].string_value
    spans.setdefault(operation, []).append((span, attributes))
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        sys.exit(f"the times of {span.name}: {span.start_time_unix_nano} {span.end_time_unix_nano}")
[(turn, about)] = spans["invoke_agent"]
if turn.kind != trace_pb2.Span.SPAN_KIND_INTERNAL or turn.parent_span_id:
    sys.exit(f"the turn is {turn}")
for name in ["gen_ai.provider.name", "gen_ai.conversation.id", "gen_ai.agent.name", "gen_ai.request.model"]:
    if not about[name].string_value:
        sys.exit(f"{name} is missing")
    print(f"ok {name}")
for span, _ in spans["chat"] + spans["execute_tool"]:
    if span.parent_span_id != turn.span_id or span.trace_id != turn.trace_id:
        sys.exit(f"{span.name} is not below the turn")
print("ok the turn has its answers and calls below it")

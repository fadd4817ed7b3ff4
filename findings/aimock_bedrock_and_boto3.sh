#!/usr/bin/env bash
# @copilotkit/aimock 1.43.0 mocks Bedrock with frames whose checksums are right and whose JSON boto3 1.44.8 can't use. A block
# of text begins with `"start":{}`; Bedrock sends no contentBlockStart for text, and boto3, for which `start` is a union,
# raises ResponseParserError in the middle of the answer. InvokeModelWithResponseStream puts the model's event into the
# frame as it is, where Bedrock wraps it as `{"bytes": <base64>}`: boto3 raises nothing and hands out `{'chunk': {}}` for
# every event, so a client seems to get an empty answer. A decoder that was tried against the mock alone has met neither of
# the forms that count. Calls without text are read by both. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'kill "$mock" 2>/dev/null || true; rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @copilotkit/aimock@1.43.0 >/dev/null
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.8 botocore==1.44.8
cat > "$place/mock.mjs" <<'JS'
import { LLMock } from "@copilotkit/aimock";
const mock = new LLMock({ port: 0 });
mock.onMessage("text", { content: "Hello." });
mock.onMessage("call", { toolCalls: [{ name: "now", arguments: "{}", id: "call_1" }] });
await mock.start();
console.log(mock.url);
JS
node "$place/mock.mjs" > "$place/url" &
mock=$!
while ! [ -s "$place/url" ]; do sleep 0.1; done
"$place/venv/bin/python" - "$(cat "$place/url")" <<'PYTHON'
import json
import sys

import boto3
from botocore.parsers import ResponseParserError

client = boto3.client("bedrock-runtime", endpoint_url=sys.argv[1], region_name="us-east-1",
                      aws_access_key_id="x", aws_secret_access_key="y")

def converse(text):
    message = {"role": "user", "content": [{"text": text}]}
    kinds = []
    try:
        for event in client.converse_stream(modelId="anthropic.m", messages=[message])["stream"]:
            kinds += list(event)
    except ResponseParserError as error:
        kinds.append(str(error))
    print(f"converse {text}: {kinds}")
    return kinds

assert "ContentBlockStart must have one and only one member set" in converse("text")[-1]
assert converse("call")[-1] == "metadata"
body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                   "messages": [{"role": "user", "content": "text"}]})
events = list(client.invoke_model_with_response_stream(modelId="anthropic.m", body=body)["body"])
print(f"invoke: {events}")
assert events and all(event == {"chunk": {}} for event in events)
PYTHON

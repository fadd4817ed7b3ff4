#!/usr/bin/env bash
# AG-UI (npm @ag-ui/client 1.0.0): a message of the role `tool` has a field `error`, but the event that makes one can't
# fill it. `error` in TOOL_CALL_RESULT is removed with a warning ("Removed unrecognised material at '/error' on
# TOOL_CALL_RESULT"), so that a client sees a failed call as one that succeeded with odd words. The same message in a
# MESSAGES_SNAPSHOT keeps its `error`. A server that wants clients to tell a failure apart has to send a snapshot.
# Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
echo '{"type":"module","private":true}' > "$place/package.json"
npm install --silent --no-audit --no-fund --prefix "$place" @ag-ui/client@1.0.0 > /dev/null
cat > "$place/run.mjs" <<'NODE'
import assert from "node:assert";
import { createServer } from "node:http";
import { HttpAgent } from "@ag-ui/client";

const call = { id: "c1", type: "function", function: { name: "ls", arguments: "{}" } };
const failed = { messageId: "r1", toolCallId: "c1", content: "no such folder", role: "tool", error: "no such folder" };
const snapshot = [
  { id: "u1", role: "user", content: "go" },
  { id: "a1", role: "assistant", toolCalls: [call] },
  { id: "r1", role: "tool", toolCallId: "c1", content: "no such folder", error: "no such folder" },
];
const start = { type: "RUN_STARTED", threadId: "t", runId: "r" };
const finish = { type: "RUN_FINISHED", threadId: "t", runId: "r" };
const runs = {
  "/result": [
    start,
    { type: "TOOL_CALL_START", toolCallId: "c1", toolCallName: "ls", parentMessageId: "a1" },
    { type: "TOOL_CALL_ARGS", toolCallId: "c1", delta: "{}" },
    { type: "TOOL_CALL_END", toolCallId: "c1" },
    { type: "TOOL_CALL_RESULT", ...failed },
    finish,
  ],
  "/snapshot": [start, { type: "MESSAGES_SNAPSHOT", messages: snapshot }, finish],
};
const server = createServer((request, response) => {
  response.setHeader("content-type", "text/event-stream");
  response.end(runs[request.url].map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const warnings = [];
console.warn = (...words) => warnings.push(words.join(" "));
const result = async (path) => {
  const agent = new HttpAgent({ url: `http://127.0.0.1:${server.address().port}${path}` });
  agent.messages = [{ id: "u1", role: "user", content: "go" }];
  await agent.runAgent({ runId: "r" });
  return agent.messages.find((message) => message.role === "tool");
};
const [streamed, whole] = [await result("/result"), await result("/snapshot")];
server.close();
console.log("by TOOL_CALL_RESULT:", JSON.stringify(streamed));
console.log("by MESSAGES_SNAPSHOT:", JSON.stringify(whole));
console.log("warnings:", JSON.stringify(warnings));
assert.equal(streamed.content, "no such folder");
assert.ok(!("error" in streamed), "the event's error is kept now");
assert.equal(whole.error, "no such folder");
assert.ok(warnings.some((line) => line.includes("/error") && line.includes("TOOL_CALL_RESULT")));
NODE
cd "$place" && node run.mjs

// CopilotKit without a page: its core asks its runtime, which has the server as its agent; a tool is the front end's.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { HttpAgent } from "@ag-ui/client";
import { CopilotKitCore } from "@copilotkit/core";
import { CopilotRuntime } from "@copilotkit/runtime/v2";
import { createCopilotNodeListener } from "@copilotkit/runtime/v2/node";
import { z } from "zod";

// The error of a broken stream comes a second time, where nobody can catch it.
process.on("unhandledRejection", () => {});
// The core asks a runtime only where there is a page.
globalThis.window = {};
const prompts = JSON.parse(process.env.PROMPTS);
const say = (step, text, failed = "") => console.log(JSON.stringify({ step, text, failed }));

const remote = new HttpAgent({ url: `${process.env.SERVED_URL}/agui` });
const runtime = new CopilotRuntime({ agents: { default: remote } });
const server = createServer(createCopilotNodeListener({ runtime, basePath: "/api/copilotkit" }));
await new Promise((done) => server.listen(0, "127.0.0.1", done));

let failed = "";
const core = new CopilotKitCore({ runtimeUrl: `http://127.0.0.1:${server.address().port}/api/copilotkit` });
const connected = new Promise((done) => {
  core.subscribe({
    onRuntimeConnectionStatusChanged: ({ status }) => status === "connected" && done(),
    onError: ({ error }) => {
      failed = String(error);
    },
  });
});
core.addTool({
  name: "read_notes",
  description: "Reads a file of notes",
  parameters: z.object({ path: z.string() }),
  handler: async ({ path }) => readFileSync(path, "utf8"),
});
await connected;
const agent = core.getAgent("default");
agent.threadId = "thread-1";

for (const step of ["tool", "slow", "again"]) {
  agent.addMessage({ id: `user-${step}`, role: "user", content: prompts[step] });
  const known = agent.messages.length;
  failed = "";
  try {
    await core.runAgent({ agent });
  } catch (error) {
    failed = String(error);
  }
  const shown = agent.messages.slice(known).filter((message) => message.role === "assistant");
  say(step, shown.map((message) => message.content ?? "").join("\n"), failed);
}
process.exit(0);

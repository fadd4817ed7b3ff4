// An editor by the official package: it starts the agent, goes away in the middle of an answer, and loads the session.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import * as acp from "@agentclientprotocol/sdk";

const prompts = JSON.parse(process.env.PROMPTS);
const [program, ...options] = JSON.parse(process.env.AGENT);
const env = JSON.parse(process.env.AGENT_ENVIRONMENT);
const cwd = process.cwd();
const say = (step, text, failed = "") => console.log(JSON.stringify({ step, text, failed }));
let text = "";
let middle = () => {};

const editor = acp
  .client({ name: "editor" })
  .onRequest(acp.methods.client.session.requestPermission, ({ params }) => {
    const once = params.options.find((option) => option.kind === "allow_once");
    return { outcome: { outcome: "selected", optionId: once.optionId } };
  })
  .onNotification(acp.methods.client.session.update, ({ params: { update } }) => {
    if (update.sessionUpdate === "agent_message_chunk") text += update.content.text;
    if (text.includes("w20 ")) middle();
  });

async function withAgent(work) {
  const agent = spawn(program, options, { env, stdio: ["pipe", "pipe", "ignore"] });
  const stream = acp.ndJsonStream(Writable.toWeb(agent.stdin), Readable.toWeb(agent.stdout));
  const ended = once(agent, "exit");
  const result = await editor.connectWith(stream, async (context) => {
    const clientCapabilities = {};
    await context.request(acp.methods.agent.initialize, { protocolVersion: acp.PROTOCOL_VERSION, clientCapabilities });
    return work(context);
  });
  agent.stdin.destroy();
  await ended;
  return result;
}

function prompt(context, sessionId, step) {
  text = "";
  return context.request(acp.methods.agent.session.prompt, {
    sessionId,
    prompt: [{ type: "text", text: prompts[step] }],
  });
}

const sessionId = await withAgent(async (context) => {
  const { sessionId } = await context.request(acp.methods.agent.session.new, { cwd, mcpServers: [] });
  await prompt(context, sessionId, "tool");
  say("tool", text);
  const reached = new Promise((done) => (middle = done));
  prompt(context, sessionId, "slow").catch(() => {});
  await reached;
  return sessionId;
});
say("slow", text, "the editor went away");
middle = () => {};
await withAgent(async (context) => {
  text = "";
  await context.request(acp.methods.agent.session.load, { sessionId, cwd, mcpServers: [] });
  say("loaded", text);
  await prompt(context, sessionId, "again");
  say("again", text);
});

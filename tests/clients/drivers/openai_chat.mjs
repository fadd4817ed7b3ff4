// The official client's own loop over a tool, streaming.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const prompts = JSON.parse(process.env.PROMPTS);
const model = process.env.MODEL;
const client = new OpenAI({ baseURL: `${process.env.SERVED_URL}/v1`, apiKey: "none" });
const say = (step, text, failed = "") => console.log(JSON.stringify({ step, text, failed }));
const tool = {
  type: "function",
  function: {
    name: "read_notes",
    description: "Reads a file of notes",
    parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
    parse: JSON.parse,
    function: ({ path }) => readFileSync(path, "utf8"),
  },
};
let messages = [];

for (const step of ["tool", "slow", "again"]) {
  messages.push({ role: "user", content: prompts[step] });
  const runner = client.chat.completions.runTools({ model, messages, tools: [tool], stream: true });
  let shown = "";
  runner.on("content", (piece) => {
    shown += piece;
  });
  let broke = "";
  try {
    await runner.done();
    messages = runner.messages;
  } catch (error) {
    broke = String(error);
    messages.push({ role: "assistant", content: shown });
  }
  say(step, shown, broke);
}

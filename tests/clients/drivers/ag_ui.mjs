// An `HttpAgent`, which keeps the conversation itself.
import { HttpAgent } from "@ag-ui/client";

// The error that `runAgent` throws for a broken stream comes a second time, where nobody can catch it.
process.on("unhandledRejection", () => {});
const prompts = JSON.parse(process.env.PROMPTS);
const say = (step, text, failed = "") => console.log(JSON.stringify({ step, text, failed }));
const agent = new HttpAgent({ url: `${process.env.SERVED_URL}/agui`, threadId: "thread-1" });

for (const step of ["tool", "slow", "again"]) {
  agent.addMessage({ id: `user-${step}`, role: "user", content: prompts[step] });
  const known = agent.messages.length;
  let broke = "";
  try {
    await agent.runAgent({ runId: `run-${step}` });
  } catch (error) {
    broke = String(error);
  }
  const shown = agent.messages.slice(known).filter((message) => message.role === "assistant");
  say(step, shown.map((message) => message.content ?? "").join("\n"), broke);
}

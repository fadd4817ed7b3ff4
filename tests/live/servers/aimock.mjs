// aimock with the cases of the scripted model, and a journal of what it was asked, what it said, and who hung up.
import { appendFileSync } from "node:fs";
import { randomBytes, randomInt } from "node:crypto";
import { Server } from "node:http";
import { LLMock } from "@copilotkit/aimock";

let number = 0;
const write = (line) => appendFileSync(process.env.JOURNAL, `${JSON.stringify(line)}\n`);

// A response that closes before it was finished was closed by the client, but where the mock itself breaks off.
const emit = Server.prototype.emit;
Server.prototype.emit = function (name, request, response) {
  if (name === "request" && request.method === "POST") {
    response.on("close", () => write({ number, closed: response.writableFinished ? "whole" : "cut" }));
  }
  return emit.call(this, name, request, response);
};

const textOf = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("\n");

function said(request, name, response) {
  number += 1;
  const [input, output] = [randomInt(100, 400), randomInt(10, 60)];
  const history = request.messages.map((message) => [message.role, textOf(message.content)]);
  const [text, called] = [response.content ?? "", response.toolCalls?.[0]];
  write({ number, case: name, history, text, called, usage: { input, output } });
  return {
    ...response,
    usage: {
      prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
      input_tokens: input, output_tokens: output,
      promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output,
    },
  };
}

const code = () => randomBytes(4).toString("hex");
const last = (word) => (request) => {
  const prompts = request.messages.filter((one) => one.role === "user").map((one) => textOf(one.content));
  return prompts.join("\n").match(/live-\w+/g)?.at(-1) === `live-${word}`;
};
const since = (request) => request.messages.slice(request.messages.findLastIndex((one) => one.role === "user"));
const answered = (request) => since(request).some((one) => one.role === "tool");
const hello = () => `Hello from the *scripted* model, ${code()}. Grüße ✓\n\n- one\n- two`;

const mock = new LLMock({ port: Number(process.env.PORT), host: "127.0.0.1", chunkSize: 12, logLevel: "silent" });
for (const name of ["text", "again"]) {
  mock.on({ predicate: last(name) }, (request) => said(request, name, { content: hello() }));
}
const asks = last("tool");
mock.on({ predicate: (request) => asks(request) && answered(request) }, (request) =>
  said(request, "tool", { content: `It is **12** degrees in Paris, ${code()}. Grüße ✓` }));
mock.on({ predicate: (request) => asks(request) && !answered(request) }, (request) =>
  said(request, "tool", {
    content: `Let me look, ${code()}.`,
    toolCalls: [{ name: "read_file", arguments: JSON.stringify({ path: "notes.txt" }) }],
  }));
const broken = `Half an answer ${"word ".repeat(40)}`;
mock.on({ predicate: last("boom") }, (request) => said(request, "boom", { content: broken }), {
  truncateAfterChunks: 6,
  latency: 20,
});
const counted = Array.from({ length: 600 }, (_, index) => `w${index} `).join("");
mock.on({ predicate: last("slow") }, (request) => said(request, "slow", { content: counted }), {
  latency: 50,
  chunkSize: 5,
});
await mock.start();

// A chat route as the AI SDK's documentation has it: streamText, a tool, and the usage as metadata of the message.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { convertToModelMessages, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "scripted",
  baseURL: `${process.env.MODEL_URL}/v1`,
  apiKey: "none",
  includeUsage: true,
});

const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, code: `code-${randomBytes(4).toString("hex")}` }),
});

async function chat(request, response) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const { messages } = JSON.parse(Buffer.concat(pieces).toString());
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const result = streamText({
    model: provider("scripted"),
    messages: await convertToModelMessages(messages),
    tools: { weather },
    stopWhen: stepCountIs(4),
    abortSignal: gone.signal,
    maxRetries: 0,
    onError: () => {},
  });
  result.pipeUIMessageStreamToResponse(response, {
    onError: (error) => String(error?.message ?? error),
    messageMetadata: ({ part }) => (part.type === "finish" ? { usage: part.totalUsage } : undefined),
  });
}

createServer((request, response) => {
  if (request.method !== "POST" || request.url !== "/api/chat") return response.writeHead(404).end();
  chat(request, response).catch((error) => {
    if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
    response.end(String(error));
  });
}).listen(Number(process.env.PORT), "127.0.0.1");

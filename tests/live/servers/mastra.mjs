// An agent of Mastra behind its own HTTP routes.
import { randomBytes } from "node:crypto";
import { serve } from "@hono/node-server";
import { Agent } from "@mastra/core/agent";
import { Mastra } from "@mastra/core/mastra";
import { createTool } from "@mastra/core/tools";
import { MastraServer } from "@mastra/hono";
import { Hono } from "hono";
import { z } from "zod";

const weather = createTool({
  id: "weather",
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, code: `code-${randomBytes(4).toString("hex")}` }),
});

const scripted = new Agent({
  id: "scripted",
  name: "scripted",
  instructions: "Answer.",
  model: { id: "scripted/scripted", url: `${process.env.MODEL_URL}/v1`, apiKey: "none" },
  tools: { weather },
  maxRetries: 0,
});

const app = new Hono();
const server = new MastraServer({ app, mastra: new Mastra({ agents: { scripted }, logger: false }) });
await server.init();
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });

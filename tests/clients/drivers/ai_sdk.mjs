// The transport that `useChat` has, and its resume.
import { DefaultChatTransport, readUIMessageStream } from "ai";

const prompts = JSON.parse(process.env.PROMPTS);
const transport = new DefaultChatTransport({ api: `${process.env.SERVED_URL}/api/chat` });
const say = (step, text, failed = "") => console.log(JSON.stringify({ step, text, failed }));
const messages = [];
const chatId = "chat-1";

async function read(stream) {
  let message, broke = "";
  try {
    for await (const one of readUIMessageStream({ stream, terminateOnError: true })) message = one;
  } catch (error) {
    broke = String(error);
  }
  const text = (message?.parts ?? []).filter((part) => part.type === "text").map((part) => part.text).join("\n");
  return { message, text, broke };
}

for (const step of ["tool", "slow", "again"]) {
  messages.push({ id: `user-${step}`, role: "user", parts: [{ type: "text", text: prompts[step] }] });
  const sent = { chatId, messages, trigger: "submit-message", messageId: undefined, abortSignal: undefined };
  let answer = await read(await transport.sendMessages(sent));
  say(step, answer.text, answer.broke);
  if (answer.broke) {
    const stream = await transport.reconnectToStream({ chatId });
    if (stream) {
      answer = await read(stream);
      say("rest", answer.text, answer.broke);
    }
  }
  if (answer.message) messages.push(answer.message);
}

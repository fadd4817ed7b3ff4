// An agent program that speaks ACP over its standard streams, served by the official SDK over HTTP and WebSocket: one
// program for each connection.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { Readable, Writable } from "node:stream";
import { ndJsonStream } from "@agentclientprotocol/sdk";
import { createNodeHttpHandler, createNodeWebSocketUpgradeHandler } from "@agentclientprotocol/sdk/experimental/node";
import { AcpServer } from "@agentclientprotocol/sdk/experimental/server";
import { WebSocketServer } from "ws";

const command = JSON.parse(process.env.AGENT);
const token = process.env.TOKEN ? `Bearer ${process.env.TOKEN}` : undefined;

function connect(stream) {
  const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const program = ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout));
  const ended = new AbortController();
  const end = () => {
    ended.abort();
    try {
      process.kill(-child.pid);
    } catch {}
  };
  void stream.readable.pipeTo(program.writable).then(end, end);
  void program.readable.pipeTo(stream.writable).then(end, end);
  return { signal: ended.signal, closed: new Promise((done) => ended.signal.addEventListener("abort", done)), close: end };
}

const server = new AcpServer({ createAgent: () => ({ connect }) });
const handle = createNodeHttpHandler(server);
const upgrade = createNodeWebSocketUpgradeHandler(server, new WebSocketServer({ noServer: true }));
const isOurs = (request) => new URL(request.url, "http://h").pathname === "/acp";
const isAllowed = (request) => token === undefined || request.headers.authorization === token;

createServer((request, response) => {
  if (isOurs(request) && isAllowed(request)) return handle(request, response);
  response.writeHead(isOurs(request) ? 401 : 404).end();
})
  .on("upgrade", (request, socket, head) => {
    if (isOurs(request) && isAllowed(request)) return upgrade(request, socket, head);
    socket.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
  })
  .listen(Number(process.env.PORT), "127.0.0.1");

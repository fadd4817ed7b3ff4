// The public conformance suite of Durable Streams, npm @durable-streams/server-conformance-tests, against the streams of
// jarvis-tui's sessions. Our side is read-only: what the suite writes becomes a prompt of a session, and of what it reads
// the prompts are put back. Everything else that it sees (offsets, headers, statuses, live modes) is the server's own.
//
//   npm install --prefix DIR @durable-streams/server-conformance-tests@0.3.7
//   node tests/clients/durable_streams.mjs target/debug/jarvis-tui DIR [NAME OF TESTS]
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import http from "node:http"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

// Groups of the suite that are about reading; the others are about writers, forks and lives of streams.
const READING = [
  "Read Operations", "Long-Poll Operations", "Browser Security Headers", "HEAD Metadata(?!.*TTL)",
  "Offset Validation and Resumability", "Long-Poll Edge Cases", "Caching and ETag", "Chunking and Large Payloads",
  "Read-Your-Writes Consistency", "SSE Mode", "Byte-Exactness Property", "Immutability Properties",
  "Offset Validation Properties",
]

const [binary, suite, only] = process.argv.slice(2)
const home = mkdtempSync(join(tmpdir(), "durable-"))

const listen = (handler) =>
  new Promise((done) => {
    const server = http.createServer(handler).listen(0, "127.0.0.1", () => done(`http://127.0.0.1:${server.address().port}`))
  })
const bodyOf = async (stream) => {
  const pieces = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

// A model that has nothing to say.
const model = await listen(async (request, response) => {
  await bodyOf(request)
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.end('data: {"choices":[{"index":0,"delta":{"content":"."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
})
const server = spawn(resolve(binary), ["serve", "--port", "0", "-m", "openai/mock", "--allow-origin", "https://example.com"], {
  cwd: home, stdio: ["ignore", "pipe", "inherit"],
  env: { PATH: process.env.PATH, JARVIS_TUI_HOME: home, OPENAI_BASE_URL: `${model}/v1`, OPENAI_API_KEY: "x" },
})
const url = await new Promise((done) => server.stdout.once("data", (text) => done(String(text).trim().split(" ").pop())))

const streams = new Map()
const isJson = (stream) => stream.type.split(";")[0].trim().toLowerCase() === "application/json"
const isText = (stream) => isJson(stream) || stream.type.startsWith("text/")

// The messages among the events of a session.
const messages = (events) =>
  events.filter(({ event }) => event.type === "user_message").map(({ event }) => Buffer.from(event.text, "base64"))
const joined = (stream, list) =>
  isJson(stream) ? Buffer.from(`[${list.map(String).join(",")}]`) : Buffer.concat(list)

async function write(stream, body) {
  let list = [body]
  if (isJson(stream)) {
    const value = JSON.parse(body)
    list = (Array.isArray(value) ? value : [value]).map((one) => Buffer.from(JSON.stringify(one)))
  }
  for (const one of list) {
    const text = one.toString("base64")
    const sent = await fetch(`${url}/v1/sessions/${stream.session}/commands`, { method: "POST", body: JSON.stringify({ type: "prompt", text }) })
    if (sent.status !== 202) return sent.status
    for (let over = false; !over; ) {
      const got = await fetch(`${url}/v1/sessions/${stream.session}/stream?offset=${stream.offset}&live=long-poll`)
      stream.offset = got.headers.get("stream-next-offset")
      if (got.status === 200) over = (await got.json()).some(({ event }) => event.type === "turn_finished")
    }
  }
  return 204
}

async function put(stream, path, request, response, body) {
  const type = request.headers["content-type"] ?? "application/octet-stream"
  if (stream) return response.writeHead(stream.type === type ? 200 : 409, { "content-type": type, "stream-next-offset": stream.offset }).end()
  const { id } = await (await fetch(`${url}/v1/sessions`, { method: "POST", body: "{}" })).json()
  const head = await fetch(`${url}/v1/sessions/${id}/stream`, { method: "HEAD" })
  const made = { session: id, type, offset: head.headers.get("stream-next-offset"), writing: Promise.resolve() }
  if (body.length > 0) await write(made, body)
  streams.set(path, made)
  response.writeHead(201, { "content-type": type, "stream-next-offset": made.offset, location: `http://${request.headers.host}${path}`, "x-content-type-options": "nosniff" }).end()
}

async function post(stream, request, response, body) {
  // The prompts that stand for messages have a limit.
  const status = !stream ? 404 : body.length > 700_000 ? 413 : body.length === 0 || !request.headers["content-type"] ? 400 : stream.type !== request.headers["content-type"] ? 409 : 0
  if (status) return response.writeHead(status).end()
  const written = (stream.writing = stream.writing.then(() => write(stream, body)))
  response.writeHead(await written, { "stream-next-offset": stream.offset, "x-content-type-options": "nosniff" }).end()
}

// Passes a read on, and puts the messages in the place of events.
async function read(stream, request, response, query) {
  const headers = Object.fromEntries(["if-none-match", "origin", "accept", "access-control-request-method", "access-control-request-headers"].filter((name) => request.headers[name]).map((name) => [name, request.headers[name]]))
  const gone = new AbortController()
  response.on("close", () => gone.abort())
  let path = `/v1/sessions/${stream?.session ?? "nobody"}/stream${query}`
  for (const until = Date.now() + 20_000; ; ) {
    const got = await fetch(url + path, { method: request.method, headers, signal: gone.signal })
    const passed = Object.fromEntries([...got.headers].filter(([name]) => !["content-length", "transfer-encoding", "connection", "date", "keep-alive"].includes(name)))
    if (!stream || got.status >= 300 || request.method !== "GET" || got.status === 204) {
      if (stream && passed["content-type"] === "application/json" && got.status < 300) passed["content-type"] = stream.type
      return response.writeHead(got.status, passed).end(Buffer.from(await got.arrayBuffer()))
    }
    if (passed["content-type"] === "text/event-stream") return follow(stream, got, passed, response)
    const list = messages(await got.json())
    if (list.length === 0 && query.includes("live=long-poll")) {
      // Events of a turn that are no messages.
      if (Date.now() < until) {
        path = `/v1/sessions/${stream.session}/stream?offset=${passed["stream-next-offset"]}&live=long-poll`
        continue
      }
      return response.writeHead(204, passed).end()
    }
    passed["content-type"] = stream.type
    return response.writeHead(200, passed).end(joined(stream, list))
  }
}

async function follow(stream, got, passed, response) {
  if (!isText(stream)) passed["stream-sse-data-encoding"] = "base64"
  response.writeHead(200, passed)
  let [text, hasTold, hasData] = ["", false, false]
  for await (const piece of got.body) {
    text += Buffer.from(piece)
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const frame = text.slice(0, end)
      const data = frame.split("\n").find((line) => line.startsWith("data:"))?.slice(5)
      if (frame.startsWith("event: data")) {
        const list = messages(JSON.parse(data))
        if (list.length === 0) continue
        hasData = true
        const whole = joined(stream, list)
        const lines = isText(stream) ? String(whole).split(/\r\n|\r|\n/) : [whole.toString("base64")]
        response.write(`event: data\n${lines.map((line) => `data:${line}`).join("\n")}\n\n`)
      } else if (frame.startsWith("event: control") && (hasData || !hasTold)) {
        ;[hasTold, hasData] = [true, false]
        response.write(frame + "\n\n")
      }
    }
  }
  response.end()
}

const shim = await listen(async (request, response) => {
  const at = request.url.indexOf("?")
  const [path, query] = at < 0 ? [request.url, ""] : [request.url.slice(0, at), request.url.slice(at)]
  const stream = streams.get(path)
  try {
    const body = await bodyOf(request)
    if (request.method === "PUT") await put(stream, path, request, response, body)
    else if (request.method === "POST") await post(stream, request, response, body)
    else if (request.method === "DELETE") response.writeHead(streams.delete(path) ? 204 : 404).end()
    else await read(stream, request, response, query)
  } catch (error) {
    if (error.name !== "AbortError") console.error(request.method, request.url, error)
    if (!response.headersSent) response.writeHead(500)
    response.end()
  }
})

const test = join(suite, "conformance.test.mjs")
writeFileSync(test, `import { runConformanceTests } from "@durable-streams/server-conformance-tests"
runConformanceTests({ baseUrl: "${shim}" })
`)
const report = join(home, "report.json")
const wanted = only ?? `(${READING.join("|")})`
const run = spawn("npx", ["vitest", "run", "--root", suite, "--reporter=json", `--outputFile=${report}`, "--testTimeout=60000", "-t", wanted, test], { cwd: suite, stdio: ["ignore", "inherit", "inherit"] })
await new Promise((done) => run.once("exit", done))
server.kill()
const counts = {}
for (const { assertionResults } of JSON.parse(readFileSync(report)).testResults) {
  for (const { ancestorTitles, title, status, failureMessages } of assertionResults) {
    if (status !== "passed" && status !== "failed") continue
    const group = ancestorTitles.at(-1)
    counts[group] ??= { passed: 0, failed: 0 }
    counts[group][status] += 1
    if (status === "failed") console.log(`failed: ${group}: ${title}: ${failureMessages[0]?.split("\n")[0]}`)
  }
}
console.table(counts)
const sum = (what) => Object.values(counts).reduce((all, one) => all + one[what], 0)
console.log(`passed ${sum("passed")}, failed ${sum("failed")}`)
process.exit(sum("failed") === 0 && sum("passed") > 0 ? 0 : 1)

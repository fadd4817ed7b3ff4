// Requests to the server that this page came from, and its events.

/** How long nothing may come: the server sends a sign of life every 10 s. */
const SILENCE_MS = 30_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** What the server said in place of an answer. */
export class Refused extends Error {
  constructor(status, body, fallback) {
    super(body?.error?.message ?? fallback);
    this.status = status;
    this.code = body?.error?.code ?? "";
    this.body = body;
  }
}

const address = (path) => new URL(path, document.baseURI);

/** Asks and returns the JSON of the answer. */
export async function ask(method, path, body) {
  const response = await fetch(address(path), {
    method,
    cache: "no-store",
    redirect: "error",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // A proxy answers in its own words.
  }
  if (!response.ok) {
    throw new Refused(response.status, json, `the server answered ${response.status}`);
  }
  return json;
}

export const sessionPath = (id) => `v1/sessions/${encodeURIComponent(id)}`;

/**
 * Follows a session's events from its first, across lost connections: each connection goes on behind the last number.
 * Calls `on.event(envelope)`, `on.control(name, data)`, `on.link(state)` and, where going on is no use, `on.refused`.
 * Returns a function that stops.
 */
export function follow(id, on) {
  let last = 0;
  let stopped = false;
  let current = null;
  let wake = () => {};
  let pause = FIRST_PAUSE_MS;

  const take = (frame) => {
    if (frame.id === null) {
      if (frame.name === "reset") {
        last = 0;
      }
      on.control(frame.name, frame.data);
      return;
    }
    // A number that was seen already is not shown twice.
    if (frame.id > last) {
      last = frame.id;
      on.event(JSON.parse(frame.data));
    }
  };

  const connect = async () => {
    current = new AbortController();
    const silent = () => current.abort();
    let watchdog = setTimeout(silent, SILENCE_MS);
    try {
      const response = await fetch(address(`${sessionPath(id)}/events`), {
        cache: "no-store",
        redirect: "error",
        headers: last > 0 ? { "last-event-id": String(last) } : {},
        signal: current.signal,
      });
      if (response.status === 204) {
        return "ended";
      }
      if (!response.ok) {
        const body = await response.json().catch(() => null);
        throw new Refused(response.status, body, `the server answered ${response.status}`);
      }
      on.link("live");
      pause = FIRST_PAUSE_MS;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = frames(take);
      for (;;) {
        const { done, value } = await reader.read();
        if (stopped || done) {
          return "cut";
        }
        clearTimeout(watchdog);
        watchdog = setTimeout(silent, SILENCE_MS);
        parse(value);
      }
    } finally {
      clearTimeout(watchdog);
    }
  };

  const run = async () => {
    on.link("connecting");
    while (!stopped) {
      try {
        if ((await connect()) === "ended") {
          on.link("ended");
          return;
        }
      } catch (error) {
        if (error instanceof Refused && error.status < 500 && error.status !== 429 && error.status !== 408) {
          if (!stopped) {
            on.refused(error);
          }
          return;
        }
      }
      if (stopped) {
        return;
      }
      on.link("lost");
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause * (0.75 + Math.random() / 2));
      });
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  };

  // A phone that was put away, or a network that came back.
  const hurry = () => {
    if (document.visibilityState === "visible") {
      pause = FIRST_PAUSE_MS;
      wake();
    }
  };
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  run();
  return () => {
    stopped = true;
    window.removeEventListener("online", hurry);
    document.removeEventListener("visibilitychange", hurry);
    current?.abort();
    wake();
  };
}

/** Cuts a stream of server-sent events into frames. */
export function frames(take) {
  let rest = "";
  return (text) => {
    rest += text;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const frame = { name: "message", id: null, data: "" };
      let told = false;
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(":");
        const value = line.slice(colon + 1).replace(/^ /, "");
        switch (line.slice(0, colon)) {
          case "event":
            frame.name = value;
            break;
          case "id":
            frame.id = Number(value);
            break;
          case "data":
            frame.data = value;
            told = true;
            break;
        }
      }
      rest = rest.slice(end + 2);
      if (told) {
        take(frame);
      }
    }
  };
}

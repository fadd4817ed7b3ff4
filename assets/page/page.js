// The page of `serve`: sessions, one of them followed live, prompts and decisions.

import { Approvals } from "./approvals.js";
import { Refused, ask, follow, sessionPath } from "./api.js";
import { BranchChoice, Branches } from "./branches.js";
import { clean, element, visible } from "./text.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const $ = (id) => document.getElementById(id);

/** A link carries its token behind the `#`, which no server and no log ever sees; it is taken out of the address at once. */
function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token !== null) {
    fragment.delete("token");
    const rest = fragment.toString();
    history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  }
  return { token, session: fragment.get("session") };
}

const page = {
  session: null,
  stop: () => {},
  canPrompt: false,
  canDecide: false,
  canBranch: false,
  queue: [],
  sessions: [],
  title: "",
};

const timeline = new Timeline($("timeline"), {
  say: (text) => say("say", text),
  show: (node, why) => node.scrollIntoView({ block: why === "step" ? "start" : why === "seek" ? "end" : "nearest", behavior: "instant" }),
  moved: () => drawState(),
});
const transcript = new Transcript($("log"), { changed: () => drawState(), say: (text) => say("say", text) }, timeline);
const approvals = new Approvals($("asks"), decide);
const branches = new Branches();
const branchChoice = new BranchChoice($("branches"), branches, { go: goOnAfter });

/** Puts a text where screen readers notice it, also if it is the same again. */
function say(where, text) {
  $(where).textContent = "";
  setTimeout(() => ($(where).textContent = clean(text)), 50);
}

function problem(text) {
  $("problem").textContent = text ? clean(text) : "";
}

/** Shows what went wrong; without access it asks for the token again. */
function failed(error) {
  if (error instanceof Refused && error.status === 401) {
    showLogin("");
  } else {
    problem(error instanceof Refused ? error.message : "The server can't be reached.");
  }
}

// Signing in

function showLogin(why) {
  page.stop();
  page.stop = () => {};
  page.session = null;
  $("app").hidden = true;
  $("login").hidden = false;
  $("login-problem").textContent = clean(why);
  $("token").value = "";
  $("token").focus();
}

async function signIn(token) {
  await ask("POST", "v1/login", { token });
  $("sign-out").hidden = false;
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await signIn($("token").value.trim());
    await begin(takeFragment().session);
  } catch (error) {
    showLogin(error instanceof Refused ? error.message : "The server can't be reached.");
  }
});

$("sign-out").addEventListener("click", async () => {
  await ask("DELETE", "v1/login").catch(() => {});
  showLogin("You are signed out.");
});

// Sessions

async function loadSessions() {
  try {
    const { sessions, access } = await ask("GET", "v1/sessions");
    page.sessions = sessions;
    $("new").hidden = access === "read";
    $("list-problem").textContent = "";
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      throw error;
    }
    $("list-problem").textContent = "The list can't be had just now.";
  }
  drawSessions();
}

function drawSessions() {
  const rows = page.sessions.map((session) => {
    const title = session.title || (session.id === page.session ? currentTitle() : "") || "New session";
    const model = [session.engine, session.model].filter(Boolean).join("/");
    const waits = session.asks?.length > 0;
    const state = waits ? "waits for a decision" : session.busy ? "working" : session.running ? "open" : "";
    const link = element(
      "a",
      "",
      element("span", "name", clean(title)),
      element("span", `more${waits ? " waits" : ""}`, [state, clean(model), when(session.modified)].filter(Boolean).join(" · ")),
    );
    link.href = `#${new URLSearchParams({ session: session.id })}`;
    if (session.id === page.session) {
      link.setAttribute("aria-current", "true");
    }
    return element("li", "", link);
  });
  $("list").replaceChildren(...rows);
}

function when(ms) {
  if (!ms) {
    return "";
  }
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : date.toLocaleDateString();
}

function toggleList(open) {
  $("sessions").toggleAttribute("data-open", open);
  $("toggle").setAttribute("aria-expanded", String(open));
  if (open) {
    loadSessions().catch(failed);
  }
}

$("toggle").addEventListener("click", () => toggleList(!$("sessions").hasAttribute("data-open")));
$("new").addEventListener("click", async () => {
  try {
    const { id } = await ask("POST", "v1/sessions", {});
    location.hash = new URLSearchParams({ session: id });
    await loadSessions();
  } catch (error) {
    $("list-problem").textContent = error instanceof Refused ? clean(error.message) : "The server can't be reached.";
  }
});

window.addEventListener("hashchange", () => {
  const { token, session } = takeFragment();
  if (token !== null) {
    signIn(token).then(() => begin(session), (error) => showLogin(error.message));
  } else if (session && session !== page.session) {
    open(session);
  }
});

function open(id) {
  page.stop();
  page.session = id;
  page.queue = [];
  page.canPrompt = page.canDecide = page.canBranch = false;
  transcript.clear();
  branches.clear();
  transcript.firstPrompt = undefined;
  problem("");
  toggleList(false);
  drawSessions();
  const current = () => page.session === id;
  page.stop = follow(id, {
    event: (envelope) => {
      branches.observe(envelope);
      transcript.apply(envelope);
    },
    control: (name, data) => control(name, data, id),
    link: (state) => current() && drawLink(state),
    refused: (error) => current() && (drawLink("refused"), failed(error)),
  });
}

async function control(name, data, id) {
  if (name === "reset") {
    transcript.clear();
    branches.clear();
  } else if (name === "weather") {
    const status = JSON.parse(data);
    page.queue = status.queue ?? [];
    drawLink("live", status);
    drawState();
  } else if (name === "caught-up") {
    transcript.isCaughtUp = true;
    try {
      const about = await ask("GET", sessionPath(id));
      if (page.session !== id) {
        return;
      }
      const may = about.access === "full";
      page.canPrompt = may && about.caps?.prompt === true;
      page.canDecide = may && about.caps?.decide === true;
      page.canBranch = may && about.caps?.branch === true;
    } catch (error) {
      failed(error);
    }
    transcript.redraw();
    // A person with a keyboard wants to write; on a touch screen the keyboard would cover what is there.
    if (page.canPrompt && !isTouch() && document.activeElement === document.body) {
      $("compose").hidden = false;
      prompt.focus();
    }
  }
}

// What is true just now

function currentTitle() {
  return transcript.title || transcript.firstPrompt || "";
}

const LINKS = { connecting: "Connecting …", lost: "Connection lost, trying again …", ended: "Ended", refused: "Not available" };

function drawLink(state, status) {
  let text = LINKS[state] ?? "";
  const link = status?.link;
  if (state === "live" && link) {
    const name = typeof link === "string" ? link : Object.keys(link)[0];
    text = { connecting: "Asking …", waiting: "Waiting for the model", loading: "The model is being loaded", silent: "The model is silent", unproductive: "The model is silent", retrying: "Trying the model again", lost: "The model can't be reached" }[name] ?? "";
  }
  if (status?.not_saved) {
    text = `Not saved: ${status.not_saved}`;
  }
  if ($("link").textContent !== clean(text)) {
    $("link").textContent = clean(text);
  }
  $("link").dataset.state = state === "lost" || status?.not_saved ? "lost" : "";
}

function drawState() {
  if (!page.session) {
    return;
  }
  const title = currentTitle().split("\n")[0];
  if (page.title !== title) {
    page.title = title;
    drawSessions();
  }
  $("title").textContent = clean(title) || "New session";
  const info = transcript.info;
  $("about").textContent = info ? clean([info.model ? `${info.engine}/${info.model}` : info.engine, info.mode, info.folder].join(" · ")) : "";
  const waits = transcript.asks.size;
  document.title = `${waits > 0 ? "(!) " : ""}${clean(title) || "jarvis-tui"}`;
  const fresh = approvals.show(transcript.asks, page.canDecide);
  if (fresh && transcript.isCaughtUp) {
    say("alarm", `Decide: allow ${visible(fresh.tool)}, ${visible(fresh.subject)}?`);
  }
  branchChoice.draw(page.canBranch && transcript.turn === null && transcript.isCaughtUp);
  $("stop").hidden = !(transcript.turn !== null && page.canPrompt);
  $("compose").hidden = !page.canPrompt;
  $("watching").hidden = page.canPrompt || !transcript.isCaughtUp;
  $("latest").hidden = transcript.isAtEnd && timeline.isAtEnd;
  $("empty").hidden = $("log").childElementCount > 0 || !transcript.isCaughtUp;
  $("queue").hidden = page.queue.length === 0;
  $("queue").replaceChildren(
    element("p", "", `Queued (${page.queue.length})`),
    element("ol", "", ...page.queue.map(({ text }) => element("li", "", clean(text)))),
  );
}

$("latest").addEventListener("click", () => {
  timeline.pause();
  timeline.seek(Infinity);
  transcript.scrollToEnd();
});

/** Without its controls the timeline is at the end, where a session is live. */
$("show-timeline").addEventListener("click", () => {
  const isShown = $("timeline-place").hidden;
  $("timeline-place").hidden = !isShown;
  $("show-timeline").setAttribute("aria-expanded", String(isShown));
  if (!isShown) {
    timeline.pause();
    timeline.seek(Infinity);
  }
});

// Prompts and decisions

async function command(body) {
  try {
    await ask("POST", `${sessionPath(page.session)}/commands`, body);
    problem("");
    return true;
  } catch (error) {
    // Somebody else was first; the event that says so follows.
    if (error instanceof Refused && error.code === "decided") {
      return true;
    }
    failed(error);
    return false;
  }
}

function decide(call, decision) {
  return command({ type: "decide", call, decision });
}

/** Shows another branch; what comes next goes on there. */
async function goOnAfter(after) {
  if (await command({ type: "branch", after })) {
    transcript.scrollToEnd();
  }
}

const prompt = $("prompt");

function isTouch() {
  return window.matchMedia("(pointer: coarse)").matches;
}

function fit() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight + 2}px`;
}

async function send() {
  const text = prompt.value;
  if (text.trim() === "" || $("send").disabled) {
    return;
  }
  $("send").disabled = true;
  if (await command({ type: "prompt", text })) {
    prompt.value = "";
    fit();
    transcript.scrollToEnd();
  }
  $("send").disabled = false;
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
prompt.addEventListener("input", fit);
prompt.addEventListener("keydown", (event) => {
  // On a phone Enter makes a line, and while an input method composes it belongs to that.
  if (event.key === "Enter" && !event.isComposing && (event.ctrlKey || event.metaKey || (!event.shiftKey && !isTouch()))) {
    event.preventDefault();
    send();
  }
});
$("stop").addEventListener("click", () => command({ type: "cancel" }));
$("skip").addEventListener("click", () => prompt.focus());
document.addEventListener("keydown", (event) => {
  if (!$("timeline-place").hidden && timeline.key(event)) {
    return;
  }
  if (event.key !== "Escape" || event.isComposing) {
    return;
  }
  if ($("sessions").hasAttribute("data-open")) {
    toggleList(false);
    $("toggle").focus();
  } else if (!$("stop").hidden) {
    command({ type: "cancel" });
  }
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && page.session) {
    loadSessions().catch(failed);
  }
});

async function begin(session) {
  await loadSessions();
  $("login").hidden = true;
  $("app").hidden = false;
  const known = session ?? page.sessions[0]?.id;
  if (known) {
    open(known);
  } else {
    toggleList(true);
  }
}

const { token, session } = takeFragment();
(async () => {
  try {
    if (token !== null) {
      await signIn(token);
    } else {
      $("sign-out").hidden = !(await ask("GET", "v1/login")).signed_in;
    }
    await begin(session);
  } catch (error) {
    if (error instanceof Refused) {
      showLogin(error.status === 401 ? "" : error.message);
    } else {
      showLogin("The server can't be reached.");
    }
  }
})();

// The transcript: numbered events in, elements out. What is changed is drawn once a frame.

import { GrowingText, clean, element } from "./text.js";

/** What of a tool's output is shown; all of it is in the log. */
const MAX_OUTPUT = 60_000;
/** How near to the end counts as there. */
const NEAR_END = 80;
/** What is read out of an answer. */
const MAX_SAID = 600;

const STATES = {
  writing: "being written",
  ready: "runs",
  asked: "waits for a decision",
  ok: "done",
  failed: "failed",
  denied: "denied",
  cancelled: "cancelled",
  requested: "requested, not run",
  unknown: "never finished",
};

export class Transcript {
  /**
   * `on.changed()` follows each change of what is asked or whether a turn runs; `on.say(text)` is read out. Each item is
   * an entry of the timeline.
   */
  constructor(root, on, timeline) {
    this.root = root;
    this.on = on;
    this.timeline = timeline;
    this.clear();
    root.addEventListener("scroll", () => this.on.changed(), { passive: true });
  }

  clear() {
    this.root.replaceChildren();
    this.timeline.clear();
    this.at = 0;
    this.messages = new Map();
    this.calls = new Map();
    this.branchStarts = [];
    /** Calls that wait for a decision, oldest first. */
    this.asks = new Map();
    this.dirty = new Set();
    this.info = null;
    this.title = null;
    this.turn = null;
    this.plan = null;
    this.tokens = new Map();
    this.said = null;
    this.isCaughtUp = false;
    this.drawing = false;
  }

  get isAtEnd() {
    return this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_END;
  }

  scrollToEnd() {
    this.root.scrollTop = this.root.scrollHeight;
  }

  apply({ seq, at, event }) {
    this.at = at;
    const handler = this[`on_${event.type}`];
    if (handler) {
      handler.call(this, event, seq);
    }
    this.redraw();
  }

  redraw() {
    if (this.drawing) {
      return;
    }
    this.drawing = true;
    const follow = this.isAtEnd;
    const draw = () => {
      this.drawing = false;
      for (const part of this.dirty) {
        part.draw();
      }
      this.dirty.clear();
      if (follow) {
        this.scrollToEnd();
      }
      this.on.changed();
    };
    // A page in the background gets no frames.
    if (document.visibilityState === "visible") {
      requestAnimationFrame(draw);
    } else {
      setTimeout(draw, 200);
    }
  }

  say(text) {
    if (this.isCaughtUp) {
      this.on.say(text);
    }
  }

  add(seq, kind, ...content) {
    const number = element("span", "seq", element("span", "unseen", "Event "), `${seq}`);
    const item = element("article", `item ${kind}`, number, ...content);
    item.id = `event-${seq}`;
    this.root.append(item);
    const label = { note: "Note", plan: "Plan", user: "Prompt", agent: "Answer", call: "Call" }[kind.split(" ")[0]] ?? "Event";
    this.newest = this.timeline.add({ node: item, body: null, seq, at: this.at, until: this.at, growth: [], kinds: [], label });
    return item;
  }

  note(seq, level, text) {
    this.add(seq, `note ${level}`, element("div", "body", element("p", "text", clean(text))));
    if (level === "error") {
      this.newest.kinds.push("error");
    }
    this.newest.label = clean(text).slice(0, 80);
  }

  mark({ seq, set }) {
    const entry = this.timeline.entries.findLast((known) => known.seq <= seq);
    if (entry) {
      entry.kinds = entry.kinds.filter((kind) => kind !== "mark").concat(set ? ["mark"] : []);
      this.timeline.touch(entry, entry.until);
    }
  }

  // Sessions and turns

  on_session_opened(event, seq) {
    const before = this.info;
    this.info = event;
    if (before && (before.engine !== event.engine || before.model !== event.model || before.mode !== event.mode)) {
      this.note(seq, "info", `Now ${event.engine}/${event.model}, mode ${event.mode}.`);
    }
  }

  // What is on another branch is not shown; the model does not see it either.
  on_branch_started({ after }, seq) {
    if (after >= seq) {
      return;
    }
    this.branchStarts.push([seq, after]);
    const ranges = [];
    let last = Infinity;
    for (const [first, before] of [...this.branchStarts].reverse()) {
      if (first <= last) {
        ranges.push([first, last]);
        last = before;
      }
    }
    ranges.push([1, last]);
    this.timeline.filter((entry) => ranges.some(([first, end]) => first <= entry.seq && entry.seq <= end));
    const text = `Goes on after event ${after}; what came after that is another branch.`;
    this.note(seq, "info", text);
    this.say(text);
  }

  on_turn_started({ turn }) {
    this.turn = turn;
    this.tokens.clear();
    this.said = null;
  }

  on_turn_finished({ end }, seq) {
    this.turn = null;
    this.asks.clear();
    for (const call of this.calls.values()) {
      if (call.state === "asked") {
        call.setState("cancelled");
      }
    }
    if (end === "completed") {
      const used = this.usage();
      this.note(seq, "info", used ? `Done · ${used}` : "Done");
      this.say(`Answer finished. ${(this.said?.text.text ?? "").slice(0, MAX_SAID)}`);
      return;
    }
    const failed = typeof end === "object" && end !== null ? end.failed : null;
    const text = failed ? `Failed: ${failed.message}` : end === "cancelled" ? "Stopped" : "Interrupted";
    this.note(seq, failed ? "error" : "warn", text);
    this.say(text);
  }

  on_usage_reported({ scope, usage }) {
    this.tokens.set(JSON.stringify(scope), usage);
  }

  usage() {
    const all = this.tokens.get('"turn"') ? [this.tokens.get('"turn"')] : [...this.tokens.values()];
    const sum = (name) => all.reduce((total, usage) => total + (usage[name] ?? 0), 0);
    const about = all.some((usage) => usage.estimated) ? "about " : "";
    return all.length > 0 ? `${about}${sum("input_tokens")} tokens in, ${sum("output_tokens")} out` : "";
  }

  on_noticed({ level, text }, seq) {
    this.note(seq, level, text);
    if (level === "error") {
      this.say(text);
    }
  }

  on_annotated({ kind, data }, seq) {
    if (kind === "title") {
      this.title = data;
    } else if (kind === "mark") {
      this.mark(data);
    } else if (kind === "plan" && Array.isArray(data)) {
      const rows = data.map(({ text, state }) =>
        element("li", state === "done" ? "done" : "", { done: "☑ ", in_progress: "▶ " }[state] ?? "☐ ", clean(String(text))),
      );
      this.plan ??= this.add(seq, "plan", element("p", "who", "Plan"), element("div", "body"));
      this.plan.lastChild.replaceChildren(element("ul", "", ...rows));
    }
  }

  // Messages

  on_user_message({ message, text }, seq) {
    this.message(message, seq, "user", "You").text.append(text);
    this.dirty.add(this.messages.get(message));
    if (this.title === null && this.firstPrompt === undefined) {
      this.firstPrompt = text;
    }
  }

  on_message_started({ message, role, parent }) {
    // One that only holds calls has nothing to show.
    this.messages.set(message, { role, parent, pending: true });
  }

  message(id, seq, role, who, parent) {
    const known = this.messages.get(id);
    if (known && !known.pending) {
      return known;
    }
    const shown = new Message(this, seq, known?.role ?? role, who ?? "Agent", known?.parent ?? parent);
    this.messages.set(id, shown);
    return shown;
  }

  on_text_delta({ message, text }, seq) {
    const shown = this.message(message, seq, "assistant");
    shown.append(text);
    if (!shown.isSub) {
      this.said = shown;
    }
    this.dirty.add(shown);
  }

  on_reasoning_delta({ message, text }, seq) {
    const shown = this.message(message, seq, "assistant");
    shown.think(text);
    this.dirty.add(shown);
  }

  on_message_finished({ message, stop, full }, seq) {
    const shown = this.messages.get(message);
    if (shown && !shown.pending) {
      if (typeof full === "string" && full !== shown.text.text) {
        shown.text.set(full);
      }
      shown.finish();
      this.dirty.add(shown);
    } else if (full) {
      const whole = this.message(message, seq, "assistant");
      whole.text.set(full);
      whole.finish();
      this.dirty.add(whole);
    }
    if (stop === "length") {
      this.note(seq, "warn", "Cut off: the model reached its output limit.");
    }
  }

  // Calls

  call(id, seq, name, parent) {
    let call = this.calls.get(id);
    if (!call) {
      call = new Call(this, seq, parent);
      this.calls.set(id, call);
    }
    if (name) {
      call.name = name;
    }
    this.dirty.add(call);
    return call;
  }

  on_tool_call_started({ call, name, parent }, seq) {
    this.call(call, seq, name, parent);
  }

  on_tool_args_delta({ call, json }, seq) {
    this.call(call, seq).args += json;
  }

  on_tool_call_ready({ call, name, args }, seq) {
    const ready = this.call(call, seq, name);
    ready.args = args;
    ready.setState("ready");
  }

  on_approval_requested({ call, ask }, seq) {
    this.call(call, seq, ask.tool).setState("asked");
    this.asks.set(call, ask);
  }

  on_approval_resolved({ call, decision, by }, seq) {
    this.asks.delete(call);
    const decided = this.call(call, seq);
    decided.setState("ready");
    decided.decision = `${describe(decision)} (${{ person: "at the screen", remote: "over the network", link: "by a link", policy: "by a rule", timed_out: "nobody answered", cancelled: "the turn was stopped" }[by] ?? by})`;
  }

  on_tool_output({ call, text }, seq) {
    this.call(call, seq).output += text;
  }

  on_tool_call_finished({ call, outcome, output, took }, seq) {
    const done = this.call(call, seq);
    done.setState(outcome);
    done.took = took;
    if (output?.text) {
      done.output = output.text;
    }
  }
}

/** Says a decision in words. */
export function describe(decision) {
  if (typeof decision === "string") {
    return { once: "allowed once", session: "allowed in this session", deny: "denied" }[decision] ?? decision;
  }
  const [kind, what] = Object.entries(decision ?? {})[0] ?? ["decided", ""];
  switch (kind) {
    case "pattern":
      return `allowed: ${what}`;
    case "deny":
      return `denied: ${what}`;
    case "offered":
      return `${what.allows ? "allowed" : "denied"}: ${what.id}`;
    case "hunks":
      return `${(what.taken ?? []).length} changes allowed`;
    default:
      return kind;
  }
}

class Message {
  constructor(transcript, seq, role, who, parent) {
    this.isSub = parent !== undefined && parent !== null;
    this.body = element("div", "body");
    const kind = role === "user" ? "user" : "agent";
    this.transcript = transcript;
    this.item = transcript.add(seq, `${kind} open${this.isSub ? " sub" : ""}`, element("p", "who", this.isSub ? "Sub-agent" : who), this.body);
    this.entry = Object.assign(transcript.newest, { body: this.body, kinds: role === "user" ? ["prompt"] : [] });
    if (role === "user") {
      this.finish();
    }
    this.text = new GrowingText(this.body);
    this.thoughts = null;
  }

  append(text) {
    this.text.append(text);
    this.entry.growth.push([this.transcript.at, this.text.text.length]);
    this.transcript.timeline.touch(this.entry, this.transcript.at);
  }

  think(text) {
    if (!this.thoughts) {
      this.thoughts = element("p", "text");
      this.thought = "";
      this.item.insertBefore(element("details", "thinking", element("summary", "", "Thinking"), this.thoughts), this.body);
    }
    this.thought += text;
  }

  finish() {
    this.item.classList.remove("open");
  }

  draw() {
    this.text.draw();
    if (this.thoughts) {
      this.thoughts.textContent = clean(this.thought);
    }
  }
}

class Call {
  constructor(transcript, seq, parent) {
    this.name = "";
    this.args = "";
    this.output = "";
    this.decision = "";
    this.took = null;
    this.state = "writing";
    this.title = element("span", "name");
    this.about = element("span", "about");
    this.status = element("span", "state");
    this.parts = element("div", "parts");
    const summary = element("summary", "", this.title, this.about, this.status);
    this.details = element("details", "", summary, this.parts);
    this.transcript = transcript;
    this.item = transcript.add(seq, `call${parent ? " sub" : ""}`, this.details);
    this.entry = Object.assign(transcript.newest, { kinds: ["call"] });
    // What is folded is not laid out.
    this.details.addEventListener("toggle", () => this.drawParts());
  }

  setState(state) {
    this.state = state;
    this.entry.label = `Call ${clean(this.name)}, ${STATES[state] ?? state}`;
    if (state === "failed" || state === "denied") {
      this.entry.kinds = ["call", "error"];
    }
    this.transcript.timeline.touch(this.entry, this.transcript.at);
  }

  draw() {
    this.item.dataset.state = this.state;
    this.title.textContent = clean(this.name) || "call";
    this.about.textContent = clean(shorten(this.args));
    const took = typeof this.took === "number" ? ` · ${seconds(this.took)}` : "";
    this.status.textContent = `${STATES[this.state] ?? this.state}${took}`;
    this.drawParts();
  }

  drawParts() {
    if (!this.details.open) {
      return;
    }
    const parts = [element("p", "cap", "Arguments"), element("pre", "wrap", clean(pretty(this.args)))];
    if (this.decision) {
      parts.push(element("p", "cap", "Decision"), element("p", "", clean(this.decision)));
    }
    if (this.output) {
      const cut = this.output.length > MAX_OUTPUT ? `\n… ${this.output.length - MAX_OUTPUT} more characters` : "";
      parts.push(element("p", "cap", "Output"), element("pre", "", clean(this.output.slice(0, MAX_OUTPUT)) + cut));
    }
    this.parts.replaceChildren(...parts);
  }
}

const seconds = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

function pretty(args) {
  try {
    return JSON.stringify(JSON.parse(args), null, 2);
  } catch {
    return args;
  }
}

/** Says what a call is about in one line: the only argument alone, else all of them. */
function shorten(args) {
  let text = args;
  try {
    const values = Object.values(JSON.parse(args));
    text = values.length === 1 && typeof values[0] === "string" ? values[0] : args === "{}" ? "" : args;
  } catch {
    // It is still being written.
  }
  return text.replace(/\s+/g, " ").slice(0, 200);
}

// A timeline over what a session showed: any moment of it, played, sought and stepped through. Shared by the page of
// `serve` and by exported pages.

import { element } from "./text.js";

/** Longer pauses are shortened to this while that is wished. */
const LONGEST_PAUSE = 2_000;
const JUMP = 5_000;
const SPEEDS = [0.5, 1, 2, 4, 8, 16, 32];
/** What can be stepped through: its name, and what one of it is called. */
const STOPS = { prompt: "prompt", call: "call", error: "error", mark: "mark" };
/** How far back something may still be growing. */
const MAX_GROWING = 300;
/** Longer texts are shown at once. */
const MAX_CUT = 200_000;
/** Ticks that are told apart. */
const BUCKETS = 240;

const minutes = (ms) => {
  const seconds = Math.floor(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
};

/** Returns the index of the first that is greater. */
function above(sorted, value, of = (one) => one) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(sorted[middle]) <= value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Returns a copy of an element that has only the first part of its text. */
function cut(source, part) {
  const copy = source.cloneNode(true);
  copy.removeAttribute("id");
  let room = Math.floor(source.textContent.length * part);
  const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  const over = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (room === 0) {
      over.push(text);
    } else if (room < text.length) {
      text.data = text.data.slice(0, room);
      room = 0;
    } else {
      room -= text.length;
    }
  }
  for (let node of over) {
    while (node !== copy && !node.hasChildNodes()) {
      const parent = node.parentNode;
      node.remove();
      node = parent;
    }
  }
  return copy;
}

/**
 * An entry is `{ node, body, at, until, growth, kinds, label }`: an element, the part of it whose text grew, when it began
 * and changed last in milliseconds, `[time, length]` pairs of its text, what of STOPS it is, and what it is called.
 */
export class Timeline {
  /**
   * `on.say(text)` is read out, `on.show(node, why)` brings an element into view, because of a `step`, a `seek` or
   * while it plays; `on.moved()` follows each move.
   */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.shortens = true;
    this.speed = 1;
    this.step = "call";
    this.entries = [];
    this.growing = new Map();
    this.clear();
    this.build();
  }

  clear() {
    this.pause();
    this.restore();
    this.entries = [];
    /** Those of other branches are among them. */
    this.all = [];
    /** On the player's clock; at the end everything is shown, and what comes is shown as well. */
    this.now = 0;
    this.isAtEnd = true;
    this.shown = 0;
    this.growing = new Map();
    this.times = null;
    this.frame = 0;
    this.drawSoon();
  }

  get isPlaying() {
    return this.frame !== 0;
  }

  /** Adds entries, which come in the order of their times. */
  add(entry) {
    this.entries.push(entry);
    this.all.push(entry);
    this.times = null;
    if (this.isAtEnd) {
      this.shown = this.entries.length;
    } else {
      entry.node.hidden = true;
    }
    this.drawSoon();
    return entry;
  }

  /** Leaves out what is on another branch, for as long as it is. */
  filter(isKept) {
    this.restore();
    this.entries = this.all.filter((entry) => (entry.node.hidden = !isKept(entry)) === false);
    this.times = null;
    this.shown = this.entries.length;
    if (!this.isAtEnd) {
      this.seek(this.now);
    }
    this.drawSoon();
  }

  /** An entry changed at a time. */
  touch(entry, at) {
    entry.until = Math.max(entry.until, at);
    this.times = null;
    this.drawSoon();
  }

  // Clocks: the session's own, and the player's, in which long pauses are short.

  clock() {
    if (this.times === null) {
      const all = new Set([0]);
      for (const entry of this.entries) {
        all.add(entry.at).add(entry.until);
        entry.growth?.forEach(([at]) => all.add(at));
      }
      const real = [...all].sort((one, other) => one - other);
      const played = [0];
      // What was before the first event is no pause.
      for (let at = 1; at < real.length; at++) {
        const gap = real[at] - real[at - 1];
        played.push(played[at - 1] + (at === 1 ? 0 : this.shortens ? Math.min(gap, LONGEST_PAUSE) : gap));
      }
      this.times = { real, played };
    }
    return this.times;
  }

  get length() {
    return this.clock().played.at(-1);
  }

  convert(from, to, time) {
    const at = Math.min(Math.max(above(from, time) - 1, 0), from.length - 1);
    const [gap, wide] = [from[at + 1] - from[at], to[at + 1] - to[at]];
    return at + 1 >= from.length || !(gap > 0) ? to[at] : to[at] + ((time - from[at]) * wide) / gap;
  }

  toReal(time) {
    const { real, played } = this.clock();
    return time >= played.at(-1) ? real.at(-1) : this.convert(played, real, time);
  }

  toPlayed(time) {
    const { real, played } = this.clock();
    return this.convert(real, played, time);
  }

  // Moving

  /** Shows a moment of the player's clock. */
  seek(time) {
    const length = this.length;
    this.now = Math.min(Math.max(time, 0), length);
    this.isAtEnd = this.now >= length;
    const real = this.toReal(this.now);
    const shown = this.isAtEnd ? this.entries.length : above(this.entries, real, (entry) => entry.at);
    for (let at = Math.min(shown, this.shown); at < Math.max(shown, this.shown); at++) {
      this.entries[at].node.hidden = at >= shown;
    }
    this.shown = shown;
    this.grow(this.isAtEnd ? Infinity : real);
    this.drawSoon();
    this.on.moved?.();
  }

  /** Shows as much of each text as there was. */
  grow(real) {
    for (const [entry, copy] of this.growing) {
      const at = this.entries.indexOf(entry, Math.max(0, this.shown - MAX_GROWING));
      if (entry.until <= real || at < 0 || at >= this.shown) {
        this.settle(entry, copy);
      }
    }
    for (let at = Math.max(0, this.shown - MAX_GROWING); at < this.shown; at++) {
      const entry = this.entries[at];
      if (entry.until > real) {
        this.showPart(entry, real);
      }
    }
  }

  showPart(entry, real) {
    entry.node.classList.add("growing");
    const { growth, body } = entry;
    let copy = null;
    if (body && growth?.length > 0 && body.textContent.length <= MAX_CUT) {
      const before = above(growth, real, ([at]) => at) - 1;
      copy = cut(body, before < 0 ? 0 : growth[before][1] / growth.at(-1)[1]);
      const old = this.growing.get(entry);
      if (old) {
        old.replaceWith(copy);
      } else {
        body.after(copy);
        body.hidden = true;
      }
    }
    this.growing.set(entry, copy);
  }

  /** An entry is as it is in the end. */
  settle(entry, copy) {
    copy?.remove();
    if (entry.body) {
      entry.body.hidden = false;
    }
    entry.node.classList.remove("growing");
    this.growing.delete(entry);
  }

  /** Shows everything as it is. */
  restore() {
    for (const [entry, copy] of this.growing) {
      this.settle(entry, copy);
    }
    for (const entry of this.entries) {
      entry.node.hidden = false;
    }
  }

  play() {
    if (this.isPlaying || this.entries.length === 0) {
      return;
    }
    if (this.isAtEnd) {
      this.seek(0);
    }
    let last = performance.now();
    const move = (time) => {
      const before = this.shown;
      this.frame = requestAnimationFrame(move);
      this.seek(this.now + Math.min(time - last, 250) * this.speed);
      last = time;
      const newest = this.entries[this.shown - 1];
      if (newest) {
        this.on.show(newest.node, "play");
      }
      if (this.shown > before && newest) {
        this.on.say(newest.label);
      }
      if (this.isAtEnd) {
        this.pause();
      }
    };
    this.frame = requestAnimationFrame(move);
    this.drawSoon();
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.drawSoon();
  }

  toggle() {
    if (this.isPlaying) {
      this.pause();
      this.on.say(`Paused at ${minutes(this.now)}`);
    } else {
      this.play();
    }
  }

  /** Goes where a person says, and shows what is newest there. */
  goTo(time) {
    this.seek(time);
    const newest = this.entries[this.shown - 1];
    if (newest) {
      this.on.show(newest.node, "seek");
    }
  }

  jump(by) {
    this.goTo(this.now + by);
    this.on.say(this.told());
  }

  /** Shows an entry from its end on, wherever the player is. */
  reveal(entry) {
    if (entry.node.hidden || this.growing.has(entry)) {
      this.pause();
      this.seek(this.toPlayed(entry.until));
    }
  }

  *stops(kind) {
    for (const entry of this.entries) {
      if (entry.kinds.includes(kind)) {
        yield [this.toPlayed(kind === "error" || kind === "mark" ? entry.until : entry.at), entry];
      }
    }
  }

  /** Goes to the next or the previous of a kind. */
  stepTo(kind, isBack) {
    let found = null;
    for (const [time, entry] of this.stops(kind)) {
      if (isBack && time < this.now - 1) {
        found = [time, entry];
      } else if (!isBack && time > this.now + 1) {
        found = [time, entry];
        break;
      }
    }
    if (found === null) {
      this.on.say(`No ${isBack ? "earlier" : "later"} ${STOPS[kind]}`);
      return;
    }
    this.pause();
    this.seek(found[0]);
    this.on.show(found[1].node, "step");
    this.on.say(`${found[1].label}, ${minutes(this.now)}`);
  }

  told() {
    return this.isAtEnd ? `At the end, ${minutes(this.length)}` : `${minutes(this.now)} of ${minutes(this.length)}`;
  }

  /** Does what a key says; returns whether it says anything. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return false;
    }
    const { key } = event;
    const tag = event.target.tagName;
    const isSlider = event.target === this.slider;
    const isField = !isSlider && (["INPUT", "TEXTAREA", "SELECT"].includes(tag) || event.target.isContentEditable);
    const isPressed = ["BUTTON", "SUMMARY", "A"].includes(tag) && (key === " " || key === "Enter");
    if (isField || isPressed) {
      return false;
    }
    if (key === " " || key === "k") {
      this.toggle();
    } else if (key === "ArrowLeft" || key === "ArrowRight") {
      this.jump((key === "ArrowLeft" ? -1 : 1) * JUMP * (event.shiftKey ? 6 : 1));
    } else if (/^[0-9]$/.test(key)) {
      this.goTo((this.length * Number(key)) / 10);
      this.on.say(this.told());
    } else if (key === "n" || key === "p") {
      this.stepTo(this.step, key === "p");
    } else if (key === "e" || key === "E") {
      this.stepTo("error", key === "E");
    } else if (key === "+" || key === "-") {
      this.setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + (key === "+" ? 1 : -1), 0), SPEEDS.length - 1)]);
    } else if ((key === "Home" || key === "End") && isSlider) {
      this.jump(key === "Home" ? -Infinity : Infinity);
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  setSpeed(speed) {
    this.speed = speed;
    this.speeds.value = String(speed);
    this.on.say(`Speed ${speed}`);
  }

  // Controls

  build() {
    const button = (name, text, act) => {
      const made = element("button", name, text);
      made.type = "button";
      made.addEventListener("click", act);
      return made;
    };
    const choice = (label, options, value, act) => {
      const made = element("select", "");
      made.setAttribute("aria-label", label);
      made.append(...options.map(([id, text]) => Object.assign(element("option", "", text), { value: id })));
      made.value = value;
      made.addEventListener("change", () => act(made.value));
      return made;
    };
    this.playButton = button("play", "", () => this.toggle());
    this.slider = Object.assign(element("input", ""), { type: "range", min: 0, step: 1 });
    this.slider.setAttribute("aria-label", "Position");
    this.slider.addEventListener("input", () => {
      this.pause();
      this.goTo(Number(this.slider.value));
    });
    this.ticks = element("div", "ticks");
    this.ticks.setAttribute("aria-hidden", "true");
    this.time = element("span", "time");
    this.previous = button("step", "◂", () => this.stepTo(this.step, true));
    this.next = button("step", "▸", () => this.stepTo(this.step, false));
    this.steps = choice("What to step through", Object.entries(STOPS).map(([id, one]) => [id, `${one}s`]), this.step, (kind) => {
      this.step = kind;
      this.draw();
    });
    this.speeds = choice("Speed", SPEEDS.map((speed) => [String(speed), `${speed}×`]), "1", (speed) => this.setSpeed(Number(speed)));
    const shorten = Object.assign(element("input", ""), { type: "checkbox", checked: true });
    shorten.addEventListener("change", () => {
      const real = this.toReal(this.now);
      const wasAtEnd = this.isAtEnd;
      this.shortens = shorten.checked;
      this.times = null;
      this.seek(wasAtEnd ? Infinity : this.toPlayed(real));
    });
    this.root.classList.add("timeline");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Player");
    this.root.append(
      element("div", "line", this.playButton, element("div", "track", this.ticks, this.slider), this.time),
      element("div", "line more", element("span", "steps", this.previous, this.steps, this.next), this.speeds, element("label", "check", shorten, "Short pauses")),
    );
    this.draw();
  }

  /** Draws the controls with the next frame. */
  drawSoon() {
    if (!this.isWaiting) {
      this.isWaiting = true;
      requestAnimationFrame(() => {
        this.isWaiting = false;
        this.draw();
      });
    }
  }

  draw() {
    const length = this.length;
    if (this.isAtEnd) {
      this.now = length;
    }
    this.root.hidden = this.entries.length === 0;
    this.playButton.textContent = this.isPlaying ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", this.isPlaying ? "Pause" : "Play");
    this.slider.max = length;
    this.slider.value = this.now;
    const newest = this.entries[this.shown - 1];
    this.slider.setAttribute("aria-valuetext", [this.told(), newest?.label].filter(Boolean).join(", "));
    this.time.textContent = `${minutes(this.now)} / ${minutes(length)}`;
    this.root.style.setProperty("--played", length > 0 ? this.now / length : 1);
    this.previous.setAttribute("aria-label", `Previous ${STOPS[this.step]}`);
    this.next.setAttribute("aria-label", `Next ${STOPS[this.step]}`);
    if (this.drawnTimes !== this.clock()) {
      this.drawnTimes = this.clock();
      this.drawTicks();
    }
  }

  drawTicks() {
    const marks = new Map();
    for (const kind of ["prompt", "call", "mark", "error"]) {
      for (const [time] of this.stops(kind)) {
        const bucket = Math.round((time / Math.max(this.length, 1)) * BUCKETS);
        marks.set(kind === "prompt" ? -1 - bucket : bucket, [bucket, kind]);
      }
    }
    const nodes = [...marks.values()].map(([bucket, kind]) => {
      const tick = element("span", kind);
      tick.style.setProperty("--at", bucket / BUCKETS);
      return tick;
    });
    this.ticks.replaceChildren(...nodes);
  }
}

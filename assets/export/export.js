// The page of an exported session: its player, its search, its looks. Everything is in the page already; without this it
// is a text to be read.

import { element } from "./text.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const MAX_HITS = 10_000;

function say(text) {
  $("say").textContent = "";
  setTimeout(() => ($("say").textContent = text), 50);
}

/** Whether the page moves along while it plays: until the reader scrolls away, and again from where they come back. */
let follows = true;
for (const way of ["wheel", "touchmove"]) {
  window.addEventListener(way, () => (follows = false), { passive: true });
}

/** Brings an element into view. */
function show(node, why) {
  const box = node.getBoundingClientRect();
  const floor = $("bar").getBoundingClientRect().top;
  const ceiling = $("tools").getBoundingClientRect().bottom;
  const isBelow = box.bottom > floor;
  follows = follows || why !== "play" || !isBelow;
  if (why === "step") {
    window.scrollBy({ top: box.top - ceiling - 16, behavior: "instant" });
  } else if (why === "seek" ? isBelow || box.bottom < ceiling : isBelow && follows) {
    window.scrollBy({ top: box.bottom - floor + 24, behavior: "instant" });
  }
}

const timeline = new Timeline($("bar"), { say, show });
const nodes = document.querySelectorAll("#log > .item");
JSON.parse($("times").textContent).forEach(([at, until, kinds, steps], nth) => {
  const node = nodes[nth];
  const growth = [];
  for (let index = 0, time = at, size = 0; index < steps.length; index += 2) {
    growth.push([(time += steps[index]), (size += steps[index + 1])]);
  }
  const label = node.getAttribute("aria-label");
  timeline.add({ node, body: node.querySelector(".grows"), at, until, growth, kinds: kinds.split(" "), label });
});
$("bar").hidden = false;
$("search").hidden = false;

// Search

const search = { hits: [], current: -1 };
const marks = "highlights" in CSS ? { all: new Highlight(), one: new Highlight() } : null;
if (marks) {
  CSS.highlights.set("hit", marks.all);
  CSS.highlights.set("current-hit", marks.one);
}

function find() {
  const text = $("query").value;
  search.hits = [];
  search.current = -1;
  marks?.all.clear();
  marks?.one.clear();
  if (text.trim() !== "") {
    const pattern = new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replace(/\s+/g, "\\s+"), "giu");
    timeline.entries.forEach((entry) => {
      for (const found of entry.node.textContent.matchAll(pattern)) {
        if (search.hits.length < MAX_HITS) {
          search.hits.push({ entry, from: found.index, until: found.index + found[0].length });
        }
      }
    });
  }
  drawSearch();
}

/** Returns the range of a part of an element's text. */
function rangeOf({ entry, from, until }) {
  const range = document.createRange();
  const texts = document.createTreeWalker(entry.node, NodeFilter.SHOW_TEXT);
  let at = 0;
  let begun = false;
  while (texts.nextNode()) {
    const { length } = texts.currentNode;
    if (!begun && from < at + length) {
      range.setStart(texts.currentNode, from - at);
      begun = true;
    }
    if (begun && until <= at + length) {
      range.setEnd(texts.currentNode, until - at);
      return range;
    }
    at += length;
  }
  return null;
}

function go(by) {
  const { hits } = search;
  if (hits.length === 0) {
    say("Nothing found");
    return;
  }
  search.current = (search.current + by + hits.length) % hits.length;
  const hit = hits[search.current];
  timeline.reveal(hit.entry);
  const range = rangeOf(hit);
  for (let node = range?.startContainer.parentElement; node && node !== hit.entry.node; node = node.parentElement) {
    if (node.tagName === "DETAILS") {
      node.open = true;
    }
  }
  marks?.one.clear();
  if (range) {
    marks?.one.add(range);
    show(range.startContainer.parentElement, "step");
  }
  drawSearch();
  say(`${search.current + 1} of ${hits.length}, ${hit.entry.label}`);
}

function drawSearch() {
  const { hits, current } = search;
  const isAsked = $("query").value.trim() !== "";
  $("hits").textContent = !isAsked ? "" : hits.length === 0 ? "none" : `${current < 0 ? "" : `${current + 1} / `}${hits.length}${hits.length === MAX_HITS ? "+" : ""}`;
  $("earlier").disabled = $("later").disabled = hits.length === 0;
}

let waiting = 0;
$("query").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(find, 150);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  if (search.hits.length === 0) {
    find();
  }
  go(1);
});
$("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.shiftKey) {
    event.preventDefault();
    go(-1);
  } else if (event.key === "Escape") {
    $("query").value = "";
    find();
    $("query").blur();
  }
});
$("earlier").addEventListener("click", () => go(-1));

// Looks and keys

const SCHEMES = { auto: "Auto", light: "Light", dark: "Dark" };
$("scheme").append(...Object.entries(SCHEMES).map(([id, text]) => Object.assign(element("option", "", text), { value: id })));
$("scheme").addEventListener("change", () => (document.documentElement.dataset.scheme = $("scheme").value));
$("scheme").hidden = false;
$("keys").hidden = false;

document.addEventListener("keydown", (event) => {
  if (timeline.key(event) || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  if (event.key === "/" && !["INPUT", "SELECT"].includes(event.target.tagName)) {
    event.preventDefault();
    $("query").focus();
    $("query").select();
  }
});

// On paper there is nothing to unfold.
window.addEventListener("beforeprint", () => {
  timeline.pause();
  timeline.seek(Infinity);
  document.querySelectorAll("#log details").forEach((details) => (details.open = true));
});

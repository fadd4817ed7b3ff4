// What waits for a decision, and the buttons that decide.

import { element, visible } from "./text.js";

/** Shows the calls that wait; `decide(call, decision)` sends an answer. */
export class Approvals {
  constructor(root, decide) {
    this.root = root;
    this.decide = decide;
    this.cards = new Map();
  }

  /** Shows these, a map from call to request. Without `canDecide` they are only shown. */
  show(asks, canDecide) {
    for (const [call, card] of this.cards) {
      if (!asks.has(call) || card.canDecide !== canDecide) {
        const hadFocus = card.node.contains(document.activeElement);
        card.node.remove();
        this.cards.delete(call);
        if (hadFocus) {
          document.getElementById("prompt")?.focus();
        }
      }
    }
    let fresh = null;
    for (const [call, request] of asks) {
      if (!this.cards.has(call)) {
        const card = { node: this.card(call, request, canDecide), canDecide };
        this.cards.set(call, card);
        this.root.append(card.node);
        fresh = request;
      }
    }
    return fresh;
  }

  card(call, request, canDecide) {
    const node = element("div", "ask");
    const title = element("h2", "", `Allow ${visible(request.tool)}?`);
    title.id = `ask-${this.cards.size}-${Date.now()}`;
    node.setAttribute("role", "group");
    node.setAttribute("aria-labelledby", title.id);
    const risk = { read_only: "only reads", network: "connects to other hosts", write: "changes files", execute: "runs a program" };
    node.append(title, element("p", "more", `${risk[request.risk] ?? visible(String(request.risk))} · in ${visible(request.folder)}`));
    node.append(element("pre", "wrap", visible(request.subject)));
    if (request.sandbox) {
      node.append(element("p", "more", `sandbox: ${visible(request.sandbox.text)}`));
    }
    if (request.detail && request.detail !== request.subject) {
      node.append(diff(visible(request.detail)));
    }
    if (!canDecide) {
      node.append(element("p", "more", "You may watch; somebody else has to decide."));
      return node;
    }
    const row = element("div", "row");
    for (const [label, decision, kind] of answers(request)) {
      const button = element("button", kind, label);
      button.type = "button";
      button.addEventListener("click", async () => {
        row.querySelectorAll("button").forEach((other) => (other.disabled = true));
        if (!(await this.decide(call, decision))) {
          row.querySelectorAll("button").forEach((other) => (other.disabled = false));
        }
      });
      row.append(button);
    }
    node.append(row);
    return node;
  }
}

/** Returns the answers that can be given, as label, decision and class. */
function answers(request) {
  if (request.answers?.length > 0) {
    return request.answers.map(({ id, label, kind }) => {
      const allows = kind === "allow_once" || kind === "allow_always";
      return [visible(label), { offered: { id, allows } }, allows ? "" : "deny"];
    });
  }
  const all = [
    ["Allow once", "once", "main"],
    ["Allow in this session", "session", ""],
  ];
  if (request.pattern) {
    all.push([`Allow ${visible(request.pattern)}`, { pattern: request.pattern }, ""]);
  }
  all.push(["Deny", "deny", "deny"]);
  return all;
}

/** Colors the lines of a diff; other text has none. */
function diff(text) {
  const node = element("pre", "");
  for (const line of text.split("\n")) {
    const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
    node.append(element("span", kind, `${line}\n`));
  }
  return node;
}

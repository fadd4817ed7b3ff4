// The branches of a session, turn by turn: which there are, and after which event each can be gone on with.
//
// A log is one row of numbers. `branch_started` says that what follows goes on after an earlier event; what stands between
// them is another branch.

import { element, clean } from "./text.js";

/** Characters of a prompt in the list. */
const MAX_PROMPT = 60;

export class Branches {
  constructor() {
    this.clear();
  }

  clear() {
    this.turns = [];
    this.starts = [];
    this.open = null;
    this.head = null;
    /** The tip that the session stands at is known by what follows it as well. */
    this.version = 0;
  }

  observe({ seq, event }) {
    switch (event.type) {
      case "branch_started":
        if (event.after < seq) {
          this.open = null;
          this.head = this.turnAt(event.after);
          this.starts.push({ seq, base: this.head });
          this.version++;
        }
        break;
      case "turn_started": {
        const turn = { first: seq, last: seq, parent: this.head, prompt: null, children: 0 };
        this.turns.push(turn);
        if (this.head) {
          this.head.children++;
        }
        this.head = this.open = turn;
        this.version++;
        break;
      }
      case "user_message":
        if (this.open && this.open.prompt === null) {
          this.open.prompt = event.text;
          this.version++;
        }
        break;
      case "turn_finished":
        this.open = null;
        this.version++;
        break;
    }
    // What follows a branch's start belongs to no turn until one begins.
    if (this.head && this.head.first > (this.starts.at(-1)?.seq ?? 0)) {
      this.head.last = seq;
    }
  }

  /** The last turn on the path to an event. */
  turnAt(seq) {
    const start = this.starts.findLast((start) => start.seq <= seq);
    const own = this.turns.findLast((turn) => turn.first <= seq);
    return own && own.first > (start?.seq ?? 0) ? own : (start?.base ?? null);
  }

  line(turn) {
    const line = [];
    for (let at = turn; at; at = at.parent) {
      line.push(at);
    }
    return line;
  }

  /** Each branch by its last turn, with what tells it from the others. */
  get all() {
    const siblings = new Map();
    for (const turn of this.turns) {
      siblings.set(turn.parent, (siblings.get(turn.parent) ?? 0) + 1);
    }
    return this.turns
      .filter((turn) => turn.children === 0)
      .map((tip) => {
        const line = this.line(tip);
        const parting = line.find((turn) => siblings.get(turn.parent) > 1) ?? tip;
        return { tip, prompt: parting.prompt ?? "(went on)", turns: line.length };
      });
  }
}

/** The choice of a branch: a list and a button, so that moving in the list changes nothing yet. */
export class BranchChoice {
  /** `on.go(after)` goes on after an event. */
  constructor(form, branches, on) {
    this.form = form;
    this.branches = branches;
    this.list = form.querySelector("select");
    this.button = form.querySelector("button");
    this.drawn = "";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.list.value !== "") {
        on.go(Number(this.list.value));
      }
    });
    this.list.addEventListener("change", () => this.draw(this.may));
  }

  /** Draws what there is to choose; `may` says whether this client can go there just now. */
  draw(may) {
    this.may = may;
    const { branches } = this;
    const state = `${branches.version} ${branches.head?.first}`;
    if (state !== this.drawn) {
      this.drawn = state;
      const all = branches.all;
      const head = branches.head;
      const rows = all.map(({ tip, prompt, turns }, at) => {
        const length = turns === 1 ? "1 turn" : `${turns} turns`;
        const here = tip === head ? ", shown" : "";
        const line = clean(prompt).split("\n").find((text) => text.trim() !== "") ?? "";
        const option = element("option", "", `${at + 1}. ${line.slice(0, MAX_PROMPT)} (${length}${here})`);
        option.value = tip === head ? "" : String(tip.last);
        option.selected = tip === head;
        return option;
      });
      // It was gone back, and nothing was said since.
      const isBetween = all.length > 0 && !all.some(({ tip }) => tip === head);
      if (isBetween) {
        const option = element("option", "", "A new branch, with your next prompt");
        option.value = "";
        option.selected = true;
        rows.push(option);
      }
      this.list.replaceChildren(...rows);
      this.form.hidden = rows.length < 2;
    }
    this.list.disabled = !may;
    this.button.disabled = !may || this.list.value === "";
  }
}

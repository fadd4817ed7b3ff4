// Text from outside becomes text in the page, never markup: every function here makes nodes, none parses HTML.

/** Makes an element with a class and text or children in it. */
export function element(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) {
    node.className = className;
  }
  node.append(...content.filter((part) => part !== null && part !== undefined && part !== ""));
  return node;
}

const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;
const WORD = /[\p{L}\p{M}\p{N}_]+/gu;
const LATIN = /\p{Script=Latin}/u;
const OTHER_LETTER = /(?!\p{Script=Latin})\p{L}/gu;

const spelled = (c) => `\\u{${c.codePointAt(0).toString(16)}}`;

/** Spells out what a person would not see, or take for another letter: for what they decide about. */
export function visible(text) {
  return text
    .replace(WORD, (word) => (LATIN.test(word) ? word.replace(OTHER_LETTER, spelled) : word))
    .replace(HIDDEN, (c) => (c === "\n" || c === "\t" ? c : spelled(c)));
}

/** Removes control characters but for breaks and tabs, as a terminal's codes. */
export function clean(text) {
  return text
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g, "")
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "");
}

const INLINE = /(`+)(.+?)\1|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=[^\s*])([^*\n]+?)\*(?![\w*])/gs;

function inline(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(at, found.index));
    const [, isCode, code, strong, slanted] = found;
    nodes.push(isCode ? element("code", "", code) : strong ? element("strong", "", strong) : element("em", "", slanted));
    at = found.index + found[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/**
 * Shows text that grows, with the little Markdown that matters on a small screen: code, headings, lists and emphasis. What
 * is followed by a whole block is never laid out again.
 */
export class GrowingText {
  constructor(root) {
    this.root = root;
    this.text = "";
    /** Where the block begins that is still open, and its node. */
    this.from = 0;
    this.last = null;
  }

  append(text) {
    this.text += text;
  }

  set(text) {
    if (!text.startsWith(this.text.slice(0, this.from))) {
      this.root.replaceChildren();
      this.from = 0;
      this.last = null;
    }
    this.text = text;
  }

  draw() {
    this.last?.remove();
    this.last = null;
    for (;;) {
      const end = this.endOfBlock();
      if (end < 0) {
        break;
      }
      this.root.append(...block(clean(this.text.slice(this.from, end))));
      this.from = end;
    }
    const open = clean(this.text.slice(this.from));
    if (open.trim() !== "") {
      const nodes = block(open);
      this.last = nodes.length === 1 ? nodes[0] : element("div", "body", ...nodes);
      this.root.append(this.last);
    }
  }

  /** Returns where the open block ends, behind its empty line or its fence; -1 if it doesn't yet. */
  endOfBlock() {
    let at = this.from;
    let fence = null;
    for (;;) {
      const newline = this.text.indexOf("\n", at);
      if (newline < 0) {
        return -1;
      }
      const line = this.text.slice(at, newline);
      const mark = FENCE.exec(line)?.[1];
      if (fence !== null) {
        if (mark?.startsWith(fence) && line.trim() === mark) {
          return newline + 1;
        }
      } else if (mark) {
        // What stands before a fence is a block of its own.
        if (at > this.from) {
          return at;
        }
        fence = mark;
      } else if (line.trim() === "") {
        return newline + 1;
      }
      at = newline + 1;
    }
  }
}

function block(text) {
  const trimmed = text.replace(/^\n+/, "").trimEnd();
  if (trimmed === "") {
    return [];
  }
  const fence = FENCE.exec(trimmed)?.[1];
  if (fence) {
    const lines = trimmed.split("\n").slice(1);
    if (lines.at(-1)?.trim().startsWith(fence)) {
      lines.pop();
    }
    return [element("pre", "", lines.join("\n"))];
  }
  const nodes = [];
  let plain = [];
  const flush = () => {
    if (plain.length > 0) {
      nodes.push(element("p", "text", ...inline(plain.join("\n"))));
      plain = [];
    }
  };
  for (const line of trimmed.split("\n")) {
    const head = /^#{1,6} +(.*?)#*$/.exec(line);
    const bullet = /^( *)[-*+] +(.*)$/.exec(line);
    if (head) {
      flush();
      nodes.push(element("p", "head", ...inline(head[1].trim())));
    } else if (bullet) {
      flush();
      nodes.push(element("p", "item-line", `${bullet[1]}•  `, ...inline(bullet[2])));
    } else {
      plain.push(line);
    }
  }
  flush();
  return nodes;
}

// Text into the page. Whatever a model or a suite said goes through `make` and `visible`, as text and never as markup.

const LONG_TEXT = 6000; // characters put into the page before the reader asks for the rest
const MANY_LINES = 12;
const PIECE = 20_000; // characters of a very long text that are laid out at once, when they come into sight

const byId = (id) => document.getElementById(id);
const wellFormed = (text) => text.replace(/[\ud800-\udfff]/gu, "\ufffd"); // half of a pair is no character

// Control characters have pictures: without them an answer of NUL bytes would look empty. Marks that turn the
// direction of what follows are named: left to act, they would show a text other than it is.
function visible(text) {
  return wellFormed(text).replace(/\r(?=\n)/g, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/g, (sign) => {
    const code = sign.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, visible(String(value)));
  }
  element.append(...children.filter((child) => child !== "").map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

const isNumber = (value) => typeof value === "number";
const fixed = (value, digits) => (isNumber(value) ? value.toFixed(digits).replace("-", "−") : "–");
const points = (value) => fixed(isNumber(value) ? value * 100 : null, 1);
const whole = (value) => value.toLocaleString("en");

// What the page itself says, in its language: WORDS has none for English, whose words these are. A {gap} takes a value.
function say(text, values = {}) {
  const words = Object.hasOwn(WORDS, text) ? WORDS[text] : text;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
const counted = (value, noun) => say(value === 1 ? `{n} ${noun}` : `{n} ${noun}s`, { n: whole(value) });

// The beginning of a text, not in the middle of a character: many emoji are two of JavaScript's.
const beginning = (text, length) => text.slice(0, /[\ud800-\udbff]/.test(text.charAt(length - 1)) ? length - 1 : length);

// A text block; a long one shows its beginning, and all of it when asked. `marked` gives the runs of a text in which
// words are marked, each [text, tag or null], or nothing.
function prose(text, nothing, marked = () => undefined) {
  if (!text) return make("p", { class: "text void" }, nothing);
  const block = make("div", { class: "text", dir: "auto", lang: "" });
  const isLong = text.length > 900 || text.split("\n", MANY_LINES).length === MANY_LINES;
  const fill = (shown) => block.replaceChildren(...(shown.length > 5 * PIECE ? pieces(shown) : withCode(shown, marked(shown) ?? [[shown, null]])));
  fill(beginning(text, LONG_TEXT));
  if (!isLong) return block;
  block.classList.add("cut");
  const all = say("Show all {n} characters", { n: whole(text.length) });
  const button = make("button", { type: "button", class: "more", "aria-expanded": "false", click: () => {
    const isCut = block.classList.toggle("cut");
    fill(isCut ? beginning(text, LONG_TEXT) : text);
    button.textContent = isCut ? all : say("Show less");
    button.setAttribute("aria-expanded", String(!isCut));
  } }, all);
  return make("div", {}, block, button);
}

// Where code stands between fences of ``` or ~~~, as [start, end] with the fences; one that is not closed lasts.
function fenced(text) {
  const found = [];
  let open = null;
  for (const { 0: line, 1: fence, index } of text.matchAll(/^ {0,3}(\x60{3,}|~{3,})[^\n]*\n?/gm)) {
    if (!open) open = { fence, index };
    else if (fence.startsWith(open.fence) && line.trim() === fence) {
      found.push([open.index, index + line.length]);
      open = null;
    }
  }
  return open ? [...found, [open.index, text.length]] : found;
}

// Runs of a text as nodes, what is fenced in elements of its own.
function withCode(text, runs) {
  const node = ([part, tag]) => (tag ? make(tag, {}, part) : visible(part));
  const ends = fenced(text).flat();
  if (!ends.length) return runs.map(node);
  const nodes = [];
  for (const [number, end] of [...ends, text.length].entries()) {
    const start = ends[number - 1] ?? 0;
    const parts = between(runs, start, end).map(node);
    nodes.push(...(number % 2 ? [make("code", {}, ...parts)] : parts));
  }
  return nodes;
}

// The parts of runs from one place of their text to another.
function between(runs, start, end) {
  let at = 0;
  return runs.map(([text, tag]) => {
    const part = text.slice(Math.max(0, start - at), Math.max(0, end - at));
    at += text.length;
    return [part, tag];
  }).filter(([part]) => part);
}

// A text in pieces that end with a line, where it has lines.
function pieces(text) {
  const made = [];
  for (let start = 0; start < text.length;) {
    const line = text.lastIndexOf("\n", start + PIECE) + 1;
    const piece = line > start ? text.slice(start, line) : beginning(text.slice(start, start + PIECE), PIECE);
    made.push(make("span", { class: "piece" }, piece));
    start += piece.length;
  }
  return made;
}

const labelled = (label, ...children) => make("div", {}, make("p", { class: "label" }, label), ...children);

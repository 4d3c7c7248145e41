"use strict";
// The list of cases: filtered, paged and drawn on demand from the JSON in the page. Whatever a model
// or a suite said reaches the page through textContent and never as markup.
(() => {
  const source = document.getElementById("case-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PER_PAGE = 25;
  const LONG_TEXT = 6000; // characters put into the page before the reader asks for the rest
  const WORDS = { improved: "Improved", regressed: "Regressed", missed: "Missed", kept: "Kept", uncompared: "Not compared" };
  const byId = (id) => document.getElementById(id);
  const [list, tally, search, suiteBox, pages] =
    ["case-list", "case-count", "case-search", "case-suite", "case-pages"].map(byId);
  const showButtons = [...document.querySelectorAll("[data-show]")];
  const state = { show: "all", suite: "", text: "", page: 0 };
  let found = [];
  let focus = null;

  // --- building -----------------------------------------------------------------------------------

  const wellFormed = (text) => text.replace(/[\ud800-\udfff]/gu, "\ufffd"); // half of a pair is no character

  // Control characters have pictures; without them an answer of NUL bytes would look empty.
  const visible = (text) => wellFormed(text).replace(/[\u0000-\u0008\u000b-\u001f]/g, (sign) => String.fromCharCode(0x2400 + sign.charCodeAt(0)));

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else element.setAttribute(name, visible(value));
    }
    element.append(...children.map((child) => (typeof child === "string" ? visible(child) : child)));
    return element;
  }

  const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const points = (value) => number(value === null || value === undefined ? null : value * 100, 1);

  function prose(text, nothing) {
    if (!text) return make("p", { class: "text void" }, nothing);
    const block = make("div", { class: "text", dir: "auto" }, text.slice(0, LONG_TEXT));
    const holder = make("div", {}, block);
    const lines = text.slice(0, LONG_TEXT).split("\n").length;
    if (text.length > 900 || lines > 10) {
      block.classList.add("cut");
      const open = make("button", { type: "button", class: "more", "aria-expanded": "false", click: () => {
        const cut = block.classList.toggle("cut");
        block.textContent = visible(cut ? text.slice(0, LONG_TEXT) : text);
        open.textContent = cut ? whole : "Show less";
        open.setAttribute("aria-expanded", String(!cut));
      } });
      const whole = `Show all ${text.length.toLocaleString("en")} characters`;
      open.textContent = whole;
      holder.append(open);
    }
    return holder;
  }

  const labelled = (label, ...children) => make("div", {}, make("p", { class: "label" }, label), ...children);

  function scoreLine(score) {
    const kind = score.value === null ? "none" : score.value >= 1 ? "full" : score.value <= 0 ? "zero" : "";
    const told = Object.entries(score.measures).map(([name, value]) => `${name} ${number(value, Number.isInteger(value) ? 0 : 2)}`).join(", ");
    return make("li", {},
      make("span", { class: `value ${kind}` }, points(score.value)),
      make("span", {}, make("bdi", {}, score.name), " ",
        make("bdi", { class: "quiet" }, score.value === null ? `unscored: ${score.reason}` : score.reason),
        told ? make("span", { class: "quiet" }, ` (${told})`) : ""));
  }

  function completion(answer) {
    const parts = [prose(answer.text, answer.tools.length || answer.refusal ? "no text" : "empty answer")];
    if (answer.refusal) parts.push(labelled("Refusal", prose(answer.refusal, "")));
    if (answer.tools.length) parts.push(labelled("Tool calls", prose(answer.tools.join("\n"), "")));
    if (answer.scores.length) parts.push(make("ul", { class: "scores", "aria-label": "Scores" }, ...answer.scores.map(scoreLine)));
    return parts;
  }

  function failure(answer) {
    const status = answer.status ? ` (HTTP ${answer.status})` : "";
    return [make("div", { class: "failure" }, make("b", {}, `No answer: ${answer.failure.replaceAll("_", " ")}${status}`), prose(answer.text, "no message"))];
  }

  function facts(answer, trials) {
    const told = trials > 1 ? [`trial ${answer.trial + 1}`] : [];
    if (typeof answer.tokens === "number") told.push(`${answer.tokens.toLocaleString("en")} tokens`);
    if (answer.cached) told.push("from cache");
    else if (typeof answer.latency === "number") told.push(`${answer.latency.toFixed(2)} s`);
    if (answer.finish && answer.finish !== "stop") told.push(`ended by ${answer.finish}`);
    return told.join(" · ");
  }

  function column(role, answers) {
    const box = make("div", { class: "answer" });
    if (!answers.length) box.append(make("div", { class: "answer-head" }, make("span", { class: "label" }, role.word)), prose("", "not asked"));
    answers.forEach((answer, index) => {
      box.append(make("div", { class: "trial" },
        make("div", { class: "answer-head" }, make("span", { class: "label" }, index ? "" : role.word), make("span", { class: "quiet" }, facts(answer, answers.length))),
        ...("failure" in answer ? failure(answer) : completion(answer))));
    });
    return box;
  }

  function systemPrompts(suite) {
    const texts = new Map();
    for (const role of data.roles) {
      const text = suite.prompts[role.key];
      if (text) texts.set(text, [...(texts.get(text) ?? []), role.word]);
    }
    if (!texts.size) return "";
    const all = texts.size === 1 && [...texts.values()][0].length === data.roles.length;
    return make("details", {}, make("summary", {}, "System prompt"),
      ...[...texts].map(([text, words]) => (all ? prose(text, "") : labelled(words.join(", "), prose(text, "")))));
  }

  const encoded = (text) => encodeURIComponent(wellFormed(text));
  const path = (item) => `${encoded(data.suites[item.suite].name)}/${encoded(item.id)}`;

  function chip(item) {
    const marks = [make("span", { class: "chip" }, make("span", { class: `swatch ${item.change}`, "aria-hidden": "true" }), WORDS[item.change])];
    if (item.failed) marks.push(make("span", { class: "chip errors" }, make("span", { class: "swatch errors", "aria-hidden": "true" }), "Error"));
    return marks;
  }

  function card(item) {
    const suite = data.suites[item.suite];
    const title = make("h3", {}, make("a", { href: `#case=${path(item)}` }, make("bdi", {}, suite.name), " / ", make("bdi", {}, item.id)));
    const tags = [...item.tags, ...(item.required ? ["required"] : [])].map((tag) => make("span", { class: "tag" }, make("bdi", {}, tag)));
    const moves = data.roles.flatMap((role, index) => [index ? " · " : "", `${role.word} `, make("b", {}, points(item.scores[role.key]))]);
    const head = make("div", { class: "case-head" }, ...chip(item), title, ...tags, make("span", { class: "move" }, ...moves));
    const single = item.messages.length === 1 && item.messages[0].role === "user";
    const asked = make("div", { class: single && item.expected ? "asked paired" : "asked" },
      ...item.messages.map((message) => labelled(single ? "Prompt" : message.role, prose(message.text, "empty message"))),
      item.expected ? labelled("Expected", prose(item.expected, "")) : "",
      systemPrompts(suite));
    const size = { 1: " one", 3: " three" }[data.roles.length] ?? "";
    const answers = make("div", { class: `answers${size}` }, ...data.roles.map((role) => column(role, item.answers[role.key])));
    const article = make("article", { class: "case", tabindex: "-1", "aria-label": `Case ${item.id}` }, head, asked, answers);
    article.dataset.path = path(item);
    return article;
  }

  // --- choosing -----------------------------------------------------------------------------------

  function haystack(item) {
    if (item.hay === undefined) {
      const said = Object.values(item.answers).flat().map((answer) => answer.text);
      const parts = [item.id, data.suites[item.suite].name, ...item.tags, ...item.messages.map((message) => message.text), item.expected, ...said];
      item.hay = parts.join("\n").toLowerCase();
    }
    return item.hay;
  }

  function isNear(item) { // fits the suite and the search, whatever became of it
    if (state.suite && data.suites[item.suite].name !== state.suite) return false;
    return !state.text || state.text.toLowerCase().split(/\s+/).every((word) => haystack(item).includes(word));
  }

  const isShown = (item, show) => show === "all" || (show === "errors" ? item.failed : item.change === show);

  function draw() {
    const near = data.cases.filter(isNear);
    found = near.filter((item) => isShown(item, state.show));
    const last = Math.max(0, Math.ceil(found.length / PER_PAGE) - 1);
    state.page = Math.min(Math.max(0, state.page), last);
    const start = state.page * PER_PAGE;
    const shown = found.slice(start, start + PER_PAGE);
    list.replaceChildren(...shown.map(card));
    const all = data.cases.length.toLocaleString("en");
    tally.textContent = found.length === data.cases.length ? `${all} cases` : found.length ? `${found.length.toLocaleString("en")} of ${all} cases` : "No case fits. Esc clears the filters.";
    pages.hidden = found.length <= PER_PAGE;
    byId("page-where").textContent = `${start + 1}–${start + shown.length} of ${found.length.toLocaleString("en")}`;
    byId("page-back").disabled = state.page === 0;
    byId("page-on").disabled = state.page === last;
    for (const button of showButtons) {
      const { show } = button.dataset;
      button.setAttribute("aria-pressed", String(show === state.show));
      button.querySelector(".n").textContent = near.filter((item) => isShown(item, show)).length.toLocaleString("en");
    }
    suiteBox.value = state.suite;
    if (search.value !== state.text) search.value = state.text;
    focus = null;
  }

  // --- the address --------------------------------------------------------------------------------

  function remember() {
    const parts = ["cases"];
    if (state.suite) parts.push(`suite=${encoded(state.suite)}`);
    if (state.show !== "all") parts.push(`show=${state.show}`);
    if (state.text) parts.push(`text=${encoded(state.text)}`);
    history.replaceState(null, "", `#${parts.join("&")}`);
  }

  function change(update) {
    Object.assign(state, { page: 0 }, update);
    remember();
    draw();
  }

  function decoded(text) {
    try { return decodeURIComponent(text); } catch { return text; }
  }

  function openCase(wanted) {
    const is = (item) => path(item) === wanted || `${data.suites[item.suite].name}/${item.id}` === decoded(wanted);
    if (!found.some(is)) Object.assign(state, { show: "all", suite: "", text: "" });
    const index = data.cases.filter((item) => isNear(item) && isShown(item, state.show)).findIndex(is);
    if (index < 0) { draw(); tally.textContent = `There is no case ${decoded(wanted)} in this run.`; return; }
    state.page = Math.floor(index / PER_PAGE);
    draw();
    go(list.children[index % PER_PAGE]);
  }

  function read() {
    const hash = location.hash.slice(1);
    if (hash.startsWith("case=")) { openCase(hash.slice("case=".length)); return; }
    if (hash !== "cases" && !hash.startsWith("cases&")) return;
    const told = new Map(hash.split("&").slice(1).map((part) => [part.split("=")[0], decoded(part.slice(part.indexOf("=") + 1))]));
    const show = showButtons.some((button) => button.dataset.show === told.get("show")) ? told.get("show") : "all";
    Object.assign(state, { show, suite: told.get("suite") ?? "", text: told.get("text") ?? "", page: 0 });
    draw();
    byId("cases").scrollIntoView();
  }

  // --- keys ---------------------------------------------------------------------------------------

  function go(article) {
    if (!article) return;
    focus = article;
    article.focus({ preventScroll: true });
    article.scrollIntoView({ block: "start" });
  }

  function turn(step) {
    const before = state.page;
    state.page += step;
    draw();
    if (state.page !== before) byId("cases").scrollIntoView();
  }

  const keys = {
    "/": () => { search.focus(); search.select(); },
    j: () => go(focus ? focus.nextElementSibling : list.firstElementChild),
    k: () => go(focus?.previousElementSibling),
    n: () => turn(1),
    p: () => turn(-1),
    Escape: () => change({ show: "all", suite: "", text: "" }),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape") || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    if (typing) event.target.blur();
    keys[event.key]();
  });
  list.addEventListener("focusin", (event) => { focus = event.target.closest(".case"); });
  for (const button of showButtons) button.addEventListener("click", () => change({ show: button.dataset.show }));
  suiteBox.addEventListener("change", () => change({ suite: suiteBox.value }));
  let pending = 0;
  search.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(() => change({ text: search.value.trim() }), 120);
  });
  byId("page-back").addEventListener("click", () => turn(-1));
  byId("page-on").addEventListener("click", () => turn(1));
  window.addEventListener("hashchange", read);

  byId("case-controls").hidden = false;
  draw();
  read();
})();

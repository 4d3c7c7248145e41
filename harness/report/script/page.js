// The cases: narrowed, sorted, opened, linked to, and moved through by keyboard.

const NOTHING_CHOSEN = { show: "all", suite: "", tag: "", scorer: "", sort: "weight", text: "" };
const WEIGHTS = ["required", "regressed", "errors", "unscored", "improved", "missed", "uncompared", "kept"];
const number = (value, missing) => (isNumber(value) ? value : missing);

// Ways to sort: the word, and the number that is sorted by, the smallest first. `scores` are those of the scorer that
// is chosen, in the order of the roles; `moved` is candidate minus reference.
const SORTS = {
  weight: ["What matters most", (item, { moved }) => WEIGHTS.findIndex((word) => item.has.has(word)) + number(moved, 0) / 4],
  suite: ["Order of the suites", (item) => item.index],
  loss: ["Largest loss", (item, { moved }) => number(moved, Infinity)],
  gain: ["Largest gain", (item, { moved }) => -number(moved, -Infinity)],
  lowest: ["Lowest score", (item, { candidate }) => number(candidate, Infinity)],
  highest: ["Highest score", (item, { candidate }) => -number(candidate, -Infinity)],
  longest: ["Longest answer", (item) => -number(item.tokens, -Infinity)],
};

async function start() {
  const data = readCases(await unpacked(byId("case-index").textContent));
  const packedTexts = byId("case-blocks");
  const store = textStore(packedTexts.textContent.split("\n"), packedTexts.dataset.cases.split(" ").map(Number));
  const [box, panel, tally, search] = ["case-list", "case-open", "case-count", "case-search"].map(byId);
  const boxes = { suite: byId("case-suite"), tag: byId("case-tag"), scorer: byId("case-scorer"), sort: byId("case-sort") };
  const showButtons = [...document.querySelectorAll("[data-show]")];
  const roleAt = (key) => data.roles.findIndex((role) => role.key === key);
  const [candidateAt, referenceAt] = [roleAt("candidate"), roleAt(data.reference)];
  let state = { ...NOTHING_CHOSEN };
  let found = [];
  let opened = null;
  let isMarking = true;
  const list = caseList(box, { fill: (item) => caseRow(item, { roles: data.roles, scores: scoresOf(item) }), open: () => openCase() });

  // --- choosing -------------------------------------------------------------------------------------

  function scoresOf(item) {
    const at = state.scorer ? item.suite.scorers.indexOf(state.scorer) : -1;
    return item.by[at] ?? item.scores;
  }

  function sortKey(item) {
    const scores = scoresOf(item);
    const [candidate, reference] = [scores[candidateAt], scores[referenceAt]];
    const moved = isNumber(candidate) && isNumber(reference) ? candidate - reference : null;
    return SORTS[state.sort][1](item, { candidate, moved });
  }

  function isNear(item, words) { // fits everything but what became of it
    if (state.suite && item.suite.name !== state.suite) return false;
    if (state.tag && !item.tags.includes(state.tag)) return false;
    if (state.scorer && !item.suite.scorers.includes(state.scorer)) return false;
    item.name ??= [item.id, item.suite.name, ...item.tags, item.start].join("\n").toLowerCase();
    return words.every((word) => item.name.includes(word) || store.said[item.index]?.includes(word));
  }

  const isShown = (item, show) => show === "all" || item.has.has(show);

  function draw() {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const near = data.cases.filter((item) => isNear(item, words));
    const keys = new Map();
    found = near.filter((item) => isShown(item, state.show));
    for (const item of found) keys.set(item, sortKey(item));
    found.sort((one, other) => keys.get(one) - keys.get(other) || one.index - other.index);
    if (opened && !found.includes(opened)) close();
    list.show(found, opened ? found.indexOf(opened) : -1);
    const all = whole(data.cases.length);
    const isReading = words.length && store.said.length < data.cases.length;
    const told = found.length === data.cases.length ? counted(data.cases.length, "case") : `${whole(found.length)} of ${all} cases`;
    tally.textContent = found.length ? told + (isReading ? ", the answers are still being read" : "") : "No case fits. Esc shows all.";
    for (const button of showButtons) {
      const { show } = button.dataset;
      button.setAttribute("aria-pressed", String(show === state.show));
      button.querySelector(".n").textContent = whole(near.filter((item) => isShown(item, show)).length);
    }
    for (const [key, select] of Object.entries(boxes)) select.value = state[key];
    if (search.value.trim() !== state.text) search.value = state.text;
  }

  function change(update) {
    state = { ...state, ...update };
    draw();
    remember();
  }

  function fillBoxes() {
    const option = (value, word) => { const made = make("option", {}, word); made.value = value; return made; };
    const times = (words) => words.reduce((counts, word) => counts.set(word, (counts.get(word) ?? 0) + 1), new Map());
    const counts = {
      suite: times(data.cases.map((item) => item.suite.name)),
      tag: new Map([...times(data.cases.flatMap((item) => item.tags))].sort()),
      scorer: times(data.cases.flatMap((item) => item.suite.scorers)),
    };
    for (const [key, told] of Object.entries(counts)) {
      boxes[key].append(...[...told].map(([word, times_]) => option(word, `${word} (${whole(times_)})`)));
      boxes[key].parentElement.hidden = told.size < 1;
    }
    boxes.sort.append(...Object.entries(SORTS).map(([key, [word]]) => option(key, word)));
  }

  // --- one case -------------------------------------------------------------------------------------

  const button = (word, click, attributes = {}) => make("button", { type: "button", click, ...attributes }, word);

  function actions(texts) {
    return (mark) => [
      mark.canMark ? button("Mark differences", toggleMarks, { id: "case-marks", "aria-pressed": isMarking }) : "",
      texts.json ? button("Copy as YAML", copy, { id: "case-copy" }) : make("span", { class: "quiet" }, "Too long to be copied from here as YAML."),
      button("Previous", () => step(-1)),
      button("Next", () => step(1)),
      button("Close", () => { close(); box.focus({ preventScroll: true }); }),
    ];
  }

  // Opens the current case; `isEntered` takes the keyboard there too.
  async function openCase({ isEntered = true } = {}) {
    const item = list.item();
    if (!item) return;
    opened = item;
    const texts = await store.of(item.index);
    if (opened !== item) return; // another was opened meanwhile
    panel.replaceChildren(...caseView(item, texts, { data, actions: actions(texts), isMarking }).filter((part) => part !== ""));
    panel.setAttribute("aria-labelledby", "case-title");
    panel.hidden = false;
    remember();
    if (isEntered) {
      panel.focus({ preventScroll: true });
      panel.scrollIntoView({ block: "start" });
    }
  }

  function close() {
    opened = null;
    panel.hidden = true;
    panel.replaceChildren();
    remember();
  }

  function step(by) {
    list.go(list.place() + by);
    if (!opened) box.focus({ preventScroll: true });
    else openCase({ isEntered: panel.contains(document.activeElement) });
  }

  async function toggleMarks() {
    if (!opened) return;
    isMarking = !isMarking;
    await openCase({ isEntered: false });
    byId("case-marks")?.focus({ preventScroll: true });
  }

  async function copy() {
    if (!opened) return;
    const texts = await store.of(opened.index);
    if (!texts.json) return;
    const yaml = caseYaml(opened, texts);
    const told = byId("case-copy");
    try {
      await navigator.clipboard.writeText(yaml);
      told.textContent = "Copied";
    } catch { // the browser keeps its clipboard from pages of this kind: the reader can take it from here
      const text = make("textarea", { class: "yaml", rows: 8, readonly: "", "aria-label": "The case as YAML" });
      text.value = yaml;
      told.after(text);
      text.select();
    }
  }

  // --- the address ----------------------------------------------------------------------------------

  const encoded = (text) => encodeURIComponent(wellFormed(text));
  const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };

  function remember() {
    const chosen = Object.keys(NOTHING_CHOSEN).filter((key) => state[key] !== NOTHING_CHOSEN[key]);
    const parts = chosen.map((key) => `${key}=${encoded(state[key])}`);
    const [first, rest] = [opened && !parts.length ? [] : ["cases"], opened ? [`case=${opened.path}`] : []];
    const address = `#${[...first, ...parts, ...rest].join("&")}`;
    if (address !== location.hash && (address !== "#cases" || location.hash)) history.replaceState(null, "", address);
  }

  function readAddress() {
    const hash = location.hash.slice(1);
    if (!/^cases?(?:[&=]|$)/.test(hash)) return;
    const told = new Map(hash.split("&").map((part) => [part.split("=")[0], part.slice(part.indexOf("=") + 1)]));
    const isKnown = (key, value) => (key === "text" ? true : key === "show" ? showButtons.some((one) => one.dataset.show === value) : [...boxes[key].options].some((one) => one.value === value));
    const asked = Object.keys(NOTHING_CHOSEN).filter((key) => told.has(key)).map((key) => [key, decoded(told.get(key))]);
    state = { ...NOTHING_CHOSEN, ...Object.fromEntries(asked.filter(([key, value]) => isKnown(key, value))) };
    opened = null;
    draw();
    if (told.has("case")) goTo(told.get("case"));
    else byId("cases").scrollIntoView();
  }

  function goTo(wanted) {
    const is = (item) => item.path === wanted || `${item.suite.name}/${item.id}` === decoded(wanted);
    if (!found.some(is)) { state = { ...NOTHING_CHOSEN }; draw(); }
    const place = found.findIndex(is);
    if (place < 0) { tally.textContent = `There is no case ${visible(decoded(wanted))} in this run.`; return; }
    list.go(place, { isCentred: true });
    openCase();
  }

  // --- keys -----------------------------------------------------------------------------------------

  const help = byId("case-help");
  const keys = {
    "/": () => { search.focus(); search.select(); },
    j: () => step(1),
    k: () => step(-1),
    Enter: () => openCase(),
    d: toggleMarks,
    y: copy,
    "?": () => help.showModal(),
    Escape: (from) => {
      if (from === search) box.focus();
      else if (opened) { close(); box.focus({ preventScroll: true }); }
      else change(NOTHING_CHOSEN);
    },
  };
  document.addEventListener("keydown", (event) => {
    const from = event.target;
    const isTyping = from instanceof HTMLElement && from.matches("input, select, textarea");
    const isPressing = event.key === "Enter" && from instanceof HTMLElement && from.matches("button, a, summary");
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || isPressing || !Object.hasOwn(keys, event.key)) return;
    if (isTyping && !(event.key === "Escape" || (event.key === "Enter" && from === search))) return;
    event.preventDefault();
    if (isTyping && event.key === "Enter") { box.focus({ preventScroll: true }); list.go(0); return; }
    keys[event.key](from);
  });
  byId("case-help-open").addEventListener("click", () => help.showModal());
  byId("case-help-close").addEventListener("click", () => help.close());
  for (const one of showButtons) one.addEventListener("click", () => change({ show: one.dataset.show }));
  for (const [key, select] of Object.entries(boxes)) select.addEventListener("change", () => change({ [key]: select.value }));
  let [isDue, pending] = [false, 0];
  search.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(remember, 400); // browsers count how often a page changes its address
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; state.text = search.value.trim(); draw(); });
  });
  window.addEventListener("hashchange", readAddress);

  byId("case-browser").hidden = false;
  byId("cases").classList.add("scripted");
  fillBoxes();
  draw();
  readAddress();
  store.read.then(() => { if (state.text) draw(); byId("cases").dataset.read = "all"; }, trouble);
}

function trouble(error) {
  const box = byId("case-trouble");
  box.textContent = typeof DecompressionStream === "function"
    ? `The cases in this page cannot be unpacked: ${visible(String(error.message))}. The page may be damaged; harness report writes it again.`
    : "This browser cannot unpack the cases in this page: it has no DecompressionStream, which Chrome 103, Firefox 113 and Safari 16.4 brought. The most important ones stand below.";
  box.hidden = false;
}

if (byId("case-index")) start().catch(trouble);

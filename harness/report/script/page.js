// The cases: narrowed, sorted, opened, linked to, and moved through by keyboard.

async function start() {
  const data = readCases(await unpacked(byId("case-index").textContent));
  const packedTexts = byId("case-blocks");
  const store = textStore(packedTexts.textContent.split("\n"), packedTexts.dataset.cases.split(" ").map(Number), data.cases);
  byId("case-browser").hidden = false;
  byId("cases").classList.add("scripted");
  caseBrowser(data, store);
}

function trouble(error) {
  const box = byId("case-trouble");
  box.textContent = typeof DecompressionStream === "function"
    ? say("The cases in this page cannot be unpacked: {error}. The page may be damaged; harness report writes it again.", { error: visible(String(error.message)) })
    : say("This browser cannot unpack the cases in this page: it has no DecompressionStream, which Chrome 103, Firefox 113 and Safari 16.4 brought. The most important ones stand below.");
  box.hidden = false;
}

function caseBrowser(data, store) {
  const [box, tally, search] = ["case-list", "case-count", "case-search"].map(byId);
  const boxes = { suite: byId("case-suite"), tag: byId("case-tag"), scorer: byId("case-scorer"), sort: byId("case-sort") };
  const showButtons = [...document.querySelectorAll("[data-show]")];
  let state = { ...NOTHING_CHOSEN };
  let found = [];
  const list = caseList(box, {
    fill: (item) => caseRow(item, { roles: data.roles, scores: scoresOf(item, state) }),
    open: () => reading.open(list.item()),
  });
  const reading = openedCase(data, store, { step, changed: remember, back: () => box.focus({ preventScroll: true }) });

  // --- choosing -------------------------------------------------------------------------------------

  function draw() {
    const fitting = near(data.cases, state, store.said);
    found = sorted(fitting.filter((item) => isShown(item, state.show)), state, data);
    if (reading.item() && !found.includes(reading.item())) reading.close();
    list.show(found, found.indexOf(reading.item()));
    tally.textContent = told();
    for (const button of showButtons) {
      const { show } = button.dataset;
      button.setAttribute("aria-pressed", String(show === state.show));
      button.querySelector(".n").textContent = whole(fitting.filter((item) => isShown(item, show)).length);
    }
    for (const [key, select] of Object.entries(boxes)) select.value = state[key];
    if (search.value.trim() !== state.text) search.value = state.text;
    markSought(soughtWords(state.text));
  }

  function told() {
    if (!found.length) return say("No case fits. Esc shows all.");
    const isReading = state.text && store.said.length < data.cases.length;
    const all = counted(data.cases.length, "case");
    const some = found.length === data.cases.length ? all : say("{n} of {all}", { n: whole(found.length), all });
    return isReading ? say("{some}, the answers are still being read", { some }) : some;
  }

  function change(update) {
    state = { ...state, ...update };
    draw();
    remember();
  }

  function remember() {
    const address = addressOf(state, reading.item());
    if (address !== location.hash && (address !== "#cases" || location.hash)) history.replaceState(null, "", address);
  }

  function fillBoxes() {
    const times = (words) => words.reduce((counts, word) => counts.set(word, (counts.get(word) ?? 0) + 1), new Map());
    const counts = {
      suite: times(data.cases.map((item) => item.suite.name)),
      tag: new Map([...times(data.cases.flatMap((item) => item.tags))].sort()),
      scorer: times(data.cases.flatMap((item) => item.suite.scorers)),
    };
    const option = (value, word) => Object.assign(make("option", {}, word), { value });
    for (const [key, words] of Object.entries(counts)) {
      boxes[key].append(...[...words].map(([word, cases]) => option(word, `\u2068${word}\u2069 (${whole(cases)})`)));
      boxes[key].parentElement.hidden = !words.size;
    }
    boxes.sort.append(...Object.entries(SORTS).map(([key, [word]]) => option(key, say(word))));
  }

  // --- moving ---------------------------------------------------------------------------------------

  function step(by) {
    list.go(list.place() + by);
    if (reading.item()) reading.open(list.item(), { isEntered: reading.isEntered() });
    else box.focus({ preventScroll: true });
  }

  function follow() {
    const isKnown = (key, value) => key === "text" || (key === "show" ? showButtons.some((one) => one.dataset.show === value) : [...boxes[key].options].some((one) => one.value === value));
    const asked = readAddress(location.hash, isKnown);
    if (!asked) return;
    state = asked.state;
    reading.close();
    draw();
    if (asked.wanted === undefined) byId("cases").scrollIntoView();
    else goTo(asked.wanted);
  }

  function goTo(wanted) {
    const is = (item) => item.path === wanted || `${item.suite.name}/${item.id}` === decoded(wanted);
    if (!found.some(is)) { state = { ...NOTHING_CHOSEN }; draw(); }
    const place = found.findIndex(is);
    if (place < 0) { tally.textContent = say("There is no case {id} in this run.", { id: visible(decoded(wanted)) }); return; }
    list.go(place, { isCentred: true });
    reading.open(list.item());
  }

  // --- keys -----------------------------------------------------------------------------------------

  const help = byId("case-help");
  const keys = {
    "/": () => { search.focus(); search.select(); },
    j: () => step(1),
    k: () => step(-1),
    Enter: () => reading.open(list.item()),
    d: () => reading.toggleMarks(),
    y: () => reading.copy(),
    "?": () => help.showModal(),
    Escape: (from) => {
      if (from === search) box.focus();
      else if (reading.item()) reading.leave();
      else change(NOTHING_CHOSEN);
    },
  };

  function press(event) {
    const from = event.target instanceof HTMLElement ? event.target : document.body;
    const isTyping = from.matches("input, select, textarea");
    const isItsOwn = event.key === "Enter" && from.matches("button, a, summary"); // which Enter presses by itself
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || isItsOwn || !Object.hasOwn(keys, event.key)) return;
    if (isTyping && event.key !== "Escape" && !(event.key === "Enter" && from === search)) return;
    event.preventDefault();
    if (from === search && event.key === "Enter") { box.focus({ preventScroll: true }); list.go(0); } else keys[event.key](from);
  }

  function listen() {
    document.addEventListener("keydown", press);
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
    window.addEventListener("hashchange", follow);
  }

  fillBoxes();
  draw();
  listen();
  follow();
  store.read.then(() => { if (state.text) draw(); byId("cases").dataset.read = "all"; }, trouble);
}

if (byId("case-index")) start().catch(trouble);

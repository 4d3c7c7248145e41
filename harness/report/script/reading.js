// The opened case below the list: one at a time, with what can be done with it.

// `step` moves in the list, `changed` hears that another case is open or none, `back` takes the keyboard to the list.
function openedCase(data, store, { step, changed, back }) {
  const panel = byId("case-open");
  let opened = null;
  let isMarking = true;

  const button = (word, click, attributes = {}) => make("button", { type: "button", click, ...attributes }, word);
  const actions = (texts) => (mark) => [
    mark.canMark ? button(say("Mark differences"), toggleMarks, { id: "case-marks", "aria-pressed": isMarking }) : "",
    texts.json ? button(say("Copy as YAML"), copy, { id: "case-copy" }) : make("span", { class: "quiet" }, say("Too long to be copied from here as YAML.")),
    button(say("Previous"), () => step(-1)),
    button(say("Next"), () => step(1)),
    button(say("Close"), leave),
  ];

  // `isEntered` takes the keyboard there too.
  async function open(item, { isEntered = true } = {}) {
    if (!item) return;
    opened = item;
    const texts = await store.of(item.index);
    if (opened !== item) return; // another was opened meanwhile
    panel.replaceChildren(...caseView(item, texts, { data, actions: actions(texts), isMarking }).filter((part) => part !== ""));
    panel.setAttribute("aria-labelledby", "case-title");
    panel.hidden = false;
    changed();
    markSought();
    if (isEntered) {
      panel.focus({ preventScroll: true });
      panel.scrollIntoView({ block: "start" });
    }
  }

  function close() {
    opened = null;
    panel.hidden = true;
    panel.replaceChildren();
  }

  function leave() {
    close();
    changed();
    back();
  }

  async function toggleMarks() {
    if (!opened) return;
    isMarking = !isMarking;
    const hadFocus = document.activeElement === byId("case-marks");
    await open(opened, { isEntered: false });
    if (hadFocus) byId("case-marks")?.focus({ preventScroll: true });
    else panel.focus({ preventScroll: true });
  }

  async function copy() {
    if (!opened) return;
    const texts = await store.of(opened.index);
    if (!texts.json) return;
    const yaml = caseYaml(opened, texts);
    const told = byId("case-copy");
    try {
      await navigator.clipboard.writeText(yaml);
      told.textContent = say("Copied");
    } catch { // the browser keeps its clipboard from pages of this kind: the reader can take it from here
      const text = make("textarea", { class: "yaml", rows: 8, readonly: "", "aria-label": say("The case as YAML") });
      text.value = yaml;
      told.after(text);
      text.select();
    }
  }

  return { open, close, leave, copy, toggleMarks, item: () => opened, isEntered: () => panel.contains(document.activeElement) };
}

// Marks what is sought in the opened case, without touching its elements; a browser without highlights marks nothing.
let sought = [];
function markSought(words = sought) {
  sought = words;
  if (typeof Highlight !== "function") return;
  const ranges = [];
  const walker = document.createTreeWalker(byId("case-open"), NodeFilter.SHOW_TEXT);
  while (sought.length && walker.nextNode()) {
    const text = walker.currentNode.data.toLowerCase();
    if (text.length !== walker.currentNode.data.length || text.length > 5 * PIECE) continue; // places would not fit
    for (const word of sought) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = new Range();
        range.setStart(walker.currentNode, at);
        range.setEnd(walker.currentNode, at + word.length);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set("sought", new Highlight(...ranges));
}

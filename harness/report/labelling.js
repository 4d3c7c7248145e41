// Shows one card at a time, remembers labels in this browser, saves them as CSV. Moves no text into markup.
"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const at = (id) => document.getElementById(id);
  const file = document.body.dataset.file;
  const labels = new Map();
  let current = 0;
  let unsaved = false;

  const remembered = () => {
    try { return JSON.parse(localStorage.getItem("labels:" + file)) || {}; } catch { return {}; }
  };
  const remember = () => {
    try {
      const kept = { annotator: at("annotator").value, labels: Object.fromEntries(labels) };
      localStorage.setItem("labels:" + file, JSON.stringify(kept));
    } catch { /* a browser that keeps nothing: the labels last as long as the page */ }
  };

  function show(index) {
    current = Math.min(Math.max(index, 0), cards.length - 1);
    cards.forEach((card, place) => { card.hidden = place !== current; });
    at("position").textContent = current + 1;
    at("back").disabled = current === 0;
    at("next").disabled = current === cards.length - 1;
    cards[current].querySelectorAll(".said").forEach((text) => { text.scrollTop = 0; text.tabIndex = text.scrollHeight > text.clientHeight ? 0 : -1; });
  }
  function count() {
    at("done").textContent = labels.size;
    at("progress").value = labels.size;
  }
  function give(card, label) {
    if (label === null) labels.delete(card.id); else labels.set(card.id, label);
    card.querySelectorAll("input").forEach((input) => { input.checked = input.value === label; });
    unsaved = true;
    count();
    remember();
  }
  function nextOpen() {
    const order = [...cards.keys()].map((step) => (current + 1 + step) % cards.length);
    const open = order.find((index) => !labels.has(cards[index].id));
    if (open === undefined) tell("All are labelled: save the CSV."); else show(open);
  }
  function tell(text) { at("said").textContent = text; }

  const quoted = (text) => '"' + text.replaceAll('"', '""') + '"';
  function save() {
    const name = at("annotator").value.trim().replace(/[\r\n\t]+/g, " ");
    if (!name) { tell("Your name is missing: it tells your labels from others'."); at("annotator").focus(); return; }
    const rows = cards.map((card) => quoted(card.id) + "," + quoted(labels.get(card.id) || ""));
    const text = "\ufeffid," + quoted("label " + name) + "\r\n" + rows.join("\r\n") + "\r\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = file + "-" + name.replace(/[^\p{L}\p{N}-]+/gu, "-") + ".csv";
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    tell(labels.size + " of " + cards.length + " labels saved as " + link.download + ".");
  }

  cards.forEach((card) => card.addEventListener("change", (event) => give(card, event.target.value)));
  at("back").addEventListener("click", () => show(current - 1));
  at("next").addEventListener("click", () => show(current + 1));
  at("clear").addEventListener("click", () => give(cards[current], null));
  at("save").addEventListener("click", save);
  at("annotator").addEventListener("input", remember);
  addEventListener("beforeunload", (event) => { if (unsaved && labels.size) event.preventDefault(); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.id === "annotator") return;
    const key = event.key.toLowerCase();
    const moves = { j: () => show(current + 1), k: () => show(current - 1), n: nextOpen, s: save };
    const choice = [...cards[current].querySelectorAll("input")].find((input) => input.dataset.key === key);
    if (choice) {
      give(cards[current], choice.value);
      if (current < cards.length - 1) show(current + 1); else nextOpen();
    } else if (moves[key]) moves[key]();
    else return;
    event.preventDefault();
  });

  const kept = remembered();
  at("annotator").value = typeof kept.annotator === "string" ? kept.annotator : "";
  for (const card of cards) {
    const label = kept.labels && kept.labels[card.id];
    if ([...card.querySelectorAll("input")].some((input) => input.value === label)) give(card, label);
  }
  unsaved = false;
  count();
  if (labels.size) at("progress").closest("body").querySelector(".help").open = false;
  show(0);
  if (labels.size) nextOpen();
})();

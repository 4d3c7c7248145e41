// The list of cases: only the rows in sight exist, at the places where they would stand if all did. It is a listbox:
// assistive technology is told of each row which it is of how many, and of the one that is current.

const SPARE_ROWS = 6; // above and below what is in sight, so that a quick scroll meets no gap
const CHANGES = { improved: "Improved", regressed: "Regressed", missed: "Missed", kept: "Kept", uncompared: "Not compared" };

// Two scores and how they moved: `100.0 → 0.0`.
function moves(roles, scores) {
  return roles.flatMap(({ word }, index) => [
    index ? make("span", { class: "arrow", "aria-hidden": "true" }, "→") : "",
    make("span", { class: "sr" }, ` ${word} `),
    make("b", { class: index === roles.length - 1 ? "last" : "" }, points(scores[index])),
  ]);
}

function caseRow(item, { roles, scores }) {
  const marks = [
    item.has.has("required") ? make("span", { class: "tag failing" }, say("required")) : "",
    item.has.has("errors") ? make("span", { class: "tag failing" }, say("error")) : "",
    item.has.has("refusals") ? make("span", { class: "tag" }, say("refusal")) : "",
    item.has.has("unscored") ? make("span", { class: "tag" }, say("unscored")) : "",
  ];
  return [
    make("span", { class: "chip" }, make("span", { class: `swatch ${item.change}`, "aria-hidden": "true" }), say(CHANGES[item.change])),
    make("span", { class: "row-id" }, make("span", { class: "row-suite" }, make("bdi", {}, item.suite.name), " / "), make("bdi", {}, item.id)),
    make("bdi", { class: "row-start", lang: "" }, item.start || "–"),
    make("span", { class: "row-marks" }, ...marks),
    make("span", { class: "row-scores" }, ...moves(roles, scores)),
  ];
}

// `show(items, at)` puts other cases into the list; `go(place)` makes one of them current.
function caseList(box, { fill, open }) {
  const space = box.firstElementChild;
  let items = [];
  let current = -1;
  let height = 0; // of a row, in pixels; the style says it, narrow windows have taller ones

  function row(place) {
    const item = items[place];
    const element = make("div", {
      id: `case-row-${item.index}`,
      class: "row",
      role: "option",
      "aria-posinset": place + 1,
      "aria-setsize": items.length,
      "aria-selected": place === current,
    }, ...fill(item));
    element.style.top = `${place * height}px`;
    element.addEventListener("click", () => { go(place); open(); });
    return element;
  }

  function draw() {
    const first = Math.max(0, Math.floor(box.scrollTop / height) - SPARE_ROWS);
    const last = Math.min(items.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + SPARE_ROWS);
    const places = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
    // The current row exists wherever the list was scrolled to, or nobody could be told of it.
    if (current >= 0 && !places.includes(current)) places.push(current);
    space.replaceChildren(...places.map(row));
    if (current < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", `case-row-${items[current].index}`);
  }

  function measure() {
    height = parseFloat(getComputedStyle(box).getPropertyValue("--row"));
    space.style.height = `${items.length * height}px`;
  }

  function go(place, { isCentred = false } = {}) {
    if (!items.length) return;
    current = Math.min(Math.max(0, place), items.length - 1);
    const top = current * height;
    if (isCentred) box.scrollTop = top - (box.clientHeight - height) / 2;
    else box.scrollTop = Math.min(top, Math.max(box.scrollTop, top + height - box.clientHeight));
    draw();
  }

  function show(found, place) {
    items = found;
    current = place;
    box.hidden = !items.length;
    measure();
    if (place < 0) box.scrollTop = 0;
    else go(place);
    draw();
  }

  const page = () => Math.max(1, Math.floor(box.clientHeight / height) - 1);
  const keys = {
    ArrowDown: () => go(current + 1),
    ArrowUp: () => go(current - 1),
    PageDown: () => go(current + page()),
    PageUp: () => go(current - page()),
    Home: () => go(0),
    End: () => go(items.length - 1),
    " ": () => { go(current); open(); },
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  let isDue = false;
  box.addEventListener("scroll", () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; draw(); });
  });
  window.addEventListener("resize", () => { measure(); draw(); });
  return { show, go, draw, place: () => current, item: () => items[current], size: () => items.length };
}

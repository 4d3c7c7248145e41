// Which cases the list holds, and in what order.

const NOTHING_CHOSEN = { show: "all", suite: "", tag: "", scorer: "", sort: "weight", text: "" };
const WEIGHTS = ["required", "regressed", "errors", "unscored", "improved", "missed", "uncompared", "kept"];
const number = (value, missing) => (isNumber(value) ? value : missing);

// Ways to sort: the word, and the number that is sorted by, the smallest first. `moved` is the candidate's score minus
// the reference's; what has no number comes last.
const SORTS = {
  weight: ["What matters most", (item, { moved }) => WEIGHTS.findIndex((word) => item.has.has(word)) + number(moved, 0) / 4],
  suite: ["Order of the suites", (item) => item.index],
  loss: ["Largest loss", (item, { moved }) => number(moved, Infinity)],
  gain: ["Largest gain", (item, { moved }) => -number(moved, -Infinity)],
  lowest: ["Lowest score", (item, { candidate }) => number(candidate, Infinity)],
  highest: ["Highest score", (item, { candidate }) => -number(candidate, -Infinity)],
  longest: ["Longest answer", (item) => -number(item.tokens, -Infinity)],
};

const isShown = (item, show) => show === "all" || item.has.has(show);
const soughtWords = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

// A case's scores in the order of the roles: those of the scorer that is chosen, else of all together.
function scoresOf(item, { scorer }) {
  const at = scorer ? item.suite.scorers.indexOf(scorer) : -1;
  return item.by[at] ?? item.scores;
}

// What fits everything that is chosen but what became of it; every word sought must occur. `said` has what a case
// says, as far as that was read.
function near(cases, { suite, tag, scorer, text }, said) {
  const words = soughtWords(text);
  return cases.filter((item) => {
    if (suite && item.suite.name !== suite) return false;
    if (tag && !item.tags.includes(tag)) return false;
    if (scorer && !item.suite.scorers.includes(scorer)) return false;
    item.name ??= [item.id, item.suite.name, ...item.tags, item.start].join("\n").toLowerCase();
    return words.every((word) => item.name.includes(word) || said[item.index]?.includes(word));
  });
}

function sorted(cases, state, { roles, reference }) {
  const [candidateAt, referenceAt] = ["candidate", reference].map((key) => roles.findIndex((role) => role.key === key));
  const keys = new Map(cases.map((item) => {
    const scores = scoresOf(item, state);
    const [candidate, before] = [scores[candidateAt], scores[referenceAt]];
    const moved = isNumber(candidate) && isNumber(before) ? candidate - before : null;
    return [item, SORTS[state.sort][1](item, { candidate, moved })];
  }));
  return cases.sort((one, other) => keys.get(one) - keys.get(other) || one.index - other.index);
}

// --- in the address: #cases&show=regressed&case=suite/id, and #case=suite/id where nothing else is chosen -------------

const encoded = (text) => encodeURIComponent(wellFormed(text));
const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };

function addressOf(state, opened) {
  const chosen = Object.keys(NOTHING_CHOSEN).filter((key) => state[key] !== NOTHING_CHOSEN[key]);
  const parts = chosen.map((key) => `${key}=${encoded(state[key])}`);
  if (opened) parts.push(`case=${opened.path}`);
  return `#${opened && !chosen.length ? parts[0] : ["cases", ...parts].join("&")}`;
}

// What an address asks for, and the path of a case; null where it is not about the cases. `isKnown` tells values that
// can be chosen from those of another run.
function readAddress(hash, isKnown) {
  if (!/^#cases?(?:[&=]|$)/.test(hash)) return null;
  const told = new Map(hash.slice(1).split("&").map((part) => [part.split("=")[0], part.slice(part.indexOf("=") + 1)]));
  const asked = Object.keys(NOTHING_CHOSEN).filter((key) => told.has(key)).map((key) => [key, decoded(told.get(key))]);
  const state = { ...NOTHING_CHOSEN, ...Object.fromEntries(asked.filter(([key, value]) => isKnown(key, value))) };
  return { state, wanted: told.get("case") };
}

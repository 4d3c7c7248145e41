// One case, opened: what was asked, the answers side by side with the words that differ, scores with their reasons,
// what it took, and what became of the case in earlier runs.

function scoreLine(score) {
  const kind = score.value === null ? "none" : score.value >= 1 ? "full" : score.value <= 0 ? "zero" : "";
  const told = Object.entries(score.measures).map(([name, value]) => `${name} ${fixed(value, Number.isInteger(value) ? 0 : 2)}`).join(", ");
  const reason = score.value === null ? say("unscored: {reason}", score) : score.reason;
  return make("li", {},
    make("span", { class: `value ${kind}` }, points(score.value)),
    make("div", {}, make("bdi", {}, score.name), told ? make("span", { class: "quiet" }, ` (${told})`) : "",
      reason.length > 200 || reason.includes("\n") ? prose(reason, "") : make("bdi", { class: "quiet" }, ` ${reason}`)));
}

function completion(answer, marked) {
  const parts = [prose(answer.text, say(answer.tools.length || answer.refusal ? "no text" : "empty answer"), marked)];
  if (answer.refusal) parts.push(labelled(say("Refusal"), prose(answer.refusal, "")));
  if (answer.tools.length) parts.push(labelled(say("Tool calls"), prose(answer.tools.join("\n"), "")));
  if (answer.scores.length) parts.push(make("ul", { class: "scores", "aria-label": say("Scores") }, ...answer.scores.map(scoreLine)));
  for (const bill of answer.bills) parts.push(make("p", { class: "quiet bill" }, `${say(bill.role)}: ${billed(bill)}`));
  return parts;
}

function failure(answer) {
  const status = answer.status ? ` (HTTP ${answer.status})` : "";
  return [make("div", { class: "failure" }, make("b", {}, say("No answer: {kind}", { kind: say(answer.failure.replaceAll("_", " ")) }) + status), prose(answer.text, say("no message")))];
}

// `31 + 13 tokens`: what went in, what came out.
function tokens([into, fromCache, out]) {
  if (!isNumber(into) && !isNumber(out)) return [];
  const cached = isNumber(fromCache) && fromCache > 0 ? say(" ({n} cached)", { n: whole(fromCache) }) : "";
  return [say("{into} + {out} tokens", { into: (isNumber(into) ? whole(into) : "–") + cached, out: isNumber(out) ? whole(out) : "–" })];
}

function billed(bill) {
  const told = [counted(bill.asked, "request"), ...tokens(bill.usage)];
  if (bill.cached) told.push(say("{n} from cache", { n: whole(bill.cached) }));
  if (bill.failed) told.push(say("{n} failed", { n: whole(bill.failed) }));
  return told.join(" · ");
}

function facts(answer, trials) {
  const told = trials > 1 && isNumber(answer.trial) ? [say("trial {n}", { n: answer.trial + 1 })] : [];
  if (answer.usage) told.push(...tokens(answer.usage));
  if (answer.cached) told.push(say("from cache"));
  else if (isNumber(answer.latency)) told.push(`${answer.latency.toFixed(2)} s`);
  if (answer.finish && answer.finish !== "stop") told.push(say("ended by {finish}", answer));
  return told.join(" · ");
}

function column(role, answers, marks) {
  const box = make("div", { class: "answer" });
  if (!answers.length) box.append(make("div", { class: "answer-head" }, make("span", { class: "label" }, role.word)), prose("", say("not asked")));
  answers.forEach((answer, index) => {
    box.append(make("div", { class: "trial" },
      make("div", { class: "answer-head" }, make("span", { class: "label" }, index ? "" : role.word), make("span", { class: "quiet" }, facts(answer, answers.length))),
      ...("failure" in answer ? failure(answer) : completion(answer, marks(role, answer, index)))));
  });
  return box;
}

function systemPrompts(suite, roles) {
  const texts = new Map();
  for (const { key, word } of roles) {
    const text = suite.prompts[key];
    if (text) texts.set(text, [...(texts.get(text) ?? []), word]);
  }
  if (!texts.size) return "";
  const isOne = texts.size === 1 && [...texts.values()][0].length === roles.length;
  return make("details", {}, make("summary", {}, say("System prompt")),
    ...[...texts].map(([text, words]) => (isOne ? prose(text, "") : labelled(words.join(say(", ")), prose(text, "")))));
}

function pastRuns(history, earlier) {
  if (!history.length) return "";
  const head = ["Earlier run", "Verdict", "Candidate", "Change", "Before", "After"];
  const rows = history.map(([number, change, candidate, reference]) => {
    const run = earlier[number];
    return make("tr", {},
      make("th", { scope: "row" }, make("bdi", {}, run.created.slice(0, 16).replace("T", " ")), make("bdi", { class: "quiet" }, run.run)),
      make("td", {}, say(run.outcome || "–")),
      make("td", {}, make("bdi", {}, run.candidate || "–")),
      make("td", {}, change ? make("span", { class: "chip" }, make("span", { class: `swatch ${change}`, "aria-hidden": "true" }), say(CHANGES[change])) : "–"),
      make("td", { class: "num" }, make("span", { class: "sr" }, `${run.reference} `), points(reference)),
      make("td", { class: "num" }, points(candidate)));
  });
  return make("details", { class: "past", open: "" }, make("summary", {}, say("The same case in {runs}", { runs: counted(history.length, "earlier run") })),
    make("div", { class: "past-table", tabindex: "0", role: "region", "aria-label": say("Earlier runs") }, make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((word, index) => make("th", { scope: "col", class: index > 3 ? "num" : "" }, say(word))))),
      make("tbody", {}, ...rows))));
}

// What marks words of an answer: those of the reference's first answer and the candidate's which the other has not.
function marking(texts, reference) {
  const said = (role) => texts.answers[role]?.[0];
  const [before, after] = [said(reference), said("candidate")];
  const isPair = before && after && !("failure" in before) && !("failure" in after) && before.text && after.text;
  if (!isPair || before.text === after.text) return { word: isPair ? say("The answers are the same.") : "", of: () => undefined };
  const found = differences(before.text, after.text);
  if (!found) return { word: say("The answers have next to nothing in common, or are too long to compare."), of: () => undefined };
  const of = (role, answer, index) => {
    if (index || (role.key !== reference && role.key !== "candidate")) return undefined;
    const [tag, parts] = role.key === "candidate" ? ["ins", found.after] : ["del", found.before];
    const runs = parts.map(([text, isMarked]) => [text, isMarked ? tag : null]);
    return (shown) => between(runs, 0, shown.length);
  };
  return { word: "", canMark: true, of };
}

// The parts of an opened case. `actions` are buttons; `isMarking` says whether words that differ are marked.
function caseView(item, texts, { data, actions, isMarking }) {
  const { roles } = data;
  const mark = marking(texts, data.reference);
  const tags = [...item.tags.map((tag) => make("span", { class: "tag" }, make("bdi", {}, tag))),
    item.required ? make("span", { class: item.has.has("required") ? "tag failing" : "tag" }, say(item.has.has("required") ? "required, failed" : "required")) : ""];
  const title = make("h3", { id: "case-title" }, make("a", { href: `#case=${item.path}` }, make("bdi", {}, item.suite.name), " / ", make("bdi", {}, item.id)));
  const head = make("div", { class: "case-head" },
    make("span", { class: "chip" }, make("span", { class: `swatch ${item.change}`, "aria-hidden": "true" }), say(CHANGES[item.change])),
    title, ...tags, make("span", { class: "row-scores" }, ...moves(roles, item.scores)));
  const isSingle = texts.messages.length === 1 && texts.messages[0].role === "user";
  const asked = make("div", { class: isSingle && texts.expected ? "asked paired" : "asked" },
    ...texts.messages.map((message) => labelled(isSingle ? say("Prompt") : say(message.role), prose(message.text, say("empty message")))),
    texts.expected ? labelled(say("Expected"), prose(texts.expected, "")) : "",
    systemPrompts(item.suite, roles));
  const size = { 1: " one", 3: " three" }[roles.length] ?? "";
  const answers = make("div", { class: `answers${size}` },
    ...roles.map((role) => column(role, texts.answers[role.key] ?? [], isMarking ? mark.of : () => undefined)));
  return [head, make("div", { class: "actions" }, ...actions(mark), mark.word ? make("span", { class: "quiet" }, mark.word) : ""),
    asked, answers, pastRuns(texts.history, data.earlier)];
}

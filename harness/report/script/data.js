// The run's cases, unpacked from the page: the list at once, the texts in blocks, when they are needed.

const KEPT_BLOCKS = 8; // unpacked blocks that are remembered; every other is unpacked again

async function unpacked(base64) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(base64) : Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

function readCases(data) {
  data.cases.forEach((item, index) => {
    Object.assign(item, { index, suite: data.suites[item.suite], tags: item.tags.map((tag) => data.tags[tag]) });
    item.path = `${encodeURIComponent(wellFormed(item.suite.name))}/${encodeURIComponent(wellFormed(item.id))}`;
    item.has = new Set([...item.marks, item.change]);
  });
  return data;
}

// Texts of cases by their index, and what a search looks through. `said` is filled in the background: one lower-case
// string a case, for a search that looks into 10,000 cases while a key goes up.
function textStore(blocks, counts, items) {
  const ends = [];
  counts.forEach((count) => ends.push((ends.at(-1) ?? 0) + count));
  const kept = new Map();
  const said = [];

  async function block(number) {
    const held = kept.get(number) ?? unpacked(blocks[number]);
    kept.delete(number);
    kept.set(number, held); // the last in the map was used last
    if (kept.size > KEPT_BLOCKS) kept.delete(kept.keys().next().value);
    return held;
  }

  async function of(index) {
    const number = ends.findIndex((end) => index < end);
    const texts = (await block(number))[index - (ends[number - 1] ?? 0)];
    for (const message of texts.messages) message.text ??= items[index].start; // what its row says in full
    return texts;
  }

  async function readAll() {
    for (const number of blocks.keys()) {
      const cases = kept.get(number) ?? unpacked(blocks[number]);
      for (const texts of await cases) said.push(wordsOfCase(texts));
    }
  }

  return { of, said, read: readAll() };
}

function wordsOfCase({ messages, expected, answers }) {
  const parts = [...messages.map((message) => message.text ?? ""), expected ?? ""];
  for (const answer of Object.values(answers).flat()) {
    parts.push(answer.text, answer.refusal ?? "", ...(answer.tools ?? []), ...(answer.scores ?? []).map((score) => score.reason));
  }
  return parts.join("\n").toLowerCase();
}

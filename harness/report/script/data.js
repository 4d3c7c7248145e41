// The run's cases, unpacked from the page: the list at once, the texts in blocks, when they are needed.

const KEPT_BLOCKS = 8; // unpacked blocks that are remembered; every other is unpacked again

async function unpacked(base64) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(base64) : Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

// A list that was packed in columns: objects of a kind by their keys, lists one after the other, or as it is.
function fromColumns(packed) {
  if (Array.isArray(packed)) return packed;
  if (packed.sizes) {
    const items = fromColumns(packed.of);
    let at = 0;
    return packed.sizes.map((size) => items.slice(at, at += size));
  }
  const kinds = packed.keys.map((keys, kind) => objects(keys, packed.of[kind].map(fromColumns)));
  if (!packed.which) return kinds[0];
  const next = kinds.map(() => 0);
  return packed.which.map((kind) => kinds[kind][next[kind]++]);
}

// A key may be anything, `__proto__` too: only fromEntries takes each as a name. Where there is none, a column counts.
const objects = (keys, columns) => columns[0].map((_, row) => Object.fromEntries(keys.map((key, place) => [key, columns[place][row]])));

function readCases(data) {
  data.cases = fromColumns(data.cases);
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

  const readBlock = async (number) => fromColumns(await unpacked(blocks[number]));

  async function block(number) {
    const held = kept.get(number) ?? readBlock(number);
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
      const cases = kept.get(number) ?? readBlock(number);
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

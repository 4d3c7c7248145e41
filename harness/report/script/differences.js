// The words in which two answers differ: the shortest way from one to the other (Myers 1986).

const MOST_WORDS = 6000; // of a text in which differences are sought: more take longer than a keystroke may
const MOST_CHARACTERS = 120_000; // telling the words of more takes longer than that too
const MOST_EDITS = 1500;
const LEAST_IN_COMMON = 0.2; // below it nearly every word would be marked, which tells nothing

// Words as the reader's language has them: Chinese and Japanese have no spaces, so where the browser cannot tell their
// words, a character is one.
const segmenter = typeof Intl === "object" && Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;

function wordsOf(text) {
  if (segmenter) return Array.from(segmenter.segment(text), (part) => part.segment);
  return text.match(/\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|[\p{L}\p{N}\p{M}_]+|\s+|[^]/gu) ?? [];
}

// Which words of two texts the other does not have: { before: [words, flags], after: [words, flags] }; null where
// there is too little in common, or too much to compare.
function differences(before, after) {
  if (Math.max(before.length, after.length) > MOST_CHARACTERS) return null;
  const [old, now] = [wordsOf(before), wordsOf(after)];
  if (old.length > MOST_WORDS || now.length > MOST_WORDS) return null;
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const found = edits(old.slice(start, old.length - end), now.slice(start, now.length - end));
  if (!found) return null;
  const gone = new Set(found.gone.map((index) => index + start));
  const come = new Set(found.come.map((index) => index + start));
  const kept = old.filter((word, index) => !gone.has(index) && word.trim()).length;
  const most = Math.max(...[old, now].map((words) => words.filter((word) => word.trim()).length));
  if (kept < most * LEAST_IN_COMMON) return null;
  return { before: runs(old, gone), after: runs(now, come) };
}

// The indices that leave one list and come into the other.
function edits(old, now) {
  const most = Math.min(MOST_EDITS, old.length + now.length);
  const middle = most + 1;
  const reach = new Int32Array(2 * most + 3); // the furthest index of the old words reached on each diagonal
  const trail = [];
  for (let step = 0; step <= most; step += 1) {
    trail.push(reach.slice(middle - step - 1, middle + step + 2));
    for (let line = -step; line <= step; line += 2) {
      const isDown = line === -step || (line !== step && reach[middle + line - 1] < reach[middle + line + 1]);
      let at = isDown ? reach[middle + line + 1] : reach[middle + line - 1] + 1;
      while (at < old.length && at - line < now.length && old[at] === now[at - line]) at += 1;
      reach[middle + line] = at;
      if (at >= old.length && at - line >= now.length) return wayBack(trail, old.length, now.length);
    }
  }
  return null;
}

function wayBack(trail, at, other) {
  const [gone, come] = [[], []];
  for (let step = trail.length - 1; step > 0; step -= 1) {
    const reach = (line) => trail[step][line + step + 1];
    const line = at - other;
    const isDown = line === -step || (line !== step && reach(line - 1) < reach(line + 1));
    at = reach(isDown ? line + 1 : line - 1);
    other = at - (isDown ? line + 1 : line - 1);
    if (isDown) come.push(other);
    else gone.push(at);
  }
  return { gone, come };
}

// Neighbouring words of a kind as one [text, isMarked]; a space between two marked words is marked with them.
function runs(words, marked) {
  const found = [];
  words.forEach((word, index) => {
    const isMarked = marked.has(index) || (!word.trim() && marked.has(index - 1) && marked.has(index + 1));
    if (found.length && found.at(-1)[1] === isMarked) found.at(-1)[0] += word;
    else found.push([word, isMarked]);
  });
  return found;
}

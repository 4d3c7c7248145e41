// A case as it stands in a suite file, to be pasted under `cases:`.

// What YAML does not take as it is, or takes for the end of a line.
const UNPRINTABLE = /[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/gu;
const NOT_A_TEXT = /^(?:true|false|null|yes|no|on|off|y|n|nan|inf)$/i; // to this reader of YAML or another

const escaped = (json) => json.replace(UNPRINTABLE, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

function scalar(text) {
  if (/^[A-Za-z][\w.-]*$/.test(text) && !NOT_A_TEXT.test(text)) return text;
  return escaped(JSON.stringify(text));
}

// A text of several lines as YAML's own block, where that says exactly the same.
function blockText(text) {
  const isPlain = text.includes("\n") && text.trim() === text && text.search(UNPRINTABLE) < 0;
  if (!isPlain) return scalar(text);
  return ["|-", ...text.split("\n").map((line) => (line ? `    ${line}` : ""))].join("\n");
}

function caseYaml(item, texts) {
  const { messages, expected, metadata } = texts.json;
  const lines = [`- id: ${scalar(item.id)}`];
  lines.push(messages ? `  messages: ${escaped(messages)}` : `  prompt: ${blockText(texts.messages[0].text)}`);
  if (expected !== undefined) lines.push(`  expected: ${escaped(expected)}`);
  else if (texts.expected !== null) lines.push(`  expected: ${blockText(texts.expected)}`);
  if (item.tags.length) lines.push(`  tags: [${item.tags.map(scalar).join(", ")}]`);
  if (item.required) lines.push("  required: true");
  if (metadata) lines.push(`  metadata: ${escaped(metadata)}`);
  return `${lines.join("\n")}\n`;
}

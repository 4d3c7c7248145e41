"""Is there dirt in the answers? Damaged encoding, invisible characters, remnants of pages and of a teacher, loops, cut ends.

Only what a model is taught to write is looked at: what users write is what users write.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import ftfy.badness

from harness.dataset.examples import answer_of
from harness.dataset.findings import SHOWN_LINES, Finding, Level, counted
from harness.dataset.tallies import SeenRow, Setting
from harness.records import record

# A text that packs this much smaller says the same over and over; prose packs 2 to 3 times smaller.
MOST_PACKING = 5.0
LEAST_PACKED_BYTES = 300
# Ends are judged where nearly all answers of some length end like sentences.
ENDED_SHARE = 0.9
LEAST_SENTENCE_CHARACTERS = 40
_ENDINGS = frozenset(".!?…。！？；;:：)）]】}\"”’'`*_>~|")

_INVISIBLE = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\\u200b\\u2060\\ufeff\\ufffd\\ue000-\\uf8ff]")
_MARKUP = re.compile(
    r"</?(?:div|span|p|br|a|li|ul|td|tr|script|style|font)\b[^<>]{0,200}>|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});"
)
_TEACHER = re.compile(
    r"\bas an? (?:AI|artificial intelligence)(?: language)? (?:model|assistant)\b|\bmy (?:knowledge|training) (?:cut-?off|data)\b"
    r"|\b(?:trained|developed|created|made) by (?:OpenAI|Anthropic|Google)\b|\bI(?:'m| am) (?:ChatGPT|GPT-\d|Claude|Gemini|Bard)\b"
    r"|</?think>|作为(?:一[个名款])?(?:人工智能|AI)(?:语言)?(?:模型|助手)|我是一[个名款](?:由[^，。]{1,20}(?:训练|开发)的)?(?:人工智能|AI)|我是(?:ChatGPT|文心一言|通义千问)",
    re.IGNORECASE,
)
# One of these stands in whatever _TEACHER finds: looking for them takes a tenth of its time.
_TEACHER_WORDS = (
    *("as a ai", "as an ai", "as a artificial", "as an artificial", "my knowledge", "my training"),
    *("by openai", "by anthropic", "by google", "chatgpt", "gpt-", "claude", "gemini", "bard", "think>"),
    *("助手", "模型", "我是"),
)


@record
class _Kind:
    """One kind of dirt: how to see it in an answer, and what to say of it."""

    name: str
    seen: Callable[[str], bool]
    what: str
    why: str
    remedy: str
    level: Level = "warning"


# The characters UTF-8's leading bytes become when they are read as Latin or Cyrillic ones, and what GBK makes of lost bytes. ftfy's own
# rules take ten times as long, and texts without these need not be asked.
_SUSPECT = re.compile("[\u00c2-\u00f4\u0420\u0421\u0413\u0412]|锟斤拷|烫烫烫")


def _is_mojibake(answer: str) -> bool:
    suspect = None if answer.isascii() else _SUSPECT.search(answer)
    return suspect is not None and (len(suspect[0]) > 1 or ftfy.badness.is_bad(answer))


def _copies_teacher(answer: str) -> bool:
    lowered = answer.lower()
    return any(word in lowered for word in _TEACHER_WORDS) and bool(_TEACHER.search(answer))


def _loops(answer: str) -> bool:
    data = answer.encode("utf-8", "surrogatepass")
    return len(data) >= LEAST_PACKED_BYTES and len(data) > MOST_PACKING * len(zlib.compress(data, 6))


_KINDS = (
    _Kind(
        name="mojibake",
        seen=_is_mojibake,
        what="have text that was decoded wrongly, such as Ã© for é",
        why="the model learns to write it",
        remedy="mend it at its source, or with ftfy.fix_text",
    ),
    _Kind(
        name="invisible_characters",
        seen=lambda answer: bool(_INVISIBLE.search(answer)),
        what="have control, zero-width, private-use or replacement characters",
        why="nobody sees them, the model writes them, and programs stumble over them",
        remedy="remove them",
    ),
    _Kind(
        name="markup_remnants",
        seen=lambda answer: bool(_MARKUP.search(answer)),
        what="have HTML tags or entities",
        why="the model learns to write them where text is wanted",
        remedy="turn them into text, unless HTML is what is asked for",
        level="note",
    ),
    _Kind(
        name="teacher_remnants",
        seen=_copies_teacher,
        what="speak as the model they were copied from",
        why="your model will say that it is another, or that it may not know",
        remedy="rewrite these sentences or leave the rows out",
    ),
    _Kind(
        name="loops",
        seen=_loops,
        what=f"say the same over and over: packed they are {MOST_PACKING:g} times smaller and more",
        why="loops are learned quickly and break off only at the token limit",
        remedy="leave these rows out",
    ),
)


class DirtTally:
    """How many answers have each kind of dirt, the first lines of each, and how answers end."""

    def __init__(self) -> None:
        self._answers = 0
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, list[int]] = {}
        self._sentences = 0

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples with a written answer count."""
        answer = answer_of(row.example) if row.example else None
        if answer is None:
            return
        self._answers += 1
        for kind in _KINDS:
            if kind.seen(answer):
                self._note(kind.name, row.line.number)
        end = answer.rstrip()
        if len(end) >= LEAST_SENTENCE_CHARACTERS:
            self._sentences += 1
            if end[-1] not in _ENDINGS and (end[-1].isalnum() or end[-1] in ",，、-"):
                self._note("cut_answers", row.line.number)

    def merge(self, later: "DirtTally") -> None:
        """Take in the next part."""
        self._answers += later._answers
        self._sentences += later._sentences
        self._counts.update(later._counts)
        for name, lines in later._lines.items():
            kept = self._lines.setdefault(name, [])
            kept += lines[: SHOWN_LINES - len(kept)]

    def findings(self, setting: Setting) -> Iterator[Finding]:  # noqa: ARG002 - the same for every model
        """Every kind that was seen."""
        for kind in _KINDS:
            if count := self._counts[kind.name]:
                yield Finding(
                    name=kind.name,
                    level=kind.level,
                    what=f"{counted(count, 'answer')} ({count / self._answers:.1%}) {kind.what}",
                    count=count,
                    lines=tuple(self._lines[kind.name]),
                    why=kind.why,
                    remedy=kind.remedy,
                    figures={"share": count / self._answers},
                )
        cut = self._counts["cut_answers"]
        if cut and cut <= (1 - ENDED_SHARE) * self._sentences:
            yield Finding(
                name="cut_answers",
                level="warning",
                what=f"{counted(cut, 'answer')} ending in the middle of a sentence, where {1 - cut / self._sentences:.0%} do not",
                count=cut,
                lines=tuple(self._lines["cut_answers"]),
                why="they may have been cut at a token limit, and the model learns to stop there",
                remedy="complete them or leave them out",
                figures={"share": cut / self._sentences},
            )

    def _note(self, name: str, line: int) -> None:
        self._counts[name] += 1
        kept = self._lines.setdefault(name, [])
        if len(kept) < SHOWN_LINES:
            kept.append(line)

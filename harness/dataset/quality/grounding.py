"""Do answers state facts that nobody told them? Numbers, names and quotations that stand nowhere in the conversation before.

Where many answers bring facts of their own (questions without a source, sums, stories) that is the task, and nothing is said. Where nearly
all of them only pass on what they were told, the others teach the model to make things up. A fact that many rows bring, such as the
hotline's number, is knowledge that the file means to teach. Chinese names have no capitals to be known by: of Chinese texts numbers and
quotations are looked at.
"""

import json
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence, Set
from hashlib import blake2b
from itertools import islice

import numpy as np
import numpy.typing as npt

from harness.dataset.examples import Example, answer_of, example_of, prompt_of, system_of, text_of
from harness.dataset.findings import SHOWN_LINES, Finding, first_lines
from harness.dataset.lines import Rereader
from harness.dataset.quality.facts import Fact, Source, facts_of
from harness.dataset.quality.samples import RowSample
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json, Message

# Beyond this share of the answers with facts, facts of their own are the task.
MOST_UNTOLD = 0.2
# Answers with facts that are needed before it is known what the task is.
LEAST_ROWS = 20
# Fewer such answers, or less than one in a hundred, are a note: reading them is worth it, waiting with the job is not.
LEAST_WARNED = 5
TOLERATED_SHARE = 0.01
# A fact that so many rows bring is taught knowingly: so many, and this share of the answers with facts.
TAUGHT_ROWS = 5
TAUGHT_SHARE = 0.005
# Rows whose small words are looked at: what is also written small is no name.
VOCABULARY_ROWS = 1_000
# Answers with untold facts beyond which they are no longer kept: that many are the task, or nobody's to read.
MOST_KEPT_ROWS = 200_000
# Facts of one answer that are looked for, and those that are remembered because they were not found.
_MOST_FACTS = 64
_MOST_UNTOLD_FACTS = 8
_READ_CHARACTERS = 20_000
_TOLD_ROWS = 3
_SHOWN_CHARACTERS = 40

_SMALL_WORD = re.compile(r"(?<!\w)[a-zà-öø-ÿа-яёα-ω][\w-]*\w")


class GroundingTally:
    """Which answers state facts the conversation does not tell: 17 bytes for each of them, and 4 for each of these facts."""

    def __init__(self) -> None:
        self._stating = 0
        self._are_too_many = False
        self._lines = array("Q")
        self._starts = array("Q")
        self._counts = array("B")
        self._facts = array("I")
        self._sample = RowSample(VOCABULARY_ROWS)

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples whose answer states facts count, and without pictures, which may tell them."""
        if row.example is None:
            return
        states, untold = _untold(row.example)
        if not states:
            return
        self._stating += 1
        self._sample.add(row.line.number, row.line.start)
        if untold and not self._are_too_many:
            self._lines.append(row.line.number)
            self._starts.append(row.line.start)
            self._counts.append(len(untold))
            self._facts.extend(untold)
            self._keep_few()

    def merge(self, later: "GroundingTally") -> None:
        """Take in the next part."""
        self._stating += later._stating
        self._lines.extend(later._lines)
        self._starts.extend(later._starts)
        self._counts.extend(later._counts)
        self._facts.extend(later._facts)
        self._are_too_many |= later._are_too_many
        self._keep_few()
        self._sample.merge(later._sample)

    def _keep_few(self) -> None:
        if self._are_too_many or len(self._lines) > MOST_KEPT_ROWS:
            self._are_too_many = True
            self._lines, self._starts, self._counts, self._facts = (
                array("Q"),
                array("Q"),
                array("B"),
                array("I"),
            )

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Answers with facts of their own, where hardly any other has some."""
        if self._stating < LEAST_ROWS or not self._lines:
            return
        facts = np.frombuffer(self._facts, dtype=np.uint32)
        rereader = Rereader(setting.path)
        try:
            expected = np.union1d(self._taught(), self._small_words(rereader))
            owners = np.repeat(np.arange(len(self._lines)), np.frombuffer(self._counts, dtype=np.uint8))
            rows = np.unique(owners[~np.isin(facts, expected)]).tolist()
            if not 0 < len(rows) <= MOST_UNTOLD * self._stating:
                return
            shown = self._shown(rows[:SHOWN_LINES], {*expected.tolist()}, rereader)
        finally:
            rereader.close()
        yield self._finding(rows, shown)

    def _finding(self, rows: Sequence[int], shown: Mapping[int, Sequence[str]]) -> Finding:
        told = "; ".join(
            f"line {line}: {', '.join(map(repr, facts))}" for line, facts in [*shown.items()][:_TOLD_ROWS]
        )
        share = len(rows) / self._stating
        listed: dict[str, Json] = {str(line): [*facts] for line, facts in shown.items()}
        return Finding(
            name="untold_facts",
            level="warning" if len(rows) >= LEAST_WARNED and share > TOLERATED_SHARE else "note",
            what=f"{len(rows):,} of {self._stating:,} answers with facts ({share:.1%}) state some that the conversation does not: {told}",
            count=len(rows),
            lines=first_lines(self._lines[index] for index in rows),
            why="elsewhere the answers pass on what they were told: from these the model learns to make things up",
            remedy="add what they were taken from to the question, or take the facts out; leave what can be worked out",
            figures={"share": share, "answers_with_facts": self._stating, "facts": listed},
        )

    def _taught(self) -> npt.NDArray[np.uint32]:
        """The facts that so many rows bring that they are meant to be learned."""
        facts, counts = np.unique(np.frombuffer(self._facts, dtype=np.uint32), return_counts=True)
        taught: npt.NDArray[np.uint32] = facts[counts >= max(TAUGHT_ROWS, TAUGHT_SHARE * self._stating)]
        return taught

    def _small_words(self, rereader: Rereader) -> npt.NDArray[np.uint32]:
        """The keys of words that some rows write without a capital."""
        words = {
            word
            for line, start in self._sample
            for message in example_of(line, rereader.at(start).row).messages
            for word in _SMALL_WORD.findall(text_of(message)[:_READ_CHARACTERS])
        }
        return np.array([_key(word) for word in sorted(words)], dtype=np.uint32)

    def _shown(self, rows: Sequence[int], expected: Set[int], rereader: Rereader) -> dict[int, list[str]]:
        """The facts of some rows, as they stand there, by line."""
        examples = [example_of(self._lines[index], rereader.at(self._starts[index]).row) for index in rows]
        return {
            example.line: [
                fact.shown[:_SHOWN_CHARACTERS]
                for key, fact in _untold(example)[1].items()
                if key not in expected
            ]
            for example in examples
        }


def _untold(example: Example) -> tuple[bool, dict[int, Fact]]:
    """Whether the answer states facts at all, and those that are not told before it, by their keys."""
    answer = answer_of(example)
    if answer is None or any(map(_has_picture, example.messages)):
        return False, {}
    facts = [*islice(facts_of(answer[:_READ_CHARACTERS]), _MOST_FACTS)]
    if not facts:
        return False, {}
    source, tools = Source(f"{system_of(example)}\n{prompt_of(example)}"), Source(_called(example))
    untold = (
        (_key(fact.spellings[0]), fact) for fact in facts if not source.tells(fact) and not tools.tells(fact)
    )
    return True, dict(islice(untold, _MOST_UNTOLD_FACTS))


def _has_picture(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(part, Mapping) and part.get("type") == "image_url" for part in content
    )


def _called(example: Example) -> str:
    """What tools there are and what they were called with: that is part of the conversation too."""
    given = (example.row.get("tools"), example.row.get("functions"))
    called = (message.get(key) for message in example.messages for key in ("tool_calls", "function_call"))
    return "\n".join(json.dumps(part, ensure_ascii=False) for part in (*given, *called) if part)


def _key(spelling: str) -> int:
    """A 32-bit name of a fact's spelling; two that share one are taken for one, which matters only where both are frequent."""
    return int.from_bytes(
        blake2b(spelling.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little"
    )

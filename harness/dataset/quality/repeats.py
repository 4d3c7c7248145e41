"""Are rows said twice, nearly twice, or twice with different answers?

Rows are compared by what they ask and answer, in a form without case, width and white space.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from os.path import commonprefix

import numpy as np

from harness.dataset.columns import Column
from harness.dataset.examples import Example, answer_of, example_of, prompt_of, system_of
from harness.dataset.findings import SHOWN_LINES, Finding, counted, first_lines
from harness.dataset.lines import Rereader
from harness.dataset.near_duplicates import LEAST_RATIO, Sketches, form_of_text
from harness.dataset.quality.conflicts import Conflict, conflict_of
from harness.dataset.quality.templates import groups_of_own_words
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json, Message

# A repetition of one row in a hundred is no reason to act.
TOLERATED_SHARE = 0.01
# What a sentence shows, and what the JSON report lists.
_TOLD_QUESTIONS = 2
_TOLD_LINES = 3
_TOLD_CHARACTERS = 40
_LISTED = 200
_LISTED_CHARACTERS = 200


class RepeatsTally:
    """What each example asks and answers, as hashes: 104 bytes a row.

    `prompts` are keys of the question with its system message, `asked` of the question alone.
    """

    def __init__(self) -> None:
        self.lines = Column("Q")
        self._starts = Column("Q")
        self.prompts = Column("Q")
        self.asked = Column("Q")
        self._answers = Column("Q")
        self.sketches = Sketches()
        self._template: tuple[str, str] | None = None

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples are compared."""
        if row.example is None:
            return
        prompt, likeness = prompt_of(row.example), _compared(row.example)
        form = form_of_text(prompt)
        self.lines.append(row.line.number)
        self._starts.append(row.line.start)
        self.prompts.append(_hashed(f"{_form_of_system(system_of(row.example))}\0{form}"))
        self.asked.append(_hashed(form))
        self._answers.append(key_of(_said(row.example)))
        self.sketches.add_form(form if likeness == prompt else likeness)
        self._share_template(likeness, likeness)

    def merge(self, later: "RepeatsTally") -> None:
        """Take in the next part."""
        self.lines.extend(later.lines)
        self._starts.extend(later._starts)
        self.prompts.extend(later.prompts)
        self.asked.extend(later.asked)
        self._answers.extend(later._answers)
        self.sketches.merge(later.sketches)
        if later._template:
            self._share_template(*later._template)

    def _share_template(self, beginning: str, ending: str) -> None:
        """Keep what all prompts so far begin and end with: a template, of which nearly equal prompts are no repeats."""
        before, after = self._template or (beginning, ending)
        if beginning.startswith(before) and ending.endswith(after):
            self._template = (before, after)
            return
        beginning = commonprefix((before, beginning))  # noqa: RUF071 - characters are meant
        ending = commonprefix((after[::-1], ending[::-1]))[::-1]  # noqa: RUF071
        self._template = (beginning, ending)

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Exact repeats, conflicting answers with the agreement they allow, and near repeats."""
        rereader = Rereader(setting.path)
        try:
            asked = self._asked_again()
            yield from self._repeats(asked)
            yield from self._conflicts(asked, rereader)
            yield from self._near_repeats(rereader)
        finally:
            rereader.close()

    def _asked_again(self) -> list[list[int]]:
        """The indices of rows that ask the same, where there are several."""
        table = self.prompts.table()
        order = np.argsort(table, kind="stable")
        edges = np.flatnonzero(np.diff(table[order])) + 1
        starts, stops = np.append(0, edges), np.append(edges, len(order))
        several = np.flatnonzero(stops - starts > 1)
        return [order[starts[place] : stops[place]].tolist() for place in several]

    def _repeats(self, asked: Sequence[Sequence[int]]) -> Iterator[Finding]:
        again = sorted(copy for group in asked for copy in self._copies(group))
        if again:
            share = len(again) / len(self.lines)
            yield Finding(
                name="exact_duplicates",
                level="warning" if share > TOLERATED_SHARE else "note",
                what=f"{counted(len(again), 'row repeats', 'rows repeat')} an earlier row word for word, {share:.1%} of all: {self._told(again)}",
                count=len(again),
                lines=first_lines(self.lines[index] for index, _ in again),
                why="what is repeated is learned that much more strongly, and every copy is billed",
                remedy="remove the copies, unless the weight is meant",
                figures={"share": share, "copies": self._listed(again)},
            )

    def _copies(self, group: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Rows that say what an earlier one of the group says, and that one."""
        seen: dict[int, int] = {}
        for index in group:
            if (first := seen.setdefault(self._answers[index], index)) != index:
                yield index, first

    def _conflicts(self, asked: Sequence[Sequence[int]], rereader: Rereader) -> Iterator[Finding]:
        found: list[tuple[Conflict, Sequence[int]]] = []
        rows = lost = 0
        for group in asked:
            rows += len(group)
            if conflict := self._conflict(group, rereader):
                lost += conflict.rows - conflict.majority
                found.append((conflict, group))
        if not found:
            return
        lines = [self.lines[index] for _, group in found for index in group]
        ceiling, overall = 1 - lost / rows, 1 - lost / len(self.lines)
        found.sort(key=lambda conflicting: -conflicting[0].rows)
        told = "; ".join(self._told_conflict(*conflicting) for conflicting in found[:_TOLD_QUESTIONS])
        questions = counted(len(found), "question is", "questions are")
        yield Finding(
            name="conflicting_answers",
            level="warning",
            what=f"{questions} answered in different ways, in {len(lines):,} rows: {told}",
            count=len(lines),
            lines=first_lines(lines),
            why="a model can learn only one of them: on questions asked several times it can agree with at most "
            f"{ceiling:.0%} of the rows, which is {overall:.1%} of all rows",
            remedy="decide for one answer each, or put what tells the cases apart into the question",
            figures={
                "questions": len(found),
                "agreement_ceiling": ceiling,
                "agreement_ceiling_of_all_rows": overall,
                "rows_asked_again": rows,
                "conflicts": [
                    self._listed_conflict(*conflicting, rereader) for conflicting in found[:_LISTED]
                ],
            },
        )

    def _conflict(self, group: Sequence[int], rereader: Rereader) -> Conflict | None:
        return conflict_of(
            [self._answers[index] for index in group],
            lambda place: _said(self._example(group[place], rereader)),
        )

    def _told_conflict(self, conflict: Conflict, group: Sequence[int]) -> str:
        lines = ", ".join(str(self.lines[index]) for index in group[:_TOLD_LINES])
        answers = ", ".join(
            f"{_cut(text)!r}{f' ({count})' if count > 1 else ''}"
            for text, count in conflict.answers[:_TOLD_LINES]
        )
        return f"lines {lines}{'…' if len(group) > _TOLD_LINES else ''} say {answers}"

    def _listed_conflict(self, conflict: Conflict, group: Sequence[int], rereader: Rereader) -> Json:
        return {
            "question": prompt_of(self._example(group[0], rereader))[:_LISTED_CHARACTERS],
            "lines": [self.lines[index] for index in group[:SHOWN_LINES]],
            "answers": [[text[:_LISTED_CHARACTERS], count] for text, count in conflict.answers[:SHOWN_LINES]],
            "entropy_bits": round(conflict.entropy_bits, 3),
        }

    def _near_repeats(self, rereader: Rereader) -> Iterator[Finding]:
        before, after = map(len, self._template or ("", ""))

        def own_words(index: int) -> str:
            prompt = self.asked_text(index, rereader)
            return prompt[before : max(before, len(prompt) - after)]

        groups = groups_of_own_words(self.sketches, own_words)
        # Rows that ask exactly the same are told above.
        apart = [group for group in groups if len({self.prompts[index] for index in group}) > 1]
        again = sorted((index, group[0]) for group in apart for index in self._first_asked(group)[1:])
        if again:
            share = len(again) / len(self.lines)
            yield Finding(
                name="near_duplicates",
                level="warning" if share > TOLERATED_SHARE else "note",
                what=f"{counted(len(again), 'row asks', 'rows ask')} nearly what another asks ({LEAST_RATIO:.0f}% of the characters and more), "
                f"{share:.1%} of all: {self._told(again)}",
                count=len(again),
                lines=first_lines(self.lines[index] for index, _ in again),
                why="they teach little that is new, and flatter a validation part they fall into",
                remedy="keep the best of each group; `harness data split` keeps groups on one side",
                figures={
                    "groups": len(apart),
                    "share": share,
                    "largest": max(map(len, apart)),
                    "copies": self._listed(again),
                },
            )

    def _first_asked(self, group: Sequence[int]) -> list[int]:
        """The first row of each wording in a group."""
        return sorted({self.prompts[index]: index for index in sorted(group, reverse=True)}.values())

    def _told(self, again: Sequence[tuple[int, int]]) -> str:
        told = [f"line {self.lines[index]} as {self.lines[first]}" for index, first in again[:_TOLD_LINES]]
        return ", ".join(told) + (" and so on" if len(again) > _TOLD_LINES else "")

    def _listed(self, again: Sequence[tuple[int, int]]) -> list[Json]:
        return [[self.lines[index], self.lines[first]] for index, first in again[:_LISTED]]

    def asked_text(self, index: int, rereader: Rereader) -> str:
        """What near repeats of a row are looked for in."""
        return _compared(self._example(index, rereader))

    def answer_text(self, index: int, rereader: Rereader) -> str:
        """What a row teaches to say."""
        return _said(self._example(index, rereader))

    def _example(self, index: int, rereader: Rereader) -> Example:
        return example_of(self.lines[index], rereader.at(self._starts[index]).row)


def _said(example: Example) -> str:
    """What a row teaches to say: its answer and the calls it makes, whatever ids they have; of a graded prompt, what it is graded by."""
    if example.form == "reinforcement":
        return json.dumps(
            {key: value for key, value in example.row.items() if key != "messages"}, sort_keys=True
        )
    answer, calls = answer_of(example) or "", "".join(_calls(example))
    return f"{answer}\n{calls}" if calls else answer


def _calls(example: Example) -> Iterator[str]:
    """The functions the last learned message calls, with their arguments."""
    learned = (
        message
        for message in reversed(example.messages)
        if message.get("role") == "assistant" and message.get("weight") != 0
    )
    last = next(learned, {})
    listed = last.get("tool_calls")
    called = (
        [call.get("function") for call in listed if isinstance(call, Mapping)]
        if isinstance(listed, list)
        else []
    )
    for function in (*called, last.get("function_call")):
        if isinstance(function, Mapping):
            yield f"{function.get('name')}({function.get('arguments')})\n"


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= _TOLD_CHARACTERS else f"{shown[:_TOLD_CHARACTERS]}…"


def _compared(example: Example) -> str:
    """What near repeats are looked for in. Questions about pictures look alike whatever the picture: they get a name instead."""
    prompt = prompt_of(example)
    parts = [part for message in example.messages for part in _parts(message)]
    return f"{key_of(prompt):x}" if any(part.get("type") == "image_url" for part in parts) else prompt


def _parts(message: Message) -> list[Mapping[str, Json]]:
    content = message.get("content")
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []


def key_of(text: str) -> int:
    """A 64-bit name of a text's compared form; among a million texts two share one with a chance of one in 37 million."""
    return _hashed(form_of_text(text))


def _hashed(form: str) -> int:
    hashed = hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(hashed.digest(), "little")


# Most rows of a file have one of a few system messages.
_form_of_system = lru_cache(maxsize=16)(form_of_text)

"""Are rows said twice, nearly twice, or twice with different answers?

Rows are compared by what they ask and answer, in a form without case, width and white space. Two answers to one question conflict when
they are different labels, or texts that are hardly alike (chrF below 30).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from os.path import commonprefix

import numpy as np

from harness.dataset.columns import Column
from harness.dataset.examples import Example, answer_of, example_of, prompt_of, system_of
from harness.dataset.findings import Finding, first_lines
from harness.dataset.lines import Rereader
from harness.dataset.near_duplicates import LEAST_RATIO, Sketches, form_of_text
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json, Message
from harness.texts.similarity import chrf

# Answers up to this length, in characters, are taken for labels: any difference is a conflict.
LONGEST_LABEL = 60
LEAST_CHRF = 0.3
# Answers of one question that are compared with each other.
_MOST_ANSWERS = 8
# A repetition of one row in a hundred is no reason to act.
TOLERATED_SHARE = 0.01


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
        self._answers.append(key_of(answer_of(row.example) or ""))
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
        again: list[int] = []
        for group in asked:
            seen: set[int] = set()
            for index in group:
                if self._answers[index] in seen:
                    again.append(index)
                seen.add(self._answers[index])
        if again:
            share = len(again) / len(self.lines)
            yield Finding(
                name="exact_duplicates",
                level="warning" if share > TOLERATED_SHARE else "note",
                what=f"{len(again):,} rows ({share:.1%}) repeat an earlier row word for word",
                count=len(again),
                lines=first_lines(self.lines[index] for index in again),
                why="what is repeated is learned that much more strongly, and every copy is billed",
                remedy="remove the copies, unless the weight is meant",
                figures={"share": share},
            )

    def _conflicts(self, asked: Sequence[Sequence[int]], rereader: Rereader) -> Iterator[Finding]:
        lines: list[int] = []
        agreeing = rows = groups = 0
        for group in asked:
            answers = Counter(self._answers[index] for index in group)
            rows += len(group)
            if len(answers) == 1 or not self._differ(group, rereader):
                agreeing += len(group)
                continue
            groups += 1
            agreeing += answers.most_common(1)[0][1]
            lines += [self.lines[index] for index in group]
        if lines:
            ceiling = agreeing / rows
            yield Finding(
                name="conflicting_answers",
                level="warning",
                what=f"{groups:,} questions are answered in different ways, in {len(lines):,} rows",
                count=len(lines),
                lines=first_lines(lines),
                why="a model can learn only one of them: on questions asked several times it can agree with at most "
                f"{ceiling:.0%} of these rows",
                remedy="decide for one answer each, or put what tells the cases apart into the question",
                figures={"questions": groups, "agreement_ceiling": ceiling, "rows_asked_again": rows},
            )

    def _differ(self, group: Sequence[int], rereader: Rereader) -> bool:
        """Whether two answers of rows that ask the same say something different."""
        distinct: Mapping[int, int] = {self._answers[index]: index for index in reversed(group)}
        shown = list(distinct.values())[:_MOST_ANSWERS]
        texts = [answer_of(self._example(index, rereader)) or "" for index in shown]
        return any(
            max(len(one), len(other)) <= LONGEST_LABEL or chrf(one, other) < LEAST_CHRF
            for one, other in combinations(texts, 2)
        )

    def _near_repeats(self, rereader: Rereader) -> Iterator[Finding]:
        before, after = map(len, self._template or ("", ""))

        def own_words(index: int) -> str:
            prompt = self.asked_text(index, rereader)
            return prompt[before : max(before, len(prompt) - after)]

        groups = self.sketches.groups(own_words)
        # Rows that ask exactly the same are told above.
        groups = [group for group in groups if len({self.prompts[index] for index in group}) > 1]
        again = sum(len({self.prompts[index] for index in group}) - 1 for group in groups)
        if groups:
            share = again / len(self.lines)
            yield Finding(
                name="near_duplicates",
                level="warning" if share > TOLERATED_SHARE else "note",
                what=f"{again:,} rows ({share:.1%}) ask nearly what another asks: {LEAST_RATIO:.0f} % of the characters and more",
                count=again,
                lines=first_lines(self.lines[index] for group in groups for index in group[1:]),
                why="they teach little that is new, and flatter a validation part they fall into",
                remedy="keep the best of each group; `harness data split` keeps groups on one side",
                figures={"groups": len(groups), "share": share, "largest": max(map(len, groups))},
            )

    def asked_text(self, index: int, rereader: Rereader) -> str:
        """What near repeats of a row are looked for in."""
        return _compared(self._example(index, rereader))

    def _example(self, index: int, rereader: Rereader) -> Example:
        return example_of(self.lines[index], rereader.at(self._starts[index]).row)


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

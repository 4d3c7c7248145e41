"""Which cases fail because training hardly shows what they ask, and which in spite of rows that ask nearly the same?

Nearness is that of `nearest`. What counts as far is taken from the training rows themselves: a case is far
when 19 of 20 rows have a nearer neighbour among the others than it has. One case in twenty is so by chance: where no more are, only those
are far that are farther than every row.
"""

from collections.abc import Iterator, Sequence
from math import comb
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.dataset.findings import Finding, first_lines
from harness.dataset.leaks import SuitePrompt
from harness.dataset.nearest import nearest_rows, spread
from harness.records import Json, record

NEAREST = 3
FAR_QUANTILE = 0.05
NEAR_QUANTILE = 0.5
# As many cases below the quantile as are found by chance less often than this are more than chance.
LEAST_CHANCE = 0.05
# Texts less alike are not near, however scattered the training rows are: about half of their weighty parts are the same.
LEAST_NEAR = 0.5
# Fewer rows cannot say what is far.
LEAST_ROWS = 20

_SAMPLED_NEIGHBOURS = 300
_TOLD_CASES = 3

_Floats = npt.NDArray[np.float64]


@record
class TrainingPrompt:
    """What a training row asks: its line, and the text."""

    line: int
    text: str


@record
class Neighbour:
    """A training row near a case: its line, and their similarity, 0..1."""

    line: int
    similarity: float


@record
class Coverage:
    """A failing case with the training rows nearest to it, the nearest first; `word` says what that means."""

    prompt: SuitePrompt
    nearest: tuple[Neighbour, ...]
    word: Literal["far", "near", "between"]


def coverage_of(failing: Sequence[SuitePrompt], training: Sequence[TrainingPrompt]) -> tuple[Coverage, ...]:
    """The nearest training rows of each failing case. Few rows say nothing about what is far: then there is nothing."""
    if len(training) < LEAST_ROWS or not failing:
        return ()
    own = spread(range(len(training)), _SAMPLED_NEIGHBOURS)
    indices, similarities = nearest_rows(
        [prompt.text for prompt in failing], [row.text for row in training], count=NEAREST, own=own
    )
    usual = similarities[len(failing) :, 0]
    far = _far(similarities[: len(failing), 0], usual)
    near = max(LEAST_NEAR, float(np.quantile(usual, NEAR_QUANTILE)))
    return tuple(
        Coverage(
            prompt=prompt,
            nearest=tuple(
                Neighbour(line=training[index].line, similarity=round(similarity, 3))
                for index, similarity in zip(
                    indices[number].tolist(), similarities[number].tolist(), strict=True
                )
                if similarity > 0
            ),
            word="far"
            if similarities[number, 0] < far
            else "near"
            if similarities[number, 0] >= near
            else "between",
        )
        for number, prompt in enumerate(failing)
    )


def _far(failing: _Floats, usual: _Floats) -> float:
    """The similarity below which a failing case is far; `usual` are those of training rows to their nearest."""
    far = float(np.quantile(usual, FAR_QUANTILE))
    cases, below = len(failing), int((failing < far).sum())
    chance = sum(
        comb(cases, number) * FAR_QUANTILE**number * (1 - FAR_QUANTILE) ** (cases - number)
        for number in range(below)
    )
    return far if 1 - chance <= LEAST_CHANCE else float(usual.min())


def coverage_findings(
    failing: Sequence[SuitePrompt], training: Sequence[TrainingPrompt]
) -> Iterator[Finding]:
    """What to do about failing cases: rows to add near some, rows to read again near others."""
    covered = coverage_of(failing, training)
    if far := sorted((case for case in covered if case.word == "far"), key=_similarity):
        yield Finding(
            name="coverage_gap",
            level="warning" if len(far) > FAR_QUANTILE * len(failing) else "note",
            what=f"{len(far):,} of {len(failing):,} failing cases {'is' if len(far) == 1 else 'are'} far from every training row: {_told(far)}",
            count=len(far),
            lines=(),
            why="the model was hardly shown what they ask",
            remedy="add rows that ask such things, but not these: the suite would then judge what was learned by heart",
            figures={"cases": _listed(far)},
        )
    if near := sorted((case for case in covered if case.word == "near"), key=_similarity, reverse=True):
        yield Finding(
            name="failing_near_training",
            level="warning",
            what=f"{len(near):,} of {len(failing):,} failing cases {'asks' if len(near) == 1 else 'ask'} nearly what training rows do: {_told(near)}",
            count=len(near),
            lines=first_lines({row.line for case in near for row in case.nearest[:1]}),
            why="the model was shown this and still fails: what it was shown may be wrong, contradict itself, or be too little",
            remedy="read these rows: correct wrong answers, settle contradictions, else add more like them",
            figures={"cases": _listed(near)},
        )


def _similarity(case: Coverage) -> float:
    return case.nearest[0].similarity if case.nearest else 0.0


def _told(cases: Sequence[Coverage]) -> str:
    told = [
        f"{case.prompt.suite}: {case.prompt.case} "
        + (
            f"(line {case.nearest[0].line}, similarity {_similarity(case):.2f})"
            if case.nearest
            else "(nothing alike)"
        )
        for case in cases[:_TOLD_CASES]
    ]
    return ", ".join(told) + (f" and {len(cases) - _TOLD_CASES} more" if len(cases) > _TOLD_CASES else "")


def _listed(cases: Sequence[Coverage]) -> list[Json]:
    return [
        [case.prompt.suite, case.prompt.case, [[row.line, row.similarity] for row in case.nearest]]
        for case in cases
    ]

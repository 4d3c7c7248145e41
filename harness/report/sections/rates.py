"""How often, beside how well: refusals, lengths kept, formats kept, answers cut off; each model in one row."""

import math
from collections.abc import Iterator, Mapping, Sequence

from harness.records import Completion, Failure, Result, Role, ScorerSpec, Suite, record
from harness.report.notation import MISSING, count, percent, plain

MOST_ROWS = 12
"""A rubric may have dozens of criteria; the rest are in the cases."""

# What a share is called, by the scorer's type and the measure; an empty measure is the scorer's own value.
SHARES: Mapping[tuple[str, str], str] = {
    ("refusal", "refusal_rate"): "Refused",
    ("refusal", "cannot_rate"): "Said that it cannot",
    ("refusal", "refute_rate"): "Contradicted the question",
    ("refusal", "partial_rate"): "Refused in part",
    ("label", "invalid"): "No valid label",
    ("number", "invalid"): "No number to read",
    ("json_schema", "json_valid"): "Valid JSON",
    ("json_schema", ""): "Follows the schema",
    ("json_fields", "json_valid"): "Valid JSON",
    ("json_fields", "all_fields"): "All fields right",
    ("tool_call", "called"): "Called a tool",
    ("tool_call", "valid_arguments"): "Valid arguments",
    ("length", ""): "Length as wanted",
    ("emoji", ""): "Emoji as wanted",
    ("language", ""): "In the language wanted",
    ("pairwise", "win_rate"): "Preferred to the reference",
}
# Shares worth a row even where they are zero for every model.
_ALWAYS = frozenset({"refusal_rate", "invalid"})
# Told elsewhere: by the histogram of lengths, by the share of the scorer's own value.
_TOLD = frozenset({"length", "length_distance", "emoji_distance"})


@record
class Rate:
    """One row: what is counted, and by role the share or mean, with the counts behind a share."""

    name: str
    is_share: bool
    values: Mapping[Role, str]
    counts: Mapping[Role, str]


@record
class _Seen:
    """What was seen of one role: a sum over so many answers."""

    sum: float
    answers: int


def rates_of(suite: Suite, rows: Mapping[Role, Sequence[Result]]) -> tuple[Rate, ...]:
    """What a suite's scorers count, then what no scorer is needed for.

    Args:
        suite: The suite; its scorers say what a measure is of.
        rows: Its rows by role, in the order of the columns.
    """
    return tuple([*_measured(suite, rows), *_ended(rows)][:MOST_ROWS])


def _measured(suite: Suite, rows: Mapping[Role, Sequence[Result]]) -> Iterator[Rate]:
    several = len(suite.scorers) > 1
    for spec in suite.scorers:
        for measure in ("", *_measures(spec, rows)):
            name = SHARES.get((spec.type, measure))
            seen = {role: _sum(found, spec.name, measure) for role, found in rows.items()}
            if name is not None:
                if measure in _ALWAYS or any(part.sum for part in seen.values()):
                    yield _share(name, seen)
            elif measure and measure not in _TOLD:
                yield _mean(f"{spec.name}: {measure}" if several else measure, seen)


def _measures(spec: ScorerSpec, rows: Mapping[Role, Sequence[Result]]) -> list[str]:
    """The names of what a scorer saw, in the order in which it tells them."""
    scores = (row.scores.get(spec.name) for found in rows.values() for row in found)
    return [*dict.fromkeys(measure for score in scores if score for measure in score.measures)]


def _sum(rows: Sequence[Result], scorer: str, measure: str) -> _Seen:
    scores = [score for row in rows if (score := row.scores.get(scorer)) is not None]
    values = [score.measures.get(measure) if measure else score.value for score in scores]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return _Seen(sum=math.fsum(known), answers=len(known))


def _ended(rows: Mapping[Role, Sequence[Result]]) -> Iterator[Rate]:
    """How answers ended, where one of them did not end well."""
    answers = {
        role: [row.outcome for row in found if isinstance(row.outcome, Completion)]
        for role, found in rows.items()
    }
    lost = {
        role: [
            row.outcome
            for row in found
            if isinstance(row.outcome, Failure) and row.outcome.kind != "not_asked"
        ]
        for role, found in rows.items()
    }
    told: tuple[tuple[str, dict[Role, _Seen]], ...] = (
        ("Cut off at the most tokens", {role: _cut(found) for role, found in answers.items()}),
        ("Empty answers", {role: _empty(found) for role, found in answers.items()}),
        (
            "No answer",
            {role: _Seen(sum=len(lost[role]), answers=len(lost[role]) + len(answers[role])) for role in rows},
        ),
    )
    for name, seen in told:
        if any(part.sum for part in seen.values()):
            yield _share(name, seen)


def _cut(answers: Sequence[Completion]) -> _Seen:
    return _Seen(sum=sum(answer.finish_reason == "length" for answer in answers), answers=len(answers))


def _empty(answers: Sequence[Completion]) -> _Seen:
    return _Seen(
        sum=sum(not answer.tool_calls and not answer.text.strip() for answer in answers), answers=len(answers)
    )


def _share(name: str, seen: Mapping[Role, _Seen]) -> Rate:
    return Rate(
        name=name,
        is_share=True,
        values={role: percent(part.sum, part.answers) for role, part in seen.items()},
        counts={
            role: f"{plain(part.sum)} of {count(part.answers)}" if part.answers else ""
            for role, part in seen.items()
        },
    )


def _mean(name: str, seen: Mapping[Role, _Seen]) -> Rate:
    return Rate(
        name=name,
        is_share=False,
        values={
            role: plain(part.sum / part.answers) if part.answers else MISSING for role, part in seen.items()
        },
        counts={},
    )

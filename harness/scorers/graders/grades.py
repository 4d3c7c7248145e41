"""What a grader gives: its own number, which may lie outside 0..1, and how that becomes a Score."""

from collections.abc import Iterable, Mapping

from harness.records import Case, Completion, Score, record
from harness.scorers.graders.templates import missing_from, missing_from_answer, variables
from harness.serial import ParseError, Problem


@record
class Grade:
    """A grader's number, or None and why there is none.

    `unreadable` says that the answer does not have what the grader reads: it is wrong, not unjudged.
    """

    value: float | None
    reason: str
    answer: str | None = None
    unreadable: bool = False


def lacking(templates: Iterable[str], case: Case, completion: Completion) -> Grade | None:
    """Why the templates cannot be filled, or None: first what the case lacks, then what the answer does."""
    listed = tuple(templates)
    missing = missing_from(case, listed)
    if missing is not None:
        return Grade(value=None, reason=missing)
    missing = missing_from_answer(completion, listed)
    return None if missing is None else Grade(value=None, reason=missing, unreadable=True)


def passing(grade: Grade, threshold: float | None) -> Grade:
    """The grade as 1 or 0 by whether it reaches the threshold, as it is without one."""
    if threshold is None or grade.value is None:
        return grade
    passed = grade.value >= threshold
    reason = f"{grade.reason}; {'reaches' if passed else 'below'} {threshold:g}"
    return Grade(value=float(passed), reason=reason, answer=grade.answer)


def score_of(grade: Grade, measures: Mapping[str, float] | None = None) -> Score:
    """A grade within 0..1 as a Score; an answer without what the grader reads is 0."""
    value = 0.0 if grade.unreadable else grade.value
    return Score(value=value, reason=grade.reason, answer=grade.answer, measures=measures or {})


def refuse_templates(templates: Mapping[tuple[str | int, ...], str]) -> None:
    """Refuse templates that nothing can fill, by their place in the entry.

    Raises:
        ParseError: Every one of them.
    """
    problems = []
    for path, template in templates.items():
        try:
            variables(template)
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    if problems:
        raise ParseError(problems)

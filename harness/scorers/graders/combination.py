"""OpenAI's `multi`: several graders and a formula over what they give."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from harness.protocols import AnyScorer, Replies
from harness.records import Case, Completion, Json, Question, Score, record
from harness.scorers.graders.formulas import calculated, check_formula
from harness.scorers.graders.grades import Grade, passing, score_of
from harness.scorers.graders.models import QUESTION, LabelModel, ScoreModel
from harness.scorers.graders.strings import StringCheck, TextSimilarity
from harness.serial import ParseError, Problem, nearest, parse, shown

Grader = StringCheck | TextSimilarity | ScoreModel | LabelModel

KINDS: Mapping[str, type[Grader]] = MappingProxyType(
    {
        "string_check": StringCheck,
        "text_similarity": TextSimilarity,
        "score_model": ScoreModel,
        "label_model": LabelModel,
    }
)
"""What a `multi` may combine."""
NO_PYTHON = (
    "a `python` grader is code, and no code out of a suite file is ever run",
    "put it into a scorer class of your own and name that as `type: module:Class`",
)
# A sum of shares may miss 1 by this much and still be 1.
ROUNDING = 1e-9

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@record
class MultiGrader:
    """OpenAI's `multi`: what a formula makes of the numbers of several graders.

    An answer that lacks what one of them reads is 0; one that one of them cannot judge is unscored. Each
    grader's own number is a measure under its name.
    """

    graders: Mapping[str, Json] | tuple[Mapping[str, Json], ...]
    """The graders by the names that the formula uses, or a list of graders that have a `name`."""
    calculate_output: str
    """The formula: names, numbers, + - * / ^, min, max, abs, floor, ceil, exp, sqrt, log."""
    pass_threshold: float | None = None
    """The value from which an answer passes; without it the formula must stay within 0 and 1."""

    def __post_init__(self) -> None:
        """Refuse graders and formulas that make no sense, all of them at once."""
        problems: list[Problem] = []
        entries = dict(self._entries())
        for name, (path, entry) in entries.items():
            try:
                _built(name, entry)
            except ParseError as error:
                problems += [Problem((*path, *item.path), item.what, item.remedy) for item in error.problems]
        try:
            check_formula(self.calculate_output, entries)
        except ValueError as error:
            problems.append(Problem(("calculate_output",), str(error)))
        if problems:
            raise ParseError(problems)

    def asking(self) -> AnyScorer:
        """The scorer that asks the judge, where one of the graders does."""
        asks = any(isinstance(part, ScoreModel | LabelModel) for part in self.parts().values())
        return JudgedMulti(settings=self) if asks else self

    def measure_names(self) -> tuple[str, ...]:
        """The graders' names."""
        return tuple(self.parts())

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        faults = ((name, grader.check_case(case)) for name, grader in self.parts().items())
        return next((f"{name}: {fault}" for name, fault in faults if fault), None)

    def score(self, case: Case, completion: Completion) -> Score:
        """The formula's value, unscored where it has none or leaves 0..1."""
        return self.scored(case, completion, {})

    def scored(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """The same, with the judge's replies by the names of the graders that ask it."""
        complaint = self.check_case(case)
        if complaint is not None:
            return Score(value=None, reason=complaint)
        grades = _grades(self.parts(), case, completion, replies=replies)
        measures = {name: grade.value for name, grade in grades.items() if grade.value is not None}
        for name, grade in grades.items():
            if grade.unreadable:
                # What no grader read counts for nothing either.
                return score_of(
                    replace(grade, reason=f"{name}: {grade.reason}"), dict.fromkeys(grades, 0.0) | measures
                )
        for name, grade in grades.items():
            if grade.value is None:
                return Score(value=None, reason=f"{name}: {grade.reason}")
        told = "; ".join(f"{name} {grade.value:g} ({grade.reason})" for name, grade in grades.items())
        return score_of(self._combined(measures, told), measures)

    def _combined(self, values: Mapping[str, float], told: str) -> Grade:
        try:
            value = calculated(self.calculate_output, values)
        except ValueError as error:
            return Grade(value=None, reason=f"{error}: {told}")
        if self.pass_threshold is None:
            within = min(max(value, 0.0), 1.0)
            if abs(value - within) > ROUNDING:
                why = (
                    f"{self.calculate_output} is {value:g}, outside 0..1: divide it, or set `pass_threshold`"
                )
                return Grade(value=None, reason=f"{why}; {told}")
            value = within
        return passing(Grade(value=value, reason=f"{value:g}: {told}"), self.pass_threshold)

    def parts(self) -> dict[str, Grader]:
        """The graders by their names."""
        return {name: _built(name, entry) for name, (_, entry) in self._entries()}

    def _entries(self) -> Iterator[tuple[str, tuple[tuple[str | int, ...], Json]]]:
        """Each grader by its name, with its place in the entry; a single one stands for itself."""
        given = self.graders
        if isinstance(given, Mapping):
            if isinstance(given.get("type"), str):
                yield _own_name(given), (("graders",), given)
                return
            for name, entry in given.items():
                yield name, (("graders", name), entry)
        else:
            for index, entry in enumerate(given):
                yield _own_name(entry), (("graders", index), entry)


@record
class JudgedMulti:
    """A `MultiGrader` with graders that ask a model: what `build` makes of one."""

    settings: MultiGrader

    def measure_names(self) -> tuple[str, ...]:
        """The graders' names."""
        return self.settings.measure_names()

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        return self.settings.check_case(case)

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        """The questions of all graders that ask a model; none when the answer is 0 whatever they say."""
        graders = self.settings.parts()
        grades = _grades(graders, case, completion, replies={})
        if any(grade.unreadable for grade in grades.values()):
            return ()
        return tuple(
            replace(question, name=name)
            for name, grader in graders.items()
            if isinstance(grader, (ScoreModel, LabelModel))
            for question in grader.questions(case, completion)
        )

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        """The formula's value, unscored where it has none or leaves 0..1."""
        return self.settings.scored(case, completion, replies)


def _own_name(entry: Mapping[str, Json]) -> str:
    return str(entry.get("name") or entry.get("type") or "")


def _built(name: str, entry: Json) -> Grader:
    """A grader of the combination.

    Raises:
        ParseError: What is wrong with it; paths are relative to the grader.
    """
    if not _NAME.fullmatch(name):
        what = f"a formula cannot say {shown(name)}"
        raise ParseError([Problem((), what, "name it with letters, digits and _")])
    if not isinstance(entry, Mapping):
        raise ParseError([Problem((), f"{shown(entry)} is no grader", "give it a `type`")])
    kind = entry.get("type")
    if kind == "python":
        raise ParseError([Problem(("type",), *NO_PYTHON)])
    if not isinstance(kind, str) or kind not in KINDS:
        raise ParseError([Problem(("type",), f"unknown grader {shown(kind)}", nearest(str(kind), KINDS))])
    grader: Grader = parse(
        KINDS[kind], {key: value for key, value in entry.items() if key not in {"type", "name"}}
    )
    if isinstance(grader, TextSimilarity) and grader.evaluation_metric == "cosine":
        what = "`cosine` needs an embedding model, which a `multi` does not ask"
        raise ParseError(
            [Problem(("evaluation_metric",), what, "make it a scorer of its own beside the `multi`")]
        )
    return grader


def _grades(
    graders: Mapping[str, Grader], case: Case, completion: Completion, *, replies: Replies
) -> dict[str, Grade]:
    """What each grader gives; the replies to one that asks go by its name."""
    grades: dict[str, Grade] = {}
    for name, grader in graders.items():
        if isinstance(grader, (ScoreModel, LabelModel)):
            own = {QUESTION: replies[name]} if name in replies else {}
            grades[name] = grader.grade(case, completion, own)
        else:
            grades[name] = grader.grade(case, completion)
    return grades

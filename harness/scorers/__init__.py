"""What judges an answer: the table of scorers, and the way from a suite's entry to a scorer."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING

from harness.doors import door
from harness.protocols import AnyScorer, MeasuringScorer
from harness.records import ScorerSpec
from harness.serial import ParseError, Problem, nearest, parse, shown

if TYPE_CHECKING:
    from harness.scorers.graders import LabelModel, MultiGrader, ScoreModel, StringCheck, TextSimilarity
    from harness.scorers.label import Label
    from harness.scorers.language import Language
    from harness.scorers.length import Emoji, Length
    from harness.scorers.match import Contains, ExactMatch, Regex
    from harness.scorers.number import Number
    from harness.scorers.pairwise import Pairwise
    from harness.scorers.pii import Pii
    from harness.scorers.refusal import Refusal
    from harness.scorers.regurgitation import Regurgitation
    from harness.scorers.rubric import Criterion, Rubric
    from harness.scorers.schema import JsonSchema
    from harness.scorers.similarity import Similarity
    from harness.scorers.structured import JsonFields
    from harness.scorers.tool_calls import ToolCalls

__all__ = [
    "BUILT_IN",
    "Contains",
    "Criterion",
    "Emoji",
    "ExactMatch",
    "JsonFields",
    "JsonSchema",
    "Label",
    "LabelModel",
    "Language",
    "Length",
    "MultiGrader",
    "Number",
    "Pairwise",
    "Pii",
    "Refusal",
    "Regex",
    "Regurgitation",
    "Rubric",
    "ScoreModel",
    "Similarity",
    "StringCheck",
    "TextSimilarity",
    "ToolCalls",
    "build",
    "metric_names",
]

_HOMES = {
    "Contains": "match",
    "Criterion": "rubric",
    "Emoji": "length",
    "ExactMatch": "match",
    "JsonFields": "structured",
    "JsonSchema": "schema",
    "Label": "label",
    "LabelModel": "graders",
    "Language": "language",
    "Length": "length",
    "MultiGrader": "graders",
    "Number": "number",
    "Pairwise": "pairwise",
    "Pii": "pii",
    "Refusal": "refusal",
    "Regex": "match",
    "Regurgitation": "regurgitation",
    "Rubric": "rubric",
    "ScoreModel": "graders",
    "Similarity": "similarity",
    "StringCheck": "graders",
    "TextSimilarity": "graders",
    "ToolCalls": "tool_calls",
}

__getattr__ = _scorer = door(__name__, _HOMES)


class _Table(Mapping[str, type[AnyScorer]]):
    """Classes by `type`, each loaded when a suite names it: together they take a tenth of a second."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __getitem__(self, kind: str) -> type[AnyScorer]:
        found = _scorer(self._names[kind])
        assert isinstance(found, type), "the table names classes"
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


BUILT_IN: Mapping[str, type[AnyScorer]] = _Table(
    {
        "exact_match": "ExactMatch",
        "contains": "Contains",
        "regex": "Regex",
        "number": "Number",
        "label": "Label",
        "json_schema": "JsonSchema",
        "json_fields": "JsonFields",
        "tool_call": "ToolCalls",
        "length": "Length",
        "emoji": "Emoji",
        "language": "Language",
        "pii": "Pii",
        "regurgitation": "Regurgitation",
        "similarity": "Similarity",
        "refusal": "Refusal",
        "rubric": "Rubric",
        "pairwise": "Pairwise",
        "string_check": "StringCheck",
        "text_similarity": "TextSimilarity",
        "score_model": "ScoreModel",
        "label_model": "LabelModel",
        "multi": "MultiGrader",
    }
)
"""Every scorer a suite can name without a module, by its `type`."""


def build(spec: ScorerSpec) -> AnyScorer:
    """The scorer of a suite's entry, its settings checked.

    Raises:
        ParseError: An unknown type, a class that is no scorer, or wrong settings; paths are relative
            to the entry.
    """
    scorer: object = parse(_class_of(spec.type), dict(spec.settings))
    if not isinstance(scorer, AnyScorer):
        what = f"{spec.type} is no scorer: it has neither `score` nor `question` and `read`"
        raise ParseError([Problem(("type",), what, "give it one of them")])
    return _as_asked(scorer) if spec.type in BUILT_IN else scorer


def _as_asked(scorer: AnyScorer) -> AnyScorer:
    """The scorer that some settings make of a built-in one: one that asks for vectors, or the judge."""
    asking: Callable[[], AnyScorer] | None = getattr(scorer, "asking", None)
    return scorer if asking is None else asking()


def metric_names(spec: ScorerSpec) -> tuple[str, ...]:
    """What gates may name: the entry's own name (its mean value) and the measures its scorer reports.

    Last come what a scorer has over a whole suite only, such as macro-F1.

    Raises:
        ParseError: An unknown type, or wrong settings.
    """
    scorer = build(spec)
    if isinstance(scorer, MeasuringScorer):
        return (spec.name, *scorer.measure_names())
    return (spec.name, *getattr(scorer, "measures", ()), *getattr(scorer, "suite_metrics", ()))


def _class_of(kind: str) -> type:
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    if kind == "python":
        no_python = importlib.import_module("harness.scorers.graders").NO_PYTHON
        raise ParseError([Problem(("type",), *no_python)])
    module_name, colon, class_name = kind.partition(":")
    if not colon:
        remedy = nearest(kind, BUILT_IN) + "; a class of your own is named module:Class"
        raise ParseError([Problem(("type",), f"unknown scorer {shown(kind)}", remedy)])
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way while it is imported
        what = f"cannot import {shown(module_name)}: {type(error).__name__}: {error}"
        remedy = 'modules of the project are found with `pythonpath = ["."]` in pytest\'s settings'
        raise ParseError([Problem(("type",), what, remedy)]) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and is_dataclass(found)):
        names = [name for name, value in vars(module).items() if is_dataclass(value)]
        what = f"{shown(module_name)} has no record {shown(class_name)}"
        raise ParseError([Problem(("type",), what, nearest(class_name, names) or "decorate it with @record")])
    return found

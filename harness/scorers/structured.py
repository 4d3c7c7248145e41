"""Is the answer the expected JSON object, field by field?"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from harness.records import Case, Completion, Json, Score, record
from harness.serial import shown
from harness.texts.json_likeness import alike
from harness.texts.normalisation import storable
from harness.texts.strict_json import InvalidJsonError, object_in, read_object, without_fence


@record
class JsonFields:
    """The answer is a JSON object whose fields have the expected values.

    The value is the share of expected fields that are right. A nested object's fields count one by one
    (`from.city`); a list is one field, in order. Texts compare as in `exact_match`, numbers as numbers;
    a number written as text is wrong, because the reader's schema would refuse it.
    """

    lenient: bool = False
    """Whether the object may stand inside prose; else only a single code fence around it is forgiven."""
    allow_extra: bool = True
    """Whether fields that nobody asked for count for nothing; else each counts as one wrong field."""

    measures: ClassVar[tuple[str, ...]] = ("json_valid", "all_fields", "field_f1")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if not isinstance(case.expected, Mapping) or not case.expected:
            return f"needs `expected`: an object with at least one field, got {shown(case.expected)}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """The share of fields that are right; an answer that is not a JSON object is 0."""
        if not isinstance(case.expected, Mapping) or not case.expected:
            return Score(value=None, reason=self.check_case(case) or "")
        text = object_in(completion.text) if self.lenient else without_fence(completion.text)
        try:
            answer = read_object(text)
        except InvalidJsonError as error:
            return Score(
                value=0.0,
                reason=f"not a JSON object: {error}, read {shown(completion.text)}",
                measures=dict.fromkeys(self.measures, 0.0),
            )
        return self._compared(case.expected, answer, text)

    def _compared(self, expected: Mapping[str, Json], answer: Mapping[str, Json], text: str) -> Score:
        wrong = list(_wrong_fields(expected, answer))
        fields = len(_names(expected, ""))
        extra = [] if self.allow_extra else list(_extra_fields(expected, answer))
        right = fields - len(wrong)
        problems = [*wrong, *(f"{name}: not asked for" for name in extra)]
        reason = f"{right} of {fields} fields right"
        if problems:
            reason += "; " + "; ".join(problems[:5]) + ("; …" if len(problems) > 5 else "")
        return Score(
            value=right / (fields + len(extra)),
            reason=reason,
            answer=storable(text.strip()),
            measures={
                "json_valid": 1.0,
                "all_fields": float(not problems),
                "field_f1": 2 * right / (fields + _count_leaves(answer)),
            },
        )


def _count_leaves(answer: Mapping[str, Json]) -> int:
    """How many key-value pairs an answer gives; a loop, because an answer may be nested deeper than Python recurs."""
    waiting: list[Mapping[str, Json]] = [answer]
    leaves = 0
    while waiting:
        for value in waiting.pop().values():
            if isinstance(value, Mapping) and value:
                waiting.append(value)
            else:
                leaves += 1
    return leaves


# --- comparing: recursion goes only as deep as the expected object, which a person wrote ----------------


def _names(expected: Json, name: str) -> list[str]:
    """The dotted names of all fields, the object's own when it is empty or no object."""
    if isinstance(expected, Mapping) and expected:
        return [leaf for key, value in expected.items() for leaf in _names(value, f"{name}.{key}")]
    return [name.removeprefix(".")]


def _wrong_fields(expected: Mapping[str, Json], answer: Mapping[str, Json], path: str = "") -> Iterator[str]:
    """A sentence for each field that is missing or has another value."""
    for key, wanted in expected.items():
        name = f"{path}{key}"
        if key not in answer:
            yield from (f"{leaf}: missing" for leaf in _names(wanted, name))
            continue
        found = answer[key]
        if isinstance(wanted, Mapping) and wanted:
            if isinstance(found, Mapping):
                yield from _wrong_fields(wanted, found, f"{name}.")
            else:
                nothing = f"missing, {name} is {_shown(found)}"
                yield from (f"{leaf}: {nothing}" for leaf in _names(wanted, name))
        elif not alike(wanted, found):
            yield f"{name}: expected {_shown(wanted)}, read {_shown(found)}"


def _extra_fields(expected: Mapping[str, Json], answer: Mapping[str, Json], path: str = "") -> Iterator[str]:
    for key, found in answer.items():
        wanted = expected.get(key)
        if key not in expected:
            yield f"{path}{storable(key, 40)}"
        elif isinstance(wanted, Mapping) and wanted and isinstance(found, Mapping):
            yield from _extra_fields(wanted, found, f"{path}{key}.")


def _shown(value: Json) -> str:
    """A value of the answer for a reason; what is nested is named, not spelled out."""
    if isinstance(value, Mapping):
        return "an object"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else shown(value, 40)

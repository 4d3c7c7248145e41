"""Does the model call the right tools with the right arguments, or none when none is needed?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, TypeGuard

from harness.records import Case, Completion, Json, Score, ToolCall, record
from harness.serial import shown
from harness.texts.json_likeness import alike
from harness.texts.normalisation import storable
from harness.texts.strict_json import InvalidJsonError, read_object

# Each expected call may be compared with each that is made. A model that calls on and on: what is beyond is not compared.
MAX_EXPECTED_CALLS = 64
MAX_CALLS = 64


@record
class ToolCalls:
    """The answer calls the expected functions with the expected arguments.

    A case expects one call, `{name: ..., arguments: {...}}`, a list of calls, or none: `[]`. A call
    without `arguments` is right with any. The value is the share of right calls among those expected
    or, if more, made. Names compare letter by letter; arguments are parsed, so the order of keys and
    `2` or `2.0` do not matter, and texts compare as in `exact_match`.
    """

    ordered: bool = False
    """Whether the calls must come in the order given."""
    allow_extra: bool = False
    """Whether arguments that nobody asked for count for nothing."""
    coerce: bool = False
    """Whether `"2"` is 2, `"true"` is true, and an argument left out is null: what lenient tools do themselves."""

    measures: ClassVar[tuple[str, ...]] = ("called", "right_names", "valid_arguments")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        calls = _expected_calls(case.expected)
        if calls is None:
            form = "`{name: ..., arguments: {...}}`, a list of such, or [] for no call"
            return f"needs `expected`: {form}, got {shown(case.expected)}"
        if len(calls) > MAX_EXPECTED_CALLS:
            return f"`expected` has {len(calls)} calls; at most {MAX_EXPECTED_CALLS} are compared"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """The share of right calls; without any expected, 1 when none is made."""
        complaint, expected = self.check_case(case), _expected_calls(case.expected)
        if complaint is not None or expected is None:
            return Score(value=None, reason=complaint or "")
        made = completion.tool_calls[:MAX_CALLS]
        faults = self._faults(expected, made)
        right = len(expected) - sum(fault is not None for fault in faults)
        most = max(len(expected), len(completion.tool_calls))
        named = Counter(str(call["name"]) for call in expected) == Counter(call.name for call in made)
        return Score(
            value=right / most if most else 1.0,
            reason=_reason(expected, completion, faults),
            answer=storable(" ".join(map(_spelled, made))) or None,
            measures={
                "called": float(bool(made)),
                "right_names": float(named),
                "valid_arguments": float(all(isinstance(_arguments(call), Mapping) for call in made)),
            },
        )

    def _faults(self, expected: Sequence[Mapping[str, Json]], made: Sequence[ToolCall]) -> list[str | None]:
        """For each expected call what is wrong with the call made for it, None when it is right."""
        if self.ordered:
            pairs = [*made[: len(expected)], *[None] * (len(expected) - len(made))]
            return [self._fault(wanted, call) for wanted, call in zip(expected, pairs, strict=True)]
        left = list(made)
        # Calls that say more about their arguments choose first: `{name: f}` is right with any call of f.
        order = sorted(range(len(expected)), key=lambda index: "arguments" not in expected[index])
        faults: dict[int, str | None] = {}
        for index in order:
            matching = next((call for call in left if self._fault(expected[index], call) is None), None)
            if matching is not None:
                left.remove(matching)
                faults[index] = None
        for index in order:
            if index not in faults:
                namesake = next((call for call in left if call.name == expected[index]["name"]), None)
                if namesake is not None:
                    left.remove(namesake)
                faults[index] = self._fault(expected[index], namesake)
        return [faults[index] for index in range(len(expected))]

    def _fault(self, wanted: Mapping[str, Json], call: ToolCall | None) -> str | None:
        name = wanted["name"]
        if call is None:
            return f"{name}: not called"
        if call.name != name:
            return f"{name}: {shown(call.name, 40)} is called instead"
        arguments = wanted.get("arguments")
        given = _arguments(call)
        if isinstance(given, str):
            return f"{name}: its arguments are no JSON object: {given}"
        if not isinstance(arguments, Mapping):
            return None
        for key, value in arguments.items():
            if key not in given and not (self.coerce and value is None):
                return f"{name}: {key} is missing"
            if not alike(value, given.get(key), coerce=self.coerce):
                return f"{name}: {key}: expected {shown(value, 40)}, read {shown(given.get(key), 40)}"
        extra = [key for key in given if key not in arguments and not (self.coerce and given[key] is None)]
        return f"{name}: {shown(extra[0], 40)} was not asked for" if extra and not self.allow_extra else None


def _reason(
    expected: Sequence[Mapping[str, Json]], completion: Completion, faults: Sequence[str | None]
) -> str:
    made = completion.tool_calls
    if not expected:
        return f"expected no call, read {_spelled(made[0])}" if made else "expected no call, none is made"
    said = [fault for fault in faults if fault is not None]
    parts = [f"{len(expected) - len(said)} of {len(expected)} calls right", *said[:3]]
    if len(made) > len(expected):
        parts.append(f"{len(made)} are made")
    if not made:
        parts = [f"expected {' '.join(str(call['name']) for call in expected)}, no call is made"]
        parts.append(f"the answer is {shown(completion.text)}")
    return "; ".join(parts)


def _spelled(call: ToolCall) -> str:
    return f"{storable(call.name, 80)}({storable(call.arguments, 200)})"


@lru_cache(maxsize=2 * MAX_CALLS)
def _arguments(call: ToolCall) -> dict[str, Json] | str:
    """The arguments as an object, or why they are none. Some servers send nothing for none."""
    try:
        return read_object(call.arguments) if call.arguments.strip() else {}
    except InvalidJsonError as error:
        return str(error)


def _expected_calls(expected: Json) -> list[Mapping[str, Json]] | None:
    calls = expected if isinstance(expected, (list, tuple)) else [expected]
    return [call for call in calls if _is_call(call)] if all(map(_is_call, calls)) else None


def _is_call(value: Json) -> TypeGuard[Mapping[str, Json]]:
    """A name, and arguments that are an object if they are given at all."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("name"), str)
        and bool(value["name"])
        and value.keys() <= {"name", "arguments"}
        and isinstance(value.get("arguments", {}), Mapping)
    )

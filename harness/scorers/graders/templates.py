"""Templates of graders: `{{ item.x }}` is the case, `{{ sample.output_text }}` the answer. Nothing is evaluated."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NoReturn

from harness.records import Case, Completion, Json, record
from harness.scorers.judging import content_text, fenced
from harness.serial import check_depth, nearest, read_json, shown, to_json, to_plain

Step = str | int

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STEP = r"""\.[^\s.\[\](){}|"']+|\[\d{1,9}\]|\["[^"]*"\]|\['[^']*'\]"""
_VARIABLE = re.compile(rf"\s*(?P<space>item|sample)(?P<steps>(?:{_STEP})+)\s*")
SAMPLE = ("output_text", "output_json", "output_tools", "choices")
"""What `sample` has."""


class CaseLacksError(LookupError):
    """A template names something that the case does not have."""


class AnswerLacksError(LookupError):
    """A template names something that the answer does not have: it is no JSON, or calls no tool."""


@record
class Variable:
    """One `{{ ... }}`: where it looks, and the way from there."""

    space: Literal["item", "sample"]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        """As a person would write it: `item.tags[0]`."""
        spelled = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)
        return "".join([self.space, *spelled])


def variables(template: str) -> tuple[Variable, ...]:
    """The variables of a template, in order.

    Raises:
        ValueError: What stands between braces is no variable, with a remedy.
    """
    return tuple(_variable(found.group(1)) for found in _BRACES.finditer(template))


def filled(template: str, case: Case, completion: Completion, *, fence: bool = False) -> str:
    """The template with its variables' values; what a value holds is not filled in again.

    Args:
        template: Checked by `variables`.
        case: What `item` is: its metadata by their names, and `id`, `prompt`, `messages`, `expected`, `tags`.
        completion: What `sample` is.
        fence: Whether values of the answer stand between tags of their own, for a judge to tell them apart.

    Raises:
        CaseLacksError: The case does not have a variable.
        AnswerLacksError: The answer does not have one.
    """

    def value(found: re.Match[str]) -> str:
        variable = _variable(found.group(1))
        if variable.space == "item":
            return _text(_item_value(variable, case))
        text = _text(_sample_value(variable, completion))
        return fenced(text, "answer") if fence else text

    return _BRACES.sub(value, template)


def missing_from(case: Case, templates: Iterable[str]) -> str | None:
    """The first thing that the templates name and the case does not have, as a sentence; or None."""
    for variable in _all_variables(templates):
        if variable.space == "item":
            try:
                _item_value(variable, case)
            except CaseLacksError as error:
                return str(error)
    return None


def missing_from_answer(completion: Completion, templates: Iterable[str]) -> str | None:
    """The first thing that the templates name and the answer does not have, as a sentence; or None."""
    for variable in _all_variables(templates):
        if variable.space == "sample":
            try:
                _sample_value(variable, completion)
            except AnswerLacksError as error:
                return str(error)
    return None


def _all_variables(templates: Iterable[str]) -> Iterator[Variable]:
    return (variable for template in templates for variable in variables(template))


def _variable(inside: str) -> Variable:
    found = _VARIABLE.fullmatch(inside)
    if found is None:
        remedy = "write {{ item.NAME }} or {{ sample.output_text }}"
        raise ValueError(f"{shown('{{' + inside + '}}')} is no variable; {remedy}")
    steps = tuple(map(_step, re.findall(_STEP, found["steps"])))
    if found["space"] == "item":
        return Variable(space="item", steps=steps)
    if steps[0] not in SAMPLE:
        raise ValueError(f"`sample` has no {shown(steps[0])}; {nearest(str(steps[0]), SAMPLE)}")
    return Variable(space="sample", steps=steps)


def _step(spelled: str) -> Step:
    """A key or an index: `.city`, `["city"]`, `[0]`."""
    if spelled.startswith("."):
        return spelled[1:]
    inside = spelled[1:-1]
    return int(inside) if inside.isdigit() else inside[1:-1]


# --- values ----------------------------------------------------------------------------------------


def _item_value(variable: Variable, case: Case) -> Json:
    def lack(known: Mapping[str, Json] | None, step: Step) -> NoReturn:
        near = f"; {nearest(str(step), known)}" if known else ""
        raise CaseLacksError(f"`{variable}`: the case has no {shown(step)}{near}")

    return _walk(_item(case), variable.steps, lack)


def _item(case: Case) -> Mapping[str, Json]:
    prompts = [message for message in case.messages if message.get("role") == "user"]
    own: dict[str, Json] = {
        "id": case.id,
        "messages": list(case.messages),
        "metadata": case.metadata,
        "tags": list(case.tags),
    }
    if prompts:
        own["prompt"] = content_text(prompts[-1].get("content"))
    if case.expected is not None:
        own["expected"] = case.expected
    return {**case.metadata, **own}


def _sample_value(variable: Variable, completion: Completion) -> Json:
    name, *steps = variable.steps

    def lack(known: Mapping[str, Json] | None, step: Step) -> NoReturn:
        has = f", only {shown(sorted(known))}" if known else ""
        raise AnswerLacksError(f"`{variable}`: the answer has no {shown(step)}{has}")

    if name == "output_text":
        value: Json = completion.text
    elif name == "output_json":
        value = _json(completion.text, variable)
    else:
        calls = [_call(completion, index) for index in range(len(completion.tool_calls))]
        message = {"role": "assistant", "content": completion.text, "refusal": completion.refusal}
        choice = {"message": {**message, "tool_calls": calls}, "finish_reason": completion.finish_reason}
        value = calls if name == "output_tools" else [{"index": 0, **choice}]
    return _walk(value, tuple(steps), lack)


def _json(text: str, variable: Variable) -> Json:
    try:
        value: Json = json.loads(text, parse_constant=_refuse_constant)
        check_depth(value)
    except (ValueError, RecursionError):
        raise AnswerLacksError(f"`{variable}`: the answer is not JSON: {shown(text)}") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _call(completion: Completion, index: int) -> dict[str, Json]:
    """A tool call as the chat completions API spells it."""
    call = completion.tool_calls[index]
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _walk(
    value: Json, steps: tuple[Step, ...], lack: Callable[[Mapping[str, Json] | None, Step], NoReturn]
) -> Json:
    """The value at the end of the steps; a tool call's arguments, JSON in a text, are entered like an object."""
    came_by: Step = ""
    for step in steps:
        if came_by == "arguments" and isinstance(value, str):
            value = _entered(value)
        if isinstance(value, Mapping) and str(step) in value:
            value = value[str(step)]
        elif isinstance(value, (list, tuple)) and str(step).isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            lack(value if isinstance(value, Mapping) else None, step)
        came_by = step
    return value


def _entered(text: str) -> Json:
    try:
        value: Json = read_json(text)
    except (ValueError, RecursionError):
        return None
    return value


def _text(value: Json) -> str:
    """A value as it stands in a text: a text as it is, all else as JSON."""
    if isinstance(value, str):
        plain: str = to_plain(value)
        return plain
    return to_json(value)

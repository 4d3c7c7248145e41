"""Training data as a file of examples: read whole, with every broken line named."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from harness.errors import DatasetError, Mistake, UsageError
from harness.records import Json, Message, record
from harness.serial import nearest, shown

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
Form = Literal["chat", "completion", "preference"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PREFERRED = ("preferred_output", "preferred_completion")


@record
class Example:
    """One line of training data.

    `messages` is the conversation that is learnt from; for a preference pair, the input followed by
    the preferred answer. `row` is the line as it stands, for what only some forms have.
    """

    line: int
    form: Form
    messages: tuple[Message, ...]
    row: Mapping[str, Json]


@record
class Dataset:
    """A training or validation file: its examples, and the SHA-256 of its bytes."""

    path: Path
    examples: tuple[Example, ...]
    digest: str


def read_dataset(path: Path) -> Dataset:
    """Read a JSONL file: UTF-8 with or without a byte order mark, any line ends, blank lines skipped.

    Three forms are read: chat `messages`, the older `prompt` and `completion`, and preference pairs
    (`input`, `preferred_output`, `non_preferred_output`).

    Raises:
        DatasetError: Every line that cannot be trained on, with what to do about it.
        UsageError: The file is not there or cannot be opened.
    """
    examples: list[Example] = []
    mistakes: list[Mistake] = []
    state = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                state.update(line)
                if number == 1 and (whole := _whole_file_mistake(line)):
                    raise DatasetError(str(path), [whole])
                _read_line(number, line, examples, mistakes)
    except OSError as error:
        remedy = "give the path of a JSONL file"
        raise UsageError(f"{path}: {error.strerror or error}", remedy=remedy) from error
    if not examples and not mistakes:
        mistakes.append(Mistake(1, "no examples", "write one JSON object a line"))
    if mistakes:
        raise DatasetError(str(path), mistakes)
    return Dataset(path=path, examples=tuple(examples), digest=state.hexdigest())


def _whole_file_mistake(first_line: bytes) -> Mistake | None:
    """A file that is wrong as a whole gets one mistake, not one a line."""
    if first_line.startswith(_UTF_16_MARKS):
        return Mistake(1, "the file is UTF-16", "save it as UTF-8")
    if first_line.removeprefix(_BYTE_ORDER_MARK).strip() in {b"[", b"[{"}:
        return Mistake(1, "the file is one JSON array", "write one JSON object a line, without the brackets")
    return None


def _read_line(number: int, line: bytes, examples: list[Example], mistakes: list[Mistake]) -> None:
    line = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
    if not line:
        return
    row = _parse(number, line, mistakes)
    if row is None:
        return
    found = [Mistake(number, what, remedy) for what, remedy in _problems(row)]
    mistakes.extend(found)
    if not found:
        form = _form(row)
        assert form is not None, "a row without problems has a form"
        examples.append(Example(line=number, form=form, messages=_conversation(row, form), row=row))


def _parse(number: int, line: bytes, mistakes: list[Mistake]) -> Mapping[str, Json] | None:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        mistakes.append(Mistake(number, f"not UTF-8 at byte {error.start + 1}", "save the file as UTF-8"))
        return None
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg} at column {error.colno}"
        mistakes.append(Mistake(number, what, "each line must be one whole JSON object"))
        return None
    except (RecursionError, ValueError) as error:
        mistakes.append(Mistake(number, f"not readable JSON: {error}", "make the line a plain chat example"))
        return None
    if not isinstance(row, dict):
        mistakes.append(Mistake(number, f"not a JSON object: {shown(row)}", 'write {"messages": [...]}'))
        return None
    return row


# --- what a row is, and what is wrong with it -----------------------------------------------------------

Problem = tuple[str, str]
"""What is wrong, and the remedy."""


def _form(row: Mapping[str, Json]) -> Form | None:
    if "messages" in row:
        return "chat"
    if "prompt" in row or "completion" in row:
        return "completion"
    return "preference" if "input" in row and any(name in row for name in _PREFERRED) else None


def _problems(row: Mapping[str, Json]) -> Iterable[Problem]:
    form = _form(row)
    if form == "chat":
        return _chat_problems(row["messages"], "messages", must_answer=True)
    if form == "completion":
        return [
            (f"{name} is {shown(row[name])}" if name in row else f"no {name}", f"{name} must be text")
            for name in ("prompt", "completion")
            if not isinstance(row.get(name), str)
        ]
    if form == "preference":
        return _preference_problems(row)
    known = ("messages", "prompt", "completion", "input", "preferred_output", "non_preferred_output")
    near = [nearest(key, known) for key in row]
    guess = next((hint for hint in near if hint.startswith("did you mean")), 'write {"messages": [...]}')
    return [("no messages", guess)]


def _preference_problems(row: Mapping[str, Json]) -> Iterable[Problem]:
    given = row["input"]
    prompt = given.get("messages") if isinstance(given, Mapping) else None
    yield from _chat_problems(prompt, "input.messages", must_answer=False)
    for name in (_preferred_name(row), f"non_{_preferred_name(row)}"):
        yield from _chat_problems(row.get(name), name, must_answer=True)


def _preferred_name(row: Mapping[str, Json]) -> str:
    return next(name for name in _PREFERRED if name in row)


def _chat_problems(messages: Json, place: str, *, must_answer: bool) -> Iterable[Problem]:
    if not isinstance(messages, list) or not messages:
        yield f"{place} is {shown(messages)}", "it must be a list of messages"
        return
    for index, message in enumerate(messages):
        for what, remedy in _message_problems(message):
            yield f"{place}[{index}]: {what}", remedy
    if must_answer and not any(_is_answer(message) for message in messages):
        yield f"{place}: no assistant message to learn from", "end the conversation with the ideal answer"


def _is_answer(message: Json) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "assistant" and message.get("weight") != 0


def _message_problems(message: Json) -> Iterable[Problem]:
    if not isinstance(message, Mapping):
        yield f"{shown(message)} is not a message", 'write {"role": ..., "content": ...}'
        return
    role, content = message.get("role"), message.get("content")
    if "role" not in message:
        yield "no role", f"add one: {', '.join(ROLES)}"
    elif role not in ROLES:
        yield f"unknown role {shown(role)}", nearest(str(role), ROLES)
    calls = role == "assistant" and bool(message.get("tool_calls") or message.get("function_call"))
    if content is None and not calls:
        yield "no content", "add the text"
    elif content is not None and not _is_content(content):
        yield f"content is {shown(content)}", "it must be text or a list of parts"
    weight = message.get("weight", 1)
    if weight not in (0, 1) or isinstance(weight, bool):
        yield f"weight is {shown(weight)}", "it must be 0 or 1"


def _is_content(content: Json) -> bool:
    if isinstance(content, list):
        return all(isinstance(part, Mapping) for part in content)
    return isinstance(content, str)


def _conversation(row: Mapping[str, Json], form: Form) -> tuple[Message, ...]:
    if form == "completion":
        return (
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        )
    if form == "chat":
        return _messages(row["messages"])
    given = row["input"]
    assert isinstance(given, Mapping), "checked before"
    return _messages(given["messages"]) + _messages(row[_preferred_name(row)])


def _messages(value: Json) -> tuple[Message, ...]:
    assert isinstance(value, list), "checked before"
    return tuple(value)

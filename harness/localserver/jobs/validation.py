"""Reading a training file: every row as the trainer takes it, or OpenAI's words for what is wrong.

Problems of content are not errors of the upload or of the job's creation: the job fails with them.
Texts and codes follow real jobs; those of rules that only this server has name the limit plainly.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from harness.localserver.state.objects import Fault

# OpenAI's lower limit for a training file. A validation file only has to hold something.
MIN_EXAMPLES = 10
# A longer line is no training example but an accident: it is a hundred times the model's context.
MAX_LINE_BYTES = 4 * 2**20
# A key or a role of a broken file is quoted in its error, but not at any length.
MAX_WHAT = 500

ROLES = ("system", "developer", "user", "assistant", "function", "tool")
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "weight", "refusal", "tool_calls", "tool_call_id", "function_call"}
)
# Parts of OpenAI's format that the local model has no way to be trained on.
_UNTRAINABLE_ROW_KEYS = ("tools", "functions", "parallel_tool_calls")
_UNTRAINABLE_MESSAGE_KEYS = ("tool_calls", "tool_call_id", "function_call", "refusal")

_BOM = b"\xef\xbb\xbf"


class DataError(Exception):
    """A file cannot be trained on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def prepare(source: Path, target: Path, *, role: str) -> int:
    """Check a file and write its rows to `target` in the plain form the trainer reads.

    Blank lines and a byte order mark are dropped, content given in parts becomes one text, and `developer`
    becomes `system`, the name the local model knows.

    Args:
        source: The uploaded file.
        target: Where to write; one JSON object a line, `{"messages": [{"role", "content", "weight"?}]}`.
        role: `training` or `validation`.

    Returns:
        The number of examples.

    Raises:
        DataError: The first thing that is wrong.
    """
    count = 0
    try:
        with source.open("rb") as rows, target.open("w", encoding="utf-8", newline="\n") as prepared:
            for number, line in _examples(rows):
                prepared.write(json.dumps({"messages": _messages(line, number)}) + "\n")
                count = number
    except FileNotFoundError:
        raise _invalid(role, "The file was deleted before the job could read it.") from None
    except _RowError as error:
        raise _file_error(role, error) from None
    needed = MIN_EXAMPLES if role == "training" else 1
    if count < needed:
        raise DataError(
            "invalid_n_examples",
            f"{role.capitalize()} file has {count} example(s), but must have at least {needed} examples",
        )
    return count


def fault_of(error: DataError, *, role: str) -> Fault:
    """The job's `error` for a file that cannot be used."""
    return Fault(code=error.code, message=error.message, param=f"{role}_file")


class _RowError(Exception):
    """What is wrong with one row; `extra` when it only has a key too many, which OpenAI words differently."""

    def __init__(self, what: str, *, extra: bool = False) -> None:
        super().__init__(what if len(what) <= MAX_WHAT else what[:MAX_WHAT] + "...")
        self.extra = extra


def _file_error(role: str, error: _RowError) -> DataError:
    if error.extra:
        return DataError(
            "invalid_file_format",
            f"The job failed due to a file format error in the {role} file. Invalid file format. {error}",
        )
    return _invalid(role, f"Invalid file format. {error}")


def _invalid(role: str, what: str) -> DataError:
    return DataError(f"invalid_{role}_file", f"The job failed due to an invalid {role} file. {what}")


def _examples(rows: BinaryIO) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The rows as objects, numbered from 1; blank lines do not count."""
    number = 0
    place = 0
    while line := rows.readline(MAX_LINE_BYTES + 1):
        place += 1
        text = (line.removeprefix(_BOM) if place == 1 else line).strip()
        if not text:
            continue
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _RowError(f"Example {number} is longer than {MAX_LINE_BYTES} bytes.")
        yield number, _parsed(text, f"Example {number}", line=place)


def _parsed(text: bytes, example: str, *, line: int) -> Mapping[str, object]:
    try:
        row = json.loads(text.decode())
        json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except UnicodeError as error:
        raise _RowError(
            f"{example} cannot be parsed. Error: invalid Unicode: {error} (line {line})"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise _RowError(
            f"{example} cannot be parsed. Error: line contains invalid json: {reason} (line {line})"
        ) from None
    if not isinstance(row, dict):
        raise _RowError(f"{example} is not a JSON object.")
    return row


def _messages(row: Mapping[str, object], number: int) -> list[dict[str, object]]:
    place = f"Example {number}"
    if "messages" not in row:
        raise _RowError(f"{place} is missing key 'messages'")
    for key, value in row.items():
        if key == "messages":
            continue
        if key not in _UNTRAINABLE_ROW_KEYS:
            raise _RowError(f'{place} contains an extra "{key}".', extra=True)
        if value:
            raise _RowError(f"{place} contains '{key}', which the local model cannot be trained on.")
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        raise _RowError(f"{place} 'messages' must be a list with at least one message.")
    prepared = [_message(message, f"{place}, message {at}") for at, message in enumerate(messages, start=1)]
    if not any(message["role"] == "assistant" and message.get("weight", 1) for message in prepared):
        raise _RowError(
            f"{place} has no message with role 'assistant' and a weight other than 0 to train on."
        )
    return prepared


def _message(message: object, place: str) -> dict[str, object]:
    if not isinstance(message, dict):
        raise _RowError(f"{place} is not an object.")
    if "role" not in message:
        raise _RowError(f"{place} Discriminator 'role' is missing in value")
    role = message["role"]
    if role not in ROLES:
        expected = ", ".join(f"'{name}'" for name in ROLES)
        raise _RowError(f"{place} Input tag {role!r} found using 'role' does not match any of: {expected}")
    _check_keys(message, place)
    if role in {"function", "tool"}:
        raise _RowError(f"{place} has role '{role}', which the local model cannot be trained on.")
    prepared: dict[str, object] = {
        "role": "system" if role == "developer" else role,
        "content": _content(message.get("content"), place),
    }
    weight = message.get("weight")
    if weight is not None:
        if role != "assistant" or isinstance(weight, bool) or weight not in (0, 1):
            raise _RowError(f"{place} 'weight' must be 0 or 1, and stand on an assistant message.")
        prepared["weight"] = weight
    return prepared


def _check_keys(message: Mapping[str, object], place: str) -> None:
    for key, value in message.items():
        if key not in _MESSAGE_KEYS:
            raise _RowError(f'{place} contains an extra "{key}".', extra=True)
        if key in _UNTRAINABLE_MESSAGE_KEYS and value:
            raise _RowError(f"{place} contains '{key}', which the local model cannot be trained on.")


def _content(content: object, place: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(_text_part(part, place) for part in content)
    raise _RowError(f"{place} 'content' must be a string or a list of text parts.")


def _text_part(part: object, place: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise _RowError(
        f"{place} has a content part that is not text, which the local model cannot be trained on."
    )

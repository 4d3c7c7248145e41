"""One row of a training file: read in the shape its file has, or OpenAI's words for what is wrong with it.

Rows leave here in the plain form trainers read: content given in parts becomes one text, and `developer` becomes `system`, the
name the local models know. Texts follow real jobs; those of rules that only this server has name the limit plainly.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

Shape: TypeAlias = Literal["chat", "completion", "preference"]
# As OpenAI's messages call the shapes. The first name is seen in real jobs, the others follow it.
SHAPE_NAMES: Mapping[Shape, str] = {
    "chat": "fine-tune-chat",
    "completion": "fine-tune-completion",
    "preference": "fine-tune-preference",
}
# The key without which a row is not of its shape.
LEADING_KEYS: Mapping[Shape, str] = {"chat": "messages", "completion": "prompt", "preference": "input"}

# A key or a role of a broken file is quoted in its error, but not at any length.
MAX_WHAT = 500

ROLES = ("system", "developer", "user", "assistant", "function", "tool")
_MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "weight", "refusal", "tool_calls", "tool_call_id", "function_call"}
)
# Parts of OpenAI's format that the local models have no way to be trained on.
_UNTRAINABLE_ROW_KEYS = ("tools", "functions", "parallel_tool_calls")
_UNTRAINABLE_MESSAGE_KEYS = ("tool_calls", "tool_call_id", "function_call", "refusal")

# Guides and real files say the first, the older specification the second.
_PREFERRED = ("preferred_output", "preferred_completion")
_REJECTED = ("non_preferred_output", "non_preferred_completion")


class RowError(Exception):
    """What is wrong with one row; `extra` when it only has a key too many, which OpenAI words differently."""

    def __init__(self, what: str, *, extra: bool = False) -> None:
        super().__init__(what if len(what) <= MAX_WHAT else what[:MAX_WHAT] + "...")
        self.extra = extra


def shape_of(row: Mapping[str, object]) -> Shape | None:
    """The shape a row's keys speak of, None when they speak of none."""
    if "messages" in row:
        return "chat"
    if "prompt" in row or "completion" in row:
        return "completion"
    if not {"input", *_PREFERRED, *_REJECTED}.isdisjoint(row):
        return "preference"
    return None


def read_row(row: Mapping[str, object], shape: Shape, *, place: str) -> dict[str, object]:
    """A row as the trainer takes it.

    Args:
        row: As it stands in the file.
        shape: The shape of the file.
        place: How errors name the row, `Example 3`.

    Returns:
        `{"messages": [{"role", "content", "weight"?}]}`, `{"prompt": str, "completion": str}`, or
        `{"input": [messages], "preferred": str, "rejected": str}`.

    Raises:
        RowError: The first thing that is wrong.
    """
    if shape == "chat":
        return _chat(row, place)
    return _completion(row, place) if shape == "completion" else _preference(row, place)


def missing(place: str, key: str) -> RowError:
    """A row without a key it must have."""
    return RowError(f"{place} is missing key '{key}'")


def _chat(row: Mapping[str, object], place: str) -> dict[str, object]:
    if "messages" not in row:
        raise missing(place, "messages")
    _refuse_untrainable(row, ("messages",), place)
    messages = _messages(row["messages"], place)
    if not any(message["role"] == "assistant" and message.get("weight", 1) for message in messages):
        raise RowError(f"{place} has no message with role 'assistant' and a weight other than 0 to train on.")
    return {"messages": messages}


def _completion(row: Mapping[str, object], place: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in ("prompt", "completion"):
        if key not in row:
            raise missing(place, key)
        if not isinstance(row[key], str):
            raise RowError(f"{place} '{key}' must be a string.")
        found[key] = row[key]
    _refuse_extra(row, tuple(found), place)
    if not found["completion"]:
        raise RowError(f"{place} 'completion' must not be empty: there is nothing in it to train on.")
    return found


def _preference(row: Mapping[str, object], place: str) -> dict[str, object]:
    if "input" not in row:
        raise missing(place, "input")
    preferred = _spelled(row, _PREFERRED, place)
    rejected = _spelled(row, _REJECTED, place)
    _refuse_extra(row, ("input", preferred, rejected), place)
    asked = row["input"]
    if not isinstance(asked, dict):
        raise RowError(f"{place} 'input' must be an object with 'messages'.")
    if "messages" not in asked:
        raise missing(f"{place} 'input'", "messages")
    _refuse_untrainable(asked, ("messages",), f"{place} 'input'")
    messages = _messages(asked["messages"], f"{place} 'input'")
    return {
        "input": [{"role": message["role"], "content": message["content"]} for message in messages],
        "preferred": _answer(row[preferred], f"{place} '{preferred}'"),
        "rejected": _answer(row[rejected], f"{place} '{rejected}'"),
    }


def _spelled(row: Mapping[str, object], spellings: Sequence[str], place: str) -> str:
    found = next((key for key in spellings if key in row), None)
    if found is None:
        raise missing(place, spellings[0])
    return found


def _answer(output: object, place: str) -> str:
    """The one message an answer consists of."""
    if not isinstance(output, list) or len(output) != 1:
        raise RowError(f"{place} must be a list with exactly one message.")
    message = _message(output[0], f"{place} message 1")
    if message["role"] != "assistant":
        raise RowError(f"{place} message 1 must have role 'assistant'.")
    return str(message["content"])


def _refuse_extra(row: Mapping[str, object], known: Sequence[str], place: str) -> None:
    for key in row:
        if key not in known:
            raise RowError(f'{place} contains an extra "{key}".', extra=True)


def _refuse_untrainable(row: Mapping[str, object], known: Sequence[str], place: str) -> None:
    _refuse_extra(row, (*known, *_UNTRAINABLE_ROW_KEYS), place)
    # Whether calls may be parallel says nothing where there is nothing to call.
    for key in ("tools", "functions"):
        if row.get(key):
            raise RowError(f"{place} contains '{key}', which the local model cannot be trained on.")


# --- messages ---


def _messages(messages: object, place: str) -> list[dict[str, object]]:
    if not isinstance(messages, list) or not messages:
        raise RowError(f"{place} 'messages' must be a list with at least one message.")
    return [_message(message, f"{place}, message {at}") for at, message in enumerate(messages, start=1)]


def _message(message: object, place: str) -> dict[str, object]:
    if not isinstance(message, dict):
        raise RowError(f"{place} is not an object.")
    if "role" not in message:
        raise RowError(f"{place} Discriminator 'role' is missing in value")
    role = message["role"]
    if role not in ROLES:
        expected = ", ".join(f"'{name}'" for name in ROLES)
        raise RowError(f"{place} Input tag {role!r} found using 'role' does not match any of: {expected}")
    _check_keys(message, place)
    if role in {"function", "tool"}:
        raise RowError(f"{place} has role '{role}', which the local model cannot be trained on.")
    prepared: dict[str, object] = {
        "role": "system" if role == "developer" else role,
        "content": _content(message.get("content"), place),
    }
    weight = message.get("weight")
    if weight is not None:
        if role != "assistant" or isinstance(weight, bool) or weight not in (0, 1):
            raise RowError(f"{place} 'weight' must be 0 or 1, and stand on an assistant message.")
        prepared["weight"] = int(weight)
    return prepared


def _check_keys(message: Mapping[str, object], place: str) -> None:
    _refuse_extra(message, tuple(_MESSAGE_KEYS), place)
    for key in _UNTRAINABLE_MESSAGE_KEYS:
        if message.get(key):
            raise RowError(f"{place} contains '{key}', which the local model cannot be trained on.")


def _content(content: object, place: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(_text_part(part, place) for part in content)
    raise RowError(f"{place} 'content' must be a string or a list of text parts.")


def _text_part(part: object, place: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise RowError(
        f"{place} has a content part that is not text, which the local model cannot be trained on."
    )

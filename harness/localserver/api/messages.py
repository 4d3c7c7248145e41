"""The messages of a chat request: checked, and as plain role and text for the engine."""

from collections.abc import Mapping

from harness.localserver.api.parameters import Parameters, type_name, unsupported, wrong_type
from harness.localserver.api.wire import ApiError

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
# `name` is accepted and not shown to the model: its chat template has no place for names.
_KEYS = ("role", "content", "name", "refusal")
# Fields of OpenAI's messages the local model cannot read; they may stand there empty, as clients echo them.
_UNREADABLE_KEYS = ("tool_calls", "tool_call_id", "function_call", "audio", "annotations")


def read_messages(body: Parameters) -> tuple[Mapping[str, str], ...]:
    """The messages as `{"role", "content"}`; `developer` becomes `system`, parts are joined by line breaks.

    Raises:
        ApiError: Missing, empty, of another shape, or with content the model cannot read.
    """
    messages = body.required("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", messages, expected="an array of objects")
    if not messages:
        raise ApiError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array "
            "instead.",
            param="messages",
            code="empty_array",
        )
    return tuple(_message(message, f"messages[{at}]") for at, message in enumerate(messages))


def _message(message: object, place: str) -> dict[str, str]:
    if not isinstance(message, Mapping):
        raise wrong_type(place, message, expected="an object")
    fields = Parameters(message, place)
    fields.refuse_unknown((*_KEYS, *_UNREADABLE_KEYS))
    role = fields.required_text("role")
    if role not in ROLES:
        expected = ", ".join(f"'{name}'" for name in ROLES[:-1])
        raise ApiError(
            f"Invalid value: '{role[:40]}'. Supported values are: {expected}, and '{ROLES[-1]}'.",
            param=f"{place}.role",
            code="invalid_value",
        )
    if role in {"function", "tool"}:
        raise unsupported(f"{place}.role", remedy=f"The local model cannot read '{role}' messages.")
    for key in _UNREADABLE_KEYS:
        if fields.value(key):
            raise unsupported(f"{place}.{key}")
    if fields.text("refusal"):
        raise unsupported(f"{place}.refusal", remedy="Send the refusal as content.")
    fields.text("name")
    return {
        "role": "system" if role == "developer" else role,
        "content": _content(message.get("content"), f"{place}.content"),
    }


def _content(content: object, place: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        return "\n".join(_text_part(part, f"{place}[{at}]") for at, part in enumerate(content))
    raise ApiError(
        f"Invalid value for 'content': expected a string, got {type_name(content).split()[-1]}.", param=place
    )


def _text_part(part: object, place: str) -> str:
    if not isinstance(part, Mapping):
        raise wrong_type(place, part, expected="an object")
    fields = Parameters(part, place)
    kind = fields.required_text("type")
    if kind != "text":
        raise unsupported(f"{place}.type", remedy="The local model reads text only.")
    fields.refuse_unknown(("type", "text"))
    return fields.required_text("text")

"""Chat rows with keys that a job refuses, or in one array: the same rows, with the keys a job knows."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, left_over
from harness.dataset.rows import MESSAGE_KEYS
from harness.dataset.shapes import CHAT_ROW_KEYS
from harness.records import Json
from harness.serial import shown


def from_chat(row: Mapping[str, Json]) -> Conversion:
    """The row without what has no place in one, and its messages likewise; null stands for nothing, so it goes unsaid."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise NotConvertible(f"messages is {shown(messages)}, not a list of messages")
    dropped = list(left_over(row, CHAT_ROW_KEYS))
    turns: list[Json] = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise NotConvertible(f"message {number} is {shown(message)}")
        dropped += [f"messages.{key}" for key in left_over(message, MESSAGE_KEYS)]
        turns.append(
            {key: value for key, value in message.items() if key in MESSAGE_KEYS and _says(key, value)}
        )
    kept = {key: value for key, value in row.items() if key in CHAT_ROW_KEYS and value is not None}
    return Conversion(row={**kept, "messages": turns}, dropped=tuple(dict.fromkeys(dropped)))


def _says(key: str, value: Json) -> bool:
    """Whether a key means something; a message without text says so with null."""
    return key == "content" or value not in (None, [])

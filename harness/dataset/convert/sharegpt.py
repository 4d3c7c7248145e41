"""ShareGPT (`conversations` of `from` and `value`) and Hugging Face conversations (of `role` and `content`)."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, chat_row, left_over, text_at
from harness.records import Json
from harness.serial import nearest, shown

_LISTS = ("conversations", "conversation")
_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
# A conversation that opens with the answer has lost its question: the first turn of many scraped ones.
_SYSTEM_KEYS = ("system", "system_prompt")


def from_sharegpt(row: Mapping[str, Json]) -> Conversion:
    """A conversation turn by turn, its speakers under OpenAI's names."""
    name = next((key for key in _LISTS if key in row), _LISTS[0])
    entries = row.get(name)
    if not isinstance(entries, list) or not entries:
        raise NotConvertible(f"{name} is {shown(entries)}, not a list of turns")
    turns: list[tuple[str, str]] = []
    dropped: list[str] = []
    for number, entry in enumerate(entries, start=1):
        role, text, more = _turn(entry, number)
        turns.append((role, text))
        dropped += [f"{name}.{key}" for key in more]
    system = next((text for key in _SYSTEM_KEYS if (text := text_at(row, key))), "")
    dropped += left_over(row, (name, *_SYSTEM_KEYS))
    return Conversion(row=chat_row(turns, system=system), dropped=tuple(dict.fromkeys(dropped)))


def _turn(entry: Json, number: int) -> tuple[str, str, tuple[str, ...]]:
    if not isinstance(entry, Mapping):
        raise NotConvertible(f"turn {number} is {shown(entry)}")
    who, what = ("from", "value") if "from" in entry else ("role", "content")
    speaker = text_at(entry, who, required=True)
    role = _ROLES.get(speaker.lower())
    if role is None:
        raise NotConvertible(f"turn {number} is by {shown(speaker)}; {nearest(speaker, tuple(_ROLES))}")
    return role, text_at(entry, what, required=True), left_over(entry, (who, what))

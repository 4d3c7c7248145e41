"""ChatLaw consultations: a `meta_instruction`, and a `chat` of exchanges keyed by who speaks."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, chat_row, left_over, text_at
from harness.records import Json
from harness.serial import shown

# The assistant signs as itself; whoever else speaks is asking.
ASSISTANT = "ChatLAW"


def from_chatlaw(row: Mapping[str, Json]) -> Conversion:
    """A consultation, its exchanges in order."""
    exchanges = row.get("chat")
    if not isinstance(exchanges, list) or not exchanges:
        raise NotConvertible(f"chat is {shown(exchanges)}, not a list of exchanges")
    turns: list[tuple[str, str]] = []
    for exchange in exchanges:
        if not isinstance(exchange, Mapping):
            raise NotConvertible(f"chat has {shown(exchange)}, not an exchange")
        for speaker in exchange:
            role = "assistant" if speaker.lower() == ASSISTANT.lower() else "user"
            turns.append((role, text_at(exchange, speaker, required=True)))
    return Conversion(
        row=chat_row(turns, system=text_at(row, "meta_instruction")),
        dropped=left_over(row, ("meta_instruction", "chat")),
    )

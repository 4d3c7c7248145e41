"""Alpaca (`instruction`, `input`, `output`, `system`, `history`) and Dolly (`instruction`, `context`, `response`)."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, chat_row, left_over, text_at
from harness.records import Json
from harness.serial import shown

_CONTEXTS = ("input", "context")
_ANSWERS = ("output", "response")


def from_alpaca(row: Mapping[str, Json]) -> Conversion:
    """One instruction and its answer; what it refers to follows it after an empty line."""
    instruction = text_at(row, "instruction", required=True)
    context = "\n\n".join(text for key in _CONTEXTS if (text := text_at(row, key)))
    answer = next((text_at(row, key, required=True) for key in _ANSWERS if key in row), None)
    if answer is None:
        raise NotConvertible(f"neither {_ANSWERS[0]} nor {_ANSWERS[1]}")
    asked = f"{instruction}\n\n{context}" if context else instruction
    turns = [*_history(row), ("user", asked), ("assistant", answer)]
    used = ("instruction", "system", "history", *_CONTEXTS, *_ANSWERS)
    return Conversion(row=chat_row(turns, system=text_at(row, "system")), dropped=left_over(row, used))


def _history(row: Mapping[str, Json]) -> list[tuple[str, str]]:
    pairs = row.get("history") or []
    if not isinstance(pairs, list):
        raise NotConvertible(f"history is {shown(pairs)}, not a list of pairs")
    turns: list[tuple[str, str]] = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise NotConvertible(f"history has {shown(pair)}, not a question and an answer")
        turns += [("user", pair[0]), ("assistant", pair[1])]
    return turns

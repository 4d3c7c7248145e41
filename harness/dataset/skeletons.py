"""Rows that are still to be written: what marks them, so that none is trained on by accident."""

from collections.abc import Mapping

from harness.records import Json

OPEN, CLOSE = "<<to be written: ", ">>"
# What people leave of the mark when they write beside it instead of in its place.
_MARK = OPEN.rstrip(": ")


def to_write(what: str) -> str:
    """A message's content that says what is to be written in its place."""
    return f"{OPEN}{what}{CLOSE}"


def is_unwritten(content: Json) -> bool:
    """Whether a message's content, or a part of it, still has the mark."""
    if isinstance(content, str):
        return _MARK in content
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, Mapping) and is_unwritten(part.get("text")) for part in parts)

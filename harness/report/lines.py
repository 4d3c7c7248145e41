"""What a terminal shows, line by line."""

from typing import Literal

from harness.records import record

Colour = Literal["green", "red", "yellow"]


@record
class Line:
    """One line, with the colour a terminal may give it."""

    text: str
    colour: Colour | None = None
    bold: bool = False


def printable(text: str) -> str:
    """Text from outside without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)

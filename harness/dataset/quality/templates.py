"""Which texts are nearly the same in their own words? What a template gives to many of them does not make them alike."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os.path import commonprefix

from harness.dataset.near_duplicates import Sketches

# So many texts that begin and end alike were filled into a template, where what is their own has so many characters on average: fewer
# are a word put in place of another.
LEAST_FILLED = 8
LEAST_OWN_CHARACTERS = 16

_TextOf = Callable[[int], str]


def groups_of_own_words(sketches: Sketches, text_of: _TextOf) -> Iterator[list[int]]:
    """Groups of two and more texts that are nearly the same, leaving out what a group's texts all begin and end with.

    Args:
        sketches: Of the whole texts.
        text_of: The text of a number, again.
    """
    for group in sketches.groups(text_of):
        yield from _alike(group, text_of)


def _alike(group: Sequence[int], text_of: _TextOf) -> Iterator[list[int]]:
    """The groups within a group, which is one itself where its texts were filled into no template."""
    before, after, characters = _shared(map(text_of, group)) if len(group) >= LEAST_FILLED else (0, 0, 0)
    own = characters / len(group) - before - after
    if before + after < own or own < LEAST_OWN_CHARACTERS or not characters:
        yield [*group]
        return

    def own_words(number: int) -> str:
        text = text_of(number)
        return text[before : len(text) - after]

    within = Sketches()
    for number in group:
        within.add(own_words(number))
    for places in within.groups(lambda place: own_words(group[place])):
        yield from _alike([group[place] for place in places], own_words)


def _shared(texts: Iterable[str]) -> tuple[int, int, int]:
    """How many characters all texts begin with, and end with beside these; and how many they have together."""
    beginning: str | None = None
    ending, characters, shortest = "", 0, 0
    for text in texts:
        if beginning is None:
            beginning, ending, shortest = text, text[::-1], len(text)
        beginning = commonprefix((beginning, text))  # noqa: RUF071 - characters are meant
        ending = commonprefix((ending, text[::-1]))  # noqa: RUF071
        characters += len(text)
        shortest = min(shortest, len(text))
    before = len(beginning or "")
    return before, min(len(ending), shortest - before), characters

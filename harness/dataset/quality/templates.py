"""Which texts are nearly the same in their own words? What a template gives to many of them does not make them alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os.path import commonprefix

from harness.dataset.near_duplicates import Sketches

# So many texts that begin and end alike were filled into a template, where what is their own has so many characters on average: fewer
# are a word put in place of another.
LEAST_FILLED = 8
LEAST_OWN_CHARACTERS = 16
# By so many characters at either end the texts of one template are known from others that are alike.
_END_CHARACTERS = 24

_TextOf = Callable[[int], str]
_Accepts = Callable[[int, int], bool]


def groups_of_own_words(sketches: Sketches, text_of: _TextOf) -> Iterator[list[int]]:
    """Groups of two and more texts that are nearly the same, leaving out what a group's texts all begin and end with.

    Args:
        sketches: Of the whole texts.
        text_of: The text of a number, again.
    """
    for group in sketches.groups(text_of):
        yield from _alike(group, text_of)


def matches_of_own_words(
    sketches: Sketches,
    others: Sketches,
    *,
    text_of: _TextOf,
    other_text_of: _TextOf,
    accepts: _Accepts = lambda _number, _other: True,
) -> dict[int, int]:
    """Which texts are nearly the same as one of `others`, leaving out what the texts of a template all begin and end with.

    Args:
        sketches: Of the texts.
        others: Of the texts they are compared with.
        text_of: The text of a number, again.
        other_text_of: That of one of the others.
        accepts: Whether a pair that is nearly the same counts.

    Returns:
        The numbers of both.
    """
    found = sketches.matches(others, text_of=text_of, other_text_of=other_text_of, accepts=accepts)
    for end_of in (_beginning, _ending):
        clusters: dict[str, list[int]] = {}
        for number in found:
            clusters.setdefault(end_of(text_of(number)), []).append(number)
        for cluster in clusters.values():
            if template := _template_of_matches(cluster, found, text_of, other_text_of):
                again = _matches_beside(
                    template, cluster, others, text_of=text_of, other_text_of=other_text_of
                )
                kept = found.keys() - {*cluster}
                accepted = {number: other for number, other in again.items() if accepts(number, other)}
                found = {number: other for number, other in found.items() if number in kept} | accepted
    return found


def _template_of_matches(
    cluster: Sequence[int], found: Mapping[int, int], text_of: _TextOf, other_text_of: _TextOf
) -> tuple[str, str] | None:
    """What texts and those they match begin and end with, where that is a template."""
    matched = sorted({found[number] for number in cluster})

    def text(place: int) -> str:
        return (
            text_of(cluster[place]) if place < len(cluster) else other_text_of(matched[place - len(cluster)])
        )

    template = _template(range(len(cluster) + len(matched)), text) if len(cluster) >= LEAST_FILLED else None
    if template is None:
        return None
    first = text(0)
    return first[: template[0]], first[len(first) - template[1] :]


def _matches_beside(
    template: tuple[str, str],
    cluster: Sequence[int],
    others: Sketches,
    *,
    text_of: _TextOf,
    other_text_of: _TextOf,
) -> dict[int, int]:
    """Which texts of a template are nearly the same, in what was filled in, as one of the others."""
    head, tail = template

    def own_words(text: str) -> str:
        return text[len(head) : len(text) - len(tail)]

    of_template = [
        number
        for number in range(len(others))
        if (text := other_text_of(number)).startswith(head) and text.endswith(tail)
    ]
    own, own_others = Sketches(), Sketches()
    for number in cluster:
        own.add(own_words(text_of(number)))
    for number in of_template:
        own_others.add(own_words(other_text_of(number)))
    again = own.matches(
        own_others,
        text_of=lambda place: own_words(text_of(cluster[place])),
        other_text_of=lambda place: own_words(other_text_of(of_template[place])),
    )
    return {cluster[place]: of_template[other] for place, other in again.items()}


def _alike(group: Sequence[int], text_of: _TextOf) -> Iterator[list[int]]:
    """The groups within a group, which is one itself where its texts were filled into no template."""
    for end_of in (_beginning, _ending):
        clusters: dict[str, list[int]] = {}
        for number in group:
            clusters.setdefault(end_of(text_of(number)), []).append(number)
        templates = {end: _template(cluster, text_of) for end, cluster in clusters.items()}
        if any(templates.values()):
            others = [number for end, cluster in clusters.items() if not templates[end] for number in cluster]
            if len(others) > 1:
                yield sorted(others)
            for end, template in templates.items():
                if template:
                    yield from _filled(clusters[end], template, text_of)
            return
    yield [*group]


def _filled(group: Sequence[int], template: tuple[int, int], text_of: _TextOf) -> Iterator[list[int]]:
    """The groups of texts that are alike in what was filled into a template, which has so many characters before and after it."""
    before, after = template

    def own_words(number: int) -> str:
        text = text_of(number)
        return text[before : len(text) - after]

    within = Sketches()
    for number in group:
        within.add(own_words(number))
    for places in within.groups(lambda place: own_words(group[place])):
        yield from _alike([group[place] for place in places], own_words)


def _template(group: Sequence[int], text_of: _TextOf) -> tuple[int, int] | None:
    """How many characters stand before and after what was filled into a template; None where the texts have none in common."""
    if len(group) < LEAST_FILLED:
        return None
    before, after, characters = _shared(map(text_of, group))
    own = characters / len(group) - before - after
    return (before, after) if own >= LEAST_OWN_CHARACTERS and before + after >= own else None


def _beginning(text: str) -> str:
    return text[:_END_CHARACTERS]


def _ending(text: str) -> str:
    return text[-_END_CHARACTERS:]


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

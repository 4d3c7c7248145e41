"""Which rows must stay on one side of a split? Those of one conversation, and those a key says belong together.

A conversation is often cut at several points into several rows, and each but the last is then asked, and answered, in the
next. Rows share a conversation when what one asks begins the other, or when they open with the same words of the user; an
opening that very many rows have is a greeting or a template, and says nothing.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from harness.dataset.examples import SYSTEM_ROLES, Example, text_of
from harness.dataset.leaks import LEAST_CHARACTERS
from harness.records import Json, Message
from harness.serial import canonical

# An opening that more rows have than these tells no conversation: both a share and a count, for small files.
COMMON_SHARE, COMMON_ROWS = 0.1, 10


class Families:
    """Rows by what they belong to, given one by one."""

    def __init__(self) -> None:
        self._named: list[int | None] = []
        self._openings: list[int | None] = []
        self._asked: list[int | None] = []
        self._begun: list[tuple[int, ...]] = []

    def add(self, example: Example, *, family: Hashable = None) -> None:
        """Take the next row; `family` is the value of the key that says what it belongs to, None where it has none."""
        turns = [turn for turn in example.messages if turn.get("role") not in SYSTEM_ROLES]
        keys = _beginnings(turns)
        asked = [
            turn for turn in example.messages[: example.answer_place] if turn.get("role") not in SYSTEM_ROLES
        ]
        begun = [key for key, turn in zip(keys, turns, strict=False) if turn.get("role") == "assistant"]
        self._named.append(None if family is None else hash(family))
        self._openings.append(next((key for key in keys if key is not None), None))
        self._asked.append(keys[len(asked)])
        self._begun.append(tuple(key for key in begun if key is not None))

    def groups(self) -> Iterator[Sequence[int]]:
        """Rows that belong together, by their places; groups may share rows."""
        yield from _alike(self._named)
        usual = Counter(key for key in self._openings if key is not None)
        most = max(COMMON_ROWS, COMMON_SHARE * len(self._openings))
        yield from _alike([key if key is not None and usual[key] <= most else None for key in self._openings])
        yield from _alike(self._asked)
        first = {key: row for row, key in enumerate(self._asked) if key is not None}
        for row, keys in enumerate(self._begun):
            yield from ([row, first[key]] for key in keys if first.get(key, row) != row)


def _beginnings(turns: Sequence[Message]) -> list[int | None]:
    """For each turn what was said before it, as a number; None while the user has said too little to be recognised."""
    keys: list[int | None] = []
    key, said = 0, 0
    for turn in turns:
        keys.append(key if said >= LEAST_CHARACTERS else None)
        text = text_of(turn)
        key = hash((key, turn.get("role"), " ".join(text.split())))
        said += len(text) if turn.get("role") == "user" else 0
    keys.append(key if said >= LEAST_CHARACTERS else None)
    return keys


def _alike(keys: Sequence[int | None]) -> Iterator[Sequence[int]]:
    rows: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        if key is not None:
            rows.setdefault(key, []).append(row)
    return (members for members in rows.values() if len(members) > 1)


def joined(groups: Iterable[Sequence[int]]) -> dict[int, int]:
    """The first row of what each grouped row belongs to, when groups that share a row are one."""
    leader: dict[int, int] = {}

    def led(row: int) -> int:
        while (above := leader.setdefault(row, row)) != row:
            leader[row] = leader[above]
            row = above
        return row

    for group in groups:
        for row in group:
            one, other = sorted((led(group[0]), led(row)))
            leader[other] = one
    return {row: led(row) for row in list(leader)}


def value_at(row: Mapping[str, Json], path: str) -> Json:
    """What stands under a key, or under a path of keys with dots between them; None where there is nothing."""
    if path in row:
        return row[path]
    value: Json = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def name_of(value: Json) -> str | None:
    """A family's name: one text for equal values, None for null."""
    return None if value is None else canonical(value)

"""The rows behind a finding's sentence, as a table a person works through: what its figures list, by their name."""

from collections.abc import Callable, Mapping, Sequence

from harness.dataset import Finding
from harness.records import Json, record

MOST_ROWS = 50


@record
class FindingList:
    """A table: what its columns are called, its first rows, and how many more the JSON report has."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int


def list_of(finding: Finding) -> FindingList | None:
    """The table of a finding that has one."""
    for name, (heads, cells) in _TABLES.items():
        items = _items(finding.figures.get(name))
        if items:
            rows = tuple(cells(item) for item in items[:MOST_ROWS])
            return FindingList(
                heads=heads[: max(map(len, rows))], rows=rows, more=max(0, len(items) - MOST_ROWS)
            )
    return None


def _items(listed: Json) -> Sequence[Json]:
    if isinstance(listed, Mapping):
        return [[line, facts] for line, facts in listed.items()]
    return listed if isinstance(listed, list) else []


def _told(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


def _plain(item: Json) -> tuple[str, ...]:
    return tuple(map(_told, item)) if isinstance(item, list) else (_told(item),)


def _conflict(item: Json) -> tuple[str, ...]:
    """A question's lines, the question, and each of its answers with how often it is given."""
    if not isinstance(item, Mapping):
        return _plain(item)
    answers = item.get("answers")
    counted = [f"{text} ({count})" for text, count in answers] if isinstance(answers, list) else []
    return _told(item.get("lines")), _told(item.get("question")), " · ".join(counted)


def _case(item: Json) -> tuple[str, ...]:
    """A case of a suite, and the training rows nearest to it where they are told."""
    if not isinstance(item, list):
        return _plain(item)
    near = item[2] if len(item) > 2 and isinstance(item[2], list) else []
    rows = [f"{pair[0]} ({pair[1]:.2f})" for pair in near if isinstance(pair, list)]
    return (*map(_told, item[:2]), *([", ".join(rows) or "none"] if len(item) > 2 else []))


_TABLES: Mapping[str, tuple[tuple[str, ...], Callable[[Json], tuple[str, ...]]]] = {
    "suspects": (("Line", "Label", "Perhaps", "Probability"), _plain),
    "conflicts": (("Lines", "Question", "Answers"), _conflict),
    "copies": (("Line", "As line"), _plain),
    "facts": (("Line", "Told nowhere"), _plain),
    "cases": (("Suite", "Case", "Nearest lines (similarity)"), _case),
}

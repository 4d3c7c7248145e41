"""What a test report in XML (`--junitxml`) says of a case or a gate beside passed and failed: its properties."""

from collections.abc import Iterator

from harness.pytest_plugin.items import CaseItem, GateItem, SuiteItem
from harness.records import Failure, Role
from harness.redaction import redact
from harness.report.lines import printable
from harness.verdict import mean_score

MOST_LETTERS = 500
"""Of a reason; CI servers show properties in a table."""
ANSWERING: tuple[Role, ...] = ("candidate", "base", "promoted")


def properties_of(item: SuiteItem) -> Iterator[tuple[str, object]]:
    """Names and values, for the report of an item that ended; no answer of a model is among them."""
    yield "suite", item.suite.name
    yield "suite_role", item.suite.role
    if isinstance(item, CaseItem):
        yield from _of_case(item)
    elif isinstance(item, GateItem):
        yield from _of_gate(item)


def _of_case(item: CaseItem) -> Iterator[tuple[str, object]]:
    yield "kind", "case"
    if item.case.tags:
        yield "tags", ", ".join(item.case.tags)
    yield "required", "yes" if item.case.required else "no"
    if item.change is not None:
        yield "change", item.change
    for role in ANSWERING:
        rows = [row for row in item.results if row.role == role]
        lost = [row.outcome.kind for row in rows if isinstance(row.outcome, Failure)]
        if (score := mean_score(item.suite, rows)) is not None:
            yield f"score_{role}", f"{score:.4g}"
        if lost:
            yield f"failure_{role}", ", ".join(dict.fromkeys(lost))


def _of_gate(item: GateItem) -> Iterator[tuple[str, object]]:
    yield "kind", "gate"
    if item.decision is not None:
        yield "decision", item.decision
        yield "reason", redact(printable(item.reason))[:MOST_LETTERS]

"""A sheet as a page for people without a spreadsheet."""

from collections.abc import Sequence

from harness.labelling.forms import CANNOT_SAY, Form
from harness.labelling.items import Item
from harness.labelling.sheets import FAIRNESS
from harness.report import Card, Choice, render_sheet

# Keys that move and save; no label may have them.
_TAKEN = frozenset("jkns")


def html_text(items: Sequence[Item], *, name: str) -> str:
    """The sheet as one HTML page; `name` is the file its labels are saved as, without `.csv`."""
    suites = ", ".join(dict.fromkeys(item.suite for item in items))
    return render_sheet(
        [_card(item) for item in items],
        title=f"Label answers: {suites}",
        file=name,
        instructions=FAIRNESS,
    )


def _card(item: Item) -> Card:
    return Card(
        id=item.id,
        title=item.form.title,
        instruction=item.form.instruction,
        prompt=item.prompt,
        expected=item.expected,
        answers=item.answers,
        choices=_choices(item.form),
    )


def _choices(form: Form) -> tuple[Choice, ...]:
    """Each label with a key: itself where it is one letter or digit, else its first letter while that is free."""
    taken = set(_TAKEN)
    found = []
    for label in (*form.values, CANNOT_SAY):
        key = label[0].lower() if len(label) == 1 or label[0].isalpha() else ""
        key = "" if key in taken else key
        taken.add(key)
        found.append(Choice(label=label, meaning=form.meanings.get(label, ""), key=key))
    return tuple(found)

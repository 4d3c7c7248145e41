"""A sheet for people as one HTML page that works offline: an answer at a time, labels by keyboard, saved as CSV.

Prompts and answers are hostile text: the template escapes them, the script moves no text into markup, and the policy lets nothing run
or load but the one script and the one style. Nothing on the page says who wrote an answer.
"""

from collections.abc import Sequence

from markupsafe import Markup

from harness.records import record
from harness.report.document import asset, policy, templates


@record
class Choice:
    """One label: the word, what it means, and the key that gives it (empty where no key is left)."""

    label: str
    meaning: str
    key: str


@record
class Card:
    """One question about one answer, or a pair of them; `id` is what its row goes by."""

    id: str
    title: str
    instruction: str
    prompt: str
    expected: str
    answers: tuple[str, ...]
    choices: tuple[Choice, ...]


def render_sheet(cards: Sequence[Card], *, title: str, file: str, instructions: Sequence[str]) -> str:
    """The page as text.

    Args:
        cards: What to label, in the order to show.
        title: What the page is called.
        file: The name under which labels are saved, without `.csv`; what was labelled is remembered by it.
        instructions: What annotators must know.
    """
    style, script = asset("style.css") + asset("labelling.css"), asset("labelling.js")
    return (
        templates()
        .get_template("labelling.html.j2")
        .render(
            cards=cards,
            title=title,
            file=file,
            instructions=instructions,
            style=Markup(style),  # noqa: S704 - ours
            script=Markup(script),  # noqa: S704 - ours
            policy=policy(style=style, script=script),
        )
    )

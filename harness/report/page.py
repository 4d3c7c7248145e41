"""A run's material as one HTML file: sections filled in, script and style inside, nothing loaded.

Everything a model, a provider or a suite said is hostile text. In the document Jinja escapes it;
the data for the script stand in it as base64, in which no character can end an element; the script
puts text into the page as text only; and the content security policy lets nothing run or load but
the one script and the one style whose digests it names.
"""

import gc
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from harness.records import Outcome, Run, Verdict
from harness.report.document import asset, policy, templates
from harness.report.languages import ENGLISH, Language
from harness.report.material import Material
from harness.report.sections import SECTIONS
from harness.report.surroundings import material_of
from harness.serial import write_atomic

if TYPE_CHECKING:
    from harness.training import TrainingCurve

_ICONS: Mapping[Outcome, tuple[str, str]] = {
    "promote": ("M12 1a11 11 0 1 1 0 22a11 11 0 1 1 0-22z", "#00856a"),
    "hold": ("M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z", "#c8431a"),
    "undecided": ("M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22zm0 4a7 7 0 1 1 0 14z", "#a67c00"),
}

STYLES = ("style.css", "figures.css", "cases.css")
STYLES_OF_SECTIONS = {"growth": "scaling.css", "trend": "trend.css"}
"""Of sections that most pages are without, by their keys."""
# Each file is an idea of its own; they share one scope, in this order.
SCRIPTS = ("text", "differences", "case_yaml", "data", "choosing", "list", "view", "reading", "page")


def render(
    run: Run,
    verdict: Verdict,
    *,
    to: Path,
    curve: "TrainingCurve | None" = None,
    language: Language = ENGLISH,
    material: Material | None = None,
) -> Path:
    """Write the page of a run to the file `to`, replacing it in one step, and return that path.

    Args:
        run: The run, complete or not; the runs before it in the folder it lies in tell each case's history.
        verdict: What was decided on it.
        to: The HTML file; its folder is made when missing.
        curve: The training curve of the run's job, where there is one.
        language: What the page is written in; what users and models wrote stays as it is.
        material: What `gathered` gives of the same run, where the caller has it.

    Raises:
        OSError: The file cannot be written; an older page stays as it was.
    """
    material = material or gathered(run, verdict, curve=curve)
    spoken = language.keeping(suite.name for suite in run.manifest.suites)
    with _without_collection():
        material = replace(material, language=spoken)
        shown = [(section, view) for section in SECTIONS if (view := section.view(material)) is not None]
    names = [*STYLES, *(STYLES_OF_SECTIONS[part.key] for part, _ in shown if part.key in STYLES_OF_SECTIONS)]
    style, script = page_style(names), page_script(language)
    html = (
        templates(spoken)
        .get_template("page.html.j2")
        .render(
            sections=shown,
            style=Markup(style),  # noqa: S704 - ours
            script=Markup(script),  # noqa: S704 - ours
            policy=policy(style=style, script=script),
            icon=_icon,
            lang=language.tag,
        )
    )
    write_atomic(to, html)
    return to


def gathered(run: Run, verdict: Verdict, *, curve: "TrainingCurve | None" = None) -> Material:
    """What a page is made of, see `material_of`."""
    with _without_collection():
        return material_of(run, verdict, curve=curve)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Without the search for cycles of garbage: among the objects of 20,000 answers, all of them needed, it takes a sixth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def page_style(names: Iterable[str]) -> str:
    """A page's style: these files one after the other, without comments and what spaces and lines it does not need."""
    rules = re.sub(r"/\*.*?\*/", "", "".join(map(asset, names)), flags=re.DOTALL)
    return re.sub(r"\s*([{};])\s*|(?<=[:,])\s+", r"\1", re.sub(r"\s+", " ", rules)).strip()


def page_script(language: Language = ENGLISH) -> str:
    """The page's script: its files one after the other, in a scope of their own, without comments and indents.

    `WORDS` in it is what it says in another language by the English words; empty in English.
    """
    lines = (_bare(line) for name in SCRIPTS for line in asset(f"script/{name}.js").splitlines())
    code = "\n".join(filter(None, lines))
    return f'"use strict";\n(() => {{\nconst WORDS = {_as_literal(language.words_of_script())};\n{code}\n}})();\n'


def _bare(line: str) -> str:
    """A line of script without its indent and its comment: one behind code ends the line and quotes nothing."""
    return re.sub(r"(?:^|\s+)// [^\"'`]*$|^//.*", "", line.strip())


def _as_literal(words: Mapping[str, str]) -> str:
    """A table as JavaScript in which nothing ends the element or the line it stands in."""
    text = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _icon(outcome: Outcome) -> str:
    """The tab's icon as a data address: the verdict's shape in its colour."""
    shape, colour = _ICONS[outcome]
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'><path d='{shape}' fill='{colour}'/></svg>"
    return "data:image/svg+xml," + quote(svg)

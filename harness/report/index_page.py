"""`reports/index.html`: every run and study of a folder of reports on one page, the newest first, with trends by suite."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from harness.errors import StorageError
from harness.evals import PAGE
from harness.records import Decision, Outcome, record
from harness.report import trends
from harness.report.document import asset, policy, templates
from harness.report.facts import ModelFigures, RunFacts, SuiteFacts
from harness.report.languages import ENGLISH, Language
from harness.report.notation import MISSING, count, counted, date, dollars, interval, points, signed_points
from harness.report.stored_facts import Shelf, StoredRun, StoredStudy, read_shelf
from harness.serial import write_atomic

INDEX = "index.html"
SIGNATURE = '<meta name="generator" content="finetune-harness runs">'
"""By it a page is known as one of these: no other file of that name is ever replaced."""
SHOWN_SUITES = 8
SHOWN_OTHERS = 20
DECISION_WORDS: dict[Decision, str] = {"pass": "pass", "fail": "fail", "undecided": "open"}
ICONS: dict[Decision, Outcome] = {"pass": "promote", "fail": "hold", "undecided": "undecided"}


@record
class SuiteCell:
    """One suite of a run: what it gained, what was decided (empty where nothing is), the words of it."""

    name: str
    difference: str
    word: str
    icon: str
    says: str


@record
class RunRow:
    """One run as the table shows it; all texts. `outcome` is empty where there is no verdict."""

    folder: str
    href: str
    when: str
    outcome: str
    word: str
    headline: str
    candidate: str
    endpoint: str
    reference: str
    suites: tuple[SuiteCell, ...]
    more: int
    tokens: str
    cost: str
    is_promoted: bool
    problem: str


@record
class StudyRow:
    """A study of its own; all texts."""

    folder: str
    href: str
    kind: str
    headline: str


def write_index(reports: Path, *, language: Language = ENGLISH) -> Path:
    """Write the page of a folder of reports, replacing it in one step, and return its path.

    Raises:
        OSError: It cannot be written; an older page stays as it was.
        StorageError: A page of somebody else's is there.
    """
    to = reports / INDEX
    if to.exists() and not is_index(to):
        raise StorageError(f"{to} is not ours", remedy="move it, or choose another folder with --reports DIR")
    write_atomic(to, index_html(read_shelf(reports), language))
    return to


def is_index(file: Path) -> bool:
    """Whether a file is such a page."""
    try:
        with file.open("rb") as handle:
            return SIGNATURE.encode() in handle.read(2000)
    except OSError:
        return False


def index_html(shelf: Shelf, language: Language = ENGLISH) -> str:
    """The page as text."""
    style = asset("style.css") + asset("trend.css") + asset("runs.css")
    drawn = trends.trends_of(shelf.runs)
    return (
        templates(
            language.keeping(suite.name for run in shelf.runs if run.facts for suite in run.facts.suites)
        )
        .get_template("runs.html.j2")
        .render(
            rows=[_run_row(run) for run in shelf.runs],
            studies=[_study_row(study) for study in shelf.studies],
            trends=drawn,
            width=trends.WIDTH,
            height=trends.HEIGHT,
            promoted=next((run for run in map(_run_row, shelf.runs) if run.is_promoted), None),
            others=shelf.others[:SHOWN_OTHERS],
            more_others=max(0, len(shelf.others) - SHOWN_OTHERS),
            note=shelf.note,
            counted=counted,
            lang=language.tag,
            signature=Markup(SIGNATURE),  # noqa: S704 - ours
            style=Markup(style),  # noqa: S704 - ours
            policy=policy(style=style),
        )
    )


def _run_row(run: StoredRun) -> RunRow:
    facts = run.facts
    if facts is None:
        return RunRow(
            folder=run.folder,
            href=_href(run.folder) if run.has_page else "",
            when="",
            outcome="",
            word="Damaged",
            headline="",
            candidate="",
            endpoint="",
            reference="",
            suites=(),
            more=0,
            tokens=MISSING,
            cost=MISSING,
            is_promoted=run.is_promoted,
            problem=run.problem,
        )
    candidate, reference = _model(facts, "candidate"), _model(facts, facts.reference)
    return RunRow(
        folder=run.folder,
        href=_href(run.folder) if run.has_page else "",
        when=date(facts.created),
        outcome=facts.outcome if run.is_decided else "",
        word=facts.word.capitalize() if run.is_decided else _undecided_word(facts),
        headline=facts.summary or next(iter(facts.reasons), ""),
        candidate=candidate.model if candidate else MISSING,
        endpoint=candidate.endpoint if candidate else "",
        reference=f"{facts.reference}: {reference.model}" if reference else MISSING,
        suites=tuple(_suite_cell(suite) for suite in facts.suites[:SHOWN_SUITES]),
        more=max(0, len(facts.suites) - SHOWN_SUITES),
        tokens=count(facts.tokens),
        cost=dollars(facts.cost_usd),
        is_promoted=run.is_promoted,
        problem=_problem(facts),
    )


def _undecided_word(facts: RunFacts) -> str:
    return "Running" if facts.status == "running" else "No verdict"


def _problem(facts: RunFacts) -> str:
    return "interrupted" if facts.status == "interrupted" else ""


def _model(facts: RunFacts, role: str) -> ModelFigures | None:
    return next((figures for figures in facts.models if figures.role == role), None)


def _suite_cell(suite: SuiteFacts) -> SuiteCell:
    is_claim = suite.role != "info"
    return SuiteCell(
        name=suite.name,
        difference=signed_points(suite.difference)
        if suite.difference is not None
        else points(suite.candidate),
        word=DECISION_WORDS[suite.decision] if is_claim else "",
        icon=ICONS[suite.decision] if is_claim else "",
        says=f"{suite.role}, {counted(suite.cases, 'case')}, 90 % interval {interval(suite.interval)}",
    )


def _study_row(study: StoredStudy) -> StudyRow:
    return StudyRow(
        folder=study.folder,
        href=_href(study.folder) if study.has_page else "",
        kind="Data sizes" if study.scaling else "Epochs" if study.checkpoints else "Damaged",
        headline=" ".join(_study_words(study)),
    )


def _study_words(study: StoredStudy) -> Iterator[str]:
    if study.scaling is not None:
        pooled = study.scaling.pooled
        yield f"{counted(len(study.scaling.arms), 'arm')}:"
        yield (
            "no estimate yet"
            if pooled is None
            else (
                f"twice the data {pooled.word}, {signed_points(pooled.gain)} points (80 % {interval((pooled.low, pooled.high))})"
            )
        )
    elif study.checkpoints is not None:
        choice = study.checkpoints.choice
        yield f"{counted(len(study.checkpoints.checkpoints), 'checkpoint')} of {study.checkpoints.job}:"
        yield "no choice" if choice is None else choice.why
    else:
        yield study.problem or "it cannot be read"


def _href(folder: str) -> str:
    """The page of a folder beside the index; every letter that could end the path or name a scheme is encoded."""
    return f"{quote(folder, safe='', errors='replace')}/{PAGE}"

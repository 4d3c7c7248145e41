"""What is written beside a run's rows once it is decided: its page, its summary, and the index of the folder it lies in."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.evals import PAGE
from harness.records import Run, Verdict, record
from harness.report.facts import RunFacts, facts_of
from harness.report.index_page import INDEX, is_index, write_index
from harness.report.languages import ENGLISH, Language
from harness.report.page import gathered, render
from harness.report.stored_facts import write_facts

if TYPE_CHECKING:
    from harness.training import TrainingCurve


@record
class Outputs:
    """The run's page, its facts (None where they could not be told), and what went wrong beside them."""

    page: Path
    facts: RunFacts | None = None
    problems: tuple[str, ...] = ()


def write_outputs(
    run: Run,
    verdict: Verdict,
    *,
    folder: Path,
    curve: "TrainingCurve | None",
    makes_index: bool = False,
    language: Language = ENGLISH,
) -> Outputs:
    """Write the page of a run, `summary.json` beside it, and the index of all runs above it.

    Only the page can fail: what a summary or an index cannot say must not fail a run that was asked and judged.

    Args:
        run: The run.
        verdict: What was decided on it.
        folder: Its folder.
        curve: The curve of its job, where there is one.
        makes_index: Whether the folder above is one of reports for certain; else an index is only written again.
        language: What the pages are written in; the summary is for programs and has none.

    Raises:
        OSError: The page cannot be written.
    """
    material = gathered(run, verdict, curve=curve)
    page = render(run, verdict, to=folder / PAGE, curve=curve, language=language, material=material)
    problems: list[str] = []
    facts: list[RunFacts] = []

    def summarise() -> None:
        facts.append(facts_of(run, verdict, curve=curve, material=material))
        write_facts(folder, facts[0])

    problems += _attempt("the summary", summarise)
    reports = folder.absolute().parent
    if makes_index or is_index(reports / INDEX):
        problems += _attempt("the page of all runs", lambda: write_index(reports, language=language))
    return Outputs(page=page, facts=facts[0] if facts else None, problems=tuple(problems))


def _attempt(what: str, write: Callable[[], object]) -> list[str]:
    """Do it; why it could not be done, if so."""
    try:
        write()
    except Exception as error:  # noqa: BLE001 - a run that is decided does not fail for what is told beside it
        return [f"{what} cannot be written: {str(error) or type(error).__name__}"]
    return []

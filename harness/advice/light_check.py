"""A look at the training file when a run ends: the checks that take less than a second, noted beside the run's rows.

What `harness data check` does besides is left out here: counting tokens, telling languages, suspecting labels.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.advice.related import DATA_SIGHT
from harness.advice.sightings import DataSight
from harness.dataset import Finding, SuitePrompt, read_lines
from harness.dataset.examples import example_of, text_of
from harness.dataset.leaks import suite_leaks
from harness.dataset.quality.agreement import AgreementTally
from harness.dataset.quality.balance import BalanceTally
from harness.dataset.quality.dirt import DirtTally
from harness.dataset.quality.grounding import GroundingTally
from harness.dataset.quality.refusals import RefusalsTally
from harness.dataset.quality.repeats import RepeatsTally
from harness.dataset.rows import row_problems
from harness.dataset.siblings import expected_text
from harness.dataset.tallies import SeenRow, Setting, Tally
from harness.errors import HarnessError
from harness.evals import messages_for
from harness.records import Manifest, Suite
from harness.serial import file_digest, to_json, write_atomic

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000
"""About 1,000 rows of conversations; beyond that a look takes longer than the end of a run should."""

CHECKS: Sequence[Callable[[], Tally]] = (
    RefusalsTally,
    BalanceTally,
    AgreementTally,
    DirtTally,
    GroundingTally,
)


def note_training_data(folder: Path, manifest: Manifest, *, train: Path | None, name: str) -> None:
    """Look at the training file of a run and note what was found in the run's folder; nothing where none is configured.

    Args:
        folder: The run's.
        manifest: The run's; its digest of the training file must be that of the file now.
        train: The configured training file.
        name: How to call it: as the configuration does.
    """
    if train is None:
        return
    try:
        sight = _look(train, manifest, name=name)
        write_atomic(folder / DATA_SIGHT, to_json(sight, indent=1))
    except (HarnessError, OSError) as error:
        log.warning("%s was not looked at: %s", train, error)


def _look(train: Path, manifest: Manifest, *, name: str) -> DataSight:
    digest, trained_on = file_digest(train), manifest.data.get("train")
    if trained_on not in (None, digest):
        return DataSight(
            file=name,
            digest=digest,
            why=f"{name} is not the file the candidate was trained on, or has changed since",
        )
    seen = DataSight(file=name, digest=digest, is_the_jobs=trained_on == digest)
    if train.stat().st_size > MOST_BYTES:
        return replace(seen, why=f"{name} is too large to be checked at the end of a run")
    rows = list(_rows(train))
    return replace(seen, rows=len(rows), findings=tuple(_findings(rows, train, suites=manifest.suites)))


def _rows(file: Path) -> Iterator[SeenRow]:
    for line in read_lines(file):
        problems = () if line.fault else tuple(row_problems(line.row))
        example = None if line.fault or problems else example_of(line.number, line.row)
        yield SeenRow(line=line, problems=problems, example=example)


def _findings(rows: Sequence[SeenRow], file: Path, *, suites: Iterable[Suite]) -> Iterator[Finding]:
    setting = Setting(path=file, model="")
    repeats = RepeatsTally()
    tallies = [make() for make in CHECKS]
    for row in rows:
        repeats.add(row)
        for tally in tallies:
            tally.add(row)
    yield from suite_leaks(repeats, [*_prompts(suites)], path=file)
    yield from repeats.findings(setting)
    for tally in tallies:
        yield from tally.findings(setting)


def _prompts(suites: Iterable[Suite]) -> Iterator[SuitePrompt]:
    """What every case asks the candidate: its last user message."""
    for suite in suites:
        for case in suite.cases:
            sent = messages_for(suite, case, "candidate")
            asked = [text_of(message) for message in sent if message.get("role") == "user"]
            if asked:
                expected = expected_text(suite, case)
                yield SuitePrompt(suite=suite.name, case=case.id, text=asked[-1], expected=expected)

"""Everything the page shows of a run: its rows, and what lies beside them and beside its folder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.advice import advise, checkpoint_study_of, read_data_sight, scaling_study_of, sightings_of
from harness.evals import list_runs
from harness.evals.store import MANIFEST
from harness.records import Run, Verdict
from harness.report.facts import ASKED, SUMMARY, ModelFigures, RunFacts, suite_facts
from harness.report.history import history_of
from harness.report.material import Material, gather
from harness.report.stored_facts import StoredRun, promoted_run, read_stored_run
from harness.report.trends import Trend, trends_of
from harness.verdict import word_of

if TYPE_CHECKING:
    from harness.training import TrainingCurve

TREND_RUNS = 20
"""Runs that a trend goes back, this one included."""
TREND_BYTES = 8_000_000
"""As much of earlier runs' manifests as is read in less than half a second, where there is no summary beside them."""


def material_of(run: Run, verdict: Verdict, *, curve: "TrainingCurve | None" = None) -> Material:
    """A run's rows compared, with its studies, its training file's findings, its advice, and the runs before it.

    Args:
        run: The run; of one that was not stored nothing lies beside it.
        verdict: What was decided on it.
        curve: The training curve of the run's job, where there is one.

    Raises:
        StorageError: A newer version wrote a study in the run's own folder.
    """
    material = gather(run, verdict, curve=curve, study=checkpoint_study_of(run), history=history_of(run))
    return replace(
        material,
        advice=advise(sightings_of(run, verdict, curve=curve)),
        scaling=scaling_study_of(run),
        data=read_data_sight(run.path) if run.path is not None else None,
        trends=_trends(material),
    )


def _trends(material: Material) -> tuple[Trend, ...]:
    """The suites of the run over the runs before it, from their small files."""
    if material.run.path is None:
        return ()
    folder = material.run.path.resolve()
    promoted, _ = promoted_run(folder.parent)
    earlier = [read_stored_run(one, is_promoted=one.name == promoted) for one in _before(folder)]
    own = StoredRun(
        folder=folder.name,
        facts=_own_facts(material),
        is_decided=True,
        is_promoted=folder.name == promoted,
    )
    return tuple(trend for trend in trends_of([own, *earlier]) if trend.suite in material.verdict.suites)


def _before(folder: Path) -> Iterator[Path]:
    """The folders of the runs before one, newest first, as many as may be read."""
    left = TREND_BYTES
    earlier = [path for path in list_runs(folder.parent) if path.name < folder.name]
    for path in earlier[: TREND_RUNS - 1]:
        told = path / SUMMARY
        left -= (told if told.is_file() else path / MANIFEST).stat().st_size
        if left < 0:
            return
        yield path


def _own_facts(material: Material) -> RunFacts:
    """What a trend needs of the run itself, which is written down after its page."""
    manifest, verdict = material.run.manifest, material.verdict
    return RunFacts(
        run=manifest.id,
        status=manifest.status,
        created=manifest.created,
        outcome=verdict.outcome,
        word=word_of(verdict),
        reference=verdict.reference,
        models=tuple(
            ModelFigures(role=role, model=facts.model, endpoint=facts.endpoint)
            for role in ASKED
            if (facts := manifest.models.get(role)) is not None
        ),
        suites=tuple(suite_facts(material)),
    )

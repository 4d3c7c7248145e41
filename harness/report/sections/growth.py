"""Would more data help? The study of shares of the training data, where one trained the run's candidate."""

from harness.records import DoublingEstimate, record
from harness.report.material import Material
from harness.report.notation import counted, interval, signed_points
from harness.report.scaling_chart import Growth, GrowthChart, draw_growth
from harness.report.scaling_page import WORDS, headline
from harness.report.scaling_text import (
    POOLED,
    cautions_of,
    cost_sentence,
    estimates_of,
    mark_text,
    share_text,
    suites_of,
)


@record
class EstimateRow:
    """What twice the data would bring a suite."""

    suite: str
    is_pooled: bool
    gain: str
    band: str
    word: str
    kind: str
    last: str
    to_tell: str


@record
class ArmRow:
    """One training on a share of the data, with a score for each suite."""

    share: str
    rows: str
    seed: str
    scores: tuple[str, ...]


@record
class GrowthView:
    """The study as the page shows it."""

    study: str
    headline: str
    kind: str
    cost: str
    epochs: str
    charts: tuple[GrowthChart, ...]
    estimates: tuple[EstimateRow, ...]
    suites: tuple[str, ...]
    arms: tuple[ArmRow, ...]
    cautions: tuple[str, ...]


def show_growth(material: Material) -> GrowthView | None:
    """The study; None where there is none, which most runs are without."""
    study = material.scaling
    if study is None:
        return None
    suites = suites_of(study)
    drawn = [growth for suite in suites if (growth := Growth.of(study, suite)).is_drawn]
    return GrowthView(
        study=study.id,
        headline=headline(study),
        kind=WORDS[study.pooled.word] if study.pooled else "open",
        cost=cost_sentence(study),
        epochs=counted(study.epochs, "epoch"),
        charts=tuple(draw_growth(growth) for growth in drawn),
        estimates=tuple(_estimate(suite, estimate) for suite, estimate in estimates_of(study)),
        suites=tuple(suites),
        arms=tuple(
            ArmRow(
                share=share_text(arm),
                rows=f"{arm.rows:,}",
                seed=str(arm.seed),
                scores=tuple(
                    mark_text(next((mark for mark in arm.marks if mark.suite == suite), None))
                    for suite in suites
                ),
            )
            for arm in study.arms
        ),
        cautions=tuple(cautions_of(study)),
    )


def _estimate(suite: str, estimate: DoublingEstimate) -> EstimateRow:
    return EstimateRow(
        suite=suite,
        is_pooled=suite == POOLED,
        gain=signed_points(estimate.gain),
        band=interval((estimate.low, estimate.high)),
        word=estimate.word,
        kind=WORDS[estimate.word],
        last=signed_points(estimate.last_gain),
        to_tell=estimate.to_tell,
    )

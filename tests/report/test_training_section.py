"""The page's section on the training: one figure, what the loss and the suites say, what to read with care."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_samples import HOSTILE, sample_curve, sample_run, sample_verdict

from harness.evals import write_checkpoint_study
from harness.records import CheckpointChoice, CheckpointMarks, CheckpointStudy, ModelFacts, SuiteMark
from harness.report import render
from harness.report.material import gather
from harness.report.sections.training import TrainingView, show_training
from harness.training import TrainingCurve


def study(*, name: str = "ticket-routing", chosen: int = 50) -> CheckpointStudy:
    marks = {25: 0.5, 50: 0.8, 75: 0.7}
    checkpoints = tuple(
        CheckpointMarks(
            step=step,
            model=f"ft:model:{step}",
            epoch=step / 25,
            marks=(
                SuiteMark(suite=name, mean=mean, low=mean - 0.1, high=mean + 0.1, cases=20),
                SuiteMark(suite="refusals", mean=None, unscored=4),
            ),
        )
        for step, mean in marks.items()
    )
    fresh = (SuiteMark(suite=name, mean=0.77, low=0.7, high=0.85, cases=20),)
    choice = CheckpointChoice(
        step=chosen,
        model="m",
        is_last=chosen == 75,
        why="targets are best there",
        on="fresh trials",
        fresh=fresh,
    )
    return CheckpointStudy(job="ftjob-1", checkpoints=checkpoints, choice=choice)


def view(
    curve: TrainingCurve | None = None, *, study: CheckpointStudy | None = None, endpoint: str = "local:1"
) -> TrainingView:
    run = sample_run()
    models = {role: ModelFacts(model="m", endpoint=endpoint) for role in run.manifest.models}
    run = replace(run, manifest=replace(run.manifest, models=models))
    return show_training(gather(run, sample_verdict(run), curve=curve, study=study))


def test_the_diagnosis_is_told_in_words() -> None:
    found = view(sample_curve())
    assert found.word == "Still learning"
    assert found.saw.startswith("The loss of the whole validation file still fell by ")
    assert found.remedy == ""


def test_a_curve_without_validation_asks_for_a_file_and_lists_the_fault() -> None:
    curve = sample_curve()
    steps = curve.steps.assign(
        **{name: np.nan for name in curve.steps.columns if name.startswith(("valid", "full"))}
    )
    found = view(replace(curve, steps=steps))
    assert found.word == "Cannot tell"
    assert found.remedy == "Give the job a validation file of 50 rows."
    assert [(fault.title, fault.is_drawn) for fault in found.faults] == [("No validation", False)]


@pytest.mark.parametrize(
    ("endpoint", "is_told"),
    [("https://api.openai.com/v1", True), ("https://x.openai.azure.com/openai/v1", True), ("local:1", False)],
)
def test_closing_tokens_are_told_of_the_providers_that_count_them(endpoint: str, is_told: bool) -> None:
    curve = replace(sample_curve(), closing_tokens=2)
    titles = [fault.title for fault in view(curve, endpoint=endpoint).faults]
    assert ("Accuracy counts closing tokens" in titles) == is_told


def test_suites_at_checkpoints_are_a_line_and_a_table() -> None:
    found = view(sample_curve(), study=study())
    assert [line.name for line in found.lines] == ["ticket-routing"]
    assert "Suites: in ticket-routing 50 % at step 25, 70 % at step 75." in found.chart.summary
    assert [(at.step, at.epoch, at.is_chosen) for at in found.checkpoints] == [
        (25, "1", False),
        (50, "2", True),
        (75, "3", False),
    ]
    assert found.suites[0].scores == (("50.0", "40 to 60"), ("80.0", "70 to 90"), ("70.0", "60 to 80"))
    assert found.suites[1].scores == (("\N{EN DASH}", ""),) * 3
    assert found.choice == (
        "The suites prefer the checkpoint of step 50.",
        "Targets are best there.",
        "Asked again, on fresh trials: in ticket-routing 77.0.",
    )
    assert (
        view(study=study(chosen=75)).choice[0]
        == "The suites prefer the job's own model, its last checkpoint."
    )


def test_the_page_reads_the_study_that_lies_beside_the_run(tmp_path: Path) -> None:
    run = replace(sample_run(), path=tmp_path)
    write_checkpoint_study(tmp_path, study(name=HOSTILE[:60]))
    page = render(run, sample_verdict(run), to=tmp_path / "index.html", curve=sample_curve())
    html = page.read_text(encoding="utf-8")
    assert "step 50, epoch 2" in html
    assert "What the suites say" in html
    assert "<script>document" not in html


def test_suites_are_shown_without_a_curve() -> None:
    found = view(study=study())
    assert found.absence == ""
    assert (found.word, found.faults) == ("", ())
    assert not found.has_training

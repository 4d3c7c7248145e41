"""The sample run in a folder, with everything beside it that its page can show: earlier runs, a study, a look at the data."""

from dataclasses import replace
from pathlib import Path

from report_samples import HOSTILE, sample_run, sample_verdict

from harness.advice import DataSight
from harness.dataset import Finding
from harness.evals import RunWriter, write_scaling_study
from harness.records import (
    Arm,
    DoublingEstimate,
    Result,
    Run,
    ScalingStudy,
    Score,
    ScorerSpec,
    SuiteMark,
    Verdict,
)
from harness.serial import to_json

WORDS = ScorerSpec(type="length", name="length", settings={"unit": "words", "at_least": 3, "at_most": 12})


def measured_run(*, hostile: bool = False) -> Run:
    """The sample run with lengths as the scorer tells them."""
    run = sample_run(hostile=hostile)
    suites = tuple(
        replace(suite, scorers=(suite.scorers[0], WORDS)) if suite.name == "marv-facts" else suite
        for suite in run.manifest.suites
    )
    rows = tuple(_measured(row) for row in run.results)
    return replace(run, manifest=replace(run.manifest, suites=suites), results=rows)


def _measured(row: Result) -> Result:
    if "length" not in row.scores:
        return row
    words = float(len(row.outcome.text.split()))  # type: ignore[union-attr]
    score = Score(value=float(3 <= words <= 12), reason="counted", measures={"length": words})
    return replace(row, scores={**row.scores, "length": score})


def stored(run: Run, reports: Path, name: str, *, verdict: Verdict | None = None) -> Run:
    """The run in its folder; with its verdict and a page, where one is given."""
    writer = RunWriter(reports, replace(run.manifest, id=name))
    for row in run.results:
        writer.append(row)
    done = writer.finish("complete")
    if verdict is not None:
        (reports / name / "verdict.json").write_text(to_json(verdict), encoding="utf-8")
        (reports / name / "index.html").write_text("an earlier page", encoding="utf-8")
    return done


def sight(**changes: object) -> DataSight:
    """What a look at a training file says, hostile where it quotes."""
    findings = (
        Finding(
            name="note",
            level="note",
            what="2 rows are short",
            count=2,
            lines=(3, 9),
            why="they teach little",
            remedy="see whether they are whole",
        ),
        Finding(
            name="suite_leak",
            level="error",
            what=f"40 rows are asked by the suites: {HOSTILE}",
            count=40,
            lines=tuple(range(1, 21)),
            why=HOSTILE,
            remedy=HOSTILE,
            figures={"cases": [[HOSTILE, HOSTILE]]},
        ),
    )
    seen = DataSight(file="train.jsonl", digest="ab" * 32, rows=200, is_the_jobs=True, findings=findings)
    return replace(seen, **changes)  # type: ignore[arg-type]


def study(*, suite: str = "ticket-routing", model: str | None = None) -> ScalingStudy:
    """Three shares of the data, the whole of which trained the sample run's candidate."""
    found = DoublingEstimate(
        gain=0.05, low=-0.01, high=0.11, word="cannot tell", to_tell="400 prompts", last_gain=0.1
    )
    arms = tuple(
        Arm(
            share=share,
            rows=rows,
            seed=0,
            model=model or "ft:smollm2-135m-instruct:tickets:3c1f",
            marks=(SuiteMark(suite=suite, mean=mean, low=mean - 0.1, high=mean + 0.1, cases=40),),
            cost_usd=0.5,
        )
        for share, rows, mean in ((0.25, 50, 0.5), (0.5, 100, 0.62), (1.0, 200, 0.72))
    )
    return ScalingStudy(
        id="scaling-1", epochs=2, arms=arms, by_suite={suite: found}, pooled=found, cautions=(HOSTILE,)
    )


def run_among_others(reports: Path, *, hostile: bool = False) -> tuple[Run, Verdict]:
    """Three runs, the last of which is shown; its study, its training file's findings."""
    run = measured_run(hostile=hostile)
    verdict = sample_verdict(run)
    for number in range(2):
        name = f"2026020{number + 1}T100000Z-<b>run"
        stored(run, reports, name, verdict=replace(verdict, outcome="hold"))
    now = stored(run, reports, "20260211T100000Z-now")
    assert now.path is not None
    (now.path / "training_data.json").write_text(to_json(sight()), encoding="utf-8")
    folder = reports / "scaling-1"
    folder.mkdir()
    write_scaling_study(folder, study())
    return now, verdict

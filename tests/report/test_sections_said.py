"""What sections form of words and figures is said in Chinese whole: every number and name stays, no English word does."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from report_samples import sample_run, sample_verdict
from stored_samples import measured_run, study

from harness.records import CheckpointMarks, CheckpointStudy, Run, ScalingStudy, SuiteMark
from harness.report.charts import behaviour_lines, draw_training
from harness.report.languages import language_of
from harness.report.material import gather
from harness.report.packing import shortening
from harness.report.scaling_chart import Growth, draw_growth
from harness.report.scaling_page import headline
from harness.report.scaling_text import cost_sentence
from harness.report.sections.costs import show_costs
from harness.report.sections.lengths import lengths_of
from harness.report.sections.provenance import show_provenance
from harness.report.sections.suites import show_suites
from harness.report.sections.summary import show_summary

CHINESE = language_of("zh")
# Names in the samples, and what is called the same in Chinese.
NAMES = re.compile(
    r"ft:smollm2[\w.:-]*|ft:model:\d+|smollm2[\w-]*|ftjob-\w+|results\.jsonl|suite-\d+|ticket-routing|marv-facts|local"
    r"|the disk was full|token|temperature|max_tokens|label|contains|length|refusal|emoji|UTC|ID|SHA|min\b"
)


def said_whole(text: str) -> str:
    """The sentence in Chinese, which has every number of the English one and no English word."""
    said = CHINESE.said(text)
    left = re.findall(r"[A-Za-z]{2,}", NAMES.sub("", said))
    assert not left, (text, said)
    bare = re.sub(r"\d{1,2} [A-Z][a-z]{2} \d{4}", "", text)
    missing = [number for number in re.findall(r"\d[\d,.]*\d|\d", bare) if number not in said]
    assert not missing, (text, said)
    return said


def interrupted(reason: str, *, left: int) -> Run:
    run = sample_run(hostile=False)
    rows = tuple(
        replace(row, outcome=replace(lost.outcome, kind="not_asked")) if place < left else row
        for place, (row, lost) in enumerate(product(run.results, [failed_row(run)]))
    )
    return replace(run, manifest=replace(run.manifest, status="interrupted", reason=reason), results=rows)


def failed_row(run: Run) -> object:
    return next(row for row in run.results if row.case == "fact-6" and row.role == "base")


@pytest.mark.parametrize(
    ("reason", "left"), [("", 0), ("", 1), ("", 3), ("the disk was full", 0), ("the disk was full", 12)]
)
def test_notices_of_a_run_that_did_not_end(reason: str, left: int) -> None:
    for status in ("interrupted", "running"):
        run = interrupted(reason, left=left)
        run = replace(run, manifest=replace(run.manifest, status=status))
        notices = show_summary(gather(run, sample_verdict(run))).notices
        assert notices
        for notice in notices:
            said_whole(notice)


def test_where_a_candidate_comes_from_and_what_it_took() -> None:
    run = sample_run(hostile=False)
    job = run.manifest.job
    assert job is not None
    for finished, tokens in product((None, 1_770_818_592), (None, 1, 34_578)):
        changed = replace(job, finished_at=finished, trained_tokens=tokens)
        made = replace(run, manifest=replace(run.manifest, job=changed))
        for player in show_summary(gather(made, sample_verdict(made))).players:
            for text in filter(
                None, (player.word, player.part, player.origin, player.answers, player.failed)
            ):
                said_whole(text)


def test_prices_and_decisions_of_the_costs() -> None:
    run = sample_run(hostile=False)
    models = dict(run.manifest.models)
    for price in (
        {"input": 0.2, "output": 0.8},
        {"input": 0.2, "cached": 0.05, "output": 0.8},
        {"input": 1.0},
    ):
        models["candidate"] = replace(models["candidate"], price=price)
        made = replace(run, manifest=replace(run.manifest, models=models))
        rows = show_costs(gather(made, sample_verdict(made))).rows
        assert any("$" in row.price for row in rows)
        for row in rows:
            said_whole(row.price)
        for group in show_provenance(gather(made, sample_verdict(made))).groups:
            for fact in group.facts:
                if fact.are_words and not re.fullmatch(r"[0-9a-f]+", fact.value):
                    said_whole(fact.value)


def test_provenance_is_said_setting_by_setting() -> None:
    run = sample_run(hostile=False)
    view = show_provenance(gather(run, sample_verdict(run)))
    assert view.sources
    assert view.commands
    for source in view.sources:
        for setting in source.settings:
            said_whole(setting)
    for group in view.groups:
        said_whole(group.title)
        for fact in () if group.are_named else group.facts:
            said_whole(fact.label)
    for _, effect in view.commands:
        said_whole(effect)


def test_lengths_rates_and_changes_of_suites() -> None:
    run = measured_run()
    material = gather(run, sample_verdict(run))
    groups = show_suites(material).groups
    assert any(row.rates and row.lengths and row.changes for group in groups for row in group.rows)
    for group in groups:
        said_whole(group.title)
        said_whole(group.claim)
        for row in group.rows:
            for text in (row.cases, row.interval, *(f"{part.count} {part.change}" for part in row.changes)):
                said_whole(text)
            for rate in row.rates:
                said_whole(rate.name)
                for told in filter(None, rate.counts.values()):
                    said_whole(told)
            for lengths in row.lengths:
                for text in (f"median {lengths.unit}", f"Lengths, {lengths.unit}", lengths.brief):
                    said_whole(text)
                for text in (
                    *(lane.says for lane in lengths.lanes),
                    *(limit.label for limit in lengths.limits),
                ):
                    said_whole(text)
    for suite in run.manifest.suites:
        roles = {role: material.rows(suite.name, role) for role in ("base", "promoted", "candidate")}
        roles["promoted"] = roles["base"]
        for lengths in lengths_of(suite, roles):
            said_whole(lengths.brief)


def studies() -> Iterator[ScalingStudy]:
    one = study()
    assert one.pooled is not None
    for word in ("likely helps", "cannot tell", "unlikely"):
        yield replace(one, pooled=replace(one.pooled, word=word))
    free = tuple(replace(arm, cost_usd=0.0) for arm in one.arms)
    yield replace(one, arms=free, doubling_cost_usd=0.0)
    yield replace(one, arms=tuple(replace(arm, cost_usd=None) for arm in one.arms))
    yield replace(one, arms=(one.arms[0], replace(one.arms[1], cost_usd=None)), doubling_cost_usd=12.5)
    yield replace(one, pooled=None, by_suite={}, doubling_cost_usd=3.25)


@pytest.mark.parametrize("told", [*studies()])
def test_headlines_costs_and_drawings_of_a_scaling_study(told: ScalingStudy) -> None:
    said_whole(headline(told))
    said_whole(cost_sentence(told))
    growth = Growth.of(told, "ticket-routing")
    if growth.is_drawn:
        said_whole(draw_growth(growth).summary)


@pytest.mark.parametrize("suites", [1, 3, 6, 7])
@pytest.mark.parametrize("steps", [(25,), (25, 50, 75)])
def test_drawings_of_checkpoints_however_many_suites(suites: int, steps: tuple[int, ...]) -> None:
    marks = tuple(SuiteMark(suite=f"suite-{number}", mean=0.1 * number) for number in range(1, suites + 1))
    at = tuple(CheckpointMarks(step=step, model=f"ft:model:{step}", epoch=1, marks=marks) for step in steps)
    lines = behaviour_lines(
        CheckpointStudy(job="ftjob-1", checkpoints=at),
        roles={"suite-1": "guard", "suite-2": "target"} if suites > 2 else {},
    )
    chart = draw_training(None, lines=lines)
    assert chart is not None
    said_whole(chart.summary)
    for line in lines:
        said_whole(line.name)


def test_a_cut_says_what_is_missing() -> None:
    assert said_whole(shortening(0, CHINESE.said)("x" * 1234).strip()).count("1,234") == 1

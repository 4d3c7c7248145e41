"""The parts of the page beside suites, training and cases: what they say, and what they do without their material."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import (
    EMPTY_VERDICT,
    empty_run,
    failed_run,
    sample_run,
    sample_verdict,
)
from stored_samples import measured_run, run_among_others, sight, stored, study

from harness.evals import write_scaling_study
from harness.records import (
    Advice,
    Completion,
    Looks,
    ModelFacts,
    PromptSaving,
    Result,
    Run,
    Usage,
    Verdict,
)
from harness.report import render
from harness.report.material import gather
from harness.report.sections import SECTIONS
from harness.report.sections.costs import show_costs
from harness.report.sections.findings import show_findings
from harness.report.sections.growth import show_growth
from harness.report.sections.provenance import show_provenance
from harness.report.sections.summary import show_summary
from harness.report.sections.trend import show_trend
from harness.report.surroundings import TREND_RUNS, material_of


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Verdict]:
    return run_among_others(tmp_path_factory.mktemp("reports"))


def parts_of(html: str) -> dict[str, str]:
    """Each section's HTML by its key."""
    found = re.split(r'<section id="([a-z]+)"', html)
    return dict(zip(found[1::2], found[2::2], strict=True))


# --- the top -------------------------------------------------------------------------------------------


def test_the_first_advice_is_the_action_with_its_command_apart() -> None:
    run = sample_run()
    view = show_summary(material_of(run, sample_verdict(run)))
    assert view.action is not None
    assert (view.action.says, view.action.command) == ("Ship it", f"harness promote {run.manifest.id}")


@pytest.mark.parametrize(
    ("says", "parts"),
    [
        ("ask more", ("Ask more", "", "")),
        ("add rows: harness badcases r; then see", ("Add rows", "harness badcases r", "then see")),
        ("settle in a: b.jsonl: leak", ("Settle in a: b.jsonl: leak", "", "")),
    ],
)
def test_advice_without_a_command_is_a_sentence(says: str, parts: tuple[str, str, str]) -> None:
    run = sample_run()
    advice = (Advice(action="ship", says=says, saw="", source=""),)
    view = show_summary(replace(gather(run, sample_verdict(run)), advice=advice))
    assert view.action is not None
    assert (view.action.says, view.action.command, view.action.then) == parts


def test_a_step_that_advice_says_is_not_said_twice() -> None:
    run = sample_run()
    verdict = sample_verdict(run)
    advice = tuple(Advice(action="x", says=step, saw="", source="") for step in verdict.next_steps[:1])
    view = show_summary(replace(gather(run, verdict), advice=advice))
    assert view.steps == verdict.next_steps[1:]


def test_the_candidate_stands_first_with_the_job_it_comes_from() -> None:
    run = sample_run()
    candidate, base = show_summary(gather(run, sample_verdict(run))).players
    assert (candidate.model, base.model) == ("ft:smollm2-135m-instruct:tickets:3c1f", "smollm2-135m-instruct")
    assert candidate.origin == (
        "tuned from smollm2-135m-instruct by the job ftjob-7c9e1b, 11 Feb 2026, 14:03 UTC, on 41,280 tokens"
    )
    assert (candidate.origin and base.origin, base.part) == ("", "reference")


def test_cached_and_lost_answers_are_told_in_the_table_of_models() -> None:
    run = sample_run()
    players = {player.word: player for player in show_summary(gather(run, sample_verdict(run))).players}
    assert players["Base"].answers == "29, 14 of them cached"
    assert players["Base"].failed == "1 failed"
    assert players["Candidate"].answers == "30"


# --- cost and time -------------------------------------------------------------------------------------


def timed_run(*times: float) -> Run:
    rows = tuple(
        Result(
            suite="s",
            case=str(number),
            role="candidate",
            model="m",
            trial=0,
            digest="",
            outcome=Completion(
                text="x",
                latency_s=time,
                usage=Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=60),
            ),
        )
        for number, time in enumerate(times)
    )
    models = {
        "candidate": ModelFacts(model="m", endpoint="e", price={"input": 1.0, "cached": 0.5, "output": 10.0})
    }
    return Run(manifest=replace(sample_run().manifest, models=models), results=rows)


def test_percentiles_are_the_smallest_time_that_so_many_answers_kept() -> None:
    (row,) = show_costs(gather(timed_run(*range(1, 201)), EMPTY_VERDICT)).rows
    assert row.times == ("1 min 40 s", "3 min 00 s", "3 min 18 s", "3 min 20 s")


@pytest.mark.parametrize(("answers", "known"), [(0, 0), (1, 2), (9, 2), (10, 3), (99, 3), (100, 4)])
def test_a_percentile_of_too_few_answers_is_a_dash(answers: int, known: int) -> None:
    view = show_costs(gather(timed_run(*[2.0] * answers), EMPTY_VERDICT))
    (row,) = view.rows
    assert sum(time != "–" for time in row.times) == known
    assert view.has_few == (0 < answers < 100)


def test_money_is_told_for_a_thousand_answers_and_tokens_for_one() -> None:
    view = show_costs(gather(timed_run(1.0, 1.0), EMPTY_VERDICT))
    (row,) = view.rows
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.each) == (
        "200",
        "120",
        "40",
        "20",
    )
    assert (row.cost, row.thousand, view.total) == ("$0.0005", "$0.27", "$0.0005")


def test_an_unknown_price_is_a_dash_and_never_nothing() -> None:
    run = timed_run(1.0)
    models = {"candidate": ModelFacts(model="m", endpoint="e")}
    view = show_costs(gather(replace(run, manifest=replace(run.manifest, models=models)), EMPTY_VERDICT))
    assert (view.rows[0].price, view.rows[0].cost, view.rows[0].thousand, view.total) == ("–", "–", "–", "–")


def test_what_shorter_prompts_save_is_told_with_what_became_of_the_answers() -> None:
    run = sample_run()
    saving = PromptSaving(
        suite="s", decision="pass", calls=9, tokens=40.5, reference_tokens=120, saved_usd=0.02
    )
    view = show_costs(gather(run, replace(sample_verdict(run), savings=(saving,))))
    (row,) = view.savings
    assert (row.before, row.after, row.saved, row.decision) == ("120", "40.50", "$0.0200", "no worse")


# --- the training file ---------------------------------------------------------------------------------


def test_findings_stand_worst_first_with_their_rows_and_lines() -> None:
    run = sample_run()
    view = show_findings(replace(gather(run, sample_verdict(run)), data=sight()))
    assert [finding.word for finding in view.findings] == ["Error", "Note"]
    assert view.findings[0].rows == "40 rows"
    assert view.findings[0].lines == "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 28 more"
    assert view.findings[1].lines == "lines 3, 9"
    assert view.tally == "1 error, 1 note"


def test_a_clean_file_an_unseen_one_and_none_are_told_apart() -> None:
    material = gather(sample_run(), sample_verdict(sample_run()))
    clean = show_findings(replace(material, data=sight(findings=())))
    unseen = show_findings(replace(material, data=sight(findings=None, why="it is too large")))
    assert clean.absence == "Nothing was found in it by a quick look."
    assert (unseen.absence, unseen.rows) == ("it is too large.", "")
    assert show_findings(material).absence.startswith("No training file was looked at")


# --- the amount of data --------------------------------------------------------------------------------


def test_the_study_that_trained_the_candidate_is_shown_from_the_folder_beside(
    shown: tuple[Run, Verdict],
) -> None:
    view = show_growth(material_of(*shown))
    assert view is not None
    assert view.headline.startswith("Whether twice the data helps cannot be told: +5.0 points")
    assert [chart.suite for chart in view.charts] == ["ticket-routing"]
    assert [arm.rows for arm in view.arms] == ["50", "100", "200"]
    assert view.arms[2].scores == ("72.0 (62.0 to 82.0)",)


def test_a_study_of_another_model_is_not_this_runs(tmp_path: Path) -> None:
    run = stored(sample_run(), tmp_path, "20260211T100000Z-now")
    (tmp_path / "scaling-2").mkdir()
    write_scaling_study(tmp_path / "scaling-2", study(model="ft:another"))
    assert show_growth(material_of(run, sample_verdict(run))) is None


# --- earlier runs --------------------------------------------------------------------------------------


def test_each_judged_suite_has_a_trend_whose_earlier_marks_lead_to_their_pages(
    shown: tuple[Run, Verdict],
) -> None:
    view = show_trend(material_of(*shown))
    assert view is not None
    assert [trend.suite for trend in view.trends] == ["ticket-routing", "marv-facts", "refusals"]
    assert [len(trend.marks) for trend in view.trends] == [3, 3, 3]
    assert [view.pages.get(mark.folder) for mark in view.trends[0].marks] == [
        "../20260201T100000Z-%3Cb%3Erun/index.html",
        "../20260202T100000Z-%3Cb%3Erun/index.html",
        None,
    ]


def test_later_runs_are_not_before_this_one(tmp_path: Path) -> None:
    run = measured_run()
    verdict = sample_verdict(run)
    first = stored(run, tmp_path, "20260201T100000Z-first", verdict=verdict)
    stored(run, tmp_path, "20260202T100000Z-second", verdict=verdict)
    assert show_trend(material_of(first, verdict)) is None


def test_a_damaged_earlier_run_hides_no_other(tmp_path: Path) -> None:
    run = measured_run()
    verdict = sample_verdict(run)
    for day in (1, 2):
        stored(run, tmp_path, f"2026020{day}T100000Z-run", verdict=verdict)
    (tmp_path / "20260202T100000Z-run" / "manifest.json").write_text("{", encoding="utf-8")
    view = show_trend(material_of(stored(run, tmp_path, "20260203T100000Z-now"), verdict))
    assert view is not None
    assert len(view.trends[0].marks) == 2


def test_a_trend_reads_small_files_of_a_limited_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = measured_run()
    verdict = sample_verdict(run)
    stored(run, tmp_path, "20260201T000000Z-run", verdict=verdict)
    small = (tmp_path / "20260201T000000Z-run" / "manifest.json").stat().st_size
    for number in range(TREND_RUNS + 5):
        folder = tmp_path / f"20260202T0000{number:02d}Z-run"
        folder.mkdir()
        for name in ("manifest.json", "verdict.json"):
            (folder / name).write_bytes((tmp_path / "20260201T000000Z-run" / name).read_bytes())
    now = stored(run, tmp_path, "20260203T000000Z-now")
    view = show_trend(material_of(now, verdict))
    assert view is not None
    assert {len(trend.marks) for trend in view.trends} == {TREND_RUNS}
    monkeypatch.setattr("harness.report.surroundings.TREND_BYTES", 3 * small)
    view = show_trend(material_of(now, verdict))
    assert view is not None
    assert {len(trend.marks) for trend in view.trends} == {4}


# --- provenance ----------------------------------------------------------------------------------------


def test_provenance_has_seeds_judges_and_the_whole_of_the_sampling() -> None:
    run = sample_run()
    routing = run.manifest.suites[0]
    sampling = replace(
        routing.sampling, seed=11, top_p=0.9, response_format={"type": "json_object"}, stop=("END",)
    )
    scorers = (replace(routing.scorers[0], weight=2.0, name="queue", code="c0de"),)
    suite = replace(routing, sampling=sampling, scorers=scorers)
    manifest = replace(
        run.manifest,
        suites=(suite,),
        judging={"marv: style": "9f9f"},
        looks=Looks(seed="abc", cases={"ticket-routing": (7, 14)}),
    )
    view = show_provenance(gather(replace(run, manifest=manifest), sample_verdict(run)))
    facts = {group.title: {fact.label: fact.value for fact in group.facts} for group in view.groups}
    assert facts["Seeds"] == {"Training": "7", "Sampling of ticket-routing": "11", "Order of cases": "abc"}
    assert facts["Judge's prompts, SHA-256"] == {"marv: style": "9f9f"}
    assert facts["Scorers' code, SHA-256"] == {"ticket-routing: queue": "c0de"}
    assert facts["Training"]["Trained tokens"] == "41,280"
    assert facts["Training"]["Finished"] == "11 Feb 2026, 14:03 UTC"
    (source,) = view.sources
    for told in ("seed 11", "top_p 0.9", 'response_format {"type": "json_object"}', "queue (label) × 2"):
        assert told in "; ".join(source.settings)


# --- all of it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [empty_run(), failed_run()], ids=["empty", "failed"])
def test_every_section_is_written_or_left_out_when_its_material_is_missing(run: Run, tmp_path: Path) -> None:
    html = render(run, EMPTY_VERDICT, to=tmp_path / "index.html").read_text(encoding="utf-8")
    optional = {"growth", "trend"}
    assert [*parts_of(html)] == [section.key for section in SECTIONS if section.key not in optional]
    for key in optional:
        assert f'href="#{key}"' not in html


def test_a_run_with_everything_has_every_section_and_a_link_to_each(
    shown: tuple[Run, Verdict], tmp_path: Path
) -> None:
    html = render(*shown, to=tmp_path / "index.html").read_text(encoding="utf-8")
    assert [*parts_of(html)] == [section.key for section in SECTIONS]
    for section in SECTIONS:
        assert f'href="#{section.key}"' in html


def test_what_files_beside_the_run_say_is_text(shown: tuple[Run, Verdict], tmp_path: Path) -> None:
    parts = parts_of(render(*shown, to=tmp_path / "index.html").read_text(encoding="utf-8"))
    for key in ("findings", "growth", "trend"):
        assert "<script>" not in parts[key]
        assert 'onerror="' not in parts[key]
    assert parts["findings"].count("&lt;script&gt;document.title=") == 5
    assert "&lt;script&gt;document.title=" in parts["growth"]
    assert "<b>run" not in parts["trend"]


def test_the_page_of_a_run_without_a_curve_loads_no_large_library(tmp_path: Path) -> None:
    run = measured_run()
    folder = tmp_path / "20260211T100000Z-now"
    stored(run, tmp_path, folder.name)
    code = (
        "import sys; from pathlib import Path; from harness.evals import open_run; from harness.report import render\n"
        "from harness.verdict import verdict_of\n"
        f"run = open_run(Path({str(folder)!r})); render(run, verdict_of(run), to=Path({str(tmp_path / 'x.html')!r}))\n"
        "print([name for name in ('matplotlib', 'pandas', 'openai', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

from dataclasses import replace
from pathlib import Path

from report_samples import HOSTILE, empty_run, sample_curve, sample_run, sample_verdict

from harness.records import Advice
from harness.report import render
from harness.report.next_steps import advice_lines
from harness.report.sections.advice import show_advice
from harness.report.surroundings import material_of


def line(number: int, says: str = "do this") -> Advice:
    return Advice(action="cannot_tell", says=f"{says} {number}", saw="what was seen", source="a rule")


def test_three_lines_at_most_and_the_first_is_the_next_thing_to_do() -> None:
    lines = list(advice_lines([line(1), line(2), line(3)], run="r"))
    assert [one.text for one in lines] == [
        "advice: do this 1",
        "  saw: what was seen",
        "  then: do this 2 (2 more: harness advice r)",
    ]
    assert lines[0].bold


def test_a_single_advice_is_two_lines_and_none_is_none() -> None:
    assert len(list(advice_lines([line(1)], run="r"))) == 2
    assert not list(advice_lines([], run="r"))


def test_what_models_and_files_said_does_not_steer_the_terminal() -> None:
    texts = [one.text for one in advice_lines([line(1, HOSTILE), line(2, HOSTILE)], run="r")]
    assert all(text.isprintable() for text in texts)


def test_the_page_says_what_to_do_next() -> None:
    run = sample_run()
    view = show_advice(material_of(run, sample_verdict(run), curve=sample_curve()))
    assert view.lines[0].action == "ship"
    assert view.lines[0].says.endswith(run.manifest.id)


def test_a_run_without_answers_has_advice() -> None:
    run = empty_run()
    assert show_advice(material_of(run, sample_verdict(sample_run()))).lines


def test_the_page_shows_all_advice_as_text_after_the_suites_it_rests_on(tmp_path: Path) -> None:
    run = sample_run()
    verdict = replace(sample_verdict(run), reasons=(HOSTILE,))
    html = render(run, verdict, to=tmp_path / "index.html").read_text(encoding="utf-8")
    places = [html.index(f'<section id="{key}"') for key in ("suites", "advice", "training")]
    assert places == sorted(places)
    section = html[places[1] : places[2]]
    assert f"harness promote {run.manifest.id}" in section
    assert "<script>" not in section
    assert "&lt;script&gt;" in section

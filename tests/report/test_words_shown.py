"""The verdict's own sentences stand in the terminal and at the top of the page, word for word."""

from dataclasses import replace
from pathlib import Path

from harness.records import Run, SuiteVerdict, Verdict
from harness.report import render, text_summary
from harness.verdict import verdict_of
from tests.verdict.samples import answers, run_of, suite_of


def undecided() -> tuple[Run, Verdict]:
    suite = suite_of(60, name="routing")
    rows = [
        *answers(suite, [1.0] * 5 + [0.0] * 55),
        *answers(suite, [0.0] * 5 + [1.0] * 2 + [0.0] * 53, role="base"),
    ]
    run = run_of(suite, results=rows)
    return run, verdict_of(run)


def page_of(run: Run, verdict: Verdict, folder: Path) -> str:
    return render(run, verdict, to=folder / "index.html").read_text(encoding="utf-8")


def test_the_sentence_of_the_verdict_is_the_first_below_its_word() -> None:
    run, verdict = undecided()
    lines = [line.text for line in text_summary(run, verdict)]
    below = lines[lines.index("verdict: UNDECIDED") + 1 :]
    assert below[0] == verdict.summary == "Not decided yet: it is not clear whether routing improved."
    assert below[1] == f"  - {verdict.reasons[0]}"
    assert below[2] == f"  next: {verdict.next_steps[0]}"


def test_the_page_begins_with_the_same_sentences(tmp_path: Path) -> None:
    run, verdict = undecided()
    page = page_of(run, verdict, tmp_path)
    top = page[: page.index('id="suites-title"')]
    for sentence in (verdict.summary, *verdict.reasons):
        assert f"<bdi>{sentence}</bdi>" in top
    for step in verdict.next_steps:
        assert f"{step[1:]}</bdi>" in top


def test_terminal_and_page_say_what_a_suite_can_show(tmp_path: Path) -> None:
    run, verdict = undecided()
    shown = verdict.suites["routing"].smallest_detectable
    assert shown is not None
    table = next(line.text for line in text_summary(run, verdict) if line.text.startswith("routing"))
    assert f"  {shown * 100:+.1f}  " in table
    assert f"these cases can show a gain of {shown * 100:.0f} points or more" in page_of(
        run, verdict, tmp_path
    )


def test_a_guard_shows_the_loss_it_can_rule_out(tmp_path: Path) -> None:
    run, verdict = undecided()
    guard = replace(verdict.suites["routing"], role="guard", provable_margin=0.061, margin=0.05)
    assert isinstance(guard, SuiteVerdict)
    changed = replace(verdict, suites={"routing": guard})
    assert any("  -6.1  " in line.text for line in text_summary(run, changed))
    assert "these cases can rule out a loss of 6.1 points or more" in page_of(run, changed, tmp_path)


def test_a_verdict_without_a_sentence_is_shown_without(tmp_path: Path) -> None:
    run, verdict = undecided()
    old = replace(verdict, summary="")
    assert "headline" not in page_of(run, old, tmp_path).split("</style>")[-1]
    lines = [line.text for line in text_summary(run, old)]
    assert lines[lines.index("verdict: UNDECIDED") + 1].startswith("  - ")

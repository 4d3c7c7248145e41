"""The page and the lines of a scaling study: what they say, and that hostile names stay text."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from chinese import CHINESE, english_words

from harness.records import Arm, DoublingEstimate, ScalingStudy, SuiteMark
from harness.report.scaling_chart import Growth, draw_growth
from harness.report.scaling_page import headline, render_scaling
from harness.report.scaling_text import scaling_lines
from harness.verdict import estimate_doubling

HOSTILE = '<script>alert("x")</script>'


def estimate(word: str = "cannot tell", gain: float = 0.02) -> DoublingEstimate:
    return DoublingEstimate(
        gain=gain,
        low=gain - 0.015,
        high=gain + 0.03,
        word=word,  # type: ignore[arg-type]
        last_gain=0.05,
        to_tell="400 prompts" if word == "cannot tell" else "",
        cautions=("a leap",),
    )


def mark(mean: float | None, suite: str = "sums") -> SuiteMark:
    if mean is None:
        return SuiteMark(suite=suite, mean=None, unscored=40)
    return SuiteMark(suite=suite, mean=mean, low=mean - 0.1, high=mean + 0.1, cases=40)


def study(*means: float | None, suite: str = "sums") -> ScalingStudy:
    arms = tuple(
        Arm(
            share=2.0**place / 4,
            rows=50 * 2**place,
            seed=0,
            model="m",
            marks=(mark(mean, suite),),
            cost_usd=0.5,
        )
        for place, mean in enumerate(means)
    )
    found = estimate()
    return ScalingStudy(
        id="scaling-1",
        epochs=2,
        arms=arms,
        by_suite={suite: found},
        pooled=found,
        doubling_cost_usd=2.5,
        cautions=("beware of this",),
    )


def test_the_lines_have_the_arms_the_estimate_its_price_and_its_cautions() -> None:
    text = "\n".join(scaling_lines(study(0.6, 0.7, 0.75)))
    assert "1/4    50    0     60.0 (50.0 to 70.0)" in text
    assert "+2.0  +0.5 to +5.0  cannot tell  +5.0" in text
    assert "to tell, sums: 400 prompts" in text
    assert "The arms cost $1.50" in text
    assert "twice the data costs about $2.50" in text
    assert "beware: beware of this" in text
    assert "beware: sums: a leap" in text


def test_an_unknown_price_is_not_nothing() -> None:
    unpriced = replace(study(0.6, 0.7), arms=(Arm(share=1, rows=9, seed=0),), doubling_cost_usd=None)
    text = "\n".join(scaling_lines(unpriced))
    assert "an unknown amount" in text
    assert "$0" not in text


def test_several_targets_have_a_line_together() -> None:
    several = replace(
        study(0.6, 0.7), by_suite={"a": estimate(), "b": estimate(gain=0.03)}, pooled=estimate(gain=0.025)
    )
    assert sum("all targets together" in line for line in scaling_lines(several)) >= 1
    assert not any("all targets together" in line for line in scaling_lines(study(0.6, 0.7)))


def test_a_study_without_arms_says_so(tmp_path: Path) -> None:
    empty = ScalingStudy(id="scaling-1", epochs=2, arms=())
    assert list(scaling_lines(empty)) == ["scaling-1: no arm is done"]
    assert "No estimate yet" in render_scaling(empty, to=tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "begins"),
    [
        ("likely helps", "Twice the data likely helps: +2.0"),
        ("cannot tell", "Whether twice the data helps cannot be told"),
        ("unlikely", "Twice the data is unlikely to help"),
    ],
)
def test_the_page_begins_with_the_answer(word: str, begins: str) -> None:
    assert headline(replace(study(0.6, 0.7), pooled=estimate(word))).startswith(begins)


def test_the_page_is_one_file_that_loads_and_runs_nothing(tmp_path: Path) -> None:
    html = render_scaling(study(0.6, 0.7, 0.75), to=tmp_path / "index.html").read_text(encoding="utf-8")
    assert "default-src &#39;none&#39;" in html
    assert "script-src" not in html
    assert not re.search(r"(src|href)=\"(?!#|data:)", html)
    assert " style=" not in html
    assert html.count('<svg class="growth"') == 1


def test_the_page_in_chinese_has_no_english_but_names(tmp_path: Path) -> None:
    told = estimate_doubling([50, 100, 200], [0.55, 0.6, 0.72], cases=60)
    assert told.word == "cannot tell"
    cautions = (
        "the whole data, seed 1 failed: out of quota",
        "1/4 of the data, seed 0 failed: the connection broke",
    )
    shown = replace(
        study(0.6, None, 0.75), by_suite={"sums": told}, pooled=told, cautions=(*told.cautions, *cautions)
    )
    html = render_scaling(shown, to=tmp_path / "index.html", language=CHINESE).read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in html
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    labels = " ".join(re.findall(r'(?:aria-label|title)="([^"]*)"', html))
    assert not english_words(f"{text} {labels}", names=["sums", "scaling"])


def test_a_hostile_suite_name_stays_text(tmp_path: Path) -> None:
    hostile = study(0.6, 0.7, suite=HOSTILE)
    html = render_scaling(hostile, to=tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_doublings_are_equally_far_and_the_band_ends_at_twice_the_data() -> None:
    svg = draw_growth(Growth.of(study(0.6, 0.7, 0.75), "sums")).svg
    places = [float(place) for place in re.findall(r'class="seen" cx="([\d.]+)"', svg)]
    foretold = float(re.search(r'class="unseen" cx="([\d.]+)"', svg)[1])  # type: ignore[index]
    steps = [later - earlier for earlier, later in zip(places, [*places[1:], foretold], strict=True)]
    assert max(steps) - min(steps) < 0.2
    assert ">400?</text>" in svg


def test_a_drawing_stays_in_its_frame_whatever_the_scores() -> None:
    for means in ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.9, 0.91, 0.92)):
        growth = Growth.of(study(*means), "sums")
        heights = [float(place) for place in re.findall(r'cy="([-\d.]+)"', draw_growth(growth).svg)]
        assert all(0 <= place <= 250 for place in heights)


def test_arms_that_were_not_scored_are_not_drawn() -> None:
    assert not Growth.of(study(None, 0.7), "sums").is_drawn

"""The drawings: what they show in words, and that they bring nothing foreign into the page."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from report_samples import sample_curve

from harness.records import CheckpointMarks, CheckpointStudy, SuiteMark
from harness.report.charts import behaviour_lines, draw_training
from harness.training import CurveFault


def steps(**columns: list[float]) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame({"step": range(1, length + 1), **columns})


def study(*steps: int, suites: int = 2, known: bool = True) -> CheckpointStudy:
    """Suites whose scores rise by ten points from checkpoint to checkpoint, the later suites above the earlier."""
    return CheckpointStudy(
        job="job",
        checkpoints=tuple(
            CheckpointMarks(
                step=step,
                model=f"model-{step}",
                marks=tuple(
                    SuiteMark(
                        suite=f"s{suite}", mean=mean, low=mean - 0.1 if known else None, high=mean + 0.1
                    )
                    for suite in range(suites)
                    for mean in [0.2 + 0.05 * suite + 0.1 * place]
                ),
            )
            for place, step in enumerate(steps)
        ),
    )


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)", svg)


def test_summary_tells_the_first_and_last_measurement_of_each_series() -> None:
    chart = draw_training(steps(train_loss=[3.0, 2.0, 1.0], valid_loss=[np.nan, 2.5, np.nan]))
    assert chart.summary == "Loss: training 3.00 at step 1, 1.00 at step 3; validation 2.50 at step 2."


def test_accuracy_is_told_in_percent_after_the_loss() -> None:
    chart = draw_training(steps(train_loss=[1.0, 1.0], train_accuracy=[0.25, 0.5]))
    assert chart.summary.endswith(" Token accuracy: training 25.0 % at step 1, 50.0 % at step 2.")


@pytest.mark.parametrize(
    "curve", [steps(train_loss=[np.nan, np.nan]), steps(other=[1.0]), steps(train_loss=[]), None]
)
def test_what_was_never_measured_is_not_drawn(curve: pd.DataFrame | None) -> None:
    assert draw_training(curve) is None


def test_infinite_loss_is_left_out_of_the_drawing() -> None:
    chart = draw_training(steps(train_loss=[2.0, np.inf, 1.0]))
    assert "training 2.00 at step 1, 1.00 at step 3" in chart.summary


def test_epochs_are_marked_once_and_one_epoch_is_not() -> None:
    found = texts(draw_training(sample_curve().steps, epochs=3).svg)
    assert [text for text in found if "epoch" in text] == ["epoch 1"]
    assert found.count("3") == 1
    assert "epoch" not in draw_training(sample_curve().steps, epochs=1).svg
    assert "epoch" not in draw_training(sample_curve().steps).svg


def test_panels_share_one_axis_of_steps() -> None:
    found = texts(draw_training(sample_curve().steps, lines=behaviour_lines(study(25, 50, 75))).svg)
    assert [
        text for text in found if text in {"Loss", "Token accuracy, %", "Suites at checkpoints, score"}
    ] == [
        "Loss",
        "Token accuracy, %",
        "Suites at checkpoints, score",
    ]
    assert found.count("step") == 1


def test_drawing_is_one_svg_without_style_metadata_or_fixed_colours() -> None:
    faults = (
        CurveFault(kind="gap", says="", remedy="", from_step=3, to_step=9, steps=(3, 9)),
        CurveFault(
            kind="accuracy counts closing tokens", says="", remedy="", column="train_accuracy", corrected=0.5
        ),
    )
    lines = behaviour_lines(study(25, 50, 75, suites=6))
    root = ET.fromstring(draw_training(sample_curve().steps, epochs=3, faults=faults, lines=lines).svg)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    for element in root.iter():
        assert element.tag in {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect"}
        assert "style" not in element.attrib
        assert not [value for value in element.attrib.values() if value.startswith(("#0", "http"))]
        for paint in (element.get("fill"), element.get("stroke")):
            assert paint is None or paint == "none" or paint.startswith("var(--")


def test_references_within_a_drawing_lead_to_its_own_ids() -> None:
    root = ET.fromstring(draw_training(sample_curve().steps).svg)
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    assert all(name.startswith("training-") for name in ids)
    for element in root.iter():
        target = element.get("href") or (element.get("clip-path") or "").removeprefix("url(").rstrip(")")
        assert not target or target.removeprefix("#") in ids


def test_many_steps_stay_small_and_get_a_running_median() -> None:
    short, long = sample_curve(30).steps, sample_curve(3000).steps
    assert "opacity" not in draw_training(short).svg
    drawing = draw_training(long).svg
    assert "stroke-opacity" in drawing
    assert len(drawing) < 120_000


def test_a_hundred_thousand_steps_are_drawn_by_their_extremes() -> None:
    loss = np.random.default_rng(0).uniform(0.5, 1.0, size=100_000)
    loss[77_777] = 3.0
    drawing = draw_training(steps(train_loss=loss)).svg
    assert len(drawing) < 60_000
    assert "2.4" in texts(drawing)


def test_a_single_measurement_is_a_visible_point() -> None:
    root = ET.fromstring(draw_training(steps(train_loss=[np.nan, 1.5])).svg)
    points = [element for element in root.iter("use") if element.get("fill") == "var(--train)"]
    assert len(points) == 1


# --- faults ---------------------------------------------------------------------------------------------


def shaded(svg: str) -> int:
    """How many stretches are shaded: discs of numbers are not transparent."""
    return len(
        re.findall(
            r'<path[^>]*fill="var\(--open\)"[^>]*opacity="0\.16"|<path[^>]*opacity="0\.16"[^>]*fill="var', svg
        )
    )


def test_a_fault_is_shaded_in_the_panel_of_its_measure_and_bears_its_number() -> None:
    curve = steps(train_loss=[2.0, 1.5, 1.0, 0.9], train_accuracy=[0.1, 0.2, 0.3, 0.4])
    fault = CurveFault(
        kind="accuracy contradicts loss", says="", remedy="", from_step=2, to_step=4, column="train_accuracy"
    )
    unplaced = CurveFault(kind="no validation", says="", remedy="")
    drawing = draw_training(curve, faults=(unplaced, fault)).svg
    assert shaded(drawing) == 1
    assert 'fill="var(--paper)"' in drawing
    assert "var(--open)" not in draw_training(curve, faults=(unplaced,)).svg


def test_a_gap_is_shaded_in_all_panels_and_no_line_goes_through_it() -> None:
    curve = steps(train_loss=[2.0] * 40, train_accuracy=[0.5] * 40)
    curve = curve[(curve["step"] < 10) | (curve["step"] > 30)]
    gap = CurveFault(kind="gap", says="", remedy="", from_step=9, to_step=31, steps=(9, 31))
    with_gap, without = draw_training(curve, faults=(gap,)).svg, draw_training(curve).svg
    assert shaded(with_gap) == 2
    lines = [len(re.findall(r'<path[^>]*stroke="var\(--train\)"', svg)) for svg in (with_gap, without)]
    assert lines == [4, 2]


def test_spikes_do_not_press_the_rest_flat() -> None:
    loss = [1.0] * 50
    loss[20] = 500.0
    fault = CurveFault(
        kind="loss spikes", says="", remedy="", from_step=21, to_step=21, steps=(21,), column="train_loss"
    )
    assert "450" in texts(draw_training(steps(train_loss=loss)).svg)
    assert "450" not in texts(draw_training(steps(train_loss=loss), faults=(fault,)).svg)


def test_a_corrected_accuracy_stands_beside_the_counted_one() -> None:
    curve = steps(train_accuracy=[0.7, 0.7, 0.7])
    fault = CurveFault(
        kind="accuracy counts closing tokens", says="", remedy="", column="train_accuracy", corrected=0.1
    )
    without, with_fault = draw_training(curve).svg, draw_training(curve, faults=(fault,)).svg
    hollow = r'<use[^>]*fill-opacity="0"[^>]*stroke="var\(--train\)"'
    assert [len(re.findall(hollow, svg)) for svg in (without, with_fault)] == [0, 1]
    assert texts(with_fault).count("1") == texts(without).count("1") + 1


# --- suites at checkpoints ------------------------------------------------------------------------------


def test_each_target_suite_is_a_line_and_guards_are_one() -> None:
    roles = {"s0": "target", "s1": "target", "s2": "guard", "s3": "critical", "s4": "info"}
    lines = behaviour_lines(study(10, 20, suites=5), roles=roles)
    assert [(line.letter, line.name, line.kind) for line in lines] == [
        ("a", "s0", "suite"),
        ("b", "s1", "suite"),
        ("c", "2 guards, their mean", "guards"),
    ]
    assert [point.mean for point in lines[2].points] == pytest.approx([0.325, 0.425])


def test_many_suites_are_their_mean_and_the_lowest() -> None:
    assert len(behaviour_lines(study(10, 20, suites=6))) == 6
    mean, lowest = behaviour_lines(study(10, 20, suites=7))
    assert (mean.name, lowest.name) == ("7 suites, their mean", "the lowest of them")
    assert [point.mean for point in mean.points] == pytest.approx([0.35, 0.45])
    assert [point.mean for point in lowest.points] == pytest.approx([0.2, 0.3])


def test_the_interval_of_a_mean_shrinks_with_the_root_of_the_suites() -> None:
    mean, _ = behaviour_lines(study(10, suites=9))
    assert mean.points[0].high - mean.points[0].mean == pytest.approx(0.1 / 3)
    unknown, _ = behaviour_lines(study(10, suites=9, known=False))
    assert unknown.points[0].low is None


def test_a_checkpoint_without_one_of_the_suites_is_left_out_of_their_mean() -> None:
    whole = study(10, 20, suites=8)
    cut = CheckpointMarks(step=30, model="m", marks=whole.checkpoints[1].marks[:7])
    mean, _ = behaviour_lines(CheckpointStudy(job="job", checkpoints=(*whole.checkpoints, cut)))
    assert [point.step for point in mean.points] == [10, 20]


def test_suites_alone_are_drawn_and_told_where_there_is_no_curve() -> None:
    chart = draw_training(None, lines=behaviour_lines(study(10, 20, suites=1)))
    assert chart.summary == "Suites: in s0 20 % at step 10, 30 % at step 20."


def test_an_unscored_study_draws_nothing() -> None:
    empty = CheckpointStudy(
        job="job",
        checkpoints=(CheckpointMarks(step=1, model="m", marks=(SuiteMark(suite="s", mean=None),)),),
    )
    assert behaviour_lines(empty) == ()


def test_a_suite_named_in_another_script_or_like_a_formula_is_no_trouble() -> None:
    mark = SuiteMark(suite="$\\frac{</text>$ 发票", mean=0.5, low=0.4, high=0.6)
    marks = CheckpointMarks(step=5, model="m", marks=(mark,))
    lines = behaviour_lines(CheckpointStudy(job="job", checkpoints=(marks,)))
    assert ET.fromstring(draw_training(None, lines=lines).svg).get("aria-label").startswith("Suites: in $")

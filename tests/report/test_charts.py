"""The drawings: what they show in words, and that they bring nothing foreign into the page."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from report_samples import sample_curve

from harness.report.charts import MEASURES, draw

LOSS, ACCURACY = MEASURES


def steps(**columns: list[float]) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame({"step": range(1, length + 1), **columns})


def test_summary_tells_the_first_and_last_measurement_of_each_series() -> None:
    curve = steps(train_loss=[3.0, 2.0, 1.0], valid_loss=[np.nan, 2.5, np.nan])
    chart = draw(curve, LOSS)
    assert chart.summary == "Loss: training 3.00 at step 1, 1.00 at step 3; validation 2.50 at step 2."


def test_accuracy_is_told_in_percent() -> None:
    chart = draw(steps(train_accuracy=[0.25, 0.5]), ACCURACY)
    assert chart.summary == "Token accuracy: training 25.0 % at step 1, 50.0 % at step 2."


@pytest.mark.parametrize(
    "curve", [steps(train_loss=[np.nan, np.nan]), steps(other=[1.0]), steps(train_loss=[])]
)
def test_what_was_never_measured_is_not_drawn(curve: pd.DataFrame) -> None:
    assert draw(curve, LOSS) is None


def test_infinite_loss_is_left_out_of_the_drawing() -> None:
    assert (
        "training 2.00 at step 1, 1.00 at step 3" in draw(steps(train_loss=[2.0, np.inf, 1.0]), LOSS).summary
    )


def test_epochs_are_marked_and_one_epoch_is_not() -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)", draw(sample_curve().steps, LOSS, epochs=3).svg)
    assert [text for text in texts if "epoch" in text] == ["epoch 1"]
    assert texts.count("3") == 1
    assert "epoch" not in draw(sample_curve().steps, LOSS, epochs=1).svg
    assert "epoch" not in draw(sample_curve().steps, LOSS).svg


def test_drawing_is_one_svg_without_style_metadata_or_fixed_colours() -> None:
    svg = draw(sample_curve().steps, LOSS, epochs=3).svg
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    for element in root.iter():
        assert element.tag in {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect"}
        assert "style" not in element.attrib
        assert not [value for value in element.attrib.values() if value.startswith(("#0", "http"))]
        for paint in (element.get("fill"), element.get("stroke")):
            assert paint is None or paint == "none" or paint.startswith("var(--")


def test_references_within_a_drawing_lead_to_its_own_ids() -> None:
    for measure in MEASURES:
        root = ET.fromstring(draw(sample_curve().steps, measure).svg)
        ids = {element.get("id") for element in root.iter() if element.get("id")}
        assert all(name.startswith(f"{measure.key}-") for name in ids)
        for element in root.iter():
            target = element.get("href") or (element.get("clip-path") or "").removeprefix("url(").rstrip(")")
            assert not target or target.removeprefix("#") in ids


def test_many_steps_stay_small_and_get_a_running_mean() -> None:
    short, long = sample_curve(30).steps, sample_curve(3000).steps
    assert "opacity" not in draw(short, LOSS).svg
    drawing = draw(long, LOSS).svg
    assert "stroke-opacity" in drawing
    assert len(drawing) < 60_000


def test_a_single_measurement_is_a_visible_point() -> None:
    root = ET.fromstring(draw(steps(train_loss=[np.nan, 1.5]), LOSS).svg)
    points = [element for element in root.iter("use") if element.get("fill") == "var(--train)"]
    assert len(points) == 1

"""The page of a scaling study: scores by the amount of data, and what twice of it would bring."""

from pathlib import Path

from markupsafe import Markup

from harness.records import ScalingStudy
from harness.report.document import asset, policy, templates
from harness.report.languages import ENGLISH, Language
from harness.report.notation import counted, interval, signed_points
from harness.report.scaling_chart import Growth, draw_growth
from harness.report.scaling_text import (
    POOLED,
    cautions_of,
    cost_sentence,
    estimates_of,
    mark_text,
    rows_of,
    share_text,
    suites_of,
)
from harness.serial import write_atomic

WORDS = {"likely helps": "likely", "cannot tell": "open", "unlikely": "unlikely"}
SENTENCES = {
    "likely helps": "Twice the data likely helps",
    "cannot tell": "Whether twice the data helps cannot be told",
    "unlikely": "Twice the data is unlikely to help",
}


def render_scaling(study: ScalingStudy, *, to: Path, language: Language = ENGLISH) -> Path:
    """Write the page of a study to `to`, in a language, replacing it in one step, and return that path.

    Raises:
        OSError: The file cannot be written; an older page stays as it was.
    """
    style = asset("style.css") + asset("scaling.css")
    growths = [Growth.of(study, suite) for suite in suites_of(study)]
    charts = [draw_growth(growth) for growth in growths if growth.is_drawn]
    html = (
        templates(language.keeping(suites_of(study)))
        .get_template("scaling.html.j2")
        .render(
            lang=language.tag,
            pooled=POOLED,
            study=study,
            suites=suites_of(study),
            estimates=estimates_of(study),
            cautions=cautions_of(study),
            charts=charts,
            headline=headline(study),
            cost=cost_sentence(study),
            rows=rows_of(study),
            share_text=share_text,
            mark_text=mark_text,
            signed_points=signed_points,
            interval=interval,
            counted=counted,
            word_class=WORDS,
            style=Markup(style),  # noqa: S704 - ours
            policy=policy(style=style),
        )
    )
    write_atomic(to, html)
    return to


def headline(study: ScalingStudy) -> str:
    """The answer in a sentence."""
    if study.pooled is None:
        return "No estimate yet: two sizes or more have to be done"
    gain = signed_points(study.pooled.gain)
    band = interval((study.pooled.low, study.pooled.high))
    return f"{SENTENCES[study.pooled.word]}: {gain} points, 80 % band {band}"

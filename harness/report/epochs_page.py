"""The page of a study of checkpoints that no run is about: loss, token accuracy and the suites over the same steps."""

from pathlib import Path

from markupsafe import Markup

from harness.report.document import asset, policy, templates
from harness.report.languages import ENGLISH, Language
from harness.report.sections.training import TrainingMaterial, view_training
from harness.serial import write_atomic


def render_epochs(material: TrainingMaterial, *, to: Path, language: Language = ENGLISH) -> Path:
    """Write the page of a study to `to`, in a language, replacing it in one step, and return that path.

    Raises:
        OSError: The file cannot be written; an older page stays as it was.
    """
    style = asset("style.css")
    html = (
        templates(language.keeping(material.roles))
        .get_template("epochs.html.j2")
        .render(
            lang=language.tag,
            job=material.job,
            study=material.study,
            endpoint=material.endpoint,
            view=view_training(material),
            style=Markup(style),  # noqa: S704 - ours
            policy=policy(style=style),
        )
    )
    write_atomic(to, html)
    return to

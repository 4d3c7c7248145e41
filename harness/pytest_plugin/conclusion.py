"""What is written once a run is closed: its verdict, what its training file shows, its page, the CI job's summary."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Settings, process_environment
from harness.evals import VERDICT
from harness.pytest_plugin.terminal import TerminalTeller
from harness.records import Run, Verdict
from harness.serial import to_json, write_atomic

if TYPE_CHECKING:
    from harness.report.languages import Language
    from harness.report.outputs import Outputs
    from harness.training import TrainingCurve

# GitHub Actions names a file in it: Markdown that is appended there stands on the page of the job.
JOB_SUMMARY = "GITHUB_STEP_SUMMARY"


def conclude(
    run: Run, settings: Settings, *, curve: "TrainingCurve | None", teller: TerminalTeller
) -> tuple[Verdict, Path]:
    """Decide on a closed run, and write what follows beside its rows.

    Args:
        run: The run, as it was read from its folder.
        settings: They name the training file.
        curve: The curve of the candidate's job, where there is one.
        teller: Tells what could not be written beside the verdict and the page, which fails no run.

    Returns:
        The verdict, and the path of the page.
    """
    from harness.report.languages import language_of
    from harness.report.outputs import write_outputs
    from harness.verdict import verdict_of

    folder = run.path
    assert folder is not None, "a run that was closed has a folder"
    verdict = verdict_of(run)
    write_atomic(folder / VERDICT, to_json(verdict, indent=1))
    train = settings.train
    if train is not None:
        from harness.advice import note_training_data

        note_training_data(folder, run.manifest, train=settings.path(train), name=train.as_posix())
    language = language_of(settings.lang)
    outputs = write_outputs(run, verdict, folder=folder, curve=curve, makes_index=True, language=language)
    for problem in (*outputs.problems, *_add_to_job(outputs, language)):
        teller.say(f"warning: {problem}")
    return verdict, outputs.page


def _add_to_job(outputs: "Outputs", language: "Language") -> list[str]:
    """Append the summary to the CI job's, where there is one; why that could not be done."""
    name = process_environment().get(JOB_SUMMARY, "")
    if not name or outputs.facts is None:
        return []
    from harness.report.markdown import markdown_summary

    page = Path(*outputs.page.parts[-3:]).as_posix()
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(markdown_summary(outputs.facts, page=page, language=language) + "\n")
    except (OSError, ValueError) as error:
        return [f"the summary of the job cannot be written: {error}"]
    return []

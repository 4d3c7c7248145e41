"""The training: loss and token accuracy by step, and what made the candidate."""

from harness.records import TrainingJob, record
from harness.report.charts import MEASURES, Chart, draw
from harness.report.material import Material
from harness.report.notation import count, seconds


@record
class TrainingView:
    """The drawings, or the sentence that stands in their place."""

    charts: tuple[Chart, ...]
    absence: str
    facts: tuple[tuple[str, str], ...]
    has_full_validation: bool
    has_validation: bool


def show_training(material: Material) -> TrainingView:
    """The curve of the run's job, drawn."""
    job = material.run.manifest.job
    charts: tuple[Chart, ...] = ()
    measured: frozenset[str] = frozenset()
    if material.curve is not None:
        steps = material.curve.steps
        drawn = (draw(steps, measure, epochs=_epochs(job)) for measure in MEASURES)
        charts = tuple(chart for chart in drawn if chart is not None)
        measured = frozenset(str(column) for column in steps.columns if steps[column].notna().any())
    return TrainingView(
        charts=charts,
        absence="" if charts else _absence(material),
        facts=_facts(job),
        has_validation=bool(measured & {"valid_loss", "valid_accuracy"}),
        has_full_validation=bool(measured & {"full_valid_loss", "full_valid_accuracy"}),
    )


def _epochs(job: TrainingJob | None) -> int | None:
    """The number of epochs, when the job tells it as a number (providers also say "auto")."""
    epochs = job.hyperparameters.get("n_epochs") if job else None
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else None


def _absence(material: Material) -> str:
    if material.run.manifest.job is None:
        return "No training job is recorded with this run, so there is no curve to show."
    if material.curve is None:
        return "The job reported no training metrics, so there is no curve to show."
    return "The curve of the job holds no measured step."


def _facts(job: TrainingJob | None) -> tuple[tuple[str, str], ...]:
    """The job in a line: what was trained, how, on how much."""
    if job is None:
        return ()
    lasted = None
    if job.created_at is not None and job.finished_at is not None:
        lasted = float(job.finished_at - job.created_at)
    facts = [("Job", job.id), ("Status", job.status), ("Model", job.model)]
    facts += [(_spaced(name), str(value)) for name, value in job.hyperparameters.items()]
    if job.trained_tokens is not None:
        facts.append(("Trained tokens", count(job.trained_tokens)))
    if lasted is not None:
        facts.append(("Took", seconds(lasted)))
    if job.error:
        facts.append(("Error", job.error))
    return tuple(facts)


def _spaced(name: str) -> str:
    """`learning_rate_multiplier` as words."""
    words = name.removeprefix("n_").replace("_", " ")
    return words[:1].upper() + words[1:]

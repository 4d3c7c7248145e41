"""The training: loss, token accuracy and the suites by step, what is wrong with the figures, and what made the candidate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness import training
from harness.records import CheckpointMarks, CheckpointStudy, SuiteMark, SuiteRole, TrainingJob, record
from harness.report import charts
from harness.report.material import Material
from harness.report.notation import count, seconds

if TYPE_CHECKING:
    from harness.report.charts import BehaviourLine, Chart
    from harness.training import CurveFault, Diagnosis, TrainingCurve

_DIAGNOSES = {
    "overfit": "Overfit",
    "underfit": "Still learning",
    "plateau": "No trend",
    "unknown": "Cannot tell",
}
_CHOICES = {
    "fresh trials": "Asked again, on fresh trials",
    "other cases": "On cases that took no part in the choice",
}


@record
class FaultView:
    """A fault as the page tells it; `is_drawn` says that its number is in the drawing."""

    title: str
    says: str
    remedy: str
    is_drawn: bool


@record
class CheckpointView:
    """A checkpoint's column in the table of suites."""

    step: int
    epoch: str
    model: str
    is_chosen: bool


@record
class SuiteView:
    """A suite's row in it: a score with its interval for each checkpoint."""

    name: str
    scores: tuple[tuple[str, str], ...]


@record
class TrainingView:
    """The drawing with its legend and what it does not say by itself, or the sentence that stands in its place."""

    chart: "Chart | None"
    absence: str
    facts: tuple[tuple[str, str], ...]
    has_training: bool
    has_full_validation: bool
    has_validation: bool
    word: str = ""
    saw: str = ""
    remedy: str = ""
    faults: tuple[FaultView, ...] = ()
    lines: "tuple[BehaviourLine, ...]" = ()
    suites: tuple[SuiteView, ...] = ()
    checkpoints: tuple[CheckpointView, ...] = ()
    choice: tuple[str, ...] = ()


@record
class TrainingMaterial:
    """What is known of a training: its job, its curve, and the suites at its checkpoints.

    `roles` are those of the suites, by name; `endpoint` is the public name of where the job was.
    """

    job: TrainingJob | None
    curve: "TrainingCurve | None"
    study: CheckpointStudy | None
    roles: Mapping[str, SuiteRole]
    endpoint: str = ""


def show_training(material: Material) -> TrainingView:
    """The curve of the run's job and the suites at its checkpoints, drawn over the same steps."""
    manifest = material.run.manifest
    candidate = manifest.models.get("candidate")
    return view_training(
        TrainingMaterial(
            job=manifest.job,
            curve=material.curve,
            study=material.study,
            roles={suite.name: suite.role for suite in manifest.suites},
            endpoint=candidate.endpoint if candidate is not None else "",
        )
    )


def view_training(material: TrainingMaterial) -> TrainingView:
    """A training, with or without a run around it."""
    job, curve, study = material.job, material.curve, material.study
    diagnosis = _diagnosis(material)
    lines = charts.behaviour_lines(study, roles=material.roles) if study is not None else ()
    faults = diagnosis.faults if diagnosis is not None else ()
    steps = curve.steps if curve is not None else None
    chart = None
    if steps is not None or lines:
        chart = charts.draw_training(steps, epochs=_number(job, "n_epochs"), faults=faults, lines=lines)
    measured = _measured(curve)
    return TrainingView(
        chart=chart,
        absence="" if chart else _absence(material),
        facts=_facts(job),
        has_training=bool(measured & {"train_loss", "train_accuracy"}),
        has_validation=bool(measured & {"valid_loss", "valid_accuracy"}),
        has_full_validation=bool(measured & {"full_valid_loss", "full_valid_accuracy"}),
        word=_DIAGNOSES[diagnosis.word] if diagnosis is not None else "",
        saw=_sentence(diagnosis.saw) if diagnosis is not None else "",
        remedy=_sentence(diagnosis.remedy) if diagnosis is not None else "",
        faults=tuple(_fault(fault) for fault in faults),
        lines=lines,
        suites=_suites(study),
        checkpoints=_checkpoints(study),
        choice=_choice(study),
    )


def _diagnosis(material: TrainingMaterial) -> "Diagnosis | None":
    """What the curve says, where there is one that measured something."""
    curve, job = material.curve, material.job
    if curve is None or curve.steps.empty:
        return None
    return training.diagnose(
        curve,
        epochs=_number(job, "n_epochs"),
        batch_size=_number(job, "batch_size"),
        closing_tokens=_closing_tokens(material.endpoint),
    )


def _closing_tokens(endpoint: str) -> int | None:
    """Compatible servers write the files that OpenAI writes, and count otherwise: the endpoint tells who counted."""
    if not endpoint:
        return None
    return training.OPENAI_CLOSING_TOKENS if "openai" in endpoint.lower() else 0


def _number(job: TrainingJob | None, name: str) -> int | None:
    """A hyperparameter, when the job tells it as a whole number (providers also say "auto")."""
    value = job.hyperparameters.get(name) if job else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _measured(curve: "TrainingCurve | None") -> frozenset[str]:
    if curve is None:
        return frozenset()
    return frozenset(str(column) for column in curve.steps.columns if curve.steps[column].notna().any())


def _absence(material: TrainingMaterial) -> str:
    if material.job is None:
        return "No training job is recorded with this run, so there is no curve to show."
    if material.curve is None:
        return "The job reported no training metrics, so there is no curve to show."
    return "The curve of the job holds no measured step."


def _fault(fault: "CurveFault") -> FaultView:
    return FaultView(
        title=_sentence(fault.kind, end=""),
        says=_sentence(fault.says),
        remedy=_sentence(fault.remedy),
        is_drawn=fault.from_step is not None or fault.corrected is not None,
    )


def _sentence(text: str, *, end: str = ".") -> str:
    return f"{text[:1].upper()}{text[1:]}{end}" if text else ""


# --- checkpoints ---------------------------------------------------------------------------------------


def _suites(study: CheckpointStudy | None) -> tuple[SuiteView, ...]:
    if study is None:
        return ()
    by_step = [{mark.suite: mark for mark in at.marks} for at in _ordered(study)]
    names = dict.fromkeys(name for marks in by_step for name in marks)
    return tuple(
        SuiteView(name=name, scores=tuple(_score(marks.get(name)) for marks in by_step)) for name in names
    )


def _checkpoints(study: CheckpointStudy | None) -> tuple[CheckpointView, ...]:
    if study is None:
        return ()
    chosen = study.choice.step if study.choice is not None else None
    return tuple(
        CheckpointView(
            step=at.step,
            epoch="" if at.epoch is None else f"{at.epoch:g}",
            model=at.model,
            is_chosen=at.step == chosen,
        )
        for at in _ordered(study)
    )


def _ordered(study: CheckpointStudy) -> list[CheckpointMarks]:
    return sorted(study.checkpoints, key=lambda at: at.step)


def _score(mark: SuiteMark | None) -> tuple[str, str]:
    """A mean and its interval, in points of 100; a dash where it is not known."""
    if mark is None or mark.mean is None:
        return "\N{EN DASH}", ""
    if mark.low is None or mark.high is None:
        return f"{100 * mark.mean:.1f}", ""
    return f"{100 * mark.mean:.1f}", f"{100 * mark.low:.0f} to {100 * mark.high:.0f}"


def _choice(study: CheckpointStudy | None) -> tuple[str, ...]:
    """Which checkpoint is preferred and why, and how it did where the choice did not look."""
    if study is None or study.choice is None:
        return ()
    choice = study.choice
    which = (
        "the job's own model, its last checkpoint"
        if choice.is_last
        else f"the checkpoint of step {choice.step}"
    )
    told = [f"The suites prefer {which}.", _sentence(choice.why, end="" if choice.why.endswith(".") else ".")]
    own = {} if choice.is_last else {mark.suite: mark for mark in choice.last}
    fresh = [
        f"in {mark.suite} {_score(mark)[0]}"
        + (f" (the job's own model {_score(own[mark.suite])[0]})" if mark.suite in own else "")
        for mark in choice.fresh
        if mark.mean is not None
    ]
    if fresh and choice.on in _CHOICES:
        told.append(f"{_CHOICES[choice.on]}: {'; '.join(fresh)}.")
    return tuple(sentence for sentence in told if sentence)


# --- the job -------------------------------------------------------------------------------------------


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

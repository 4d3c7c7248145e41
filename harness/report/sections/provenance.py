"""Where the numbers come from, and how to get them again."""

import json
from collections.abc import Iterable

from harness.records import Json, Manifest, Run, Sampling, ScorerSpec, Suite, record
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import MISSING, count, counted, date, date_of, dollars

Fact = tuple[str, str]


@record
class SuiteSource:
    """What a suite was: its file, digest and settings."""

    name: str
    path: str
    digest: str
    settings: str


@record
class ProvenanceView:
    """Facts by heading, the suites' sources, and the commands that recompute this page."""

    groups: tuple[tuple[str, tuple[Fact, ...]], ...]
    sources: tuple[SuiteSource, ...]
    commands: tuple[tuple[str, str], ...]


def show_provenance(material: Material) -> ProvenanceView:
    """Everything needed to trust the run or to repeat it."""
    manifest = material.run.manifest
    groups = (
        ("Run", tuple(_run(manifest))),
        ("Models", tuple(_models(manifest))),
        ("Training", tuple(_job(manifest))),
        ("Seeds", tuple(_seeds(manifest))),
        ("Judge's prompts, SHA-256", tuple(manifest.judging.items())),
        ("Scorers' code, SHA-256", tuple(_code(manifest.suites))),
        ("Labels by people", tuple(_labels(material.run))),
        ("Data, SHA-256", tuple(manifest.data.items())),
        ("Versions", tuple(manifest.versions.items())),
    )
    return ProvenanceView(
        groups=tuple((title, facts) for title, facts in groups if facts),
        sources=tuple(_source(suite) for suite in manifest.suites),
        commands=(
            (f"harness report {manifest.id}", "writes this page again from the run's folder"),
            (f"harness gate {manifest.id}", "computes the verdict again; exit status 0 only for promote"),
        ),
    )


def _run(manifest: Manifest) -> Iterable[Fact]:
    yield "Run id", manifest.id
    yield "Status", manifest.status
    yield "Started", date(manifest.created)
    yield "Finished", date(manifest.finished)
    yield "Commit", manifest.commit or MISSING
    yield "Plan", manifest.plan
    yield "Goal", manifest.goal
    yield "Level α, one-sided", f"{manifest.alpha:g}"
    yield "Manifest schema", str(manifest.schema)


def _models(manifest: Manifest) -> Iterable[Fact]:
    for role, facts in manifest.models.items():
        price = ", ".join(f"{kind} {dollars(value)}" for kind, value in facts.price.items())
        told = f"; per million tokens: {price}" if price else ""
        last = "".join(f"; shut down on {one.day}" for one in manifest.retirements if one.role == role)
        yield ROLE_WORDS.get(role, role), f"{facts.model} at {facts.endpoint}{told}{last}"


def _job(manifest: Manifest) -> Iterable[Fact]:
    job = manifest.job
    if job is None:
        return
    yield "Job id", job.id
    yield "Status", job.status
    if job.created_at is not None:
        yield "Created", date_of(job.created_at)
    if job.finished_at is not None:
        yield "Finished", date_of(job.finished_at)
    yield "Base model", job.model
    yield "Fine-tuned model", job.fine_tuned_model or MISSING
    if job.trained_tokens is not None:
        yield "Trained tokens", count(job.trained_tokens)
    if job.error:
        yield "Error", job.error
    if job.digest:
        yield "Digest", job.digest
    if job.hyperparameters:
        yield "Hyperparameters", _compact(dict(job.hyperparameters))


def _seeds(manifest: Manifest) -> Iterable[Fact]:
    """Every choice by chance that a repetition has to make again."""
    if manifest.job is not None and "seed" in manifest.job.hyperparameters:
        yield "Training", _compact(manifest.job.hyperparameters["seed"])
    for suite in manifest.suites:
        if suite.sampling.seed is not None:
            yield f"Sampling of {suite.name}", str(suite.sampling.seed)
    if manifest.looks is not None:
        yield "Order of cases", manifest.looks.seed


def _code(suites: Iterable[Suite]) -> Iterable[Fact]:
    """Scorers that are more than their settings: somebody's own code, or a file."""
    for suite in suites:
        yield from ((f"{suite.name}: {spec.name}", spec.code) for spec in suite.scorers if spec.code)


def _labels(run: Run) -> Iterable[Fact]:
    """How much people checked of what a judge said: names stay in the run's folder."""
    if run.labels:
        answers = {(label.suite, label.case, label.role, label.trial) for label in run.labels}
        yield "Answers", counted(len(answers), "answer")
        yield "People", counted(len({label.annotator for label in run.labels}), "person", "people")
        yield "Suites", ", ".join(dict.fromkeys(label.suite for label in run.labels))


def _source(suite: Suite) -> SuiteSource:
    parts = [
        counted(len(suite.cases), "case"),
        f"sampling {_sampling(suite.sampling)}",
        counted(suite.trials, "trial"),
        f"good from {suite.pass_mark:g}",
        "scorers " + ", ".join(_scorer(spec) for spec in suite.scorers),
        *(f"prompt of its own for {role}" for role in suite.prompts),
    ]
    if suite.family:
        parts.append(f"families by {suite.family}")
    return SuiteSource(
        name=suite.name, path=suite.path or MISSING, digest=suite.digest or MISSING, settings="; ".join(parts)
    )


def _scorer(spec: ScorerSpec) -> str:
    """`label`; `style (rubric)`; `facts (contains) × 2`."""
    named = spec.name if spec.name == spec.type else f"{spec.name} ({spec.type})"
    return named if spec.weight == 1 else f"{named} × {spec.weight:g}"


def _sampling(sampling: Sampling) -> str:
    settings = (
        ("temperature", sampling.temperature),
        ("max_tokens", sampling.max_tokens),
        ("top_p", sampling.top_p),
        ("seed", sampling.seed),
        ("stop", list(sampling.stop) or None),
        ("top_logprobs", sampling.top_logprobs),
        ("response_format", dict(sampling.response_format) if sampling.response_format else None),
        ("tools", len(sampling.tools) or None),
    )
    told = [f"{name} {_compact(value)}" for name, value in settings if value is not None]
    return ", ".join(told) or "left to the endpoint"


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)

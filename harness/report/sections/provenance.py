"""Where the numbers come from, and how to get them again."""

import json
from collections.abc import Iterable

from harness.records import Json, Manifest, Run, Sampling, ScorerSpec, Suite, record
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import MISSING, count, counted, date, date_of, dollars


@record
class Fact:
    """A value and what it is; `are_words` says that the value is a sentence of ours, not somebody's name."""

    label: str
    value: str
    are_words: bool = False


@record
class Facts:
    """Facts under a heading; `are_named` says that their labels are names that users gave."""

    title: str
    facts: tuple[Fact, ...]
    are_named: bool = False


@record
class SuiteSource:
    """What a suite was: its file, digest and settings, each a phrase."""

    name: str
    path: str
    digest: str
    settings: tuple[str, ...]


@record
class ProvenanceView:
    """Facts by heading, the suites' sources, and the commands that recompute this page."""

    groups: tuple[Facts, ...]
    sources: tuple[SuiteSource, ...]
    commands: tuple[tuple[str, str], ...]


def show_provenance(material: Material) -> ProvenanceView:
    """Everything needed to trust the run or to repeat it."""
    manifest = material.run.manifest
    groups = (
        Facts(title="Run", facts=tuple(_run(manifest))),
        Facts(title="Models", facts=tuple(_models(manifest))),
        Facts(title="Training", facts=tuple(_job(manifest))),
        Facts(title="Seeds", facts=tuple(_seeds(manifest))),
        _named("Judge's prompts, SHA-256", manifest.judging.items()),
        _named("Scorers' code, SHA-256", _code(manifest.suites)),
        Facts(title="Labels by people", facts=tuple(_labels(material.run))),
        _named("Data, SHA-256", manifest.data.items()),
        _named("Versions", manifest.versions.items()),
    )
    return ProvenanceView(
        groups=tuple(group for group in groups if group.facts),
        sources=tuple(_source(suite) for suite in manifest.suites),
        commands=(
            (f"harness report {manifest.id}", "writes this page again from the run's folder"),
            (f"harness gate {manifest.id}", "computes the verdict again; exit status 0 only for promote"),
        ),
    )


def _named(title: str, facts: Iterable[tuple[str, str]]) -> Facts:
    found = tuple(Fact(label=name, value=value) for name, value in facts)
    return Facts(title=title, facts=found, are_named=True)


def _run(manifest: Manifest) -> Iterable[Fact]:
    yield Fact(label="Run id", value=manifest.id)
    yield Fact(label="Status", value=manifest.status, are_words=True)
    yield Fact(label="Started", value=date(manifest.created), are_words=True)
    yield Fact(label="Finished", value=date(manifest.finished), are_words=True)
    yield Fact(label="Commit", value=manifest.commit or MISSING)
    yield Fact(label="Plan", value=manifest.plan, are_words=True)
    yield Fact(label="Goal", value=manifest.goal, are_words=True)
    yield Fact(label="Level α, one-sided", value=f"{manifest.alpha:g}")
    yield Fact(label="Manifest schema", value=str(manifest.schema))


def _models(manifest: Manifest) -> Iterable[Fact]:
    for role, facts in manifest.models.items():
        price = ", ".join(f"{kind} {dollars(value)}" for kind, value in facts.price.items())
        told = f"; per million tokens: {price}" if price else ""
        last = "".join(f"; shut down on {one.day}" for one in manifest.retirements if one.role == role)
        yield Fact(
            label=ROLE_WORDS.get(role, role),
            value=f"{facts.model} at the endpoint {facts.endpoint}{told}{last}",
            are_words=True,
        )


def _job(manifest: Manifest) -> Iterable[Fact]:
    job = manifest.job
    if job is None:
        return
    yield Fact(label="Job id", value=job.id)
    yield Fact(label="Status", value=job.status, are_words=True)
    if job.created_at is not None:
        yield Fact(label="Created", value=date_of(job.created_at), are_words=True)
    if job.finished_at is not None:
        yield Fact(label="Finished", value=date_of(job.finished_at), are_words=True)
    yield Fact(label="Base model", value=job.model)
    yield Fact(label="Fine-tuned model", value=job.fine_tuned_model or MISSING)
    if job.trained_tokens is not None:
        yield Fact(label="Trained tokens", value=count(job.trained_tokens))
    if job.error:
        yield Fact(label="Error", value=job.error)
    if job.digest:
        yield Fact(label="Digest", value=job.digest)
    if job.hyperparameters:
        yield Fact(label="Hyperparameters", value=_compact(dict(job.hyperparameters)))


def _seeds(manifest: Manifest) -> Iterable[Fact]:
    """Every choice by chance that a repetition has to make again."""
    if manifest.job is not None and "seed" in manifest.job.hyperparameters:
        yield Fact(label="Training", value=_compact(manifest.job.hyperparameters["seed"]))
    for suite in manifest.suites:
        if suite.sampling.seed is not None:
            yield Fact(label=f"Sampling of {suite.name}", value=str(suite.sampling.seed))
    if manifest.looks is not None:
        yield Fact(label="Order of cases", value=manifest.looks.seed)


def _code(suites: Iterable[Suite]) -> Iterable[tuple[str, str]]:
    """Scorers that are more than their settings: somebody's own code, or a file."""
    for suite in suites:
        yield from ((f"{suite.name}: {spec.name}", spec.code) for spec in suite.scorers if spec.code)


def _labels(run: Run) -> Iterable[Fact]:
    """How much people checked of what a judge said: names stay in the run's folder."""
    if run.labels:
        answers = {(label.suite, label.case, label.role, label.trial) for label in run.labels}
        yield Fact(label="Answers", value=counted(len(answers), "answer"), are_words=True)
        yield Fact(
            label="People",
            value=counted(len({label.annotator for label in run.labels}), "person", "people"),
            are_words=True,
        )
        yield Fact(label="Suites", value=", ".join(dict.fromkeys(label.suite for label in run.labels)))


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
        name=suite.name, path=suite.path or MISSING, digest=suite.digest or MISSING, settings=tuple(parts)
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

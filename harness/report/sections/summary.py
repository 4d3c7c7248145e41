"""The top of the page: the verdict, why, what next, what was compared with what, what it took."""

from harness.records import Manifest, Outcome, Role, Run, record
from harness.report.cautions import warnings_of
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import MISSING, between, count, counted, date, dollars, seconds
from harness.report.spending import Spending, spent_by, total, total_cost
from harness.report.unspent import unspent_by
from harness.verdict import word_of


@record
class Player:
    """One model of the run, as a row of the table of models."""

    word: str
    part: str
    model: str
    endpoint: str
    answered: str
    from_cache: str
    failed: str
    is_failing: bool
    prompt_tokens: str
    completion_tokens: str
    latency: str
    cost: str


@record
class Summary:
    """What stands above everything else."""

    outcome: Outcome
    word: str
    headline: str
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]
    notices: tuple[str, ...]
    run_id: str
    when: str
    players: tuple[Player, ...]
    took: tuple[tuple[str, str], ...]


def show_summary(material: Material) -> Summary:
    """The verdict in a word and sentences, and the models behind it."""
    manifest = material.run.manifest
    roles: list[Role] = [*reversed(material.roles)]
    others: tuple[Role, ...] = ("judge", "embedding")
    roles += [role for role in others if role in manifest.models]
    spent = [spent_by(material.run, role) for role in roles]
    return Summary(
        outcome=material.verdict.outcome,
        word=word_of(material.verdict).capitalize(),
        headline=material.verdict.summary,
        reasons=material.verdict.reasons,
        next_steps=material.verdict.next_steps,
        notices=tuple(filter(None, (_notice(manifest, spent), *map(_as_sentence, warnings_of(manifest))))),
        run_id=manifest.id,
        when=date(manifest.created),
        players=tuple(_player(part, material) for part in spent),
        took=(*_took(manifest, spent), *_saved(material.run)),
    )


def _notice(manifest: Manifest, spent: list[Spending]) -> str:
    """What a reader must know before trusting the rest; empty for a complete run."""
    left = sum(part.not_asked for part in spent)
    asked = f" {counted(left, 'answer was', 'answers were')} not asked for." if left else ""
    reason = f": {manifest.reason.rstrip('.')}" if manifest.reason else ""
    match manifest.status:
        case "interrupted":
            return f"This run was interrupted{reason}.{asked} The same command resumes it."
        case "running":
            return f"This run was not finished when the page was written{reason}.{asked}"
        case _:
            return asked.strip()


def _as_sentence(warning: str) -> str:
    """A line of the terminal as a sentence; one that begins with a file's place keeps that as it is."""
    first = warning.partition(" ")[0]
    return f"{first.capitalize() if first.isalpha() and first.islower() else first}{warning[len(first) :]}."


def _player(part: Spending, material: Material) -> Player:
    facts = material.run.manifest.models.get(part.role)
    at_least = "≥ " if part.is_partial else ""
    return Player(
        word=ROLE_WORDS[part.role],
        part="reference" if part.role == material.verdict.reference else "",
        model=facts.model if facts else MISSING,
        endpoint=facts.endpoint if facts else MISSING,
        answered=count(part.answered),
        from_cache=count(part.from_cache),
        failed=count(part.failed),
        is_failing=part.failed > 0,
        prompt_tokens=_bounded(part.prompt_tokens, at_least),
        completion_tokens=_bounded(part.completion_tokens, at_least),
        latency=seconds(part.median_latency_s),
        cost=dollars(part.cost_usd),
    )


def _bounded(number: int | None, at_least: str) -> str:
    return MISSING if number is None else at_least + count(number)


def _took(manifest: Manifest, spent: list[Spending]) -> tuple[tuple[str, str], ...]:
    """The run's totals, as pairs of a label and a number."""
    sums = (total(part.prompt_tokens for part in spent), total(part.completion_tokens for part in spent))
    at_least = "≥ " if any(part.is_partial for part in spent) else ""
    tokens = None if sums[0] is None or sums[1] is None else sums[0] + sums[1]
    return (
        ("Requests", count(sum(part.answered + part.failed for part in spent))),
        ("From cache", count(sum(part.from_cache for part in spent))),
        ("Tokens", _bounded(tokens, at_least)),
        ("Cost", dollars(total_cost(spent))),
        ("Time", seconds(between(manifest.created, manifest.finished))),
    )


def _saved(run: Run) -> tuple[tuple[str, str], ...]:
    """What a run that stopped early did not ask, about."""
    saved = unspent_by(run)
    if saved is None:
        return ()
    tokens = MISSING if saved.tokens is None else count(saved.tokens)
    return (
        ("Requests saved", count(saved.requests)),
        ("Tokens saved", tokens),
        ("Cost saved", dollars(saved.cost_usd)),
    )

"""The top of the page: the verdict, why, what next, what was compared with what, what it took."""

from harness.records import Advice, Manifest, Outcome, Role, Run, TrainingJob, record
from harness.report.cautions import warnings_of
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import MISSING, between, count, counted, date, date_of, dollars, seconds
from harness.report.spending import Spending, spent_by, total, total_cost
from harness.report.unspent import unspent_by
from harness.verdict import word_of

COMMAND = "harness "


@record
class Player:
    """One model of the run, as a row of the table of what was compared; `origin` says where a fine-tuned one comes from."""

    word: str
    part: str
    model: str
    endpoint: str
    origin: str
    answers: str
    failed: str
    latency: str
    cost: str


@record
class Action:
    """The first thing to do: a sentence, the command that does it, and what follows the command; either may be empty."""

    says: str
    command: str
    then: str


@record
class Summary:
    """What stands above everything else.

    `others` counts the further lines of advice; `steps` are the verdict's own, where no advice says the same.
    """

    outcome: Outcome
    word: str
    headline: str
    reasons: tuple[str, ...]
    action: Action | None
    others: int
    steps: tuple[str, ...]
    notices: tuple[str, ...]
    run_id: str
    when: str
    players: tuple[Player, ...]
    took: tuple[tuple[str, str], ...]


def show_summary(material: Material) -> Summary:
    """The verdict in a word and sentences, and the models behind it."""
    manifest, verdict, advice = material.run.manifest, material.verdict, material.advice
    roles: list[Role] = [*reversed(material.roles)]
    others: tuple[Role, ...] = ("judge", "embedding")
    roles += [role for role in others if role in manifest.models]
    spent = [spent_by(material.run, role) for role in roles]
    said = {line.says for line in advice}
    return Summary(
        outcome=verdict.outcome,
        word=word_of(verdict).capitalize(),
        headline=verdict.summary,
        reasons=verdict.reasons,
        action=_action(advice[0]) if advice else None,
        others=len(advice) - 1,
        steps=tuple(step for step in verdict.next_steps if step not in said),
        notices=tuple(filter(None, (_notice(manifest, spent), *map(_as_sentence, warnings_of(manifest))))),
        run_id=manifest.id,
        when=date(manifest.created),
        players=tuple(_player(part, material) for part in spent),
        took=(*_took(manifest, spent), *_saved(material.run)),
    )


def _action(advice: Advice) -> Action:
    """A line of advice with its command apart: `ship it: harness promote RUN`."""
    says, mark, rest = advice.says.partition(f": {COMMAND}")
    command, more, then = rest.partition(";")
    return Action(
        says=f"{says[:1].upper()}{says[1:]}",
        command=f"{COMMAND}{command}" if mark else "",
        then=then.strip() if more else "",
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
    return Player(
        word=ROLE_WORDS[part.role],
        part="reference" if part.role == material.verdict.reference else "",
        model=facts.model if facts else MISSING,
        endpoint=facts.endpoint if facts else MISSING,
        origin=_origin(material.run.manifest.job) if part.role == "candidate" else "",
        answers=_answers(part),
        failed=f"{count(part.failed)} failed" if part.failed else "",
        latency=seconds(part.median_latency_s),
        cost=dollars(part.cost_usd),
    )


def _answers(part: Spending) -> str:
    """`203`; `203, 180 of them cached`; `203 cached`."""
    whole = count(part.answered + part.from_cache)
    if not part.answered:
        return f"{whole} cached" if part.from_cache else whole
    return f"{whole}, {count(part.from_cache)} of them cached" if part.from_cache else whole


def _origin(job: TrainingJob | None) -> str:
    """`tuned from gpt-4.1-nano by the job ftjob-1, 22 Nov 2026, 19:00 UTC, on 34,578 tokens`."""
    if job is None:
        return ""
    when = "" if job.finished_at is None else f", {date_of(job.finished_at)}"
    tokens = "" if job.trained_tokens is None else f", on {counted(job.trained_tokens, 'token')}"
    return f"tuned from {job.model} by the job {job.id}{when}{tokens}"


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

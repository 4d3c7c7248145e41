"""Which model is in production, since when, by whom and why: `promoted.json`, kept in git beside the runs.

One promotion a line, the newest first, and none is ever changed or taken away. So a line that is added touches no
other, and of two branches that each promoted a model both lines can be kept: the latest time counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.evals.store import MANIFEST, now, open_run
from harness.evals.suites import messages_for
from harness.models import AnswerCache, answer_key
from harness.records import Completion, ModelFacts, Outcome, Result, Role, Run, RunStatus, Verdict, record
from harness.redaction import redact
from harness.serial import ParseError, digest, from_json, to_json, to_plain, write_atomic

PROMOTED = "promoted.json"
LOCK = ".promoted.json.lock"
SCHEMA = 1
# Another process holds the lock for the milliseconds of one write; longer means it hangs.
BUSY_TIMEOUT_S = 30.0
# So many of the newest answers of a run are in the cache: the older ones are too.
HELD_IN_A_ROW = 200
TIME = "%Y-%m-%dT%H:%M:%SZ"
# Roles that answer as they did when the run was promoted; a candidate is always asked.
REUSED: tuple[Role, ...] = ("promoted", "base")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)


@record
class Promotion:
    """One line of the record: a model was put into production.

    `verdict` is what the run's rows said at that time, `reason` the first of its sentences, and `override` the
    reason a person gave for promoting without a promote verdict, or beside it. `endpoint` is the public label.
    `suites` and `data` are digests by name, `verdict_digest` is of the whole verdict.
    """

    at: str
    by: str
    run: str
    model: str
    endpoint: str
    verdict: Outcome
    reason: str
    override: str | None = None
    status: RunStatus = "complete"
    reference: str = ""
    suites: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    verdict_digest: str = ""


@record
class _History:
    """The whole file."""

    schema: int
    promotions: tuple[Promotion, ...]


def new_promotion(run: Run, verdict: Verdict, *, by: str, override: str | None = None) -> Promotion:
    """The promotion of a run's candidate, as of now.

    Args:
        run: The run.
        verdict: Its verdict, computed from its rows just now.
        by: Who promotes.
        override: Why, when the verdict does not say so.

    Raises:
        StorageError: The run has no candidate, or is not at its end.
    """
    manifest = run.manifest
    candidate, reference = manifest.models.get("candidate"), manifest.models.get(verdict.reference)
    if candidate is None:
        raise StorageError(f"{manifest.id} has no candidate, so there is nothing to promote")
    if manifest.status == "running":
        raise StorageError(
            f"{manifest.id} is not at its end: it is under way, or was killed",
            remedy="wait for it, or start the same command again: it goes on where it stopped",
        )
    return Promotion(
        at=now(),
        by=redact(by),
        run=manifest.id,
        model=candidate.model,
        endpoint=candidate.endpoint,
        verdict=verdict.outcome,
        reason=redact(verdict.reasons[0]) if verdict.reasons else "",
        override=None if override is None else redact(override),
        status=manifest.status,
        reference=reference.model if reference else "",
        suites={suite.name: suite.digest for suite in manifest.suites},
        data=manifest.data,
        verdict_digest=digest(to_plain(verdict)),
    )


def read_promotions(reports: Path) -> tuple[Promotion, ...]:
    """Every promotion there was, the latest first; the first is of the model in production. None without a file.

    Raises:
        StorageError: A damaged file, one with marks of a merge, or a newer version's.
    """
    file = reports / PROMOTED
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file} cannot be read: {error}", remedy="restore it from git") from None
    if (found := _CONFLICT.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise StorageError(
            f"{file}:{line}: git could not merge it, and left its marks",
            remedy="keep the lines of both sides, with a comma after each but the last: the latest time counts",
        )
    promotions = _parsed(file, text)
    # Sorting is stable: of two in one second the one that stands first was written last.
    return tuple(sorted(promotions, key=lambda promotion: promotion.at, reverse=True))


def _parsed(file: Path, text: str) -> tuple[Promotion, ...]:
    try:
        schema = from_json(dict, text).get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise StorageError(
                f"{file} has schema {schema}, this version knows {SCHEMA}",
                remedy="upgrade finetune-harness",
            )
        promotions = from_json(_History, text).promotions
        for promotion in promotions:
            datetime.strptime(promotion.at, TIME)  # noqa: DTZ007 - only the form is looked at
    except (ParseError, ValueError) as error:
        raise StorageError(f"{file} is damaged: {error}", remedy="restore it from git") from None
    return promotions


def add_promotion(reports: Path, promotion: Promotion) -> Promotion | None:
    """Write a promotion down, and give the one that was in force before.

    Nothing is written when that one is of the same run. Processes that do this at once wait for each other:
    none takes another's line away.

    Raises:
        StorageError: The file is damaged or newer (it stays as it is), cannot be written, or is of the future.
    """
    file = reports / PROMOTED
    try:
        reports.mkdir(parents=True, exist_ok=True)
        with FileLock(reports / LOCK, timeout=BUSY_TIMEOUT_S):
            known = read_promotions(reports)
            before = known[0] if known else None
            if before is not None and before.run == promotion.run:
                return before
            added = replace(promotion, at=now())
            if before is not None and before.at > added.at:
                raise StorageError(
                    f"{file}: the last promotion is of {before.at}, and here it is {added.at}",
                    remedy="set this machine's clock: the latest promotion is the one that counts",
                )
            write_atomic(file, _text((added, *known)))
    except Timeout:
        raise StorageError(
            f"{file} is being written by another process", remedy=f"end it, or delete {reports / LOCK}"
        ) from None
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror or error}"
        raise StorageError(what, remedy="choose a writable folder with --reports DIR") from None
    return before


def _text(promotions: tuple[Promotion, ...]) -> str:
    lines = ",\n".join(to_json(promotion) for promotion in promotions)
    return f'{{\n"schema": {SCHEMA},\n"promotions": [\n{lines}\n]\n}}\n'


# --- the answers of the run that was promoted --------------------------------------------------------


def stored_answers(reports: Path, promotion: Promotion) -> dict[str, Completion]:
    """What the models of the promoted run answered, by `answer_key`; none when its folder is not here.

    A key holds everything that was asked of whom, so an answer is found where model, endpoint, prompt and
    sampling are the same, and nowhere else.

    Raises:
        StorageError: The run's manifest is damaged or newer.
    """
    folder = reports / promotion.run
    if Path(promotion.run).name != promotion.run or not (folder / MANIFEST).is_file():
        return {}
    run = open_run(folder)
    return {asked.key: asked.answer for asked in _answers_of(run, run.results)}


def restore_answers(cache: AnswerCache, folder: Path) -> int:
    """Give a cache what the rows of a run hold and it has not: the two heal each other. How many answers that is.

    A power cut takes the newest answers, and who deletes the cache takes all: the search begins with the newest row and
    ends where the cache has many in a row, unless it was mended.

    Raises:
        StorageError: The run cannot be read, or the cache cannot be written.
    """
    run = open_run(folder)
    restored = held = 0
    for asked in _answers_of(run, reversed(run.results)):
        if cache.holds(asked.key):
            held += 1
            if held >= HELD_IN_A_ROW and not cache.was_mended:
                break
        else:
            held = 0
            cache.store(asked.key, asked.answer, endpoint=asked.of.endpoint, model=asked.of.model)
            restored += 1
    return restored


@record
class _Asked:
    """An answer, whose it is, and the key of what was asked."""

    key: str
    of: ModelFacts
    answer: Completion


def _answers_of(run: Run, rows: Iterable[Result]) -> Iterator[_Asked]:
    cases = {(suite.name, case.id): (suite, case) for suite in run.manifest.suites for case in suite.cases}
    for row in rows:
        facts, asked = run.manifest.models.get(row.role), cases.get((row.suite, row.case))
        if facts is None or asked is None or not isinstance(row.outcome, Completion):
            continue
        suite, case = asked
        key = answer_key(
            messages_for(suite, case, row.role),
            suite.sampling,
            endpoint=facts.endpoint,
            model=facts.model,
            trial=row.trial,
        )
        yield _Asked(key=key, of=facts, answer=row.outcome)

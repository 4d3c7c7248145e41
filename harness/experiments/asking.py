"""Suites asked of one more model: its answers judged as in a run, kept row by row, and never paid for twice."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import EndpointError, StorageError
from harness.evals import (
    Cell,
    Count,
    Paid,
    Precedents,
    Requests,
    RoleEstimate,
    Watch,
    ask,
    case_digest,
    cells_of,
    estimate,
    estimate_judging,
    exact_tokens,
    guarded,
    is_paired,
    kept_rows,
    messages_for,
    reference_of,
)
from harness.lineup import Seat, open_embedder, open_models
from harness.models import AnswerCache, Purse, answer_key, vector_key
from harness.protocols import Scorer
from harness.records import Completion, Failure, Question, Result, Role, Suite, record
from harness.scorers import build
from harness.serial import to_json

ROWS = "results.jsonl"
LOCK = ".lock"

OnRow = Callable[[int, int], None]
"""Told after each row how many there are, and how many there will be."""


class NotServedError(EndpointError):
    """The endpoint has no model of that name: not, not yet, or no longer."""


def _untold(_done: int, _all: int) -> None:
    pass


@record
class Terms:
    """How models are asked: with which stored answers, how many at once, from which trial on.

    `read` off asks everything anew that the folder's own rows do not have. `known` are answers by `answer_key` that the
    models a candidate is compared with need not be asked for. `first_trial` above 0 asks trials that a run does not
    have: a suite of three trials asked from 3 on gets trials 3, 4 and 5. Without a `cache` there is no asking, only
    estimating what asking everything would take. `purse` has the money that may be spent.
    """

    cache: AnswerCache | None
    read: bool = True
    concurrency: int = 32
    known: Mapping[str, Completion] = field(default_factory=dict)
    first_trial: int = 0
    on_row: OnRow = _untold
    purse: Purse | None = None


def seated(seats: Mapping[Role, Seat], model: str) -> dict[Role, Seat]:
    """The seats of a run with another model in place of the candidate, on the same endpoint at the same price."""
    return {**seats, "candidate": replace(seats["candidate"], model=model)}


def ask_suites(
    suites: Sequence[Suite], seats: Mapping[Role, Seat], *, folder: Path, terms: Terms
) -> tuple[Result, ...]:
    """Every case and trial of some suites put to the candidate of `seats`, judged as in a run.

    Rows are appended to `results.jsonl` in `folder` as they arrive; the next call with the same folder asks only
    for what is missing there. Other seats answer where scorers want them to: the judge, the embedding model, and the
    reference of a comparison. To ask a part of a suite, give it with fewer `cases`.

    Args:
        suites: What is asked; each with the trials it is to have.
        seats: Who plays which role; `seated` puts any model in the candidate's place.
        folder: Where the rows go; made when it is not there.
        terms: How it is asked.

    Returns:
        A row for each suite, case and trial, in this order. An answer that failed is a row too, and asked again next time.

    Raises:
        NotServedError: The endpoint does not know the model.
        EndpointError: The endpoint refused for good or stopped answering; the rows received so far are kept.
        StorageError: The folder cannot be written, or another process is writing it.
    """
    cells = asked_cells(suites, first_trial=terms.first_trial)
    try:
        with contextlib.ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            # Its file stays: were it taken away, two processes could hold locks on two files of one name.
            stack.enter_context(FileLock(folder / LOCK, timeout=0))
            rows = _answered_rows(folder / ROWS, cells, model=seats["candidate"].model)
            file = stack.enter_context((folder / ROWS).open("a", encoding="utf-8", newline="\n"))

            def keep(row: Result) -> None:
                if not (isinstance(row.outcome, Failure) and row.outcome.kind == "not_asked"):
                    file.write(to_json(row) + "\n")
                    file.flush()
                    rows[_key(row)] = row
                    terms.on_row(len(rows), len(cells))

            halted = asyncio.run(_ask([cell for cell in cells if cell.key not in rows], seats, terms, keep))
    except Timeout:
        raise StorageError(f"{folder} is being written by another process", remedy="wait for it") from None
    except OSError as error:
        raise StorageError(
            f"{folder}: {error.strerror or error}", remedy="see that it can be written"
        ) from None
    if halted is not None:
        kind = NotServedError if halted.kind == "model_not_found" else EndpointError
        raise kind(
            f"{seats['candidate'].model}: {halted.message}",
            remedy="answers received so far are kept; the same command goes on from there",
        )
    return tuple(rows[cell.key] for cell in cells)


def asked_cells(suites: Iterable[Suite], *, first_trial: int = 0) -> list[Cell]:
    """What is asked of one model: every trial of every case, counted from `first_trial`."""
    return [
        replace(cell, trial=first_trial + cell.trial)
        for suite in suites
        for cell in cells_of(suite, suite.cases, ["candidate"])
    ]


async def _ask(
    cells: Sequence[Cell], seats: Mapping[Role, Seat], terms: Terms, keep: Callable[[Result], None]
) -> Failure | None:
    """Ask cells, and say why no more was asked, if so."""
    if not cells:
        return None
    assert terms.cache is not None, "asked without a place to keep the answers"
    open_all = open_models(seats, terms.cache, read=terms.read, known=terms.known, purse=terms.purse)
    open_vectors = open_embedder(seats, terms.cache, read=terms.read, purse=terms.purse)
    async with open_all() as models, open_vectors() as embedder:
        watch = Watch()
        requests = Requests(models, embedder=embedder, concurrency=terms.concurrency, watch=watch)
        tasks = [asyncio.create_task(ask(cell, requests)) for cell in cells]
        try:
            for task in asyncio.as_completed(tasks):
                keep(await task)
        finally:
            for left in tasks:
                left.cancel()
            requests.close()
            await asyncio.gather(*tasks, return_exceptions=True)
    return watch.halted


def _answered_rows(
    file: Path, cells: Sequence[Cell], *, model: str
) -> dict[tuple[str, str, str, int], Result]:
    """The rows that are there already of what is asked now: the same model, prompt, expectation and scorers."""
    wanted = {cell.key: cell for cell in cells}
    return {
        _key(row): _scored_anew(row, cell)
        for row in kept_rows(file)
        if (cell := wanted.get(_key(row))) is not None
        and _is_judged(row)
        and row.model == model
        and row.digest == case_digest(cell.suite, cell.case)
    }


def _scored_anew(row: Result, cell: Cell) -> Result:
    """The row as this version's scorers see it, where that asks nobody: the rows of a table are scored alike."""
    scorers = [(spec, build(spec)) for spec in cell.suite.scorers]
    completion = row.outcome
    assert isinstance(completion, Completion), "only answers are kept"
    scores = {
        spec.name: guarded(spec, partial(scorer.score, cell.case, completion))
        for spec, scorer in scorers
        if isinstance(scorer, Scorer)
    }
    return replace(row, scores={**row.scores, **scores})


def _is_judged(row: Result) -> bool:
    """Whether the answer came, and nobody who judges it failed to."""
    return isinstance(row.outcome, Completion) and all(score.failure is None for score in row.scores.values())


def _key(row: Result) -> tuple[str, str, Role, int]:
    return row.suite, row.case, row.role, row.trial


# --- what it will cost ---------------------------------------------------------------------------------


def estimate_asking(
    suites: Sequence[Suite],
    seats: Mapping[Role, Seat],
    *,
    terms: Terms,
    count: Count = exact_tokens,
    precedents: Precedents | None = None,
) -> tuple[RoleEstimate, ...]:
    """What `ask_suites` will still have to ask of this model, and of those that judge it; `check_budget` takes it.

    A folder's own rows are not looked at: what they hold is in the answer cache too. Without `precedents` it is the most
    that it may be.
    """
    cells = asked_cells(suites, first_trial=terms.first_trial)
    stored = terms.cache if terms.read else None
    reference = reference_of(seats)
    if reference is not None:  # asked only where the candidate's answer is compared with its own
        cells += [replace(cell, role=reference) for cell in cells if is_paired(cell.suite)]
    models = {role: seat.model for role, seat in seats.items()}
    prices = {role: seat.price for role, seat in seats.items()}

    def answer(cell: Cell) -> Completion | None:
        key = _answer_key(cell, seats)
        if cell.role != "candidate" and key in terms.known:
            return terms.known[key]
        return stored.find(key, Completion) if stored is not None else None

    def reply(question: Question, repeat: int) -> bool:
        judge = seats["judge"]
        key = answer_key(
            question.messages,
            question.sampling,
            endpoint=judge.endpoint.label,
            model=judge.model,
            trial=repeat,
        )
        return stored is not None and stored.holds(key)

    def vector(text: str) -> bool:
        seat = seats["embedding"]
        key = vector_key(text, endpoint=seat.endpoint.label, model=seat.model)
        return stored is not None and stored.holds(key)

    paid = Paid(answer=answer, reply=reply, vector=vector)
    is_there = partial(_is_there, answer)
    answers = estimate(cells, models, prices, is_paid=is_there, count=count, precedents=precedents)
    judging = estimate_judging(cells, models, prices, paid=paid, count=count, precedents=precedents)
    return (*answers, *judging)


def _is_there(answer: Callable[[Cell], Completion | None], cell: Cell) -> bool:
    return answer(cell) is not None


def _answer_key(cell: Cell, seats: Mapping[Role, Seat]) -> str:
    seat = seats[cell.role]
    return answer_key(
        messages_for(cell.suite, cell.case, cell.role),
        cell.suite.sampling,
        endpoint=seat.endpoint.label,
        model=seat.model,
        trial=cell.trial,
    )

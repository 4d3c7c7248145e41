"""One cell of a run asked and judged; and all cells of a suite with bounded concurrency."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from harness.evals.breadth import AT_ONCE
from harness.evals.cells import ASKED_ROLES, Cell, cells_of
from harness.evals.digests import case_digest
from harness.evals.judging import Judgement, judged, shared_answer
from harness.evals.requests import Requests
from harness.protocols import Embedder, Model
from harness.records import Completion, Result, Role, Suite


async def ask(cell: Cell, requests: Requests) -> Result:
    """Ask one cell and have the answer judged. The endpoint's trouble is a Failure in the Result, without scores."""
    outcome = await shared_answer(cell, requests)
    judgement = Judgement()
    if isinstance(outcome, Completion):
        judgement = await judged(cell, outcome, requests)
    return Result(
        suite=cell.suite.name,
        case=cell.case.id,
        role=cell.role,
        model=requests.models[cell.role].name,
        trial=cell.trial,
        digest=case_digest(cell.suite, cell.case),
        outcome=outcome,
        scores=judgement.scores,
        bills=judgement.bills,
    )


async def evaluate(
    suite: Suite,
    models: Mapping[Role, Model],
    *,
    embedder: Embedder | None = None,
    concurrency: int = AT_ONCE,
) -> AsyncIterator[Result]:
    """Results of a whole suite as they arrive, at most `concurrency` requests at once.

    `models` maps roles to models; a "judge" among them judges and is not asked the cases. `embedder`
    gives the vectors that scorers by embedding need.
    """
    roles = [role for role in ASKED_ROLES if role in models]
    requests = Requests(models, embedder=embedder, concurrency=concurrency)
    tasks = [asyncio.create_task(ask(cell, requests)) for cell in cells_of(suite, suite.cases, roles)]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for left in tasks:
            left.cancel()
        requests.close()

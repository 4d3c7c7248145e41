"""One cell of a run (a case, a role, a trial) asked and scored; and all cells of a suite with bounded concurrency."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from harness.evals.digests import case_digest
from harness.evals.scoring import scored
from harness.evals.suites import messages_for
from harness.protocols import Model
from harness.records import Case, Completion, Result, Role, Suite, record

ASKED_ROLES: tuple[Role, ...] = ("candidate", "base", "promoted")


@record
class Cell:
    """One thing to ask: a trial of a case, put to a role."""

    suite: Suite
    case: Case
    role: Role
    trial: int = 0

    @property
    def key(self) -> tuple[str, str, Role, int]:
        """What identifies the cell's row within a run."""
        return (self.suite.name, self.case.id, self.role, self.trial)


def cells_of(suite: Suite, cases: Sequence[Case], roles: Sequence[Role]) -> list[Cell]:
    """Every cell of some cases, those of one case together."""
    return [
        Cell(suite=suite, case=case, role=role, trial=trial)
        for case in cases
        for role in roles
        for trial in range(suite.trials)
    ]


async def ask(cell: Cell, model: Model, *, judge: Model | None = None) -> Result:
    """Ask one cell and score the answer. The endpoint's trouble is a Failure in the Result, without scores."""
    messages = messages_for(cell.suite, cell.case, cell.role)
    outcome = await model.complete(messages, cell.suite.sampling, trial=cell.trial)
    scores = {}
    if isinstance(outcome, Completion):
        scores = await scored(cell.suite, cell.case, outcome, judge)
    return Result(
        suite=cell.suite.name,
        case=cell.case.id,
        role=cell.role,
        model=model.name,
        trial=cell.trial,
        digest=case_digest(cell.suite, cell.case),
        outcome=outcome,
        scores=scores,
    )


async def evaluate(
    suite: Suite, models: Mapping[Role, Model], *, concurrency: int = 32
) -> AsyncIterator[Result]:
    """Results of a whole suite as they arrive, at most `concurrency` requests at once.

    `models` maps roles to models; a "judge" among them judges and is not asked the cases.
    """
    judge = models.get("judge")
    roles = [role for role in ASKED_ROLES if role in models]
    limit = asyncio.Semaphore(concurrency)

    async def limited(cell: Cell) -> Result:
        async with limit:
            return await ask(cell, models[cell.role], judge=judge)

    tasks = [asyncio.create_task(limited(cell)) for cell in cells_of(suite, suite.cases, roles)]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for left in tasks:
            left.cancel()

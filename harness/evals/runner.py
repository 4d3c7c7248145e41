"""One cell of a run (a case, a role, a trial) asked and scored; and all cells of a suite with bounded concurrency."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from harness.evals.suites import case_digest, messages_for
from harness.protocols import JudgedScorer, Model, Scorer
from harness.records import Case, Completion, Failure, Result, Role, Sampling, Score, Suite, record
from harness.scorers import build

# A judge's verdict should not change between two readings of the same answer.
JUDGE_SAMPLING = Sampling(temperature=0.0, max_tokens=1024)
ASKED_ROLES: tuple[Role, ...] = ("candidate", "base", "promoted")


@record
class Cell:
    """One thing to ask: a trial of a case, put to a role."""

    suite: Suite
    case: Case
    role: Role
    trial: int = 0

    @property
    def key(self) -> tuple[str, str, str, int]:
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
    scores: dict[str, Score] = {}
    if isinstance(outcome, Completion):
        for spec in cell.suite.scorers:
            scores[spec.name] = bounded(await judged(build(spec), cell.case, outcome, judge))
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


def bounded(score: Score) -> Score:
    """The score, or an unscored one when a scorer of somebody's own broke the rule of 0..1."""
    if score.value is None or 0.0 <= score.value <= 1.0:
        return score
    return replace(score, value=None, reason=f"the scorer gave {score.value}, outside 0..1: {score.reason}")


async def judged(
    scorer: Scorer | JudgedScorer, case: Case, completion: Completion, judge: Model | None
) -> Score:
    """The scorer's Score; a judged scorer's question goes to the judge. Trouble with the judge is unscored."""
    if isinstance(scorer, Scorer):
        return scorer.score(case, completion)
    if judge is None:
        return Score(value=None, reason="no judge is configured: set `judge` or --judge")
    reply = await judge.complete(scorer.question(case, completion), JUDGE_SAMPLING)
    if isinstance(reply, Failure):
        return Score(value=None, reason=f"the judge did not answer: {reply.message}")
    return scorer.read(case, completion, reply)


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

"""Distillation: a stronger model answers prompts under its full instruction, and its answers become training rows with a short one.

The teacher is asked as suites are: the same endpoints, answer cache, concurrency, budget and failures. What was answered
once is in the cache before anybody sees it, so a distillation that was killed pays only for what is missing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.dataset import cost_usd
from harness.dataset.examples import SYSTEM_ROLES
from harness.dataset.writing import row_text
from harness.errors import BudgetError, StorageError, UsageError
from harness.evals import (
    Cell,
    OpenModels,
    Prefetcher,
    RoleEstimate,
    cells_of,
    check_budget,
    estimate,
    exact_tokens,
    messages_for,
    most_tokens,
)
from harness.models import AnswerCache, answer_key
from harness.records import Case, Completion, Failure, Message, ModelFacts, Sampling, Suite, record
from harness.serial import digest, file_digest, write_atomic
from harness.texts import read_refusal
from harness.vetting.prompts import Prompts

Shortcoming = Literal["refused", "empty", "cut"]
"""Why an answer becomes no row: the teacher declines or cannot, says nothing, or was cut at its token limit."""
Progress = Callable[[int, int], None]
"""Told the prompts answered so far and the prompts in all."""

# The finish reason of an answer that a provider's filter withheld.
_FILTERED = "content_filter"
_CUT = "length"


@record
class Recipe:
    """How rows are made of prompts.

    Attributes:
        system: What the teacher is told; None leaves prompts as they are.
        student_system: What rows say in its place; empty for no system message at all, None for the teacher's own.
        sampling: How the teacher's answers are drawn.
        keep_refusals: Whether refusals become rows.
        keep_cut: Whether answers cut at `sampling.max_tokens` become rows.
    """

    system: str | None
    student_system: str | None
    sampling: Sampling
    keep_refusals: bool = False
    keep_cut: bool = False


@record
class Unanswered:
    """A prompt without an answer: the Failure's message."""

    line: int
    why: str


@record
class LeftOut:
    """A prompt whose answer became no row."""

    line: int
    why: Shortcoming


@record
class Distillation:
    """What came of it.

    Attributes:
        out: The file of rows, or None when there were none to write.
        digest: SHA-256 of `out`'s bytes.
        source_digest: SHA-256 of the bytes of the prompts' file.
        recipe_digest: Of everything else that decides the rows: instructions, sampling, teacher.
        prompts: Prompts asked, each once; `repeated` lines asked one of them again.
        rows: Rows written.
        from_cache: Answers paid for by an earlier run.
        prompt_tokens, completion_tokens: What this run was billed, where the endpoint says so.
        cost_usd: None where the teacher's price, or the tokens of an answer, are not known.
        left_out: Answers that became no row; `unanswered` are prompts that got none.
    """

    out: Path | None
    digest: str | None
    source: Path
    source_digest: str
    recipe_digest: str
    teacher: str
    endpoint: str
    prompts: int
    repeated: int
    rows: int
    from_cache: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    left_out: tuple[LeftOut, ...]
    unanswered: tuple[Unanswered, ...]
    dropped: Mapping[str, int]

    @property
    def reasons(self) -> Mapping[Shortcoming, int]:
        """How many answers were left out for each reason."""
        return Counter(one.why for one in self.left_out)


def questions(prompts: Prompts, recipe: Recipe) -> Suite:
    """The prompts as a suite without scorers, which is how the teacher is asked.

    Raises:
        UsageError: An instruction is given, and prompts that bring one of their own.
    """
    own = [
        prompt.line
        for prompt in prompts.prompts
        if any(message.get("role") in SYSTEM_ROLES for message in prompt.messages)
    ]
    if own and recipe.system is not None:
        raise UsageError(
            f"{prompts.path}:{own[0]}: the prompt has an instruction of its own, as have {len(own)} in all",
            remedy="remove the system messages, or leave --system out",
        )
    cases = tuple(Case(id=f"line-{prompt.line}", messages=prompt.messages) for prompt in prompts.prompts)
    return Suite(
        name="distill", cases=cases, scorers=(), system=recipe.system or None, sampling=recipe.sampling
    )


def refuse_over_budget(
    suite: Suite, teacher: ModelFacts, *, cache: AnswerCache | None, budget_usd: float | None
) -> None:
    """Refuse a distillation that may cost more than its budget; what `cache` holds is paid for already.

    Raises:
        BudgetError: Before anything is asked.
    """

    def is_paid(cell: Cell) -> bool:
        messages = messages_for(suite, cell.case, cell.role)
        key = answer_key(messages, suite.sampling, endpoint=teacher.endpoint, model=teacher.model)
        return cache is not None and cache.holds(key)

    def expected(count: Callable[[Sequence[Message], str], int]) -> tuple[RoleEstimate, ...]:
        return estimate(
            cells_of(suite, suite.cases, ["candidate"]),
            {"candidate": teacher.model},
            {"candidate": teacher.price},
            is_paid=is_paid,
            count=count,
        )

    try:
        # A bound that needs no tokenizer shows of most files that they are far below.
        check_budget(expected(most_tokens), budget_usd)
    except BudgetError:
        try:
            check_budget(expected(exact_tokens), budget_usd)
        except BudgetError as error:
            remedy = "raise --budget-usd, give fewer prompts, or lower --max-tokens"
            raise BudgetError(error.problem, remedy=remedy) from None


@record
class Asking:
    """Who is asked, and how many at once."""

    teacher: ModelFacts
    open_models: OpenModels
    concurrency: int


def distilled(
    prompts: Prompts, recipe: Recipe, *, asking: Asking, out: Path, progress: Progress | None = None
) -> Distillation:
    """Ask the teacher, in the role `candidate`, and write its answers as chat rows, in the order of the prompts.

    Raises:
        StorageError: The answer cache or `out` cannot be written; a file that lay there is untouched.
        UsageError: As `questions`, or `out` is the file of prompts.
    """
    if out.resolve() == prompts.path.resolve():
        raise UsageError(f"{out} would be written over", remedy="give --out another name")
    suite = questions(prompts, recipe)
    outcomes = _asked(suite, asking, progress)
    rows: list[str] = []
    left_out: list[LeftOut] = []
    for prompt, outcome in zip(prompts.prompts, outcomes, strict=True):
        if isinstance(outcome, Failure):
            continue
        why = _shortcoming(outcome, recipe)
        if why:
            left_out.append(LeftOut(line=prompt.line, why=why))
        else:
            rows.append(_row(prompt.messages, outcome, recipe))
    if rows:
        _write(out, rows)
    answers = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    paid = [answer for answer in answers if not answer.cached]
    return Distillation(
        out=out if rows else None,
        digest=file_digest(out) if rows else None,
        source=prompts.path,
        source_digest=prompts.digest,
        recipe_digest=_recipe_digest(recipe, asking.teacher),
        teacher=asking.teacher.model,
        endpoint=asking.teacher.endpoint,
        prompts=len(prompts.prompts),
        repeated=prompts.repeated,
        rows=len(rows),
        from_cache=len(answers) - len(paid),
        prompt_tokens=sum(answer.usage.prompt_tokens or 0 for answer in paid),
        completion_tokens=sum(answer.usage.completion_tokens or 0 for answer in paid),
        cost_usd=_cost(paid, asking.teacher),
        left_out=tuple(left_out),
        unanswered=tuple(
            Unanswered(line=prompt.line, why=outcome.message)
            for prompt, outcome in zip(prompts.prompts, outcomes, strict=True)
            if isinstance(outcome, Failure)
        ),
        dropped=prompts.dropped,
    )


def _asked(suite: Suite, asking: Asking, progress: Progress | None) -> list[Completion | Failure]:
    """Every case's outcome; a fatal Failure, or an endpoint that is down, ends the asking as it ends a run."""
    cells = cells_of(suite, suite.cases, ["candidate"])
    prefetcher = Prefetcher(asking.open_models, concurrency=asking.concurrency)
    outcomes: list[Completion | Failure] = []
    try:
        prefetcher.request(cells)
        for cell in cells:
            outcomes.append(prefetcher.wait(cell).outcome)
            if progress:
                progress(len(outcomes), len(cells))
    finally:
        prefetcher.close()
    return outcomes


def _shortcoming(answer: Completion, recipe: Recipe) -> Shortcoming | None:
    refuses = bool(answer.refusal) or answer.finish_reason == _FILTERED
    if not recipe.keep_refusals and (refuses or read_refusal(answer.text).kind in {"decline", "cannot"}):
        return "refused"
    if answer.finish_reason == _CUT and not recipe.keep_cut:
        return "cut"
    return None if (answer.text or answer.refusal or "").strip() else "empty"


def _row(asked: Sequence[Message], answer: Completion, recipe: Recipe) -> str:
    """One line of training data. Keys stand in the order in which people read them."""
    turns = list(asked)
    system = recipe.system if recipe.student_system is None else recipe.student_system
    if recipe.student_system is not None:
        turns = [turn for turn in turns if turn.get("role") not in SYSTEM_ROLES]
    told: list[Message] = [{"role": "system", "content": system}] if system else []
    reply: Message = {"role": "assistant", "content": answer.text or answer.refusal}
    return row_text({"messages": [*told, *turns, reply]})


def _write(out: Path, rows: Sequence[str]) -> None:
    try:
        write_atomic(out, "\n".join(rows) + "\n")
    except OSError as error:
        remedy = "choose another place; the answers are in the cache, and are not paid for again"
        raise StorageError(f"{out}: {error.strerror}", remedy=remedy) from error


def _cost(paid: Sequence[Completion], teacher: ModelFacts) -> float | None:
    costs = [cost_usd(answer.usage, teacher.price) for answer in paid]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _recipe_digest(recipe: Recipe, teacher: ModelFacts) -> str:
    return digest(
        {
            "system": recipe.system,
            "student_system": recipe.student_system,
            "max_tokens": recipe.sampling.max_tokens,
            "temperature": recipe.sampling.temperature,
            "keep": [recipe.keep_refusals, recipe.keep_cut],
            "teacher": teacher.model,
            "endpoint": teacher.endpoint,
        }
    )

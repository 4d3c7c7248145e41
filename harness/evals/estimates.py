"""What a run will ask and cost, before anything is asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.dataset import count_message_tokens
from harness.errors import BudgetError
from harness.evals.cells import Cell
from harness.evals.suites import messages_for
from harness.records import Message, Role, record
from harness.serial import canonical

# An answer's length when a suite sets no max_tokens: long for a chat answer, short for an essay.
UNLIMITED_ANSWER_TOKENS = 1024
TOKENS_PER_MILLION = 1_000_000

Count = Callable[[Sequence[Message], str], int]
"""Messages and a model's name to prompt tokens."""


@record
class RoleEstimate:
    """One role's share: requests, prompt tokens, the most tokens the answers may take, the most it may cost."""

    role: Role
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


def exact_tokens(messages: Sequence[Message], model: str) -> int:
    """The prompt's tokens by the model's own tokenizer, whose tables take a second to load."""
    return count_message_tokens(messages, model=model)


def most_tokens(messages: Sequence[Message], model: str) -> int:  # noqa: ARG001 - holds for every model
    """What the prompt's tokens cannot exceed: a token is at least one byte. Nothing has to be loaded for it."""
    return sum(len(canonical(dict(message)).encode("utf-8", "replace")) for message in messages)


def estimate(
    cells: Iterable[Cell],
    models: Mapping[Role, str],
    prices: Mapping[Role, Mapping[str, float]],
    *,
    is_paid: Callable[[Cell], bool],
    count: Count = exact_tokens,
) -> tuple[RoleEstimate, ...]:
    """The run's requests by role; `is_paid` tells of cells whose answers are in the cache already."""
    counted: dict[Role, list[int]] = {}
    for cell in cells:
        if is_paid(cell):
            continue
        line = counted.setdefault(cell.role, [0, 0, 0])
        line[0] += 1
        line[1] += count(messages_for(cell.suite, cell.case, cell.role), models[cell.role])
        line[2] += cell.suite.sampling.max_tokens or UNLIMITED_ANSWER_TOKENS
    return role_estimates(counted, models, prices)


def role_estimates(
    counted: Mapping[Role, Sequence[int]],
    models: Mapping[Role, str],
    prices: Mapping[Role, Mapping[str, float]],
) -> tuple[RoleEstimate, ...]:
    """A line for each role, from its requests, prompt tokens and answer tokens."""
    return tuple(
        RoleEstimate(
            role=role,
            model=models[role],
            requests=requests,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost_of(prompt, completion, prices.get(role, {})),
        )
        for role, (requests, prompt, completion) in counted.items()
    )


def cost_of(prompt: int, completion: int, price: Mapping[str, float]) -> float | None:
    """USD for some tokens; None when a price that is needed is not known."""
    if "input" not in price or ("output" not in price and completion):
        return None
    return (prompt * price["input"] + completion * price.get("output", 0.0)) / TOKENS_PER_MILLION


def check_budget(estimates: Sequence[RoleEstimate], budget_usd: float | None) -> None:
    """Refuse a run that may cost more than its budget.

    Raises:
        BudgetError: The most it may cost is over the budget; roles of unknown price are left out.
    """
    known = [line.cost_usd for line in estimates if line.cost_usd is not None]
    if budget_usd is not None and sum(known) > budget_usd:
        raise BudgetError(
            f"this run may cost up to {sum(known):.4g} USD, the budget is {budget_usd:g} USD; nothing was asked",
            remedy="raise --budget-usd, select cases with -k, or lower max_tokens in the suites",
        )


def estimate_lines(estimates: Sequence[RoleEstimate]) -> list[str]:
    """An estimate as a person reads it, a line a role and the sum."""
    lines = [
        f"{line.role}: {line.model}: {line.requests} requests, {line.prompt_tokens:,} prompt tokens, "
        f"at most {line.completion_tokens:,} answer tokens, {_dollars(line.cost_usd)}"
        for line in estimates
    ]
    known = [line.cost_usd for line in estimates]
    total = sum(cost for cost in known if cost is not None)
    unknown = " and what the models of unknown price cost" if None in known else ""
    return [*lines, f"in all at most {total:.4f} USD{unknown}; nothing was asked"]


def _dollars(cost: float | None) -> str:
    return "price unknown" if cost is None else f"at most {cost:.4f} USD"

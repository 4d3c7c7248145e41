"""What a run will ask and cost, before anything is asked: what it probably takes, within which range, or the most it may."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from harness.dataset import (
    cost_usd,
    count_message_tokens,
    count_tokens,
    encoding_for,
    knows_encoding,
    tool_text,
)
from harness.errors import BudgetError
from harness.evals.cells import Cell
from harness.evals.digests import case_digest
from harness.evals.lengths import Ground, Length, longest
from harness.evals.precedents import Precedents, PromptCount, asked_as
from harness.evals.suites import messages_for
from harness.records import Message, Role, Usage, record
from harness.serial import canonical

CALIBRATION_PROMPTS = 50
"""Prompts counted to compare our tokenizer with what an endpoint counts: their sum is then known to about a percent."""

Count = Callable[[Sequence[Message], str], int]
"""Messages and a model's name to prompt tokens."""


@record
class RoleEstimate:
    """One role's share: requests, tokens and money as they probably will be, or as the most they may be.

    The ranges hold the sum in four of five runs; None where the figures are bounds. `free` requests are answered from the
    cache. `grounds` says of how many requests the answers' length rests on what. Money is None where a price is not known.
    """

    role: Role
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    range_tokens: tuple[int, int] | None = None
    range_usd: tuple[float, float] | None = None
    free: int = 0
    grounds: Mapping[Ground, int] = field(default_factory=dict)


@record
class Share:
    """Requests of one role and what they take, before the tokens have a price."""

    requests: float = 0
    prompt: Length = Length(low=0, likely=0, high=0)
    completion: Length = Length(low=0, likely=0, high=0)
    free: int = 0
    grounds: Mapping[Ground, float] = field(default_factory=dict)

    def with_request(self, prompt: Length, completion: Length, *, chance: float = 1.0) -> "Share":
        """The share with one more request, which comes with some chance."""
        ground = completion.ground
        if chance < 1:
            prompt, completion = prompt.by_chance(chance), completion.by_chance(chance)
        return Share(
            requests=self.requests + chance,
            prompt=_sum(self.prompt, prompt),
            completion=_sum(self.completion, completion),
            free=self.free,
            grounds={**self.grounds, ground: self.grounds.get(ground, 0) + chance},
        )


def _sum(one: Length, other: Length) -> Length:
    return Length(
        low=one.low + other.low,
        likely=one.likely + other.likely,
        high=one.high + other.high,
        ground=one.ground,
    )


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
    precedents: Precedents | None = None,
) -> tuple[RoleEstimate, ...]:
    """The run's requests by role.

    Args:
        cells: What is to be answered.
        models: By role.
        prices: USD per 1M tokens, by role.
        is_paid: Tells of cells whose answers are in the cache already, or will be when it is their turn.
        count: Counts the tokens of a prompt.
        precedents: What earlier runs took; without them every answer counts as the longest that its suite allows.
    """
    listed = list(cells)
    scales = Scales(listed, models, count=count, precedents=precedents)
    shares: dict[Role, Share] = {}
    for cell in listed:
        share = shares.setdefault(cell.role, Share())
        if is_paid(cell):
            shares[cell.role] = replace(share, free=share.free + 1)
            continue
        model = models[cell.role]
        tokens = count(prompt_of(cell), model) * scales.of(cell.role).factor
        prompt = Length(low=tokens, likely=tokens, high=tokens)
        shares[cell.role] = share.with_request(prompt, answer_length(cell, model, precedents))
    return role_estimates(shares, models, prices, scales=scales)


def answer_length(cell: Cell, model: str, precedents: Precedents | None) -> Length:
    """How long the answer to a cell will be; without precedents the longest it may be."""
    if precedents is None:
        return longest(cell.suite.sampling.max_tokens)
    return precedents.answer(cell, model, count=partial(count_tokens, encoding=encoding_for(model)))


def prompt_of(cell: Cell) -> tuple[Message, ...]:
    """What a cell sends, its tools as one more message."""
    messages = messages_for(cell.suite, cell.case, cell.role)
    tools = tool_text({"tools": [dict(tool) for tool in cell.suite.sampling.tools]})
    return (*messages, {"role": "system", "content": tools}) if tools else messages


# --- how an endpoint counts -------------------------------------------------------------------------------------------


@record
class Scale:
    """An endpoint's own count of a prompt for each token of ours, and the share that its own cache had."""

    factor: float = 1.0
    cached: float = 0.0


class Scales:
    """How the models of a run count prompts, by what they counted before; as we do where that is not known.

    Args:
        cells: What is to be asked; their suites have the prompts that are counted again.
        models: By role.
        count: Our own way to count.
        precedents: What earlier runs took.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        models: Mapping[Role, str],
        *,
        count: Count,
        precedents: Precedents | None,
    ) -> None:
        self._models = models
        self._count = count
        self._prompts = precedents.prompts if precedents is not None else {}
        self._suites = {cell.suite.name: cell.suite for cell in cells}
        self._known: dict[Role, Scale] = {}

    def of(self, role: Role) -> Scale:
        """The scale of the model that plays a role."""
        if role not in self._known:
            self._known[role] = self._scale(role)
        return self._known[role]

    def _scale(self, role: Role) -> Scale:
        model = self._models[role]
        suite_roles = {asked_as(suite, role) for suite in self._suites.values()}
        told = [count for one in suite_roles for count in self._prompts.get((one, model), ())]
        if not told and not knows_encoding(model):
            # Whoever played the role before most likely had the same tokenizer, and ours is not this model's.
            told = [count for one in suite_roles for count in self._prompts.get((one, ""), ())]
        pairs = [(one, cell) for one in told if (cell := self._cell(one)) is not None]
        step = max(1, len(pairs) // CALIBRATION_PROMPTS)
        chosen = pairs[::step][:CALIBRATION_PROMPTS]
        ours = sum(self._count(prompt_of(cell), model) for _, cell in chosen)
        theirs = sum(one.prompt_tokens for one, _ in chosen)
        if not ours or not theirs:
            return Scale()
        return Scale(factor=theirs / ours, cached=sum(one.cached_tokens for one, _ in chosen) / theirs)

    def _cell(self, told: PromptCount) -> Cell | None:
        """The cell of an earlier prompt, where it is still the same."""
        suite = self._suites.get(told.suite)
        case = next((one for one in suite.cases if one.id == told.case), None) if suite is not None else None
        if suite is None or case is None or case_digest(suite, case) != told.digest:
            return None
        return Cell(suite=suite, case=case, role=told.role)


# --- money ------------------------------------------------------------------------------------------------------------


def role_estimates(
    shares: Mapping[Role, Share],
    models: Mapping[Role, str],
    prices: Mapping[Role, Mapping[str, float]],
    *,
    scales: Scales,
) -> tuple[RoleEstimate, ...]:
    """A line for each role, from what its requests take."""
    return tuple(
        _role_estimate(role, share, model=models[role], price=prices.get(role, {}), scales=scales)
        for role, share in shares.items()
    )


def _role_estimate(
    role: Role, share: Share, *, model: str, price: Mapping[str, float], scales: Scales
) -> RoleEstimate:
    prompt, completion = share.prompt, share.completion
    cached = scales.of(role).cached if share.requests else 0.0

    def money(prompt_tokens: float, completion_tokens: float) -> float | None:
        usage = Usage(
            prompt_tokens=round(prompt_tokens),
            completion_tokens=round(completion_tokens),
            cached_tokens=round(cached * prompt_tokens),
        )
        return cost_usd(usage, price)

    low, high = money(prompt.low, completion.low), money(prompt.high, completion.high)
    is_bound = (prompt.low, completion.low) == (prompt.high, completion.high)
    return RoleEstimate(
        role=role,
        model=model,
        requests=round(share.requests),
        prompt_tokens=round(prompt.likely),
        completion_tokens=round(completion.likely),
        cost_usd=money(prompt.likely, completion.likely),
        range_tokens=None
        if is_bound
        else (round(prompt.low + completion.low), round(prompt.high + completion.high)),
        range_usd=None if is_bound or low is None or high is None else (low, high),
        free=share.free,
        grounds={ground: round(number) for ground, number in share.grounds.items()},
    )


def together(lines: Sequence[RoleEstimate]) -> RoleEstimate:
    """Several estimates of one role as one, at least one; money is None where that of a part is not known."""
    costs = [line.cost_usd for line in lines]
    totals = [line.range_tokens or (2 * (line.prompt_tokens + line.completion_tokens,)) for line in lines]
    has_range = any(line.range_tokens for line in lines)
    _, low, high = total_usd(lines)
    is_known = None not in costs
    grounds = {ground for line in lines for ground in line.grounds}
    return replace(
        lines[0],
        requests=sum(line.requests for line in lines),
        prompt_tokens=sum(line.prompt_tokens for line in lines),
        completion_tokens=sum(line.completion_tokens for line in lines),
        cost_usd=sum(cost or 0.0 for cost in costs) if is_known else None,
        range_tokens=(sum(least for least, _ in totals), sum(most for _, most in totals))
        if has_range
        else None,
        range_usd=(low, high) if has_range and is_known else None,
        free=sum(line.free for line in lines),
        grounds={ground: sum(line.grounds.get(ground, 0) for line in lines) for ground in grounds},
    )


def check_budget(estimates: Sequence[RoleEstimate], budget_usd: float | None) -> None:
    """Refuse a run that would cost more than its budget.

    Raises:
        BudgetError: What it probably costs, or may cost, is over the budget; roles of unknown price are left out.
    """
    total, _, high = total_usd(estimates)
    if budget_usd is None or total <= budget_usd:
        return
    what = f"may cost up to {total:.4g} USD" if total == high else f"would cost about {total:.4g} USD"
    raise BudgetError(
        f"this run {what}, the budget is {budget_usd:g} USD; nothing was asked",
        remedy="raise --budget-usd, select cases with -k, or lower max_tokens in the suites",
    )


def total_usd(estimates: Iterable[RoleEstimate]) -> tuple[float, float, float]:
    """The money of all roles of known price: probably, at least, at most."""
    known = [(line.cost_usd, line.range_usd) for line in estimates if line.cost_usd is not None]
    ends = [(cost, ends or (cost, cost)) for cost, ends in known]
    return (
        sum(cost for cost, _ in ends),
        sum(low for _, (low, _) in ends),
        sum(high for _, (_, high) in ends),
    )


# --- in words ---------------------------------------------------------------------------------------------------------


def estimate_lines(estimates: Sequence[RoleEstimate]) -> list[str]:
    """An estimate as a person reads it: a line a role, the sum, what it rests on."""
    total, low, high = total_usd(estimates)
    unknown = any(line.cost_usd is None and line.requests for line in estimates)
    more = " and what the models of unknown price cost" if unknown else ""
    said = f"at most {total:.4f} USD" if total == high else f"about {total:.4f} USD ({low:.4f} to {high:.4f})"
    return [*map(_line, estimates), f"in all {said}{more}; nothing was asked", *_grounds(estimates)]


def _line(line: RoleEstimate) -> str:
    """`candidate: m: 4 requests, 3 more from the cache, 120 prompt tokens, about 64 answer tokens, about 0.0120 USD`."""
    likely = line.prompt_tokens + line.completion_tokens
    is_bound = line.range_tokens is None or line.range_tokens[1] == likely
    about = "at most" if is_bound else "about"
    words = [f"{line.requests} requests"]
    if line.free:
        words.append(f"{line.free} more from the cache")
    if line.requests:
        words.append(f"{line.prompt_tokens:,} prompt tokens")
        words.append(f"{about} {line.completion_tokens:,} answer tokens")
        words.append("price unknown" if line.cost_usd is None else f"{about} {line.cost_usd:.4f} USD")
    return f"{line.role}: {line.model}: {', '.join(words)}"


def _grounds(estimates: Sequence[RoleEstimate]) -> Iterator[str]:
    """What the lengths of the answers rest on, the surest first; nothing where only their limits count."""
    told: dict[Ground, str] = {
        "the same model": "earlier answers of the same model",
        "earlier models": "earlier answers of other models in its place",
        "expected answers": "the answers that cases expect",
        "max_tokens": "max_tokens",
    }
    sums = {ground: sum(line.grounds.get(ground, 0) for line in estimates) for ground in told}
    if any(ground != "max_tokens" and number for ground, number in sums.items()):
        parts = [f"of {number:,} by {told[ground]}" for ground, number in sums.items() if number]
        yield f"the lengths of the answers are foretold: {', '.join(parts)}"

"""`--batch`: what a run has to ask is sent as batches, before its first case is judged; what they leave is asked one by one."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from harness.dataset import count_message_tokens, knows_encoding
from harness.errors import BudgetError, HarnessError
from harness.evals import REUSED
from harness.evals.batch_ledger import BatchLedger
from harness.evals.gathering import NotingModel, gather
from harness.lineup import STATE, Seat, Teller
from harness.models import NOTHING_KNOWN, AnswerCache, CachedModel, Purse
from harness.models.batch_lines import Unasked
from harness.models.metered import LONGEST_ANSWER_TOKENS, most_prompt_tokens
from harness.protocols import Model
from harness.pytest_plugin.questions import Questions
from harness.records import ModelFacts, Role, Usage
from harness.verdict import usage_cost

FOLDER = "batches"
UNMEASURED = "latency_s"

Count = Callable[[Unasked], int]
"""The tokens of a request's prompt."""


def send_in_batches(questions: Questions, cache: AnswerCache, *, run: str, teller: Teller) -> None:
    """Have everything answered that batches can answer, if that is wanted, and note which batches were sent for this run.

    Raises:
        BudgetError: What would be sent may cost more than is left.
        HarnessError: There is no Batch API, a batch was refused or cancelled, the ledger cannot be written.
    """
    if not questions.settings.batch:
        return
    # Not imported above: it takes the official client half a second to load, and few runs need it.
    from harness.evals.batching import BatchTerms, Sent, send_batches

    if any(gate.metric == UNMEASURED for name in questions.selected for gate in questions.suites[name].gates):
        teller.say(
            f"warning: gates on {UNMEASURED} stay undecided: nobody measures an answer's time in a batch"
        )
    ledger = BatchLedger(questions.settings.path(Path(STATE)) / FOLDER)
    sent, till = Sent(batches=ledger.batches_of(run)), Till(questions.purse, questions.seats.values())
    terms = BatchTerms(
        ledger=ledger,
        cache=cache,
        run=run,
        say=teller.say,
        progress=teller.progress,
        allow=till.allow,
        paid=till.paid,
    )
    try:
        asyncio.run(send_batches(partial(_missing, questions, cache, sent.batches), terms, sent=sent))
    except (KeyboardInterrupt, HarnessError):
        _tell_what_goes_on(ledger, run=run, teller=teller)
        raise
    if left := sum(sent.left.values()):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sent.left.most_common())
        teller.say(f"{left:,} requests got no answer from a batch and are asked one by one: {reasons}")
    questions.batches = frozenset(sent.batches)


async def _missing(
    questions: Questions, cache: AnswerCache, batches: Collection[str]
) -> Mapping[str, Unasked]:
    """What has no answer now, by the keys of the answers."""
    noted: dict[str, Unasked] = {}
    models: dict[Role, Model] = {
        role: CachedModel(
            NotingModel(seat.model, seat.endpoint, noted),
            cache,
            endpoint=seat.endpoint.label,
            read=questions.settings.cache,
            known=questions.known if role in REUSED else NOTHING_KNOWN,
            batches=batches,
        )
        for role, seat in questions.seats.items()
        if role != "embedding"
    }
    await gather(
        (cell for name in questions.selected for cell in questions.cells(questions.suites[name])), models
    )
    return noted


def _tell_what_goes_on(ledger: BatchLedger, *, run: str, teller: Teller) -> None:
    going = [entry for entry in ledger.records() if entry.run == run and entry.step in {"asked", "sent"}]
    if going:
        named = ", ".join(
            f"{entry.batch or 'one whose id is not known yet'} ({entry.endpoint})" for entry in going
        )
        teller.say(
            f"these batches go on without this command: {named}. The same command collects them, nothing is paid twice; "
            "to stop them, cancel them at the provider"
        )


class Till:
    """The run's money, as far as batches are concerned; without a purse there is no limit."""

    def __init__(self, purse: Purse | None, seats: Iterable[Seat]) -> None:
        self._purse = purse
        self._facts: dict[tuple[str, str], ModelFacts] = {
            (seat.endpoint.label, seat.model): seat.facts() for seat in seats
        }
        self._most_usd: dict[str, float] = {}

    def allow(self, requests: Sequence[Unasked]) -> None:
        """See that there is money for the most that some requests may cost.

        A token is at least a byte, which bounds most batches well enough; only what that would refuse is counted.

        Raises:
            BudgetError: There is not, and none of them was sent.
        """
        most = self._set_aside(requests, _bounded_tokens)
        if self._is_too_much(most):
            most = self._set_aside(requests, _counted_tokens)
        purse = self._purse
        if purse is not None and self._is_too_much(most):
            raise BudgetError(
                f"a batch of {len(requests):,} requests may cost up to {most:.4g} USD, {purse.spent_usd:.4g} USD are spent, the "
                f"budget is {purse.budget_usd:g} USD; it was not sent",
                remedy="raise --budget-usd, select cases with -k, or lower max_tokens in the suites",
            )

    def paid(self, model: tuple[str, str], usages: Mapping[str, Usage]) -> None:
        """Take what some answers cost; at its worst where the provider does not say what they took."""
        facts = self._facts.get(model)
        if self._purse is None or facts is None:
            return
        for key, usage in usages.items():
            cost = usage_cost(usage, facts, by_batch=True)
            self._purse.spent_usd += self._most_usd.get(key, 0.0) if cost is None else cost

    def _is_too_much(self, most_usd: float) -> bool:
        return self._purse is not None and self._purse.spent_usd + most_usd > self._purse.budget_usd

    def _set_aside(self, requests: Sequence[Unasked], count: Count) -> float:
        """The most that some requests may cost together, noted for each."""
        for request in requests:
            facts = self._facts[request.endpoint.label, request.model]
            usage = Usage(
                prompt_tokens=count(request),
                completion_tokens=request.sampling.max_tokens or LONGEST_ANSWER_TOKENS,
            )
            self._most_usd[request.key] = usage_cost(usage, facts, by_batch=True) or 0.0
        return sum(self._most_usd[request.key] for request in requests)


def _bounded_tokens(request: Unasked) -> int:
    return most_prompt_tokens(request.messages, request.sampling)


def _counted_tokens(request: Unasked) -> int:
    """A prompt of texts by the model's own tokenizer, tools and schemas by their bytes; all of it by bytes where that is not known."""
    is_text = all(isinstance(message.get("content"), str) for message in request.messages)
    if not is_text or not knows_encoding(request.model):
        return _bounded_tokens(request)
    return count_message_tokens(request.messages, model=request.model) + most_prompt_tokens(
        (), request.sampling
    )

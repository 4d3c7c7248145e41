"""What batches take out of the run's purse."""

import pytest

from harness.errors import BudgetError
from harness.lineup import Seat
from harness.models import Purse
from harness.models.batch_lines import Unasked, unasked
from harness.models.metered import most_prompt_tokens
from harness.pytest_plugin.batches import Till
from harness.records import Endpoint, Sampling, Usage

HERE = Endpoint(label="here")
SEAT = Seat(model="m", endpoint=HERE, price={"input": 2.0, "cached": 0.1, "output": 8.0})
SAMPLING = Sampling(max_tokens=1000)


def request(prompt: str = "hello") -> Unasked:
    return unasked(HERE, "m", ({"role": "user", "content": prompt},), SAMPLING, trial=0)


MOST_USD = (most_prompt_tokens(request().messages, SAMPLING) * 1.0 + 1000 * 4.0) / 1e6


def test_the_most_that_a_batch_may_cost_must_be_there() -> None:
    Till(Purse(2.01 * MOST_USD), [SEAT]).allow([request(), request()])
    with pytest.raises(BudgetError, match="it was not sent"):
        Till(Purse(1.99 * MOST_USD), [SEAT]).allow([request(), request()])


def test_tokens_are_counted_where_bytes_would_refuse() -> None:
    known = Seat(model="gpt-4.1-mini-2025-04-14", endpoint=HERE, price=SEAT.price)
    long = ({"role": "user", "content": "hello there " * 1000},)
    asked = unasked(HERE, known.model, long, SAMPLING, trial=0)
    by_bytes = (most_prompt_tokens(long, SAMPLING) * 1.0 + 1000 * 4.0) / 1e6
    Till(Purse(by_bytes / 2), [known]).allow([asked])
    with pytest.raises(BudgetError):
        Till(Purse((2000 * 1.0 + 1000 * 4.0) / 1e6), [known]).allow([asked])
    with pytest.raises(BudgetError):
        Till(Purse(by_bytes / 2), [SEAT]).allow([unasked(HERE, "m", long, SAMPLING, trial=0)])


def test_answers_are_paid_at_the_price_of_batches() -> None:
    purse = Purse(1.0)
    usage = Usage(prompt_tokens=100, cached_tokens=90, completion_tokens=10)
    Till(purse, [SEAT]).paid(("here", "m"), {"k": usage})
    assert purse.spent_usd == pytest.approx((100 * 1.0 + 10 * 4.0) / 1e6)


def test_an_answer_whose_tokens_nobody_tells_is_paid_at_its_worst() -> None:
    purse = Purse(1.0)
    till = Till(purse, [SEAT])
    till.allow([request()])
    till.paid(("here", "m"), {request().key: Usage()})
    assert purse.spent_usd == pytest.approx(MOST_USD)


def test_the_next_batch_has_what_the_first_left() -> None:
    till = Till(Purse(1.5 * MOST_USD), [SEAT])
    till.allow([request()])
    till.paid(("here", "m"), {request().key: Usage()})
    with pytest.raises(BudgetError):
        till.allow([request("again")])


def test_without_a_budget_or_a_price_anything_may_be_sent() -> None:
    Till(None, [SEAT]).allow([request()])
    Till(Purse(0.0), [Seat(model="m", endpoint=HERE, price={})]).allow([request()])

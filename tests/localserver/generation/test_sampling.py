import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.localserver.generation.sampling import Chooser, Manner, choose

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])


def chooser_of(*, temperature: float, top_p: float, seed: int) -> Chooser:
    return Chooser(Manner(temperature=temperature, top_p=top_p, seed=seed))


def drawn(count: int, *, temperature: float = 1.0, top_p: float = 1.0, seed: int = 0) -> list[int]:
    how = chooser_of(temperature=temperature, top_p=top_p, seed=seed)
    return [choose(LOGITS[None], [how])[0] for _ in range(count)]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert drawn(20, temperature=0.0) == [0] * 20


def test_first_of_equals_is_taken() -> None:
    how = chooser_of(temperature=0.0, top_p=1.0, seed=0)
    assert choose(torch.tensor([[1.0, 3.0, 3.0]]), [how]) == [1]


def test_shares_follow_the_softmax() -> None:
    found = drawn(4000)
    total = sum(math.exp(value) for value in LOGITS.tolist())
    for token, logit in enumerate(LOGITS.tolist()):
        share = math.exp(logit) / total
        # Four standard errors of a share; the seed is fixed, so this never fails by chance.
        assert abs(found.count(token) / 4000 - share) < 4 * math.sqrt(share * (1 - share) / 4000) + 1e-9


def test_higher_temperature_spreads() -> None:
    assert (
        drawn(1000, temperature=3.0).count(0)
        < drawn(1000, temperature=1.0).count(0)
        < drawn(1000, temperature=0.3).count(0)
    )


def test_temperature_near_zero_takes_the_likeliest() -> None:
    assert drawn(50, temperature=1e-300) == [0] * 50


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    # The shares are 0.644, 0.237, 0.087, 0.032 and nothing.
    assert set(drawn(500, top_p=0.6)) == {0}
    assert set(drawn(500, top_p=0.7)) == {0, 1}
    assert set(drawn(500, top_p=0.9)) == {0, 1, 2}


def test_top_p_zero_still_gives_a_token() -> None:
    assert set(drawn(50, top_p=0.0)) == {0}


def test_seed_decides() -> None:
    assert drawn(30, seed=7) == drawn(30, seed=7)
    assert drawn(30, seed=7) != drawn(30, seed=8)


@given(seed=st.integers(-(2**63), 2**63 - 1), others=st.integers(0, 5))
def test_draw_does_not_depend_on_other_rows(seed: int, others: int) -> None:
    alone = choose(LOGITS[None], [chooser_of(temperature=1.0, top_p=0.95, seed=seed)])
    table = torch.cat((torch.zeros(others, 5), LOGITS[None]))
    settings = [chooser_of(temperature=2.0, top_p=1.0, seed=number) for number in range(others)]
    beside = choose(table, [*settings, chooser_of(temperature=1.0, top_p=0.95, seed=seed)])
    assert beside[-1] == alone[0]

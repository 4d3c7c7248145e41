import math

import pytest
import torch
from torch.nn import functional

from harness.localserver.training.objectives import Measure, answer_sums, imitation, preference
from harness.localserver.training.packing import Branch, Row, pack_rows

# Two pairs: of two and one, and of one and three answer tokens.
ROWS = [
    Row(
        inputs=(1, 2, 3, 4, 5),
        places=(1, 2, 1),
        labels=(7, 8, 9),
        tokens=6,
        branches=(Branch(tokens=2, answers=2), Branch(tokens=1, answers=1)),
    ),
    Row(
        inputs=(1, 2, 3, 4, 6, 7),
        places=(1, 1, 3, 4),
        labels=(7, 8, 9, 9),
        tokens=7,
        branches=(Branch(tokens=1, answers=1), Branch(tokens=3, answers=3)),
    ),
]
PACK = pack_rows(ROWS, [0, 1])
LOSSES = [1.0, 0.5, 2.0, 3.0, 0.25, 0.25, 0.25]
RIGHT = [True, False, True, True, False, True, False]
REFERENCES = [[-2.0, -2.0], [-2.0, -1.0]]


def test_losses_are_summed_by_answer() -> None:
    assert answer_sums(torch.tensor(LOSSES), PACK).tolist() == [[1.5, 2.0], [3.0, 0.75]]


def test_preference_is_by_what_each_answer_has_gained() -> None:
    """Gains are 0.5 and 0.0 in the first pair, -1.0 and 0.25 in the second."""
    measure, loss = preference(PACK, REFERENCES, beta=2.0)(torch.tensor(LOSSES), torch.tensor(RIGHT))
    margins = [2.0 * (0.5 - 0.0), 2.0 * (-1.0 - 0.25)]
    expected = sum(math.log1p(math.exp(-margin)) for margin in margins)
    assert float(loss) == pytest.approx(expected)
    assert measure == Measure(
        loss_sum=float(loss), count=2, right=2, answers=3, pairs=2, wins=1, margin_sum=sum(margins)
    )


def test_gradient_is_that_of_autograd() -> None:
    """Against the loss written out in plain tensors, over random log-probabilities."""
    losses = torch.rand(7, dtype=torch.float64, requires_grad=True)
    _, mine = preference(PACK, REFERENCES, beta=0.3)(losses, torch.tensor(RIGHT))
    first = (-(losses[0] + losses[1]) + 2.0) - (-losses[2] + 2.0)
    second = (-losses[3] + 2.0) - (-(losses[4] + losses[5] + losses[6]) + 1.0)
    theirs = -functional.logsigmoid(0.3 * first) - functional.logsigmoid(0.3 * second)
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, losses)[0] for loss in (mine, theirs)))


def test_imitation_is_the_sum() -> None:
    measure, loss = imitation(torch.tensor(LOSSES), torch.tensor(RIGHT))
    assert measure == Measure(loss_sum=7.25, count=7, right=4, answers=7)
    assert float(loss) == 7.25


def test_measures_of_two_sets_add_up() -> None:
    one = Measure(loss_sum=1.0, count=2, right=3, answers=4, pairs=5, wins=6, margin_sum=7.0)
    assert one + one == Measure(loss_sum=2.0, count=4, right=6, answers=8, pairs=10, wins=12, margin_sum=14.0)


def test_figures_are_means_and_nothing_is_none() -> None:
    measure = Measure(loss_sum=3.0, count=2, right=3, answers=4, pairs=2, wins=1, margin_sum=0.5)
    assert measure.figures(preferences=True) == {
        "loss": 1.5,
        "mean_token_accuracy": 0.75,
        "preference_accuracy": 0.5,
        "reward_margin": 0.25,
    }
    assert Measure().figures(preferences=False) == {"loss": None, "mean_token_accuracy": None}

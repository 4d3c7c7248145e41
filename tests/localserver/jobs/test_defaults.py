import pytest

from harness.localserver.jobs.defaults import default_batch, default_epochs, resolved
from harness.localserver.state.objects import Hyperparameters


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [
        (10, 10),
        (15, 6),
        (20, 5),
        (33, 3),
        (34, 3),
        (80, 3),
        (103, 3),
        (1110, 3),
        (8333, 3),
        (8334, 2),
        (30_000, 1),
    ],
)
def test_default_epochs_are_those_of_real_jobs(examples: int, epochs: int) -> None:
    assert default_epochs(examples) == epochs


@pytest.mark.parametrize(("examples", "batch"), [(10, 4), (1110, 4), (2500, 5), (100_000, 200), (10**6, 256)])
def test_the_default_batch_starts_at_four(examples: int, batch: int) -> None:
    assert default_batch(examples) == batch


def test_auto_becomes_a_number_and_numbers_stay() -> None:
    assert resolved(Hyperparameters(), examples=20) == Hyperparameters(
        n_epochs=5, batch_size=4, learning_rate_multiplier=1.0, beta=0.1
    )
    chosen = Hyperparameters(n_epochs=1, batch_size=2, learning_rate_multiplier=0.3, beta=0.4)
    assert resolved(chosen, examples=20) == chosen

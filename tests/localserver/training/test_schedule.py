import pytest

from harness.localserver.training.schedule import Schedule


def schedule(rows: int = 10, n_epochs: int = 3, batch_size: int = 4) -> Schedule:
    return Schedule(rows=rows, n_epochs=n_epochs, batch_size=batch_size, seed=0)


@pytest.mark.parametrize(
    ("rows", "n_epochs", "batch_size", "steps", "ends"),
    [
        (10, 3, 4, 8, {3, 5, 8}),
        (100, 3, 4, 75, {25, 50, 75}),
        (10, 3, 1, 30, {10, 20, 30}),
        (10, 4, 256, 1, {1}),
        (59, 5, 7, 43, {9, 17, 26, 34, 43}),
    ],
)
def test_batches_run_on_across_epochs(
    rows: int, n_epochs: int, batch_size: int, steps: int, ends: frozenset[int]
) -> None:
    found = schedule(rows, n_epochs, batch_size)
    batches = list(found.batches())
    assert (found.steps, len(batches), found.epoch_ends()) == (steps, steps, ends)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    order = [index for batch in batches for index in batch]
    for epoch in range(n_epochs):
        assert sorted(order[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


def test_epochs_differ_in_order() -> None:
    order = [index for batch in schedule().batches() for index in batch]
    assert order[:10] != order[10:20]


def test_rate_rises_and_falls() -> None:
    found = schedule(100, 4, 4)
    rates = [found.rate(step) for step in range(1, 101)]
    assert rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] <= 1 / 90
    assert 0 < rates[0] <= 0.1


def test_rate_of_a_single_step_is_full() -> None:
    assert schedule(4, 1, 4).rate(1) == 1.0


@pytest.mark.parametrize(("rows", "steps"), [(100, range(1, 10)), (101, [1, 11, 21]), (1001, [1, 101, 201])])
def test_validation_is_as_rare_as_the_job_is_long(rows: int, steps: object) -> None:
    found = schedule(rows, 1, 1)
    assert [step for step in range(1, 202) if found.validates(step)][: len(list(steps))] == list(steps)


def test_exam_goes_round_the_validation_rows() -> None:
    found = schedule(rows=10, n_epochs=3, batch_size=4)
    assert [found.exam(step, rows=6) for step in (1, 2, 3)] == [[0, 1, 2, 3], [0, 1, 4, 5], [2, 3, 4, 5]]


def test_exam_of_few_rows_is_all_of_them() -> None:
    assert schedule(batch_size=256).exam(3, rows=2) == [0, 1]

"""Loading looks for no garbage, and gives the search back as it was."""

import gc
from collections.abc import Iterator

import pytest

from harness.pytest_plugin import uncollected
from harness.pytest_plugin.readiness import leave_no_garbage


@pytest.fixture(autouse=True)
def _search_as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_looked_for_while_modules_load_and_everything_after() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_search_goes_on_where_a_module_cannot_be_loaded() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()


def test_a_search_that_somebody_turned_off_stays_off() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_what_was_loaded_is_not_looked_at_again() -> None:
    gc.unfreeze()
    with uncollected():
        pass
    assert gc.get_freeze_count() > 0


def test_garbage_of_other_tests_is_left_for_pytest_to_find(request: pytest.FixtureRequest) -> None:
    gc.unfreeze()
    leave_no_garbage([request.node])
    assert gc.get_freeze_count() == 0

"""Loading looks for no garbage, and gives the search back as it was."""

import gc
import signal
import threading
from collections.abc import Iterator

import pytest

from harness.pytest_plugin import uncollected
from harness.pytest_plugin.readiness import leave_no_garbage, uninterrupted


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


def test_ctrl_c_waits_for_the_end_of_the_loading() -> None:
    done = []

    def load() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("loaded")

    with pytest.raises(KeyboardInterrupt):
        load()
    assert done == ["loaded"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_nothing_is_interrupted() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_thread_that_gets_no_signals_loads_all_the_same() -> None:
    done = []

    def load() -> None:
        with uninterrupted():
            done.append("loaded")

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert done == ["loaded"]

import errno
import logging

import pytest

from harness.errors import StorageError, UsageError
from harness.localserver.api.failures import failure_of
from harness.localserver.api.wire import ApiError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StorageError("/home/maud/state/jobs/x/step-3: damaged", remedy="train it again"), "step-3: damaged"),
        (StorageError("cannot read '/home/maud lee/model.gguf'"), "cannot read 'model.gguf'"),
        (StorageError(r"C:\Users\maud\model.gguf: no such file"), "model.gguf: no such file"),
        (UsageError("prompt/completion rows and/or chats"), "prompt/completion rows and/or chats"),
        (OSError(errno.ENOSPC, "No space left on device", "/home/maud/state"), "No space left on device"),
        (FileNotFoundError("/home/maud/state"), "FileNotFoundError"),
        (RuntimeError("/home/maud/state"), "(RuntimeError)"),
    ],
)
def test_a_failure_is_told_without_the_place_on_the_disk(error: Exception, message: str) -> None:
    told = failure_of(error)
    assert (told.status, told.kind) == (500, "server_error")
    assert message in told.message
    assert "maud" not in told.message


def test_the_place_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        failure_of(StorageError("/home/maud/state/x: damaged"))
    assert "/home/maud/state/x: damaged" in caplog.text


def test_an_error_of_the_callers_is_itself() -> None:
    error = ApiError("no", status=404)
    assert failure_of(error) is error

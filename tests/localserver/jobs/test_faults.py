import errno

import pytest

from harness.localserver.jobs.faults import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/home/ann/state/jobs/x"),
            "No space left on device",
        ),
        (FileNotFoundError("/home/ann/state"), "FileNotFoundError"),
        (ValueError("out of luck"), "out of luck"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_reason_names_no_place_on_the_disk(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason

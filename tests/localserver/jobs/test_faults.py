import errno

import pytest

from harness.localserver.jobs.faults import reason_of, without_folders


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/home/ann/state/jobs/x"),
            "No space left on device",
        ),
        (FileNotFoundError("/home/ann/state"), "FileNotFoundError"),
        (ValueError("out of luck"), "out of luck"),
        (ValueError("/home/ann/state/x: damaged"), "x: damaged"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_reason_names_no_place_on_the_disk(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot read '/home/ann lee/model.gguf'", "cannot read 'model.gguf'"),
        ("No such file: '/state/jobs/x'; /state/y: gone", "No such file: 'x'; y: gone"),
        (r"C:\Users\ann\model.gguf: no such file", "model.gguf: no such file"),
        ("prompt/completion rows and/or chats", "prompt/completion rows and/or chats"),
        ("see http://127.0.0.1:8000/v1", "see http://127.0.0.1:8000/v1"),
        ("3 / 4 of it", "3 / 4 of it"),
    ],
)
def test_of_a_path_only_the_last_name_is_told(text: str, left: str) -> None:
    assert without_folders(text) == left

import sys

import pytest

from harness.cli import progress
from harness.cli.progress import bytes_done


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_person_sees_a_bar_with_the_time_left(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = bytes_done("reading")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    told(1_000_000, 8_000_000)
    clock[0] = 110.0
    told(2_000_000, 8_000_000)
    told(2_000_001, 8_000_000)
    clock[0] = 140.0
    told(8_000_000, 8_000_000)
    first, last = capsys.readouterr().err.split("\r")[1::1][:2]
    assert first == f"reading [{'#' * 6:<24}] 2 of 8 MB, 30 s left "
    assert "8 of 8 MB" in last


def test_nothing_is_drawn_for_a_file_or_for_short_work(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = bytes_done("reading")
    clock[0] = 200.0
    told(1, 2)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    quick = bytes_done("reading")
    quick(2, 2)
    assert capsys.readouterr().err == ""

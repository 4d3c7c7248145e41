from pathlib import Path

import pytest

from harness.localserver.model.processors import Crew, available_processors, crew


@pytest.mark.parametrize(
    ("threads", "workers", "threads_each"), [(1, 1, 1), (2, 2, 1), (3, 2, 1), (4, 2, 2), (16, 2, 8)]
)
def test_processors_beyond_two_go_to_the_same_two_workers(
    threads: int, workers: int, threads_each: int
) -> None:
    assert crew(threads) == Crew(workers=workers, threads_each=threads_each)


def test_single_worker_gets_all() -> None:
    assert crew(6, most_workers=1) == Crew(workers=1, threads_each=6)


@pytest.mark.parametrize("content", ["max 100000\n", "", "nonsense"])
def test_without_a_quota_all_bound_processors_count(tmp_path: Path, content: str) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert available_processors(tmp_path / "cpu.max") == available_processors(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "expected"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("6400000 100000", 64)]
)
def test_containers_share_is_kept(tmp_path: Path, content: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert available_processors(tmp_path / "cpu.max") == min(
        expected, available_processors(tmp_path / "none")
    )

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.dataset.checking import check_file
from harness.dataset.engines import ONE_PROCESS, Processes
from harness.dataset.lines import Line
from harness.errors import StorageError, UsageError
from harness.serial import to_json

ROOT = Path(__file__).parents[3]
ROWS = 300


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{number % 40} or?"},
                {"role": "assistant", "content": "yes"},
            ]
        }
        for number in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_two_processes_report_what_one_does(file: Path) -> None:
    told: list[tuple[int, int]] = []
    engine = Processes(workers=2, part_bytes=4096, progress=lambda *done: told.append(done))
    alone = check_file(file, model="gpt-4o-mini")
    assert to_json(check_file(file, model="gpt-4o-mini", engine=engine)) == to_json(alone)
    size = file.stat().st_size
    assert told == sorted(told)
    assert told[-1] == (size, size)
    assert len(told) > 3


def test_parts_come_in_order_from_other_processes(file: Path) -> None:
    engine = Processes(workers=2, part_bytes=2048)
    seen = list(engine.parts(file, numbers_and_process))
    assert [number for numbers, _ in seen for number in numbers] == [*range(1, ROWS + 1)]
    assert os.getpid() not in {process for _, process in seen}


def numbers_and_process(lines: Iterable[Line]) -> tuple[list[int], int]:
    return [line.number for line in lines], os.getpid()


def test_a_small_file_is_read_by_this_process(file: Path) -> None:
    ((_, process),) = Processes().parts(file, numbers_and_process)
    assert process == os.getpid()


def test_a_worker_that_dies_is_told(file: Path) -> None:
    with pytest.raises(StorageError, match="--workers 1"):
        list(Processes(workers=2, part_bytes=2048).parts(file, die))


def die(lines: Iterable[Line]) -> None:
    os._exit(9)


def test_a_file_that_is_not_there_is_told_whoever_reads(tmp_path: Path) -> None:
    for engine in (ONE_PROCESS, Processes(), Processes(workers=2)):
        with pytest.raises(UsageError, match="No such file"):
            list(engine.parts(tmp_path / "none.jsonl", numbers_and_process))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_who_started_it(file: Path, end: signal.Signals) -> None:
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    code = (
        "import sys; from pathlib import Path; from functools import partial;"
        "from harness.dataset.engines import Processes; from tests.dataset.engines.waiting import wait\n"
        "if __name__ == '__main__':\n"
        "    engine = Processes(workers=2, part_bytes=2048)\n"
        "    list(engine.parts(Path(sys.argv[1]), partial(wait, pipe=Path(sys.argv[2]))))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file), str(pipe)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as started:
        with pipe.open("rb") as workers:
            assert len({workers.readline(), workers.readline()}) == 2
            if end == signal.SIGINT:
                os.killpg(started.pid, end)  # as a terminal does
            else:
                started.kill()
            # Nobody has the pipe open any more: both are gone.
            assert workers.read() == b""
        assert started.wait(20) != 0

"""Whether a model fits is told before it is loaded."""

from pathlib import Path

import pytest
import torch

from harness.errors import UsageError
from harness.localserver.hf import memory, precision
from harness.localserver.hf.memory import check_fit, free_main_memory
from harness.localserver.hf.precision import learning_precision, serving_precision
from harness.localserver.training.device import training_precision

CPU = torch.device("cpu")
GB = 10**9


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_main_memory() is None
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert free_main_memory() == 8000 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_main_memory() == 8000 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_main_memory() == 4000


def test_what_does_not_fit_is_refused_with_both_sizes() -> None:
    check_fit(8 * GB, 10 * GB, place="here")
    check_fit(8 * GB, None, place="here")
    with pytest.raises(UsageError, match=r"need 17\.5 GB of memory; this machine has 10\.0 GB free"):
        check_fit(14 * GB, 10 * GB, place="this machine")


def test_answers_are_in_float32_unless_only_bfloat16_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "free_main_memory", lambda: 10 * GB)
    assert serving_precision(CPU, numbers=GB) is torch.float32
    assert serving_precision(CPU, numbers=3 * GB) is torch.bfloat16
    with pytest.raises(UsageError, match=r"need 17\.5 GB"):
        serving_precision(CPU, numbers=7 * GB)


def test_training_is_in_what_the_processor_multiplies_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "free_main_memory", lambda: 10 * GB)
    assert learning_precision(CPU, numbers=GB) is training_precision(CPU)
    assert learning_precision(CPU, numbers=3 * GB) is torch.bfloat16

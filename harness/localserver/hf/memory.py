"""How much memory is there for a model, and in which precision does it fit?"""

from pathlib import Path

import torch

from harness.errors import UsageError
from harness.localserver.training.device import training_precision

# Of what is free, the weights may take this share; the rest is for what is computed with them.
_WEIGHTS_SHARE = 0.8
_MEMINFO = Path("/proc/meminfo")
# A container's limit and what it has used (Linux, control groups version 2).
_CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> int | None:
    """Bytes free on a device; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = (
            (_CGROUP / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current")
        )
        return min(available, int(limit) - int(used))
    except (OSError, ValueError):  # no such file, or "max"
        return available


def serving_precision(device: torch.device, *, numbers: int, free: int | None) -> torch.dtype:
    """The precision to answer in: bfloat16 on a GPU.

    On a processor float32, whose answers do not depend on what they are computed together with, or bfloat16 when only that fits.

    Args:
        device: Where the model is to run.
        numbers: How many weights it has.
        free: Bytes free there, None if unknown.

    Raises:
        UsageError: It does not fit.
    """
    on_gpu = device.type == "cuda"
    wanted = [training_precision(device)] if on_gpu else [torch.float32, torch.bfloat16]
    return _fitting(wanted, device, numbers=numbers, free=free)


def learning_precision(device: torch.device, *, numbers: int, free: int | None) -> torch.dtype:
    """The precision to train the frozen weights in: bfloat16 where the device multiplies it natively, or when only that fits.

    Raises:
        UsageError: It does not fit.
    """
    return _fitting([training_precision(device), torch.bfloat16], device, numbers=numbers, free=free)


def _fitting(
    wanted: list[torch.dtype], device: torch.device, *, numbers: int, free: int | None
) -> torch.dtype:
    if free is None:
        return wanted[0]
    for precision in wanted:
        if numbers * precision.itemsize <= free * _WEIGHTS_SHARE:
            return precision
    needed = numbers * wanted[-1].itemsize / _WEIGHTS_SHARE
    place = "the GPU" if device.type == "cuda" else "this machine"
    raise UsageError(
        f"the model's {numbers / 1e9:.1f} billion weights need {needed / 1e9:.1f} GB of memory; {place} has {free / 1e9:.1f} GB free",
        remedy="give a smaller model, or end what else uses the memory",
    )

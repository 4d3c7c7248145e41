"""Does a model fit into memory?"""

from pathlib import Path

from harness.errors import UsageError

# Of what is free, the weights may take this share; the rest is for what is computed with them.
_WEIGHTS_SHARE = 0.8
_MEMINFO = Path("/proc/meminfo")
# A container's limit and what it has used (Linux, control groups version 2).
_CGROUP = Path("/sys/fs/cgroup")


def free_main_memory() -> int | None:
    """Bytes free beside the processor; None where the system does not say."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = (
            int((_CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current")
        )
    except (OSError, ValueError):  # no such file, or "max"
        return available
    return min(available, limit - used)


def fits(size: int, free: int | None) -> bool:
    """Whether weights of `size` bytes fit where `free` bytes are free; what is not known is tried."""
    return free is None or size <= free * _WEIGHTS_SHARE


def check_fit(size: int, free: int | None, *, place: str) -> None:
    """The same, as an error.

    Raises:
        UsageError: They do not fit.
    """
    if free is not None and not fits(size, free):
        raise UsageError(
            f"the model's weights need {size / _WEIGHTS_SHARE / 1e9:.1f} GB of memory; {place} has {free / 1e9:.1f} GB free",
            remedy="give a smaller model, or end what else uses the memory",
        )

"""In which precision is a model computed here?"""

import torch

from harness.localserver.hf.memory import check_fit, fits, free_main_memory
from harness.localserver.training.device import training_precision


def free_memory(device: torch.device) -> int | None:
    """Bytes free on a device; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return free_main_memory()


def serving_precision(device: torch.device, *, numbers: int) -> torch.dtype:
    """The precision to answer in: bfloat16 on a GPU.

    On a processor float32, whose answers hardly depend on what they are computed together with, or bfloat16 when only that fits.

    Args:
        device: Where the model is to run.
        numbers: How many weights it has.

    Raises:
        UsageError: It does not fit into memory.
    """
    wanted = training_precision(device) if device.type == "cuda" else torch.float32
    return _fitting(wanted, device, numbers=numbers)


def learning_precision(device: torch.device, *, numbers: int) -> torch.dtype:
    """The precision of the frozen weights in training: bfloat16 where the device multiplies it natively, or when only that fits.

    Raises:
        UsageError: It does not fit into memory.
    """
    return _fitting(training_precision(device), device, numbers=numbers)


def _fitting(wanted: torch.dtype, device: torch.device, *, numbers: int) -> torch.dtype:
    free = free_memory(device)
    if fits(numbers * wanted.itemsize, free):
        return wanted
    place = "the GPU" if device.type == "cuda" else "this machine"
    check_fit(numbers * torch.bfloat16.itemsize, free, place=place)
    return torch.bfloat16

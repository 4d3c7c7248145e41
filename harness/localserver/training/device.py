"""Where is the training computed, in which precision, and how so that it comes out the same again?"""

import os

import torch


def training_device() -> torch.device:
    """The GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively and so twice as fast, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def compute_reproducibly(device: torch.device) -> None:
    """On a GPU, have every sum added up in the same order each time; a processor does so by itself.

    Changes the whole process, so it is for a process that trains and does nothing else; call it before the GPU is used. An
    operation that knows only one order, another each time, is let through with a warning.
    """
    if device.type == "cuda":
        # Without a fixed workspace cuBLAS may choose its order by what else runs (its documentation, "Results reproducibility").
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003 - torch's own signature

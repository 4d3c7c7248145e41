"""Which learner trains a model? The lean one where the server's own network can run it, else transformers and peft."""

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from harness.localserver.hf.recognition import recognise
from harness.localserver.model.processors import available_processors, crew
from harness.localserver.training.device import compute_reproducibly, training_device
from harness.localserver.training.lean_learner import LeanLearner
from harness.localserver.training.learner import Learner
from harness.localserver.training.plan import TrainingPlan

# Imported when it is needed only: it takes seconds and the packages of the extra `hf`.
_HF_LEARNER = "harness.localserver.hf.learner"


@contextmanager
def open_learner(plan: TrainingPlan) -> Iterator[Learner]:
    """The learner of a plan's model, with its files read and torch's threads set.

    Raises:
        TrainingError: The rows are at fault.
        HarnessError: The model cannot be read.
        OSError: A file cannot be read.
    """
    device = training_device()
    compute_reproducibly(device)
    if not recognise(plan.model).lean:
        torch.set_num_threads(plan.threads or available_processors())
        open_hf_learner: Callable[[TrainingPlan], Learner] = importlib.import_module(
            _HF_LEARNER
        ).open_hf_learner
        yield open_hf_learner(plan)
        return
    # A GPU computes one thing at a time; two threads would only take turns, with twice the memory.
    processors = crew(plan.threads, most_workers=1) if device.type == "cuda" else crew(plan.threads)

    def claim() -> None:
        torch.set_num_threads(processors.threads_each)

    claim()
    with ThreadPoolExecutor(processors.workers, thread_name_prefix="training", initializer=claim) as pool:
        yield LeanLearner(plan, pool, device=device)

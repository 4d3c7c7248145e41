"""Who reads a file: this process, several of them, or a cluster. What is found is the same."""

from harness.dataset.engines.processes import ONE_PROCESS, Engine, Processes

__all__ = ["ONE_PROCESS", "Engine", "Processes"]

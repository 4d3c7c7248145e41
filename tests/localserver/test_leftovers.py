"""What a server that was told to stop must not leave behind, however badly the moment was chosen."""

import gc
import os
import sys
from pathlib import Path

import pytest

from tests.localserver.fakes import running_server, trainer_setup, wait_for

# Ends a while after it was told to, as any process does on a machine that is busy.
SLOW_TO_END = """
import json, os, signal, sys, time
from pathlib import Path
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
folder = Path(sys.argv[1])
(folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "total_steps": 9, "train_loss": 1.0}) + "\\n")
(folder / "pid").write_text(str(os.getpid()))
while not told:
    time.sleep(0.01)
time.sleep(0.5)
"""


def test_a_server_stopped_while_a_cancelled_job_ends_waits_for_its_trainer(tmp_path: Path) -> None:
    """Else the process, and what the event loop knew of it, are collected in the middle of something else."""
    script = tmp_path / "trainer.py"
    script.write_text(SLOW_TO_END)
    trainer = trainer_setup(command=(sys.executable, str(script)))
    with running_server(tmp_path / "state", trainer=trainer) as server:
        job = server.train()
        pid = tmp_path / "state" / "jobs" / job.id / "attempt-1" / "pid"
        trainer_pid = int(wait_for(lambda: pid.exists() and pid.read_text()))
        server.client.fine_tuning.jobs.cancel(job.id)
    with pytest.raises(ProcessLookupError):
        os.kill(trainer_pid, 0)
    gc.collect()

"""The queue and the real trainer, on a model of a few thousand weights."""

import sys
from pathlib import Path

from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.state.store import read_fine_tunes
from tests.localserver.fakes import running_server, wait_for
from tests.localserver.jobs.test_pausing import messages
from tests.localserver.tiny_model import write_tiny_model


def test_a_job_whose_server_was_stopped_makes_the_same_models_bit_for_bit(tmp_path: Path) -> None:
    setup = TrainerSetup(
        command=(sys.executable, "-m", "harness.localserver.training.trainer"),
        weights=write_tiny_model(tmp_path / "tiny.gguf", context=256),
        threads=1,
        grace_s=20,
        poll_s=0.01,
    )
    values = {"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 2.0}
    state = tmp_path / "state"
    with running_server(state, trainer=setup) as server:
        stopped = server.train(seed=7, hyperparameters=values)
        wait_for(lambda: "metrics" in {event.type for event in server.events(stopped)}, within_s=60)
    with running_server(state, trainer=setup) as server:
        whole = server.train(seed=7, hyperparameters=values)
        done = [server.wait(job, within_s=120) for job in (stopped, whole)]
        told = messages(server, stopped)
        assert any(message.startswith("Fine-tuning job goes on after step") for message in told)
        assert server.table(done[0]) == server.table(done[1])
        assert done[0].trained_tokens == done[1].trained_tokens
    made: dict[str, list[bytes]] = {job.id: [] for job in (stopped, whole)}
    for model in read_fine_tunes(state):
        made[model.job_id].append((model.adapter / "adapter_model.safetensors").read_bytes())
    assert len(made[whole.id]) == 4
    assert made[stopped.id] == made[whole.id]

"""How much memory does the local server take? Started, answering, training the fixtures; of all its processes together.

    python benchmarks/local_memory.py [--epochs N] [--json]

Measured is resident memory (RSS) summed over the server and everything it has started, every tenth of a second; pages that
two processes share are so counted twice. Beside it stands the proportional set (PSS), which counts them once. Idle is what is
left when nobody has asked for so long that the engine lets go of what it can make again. Linux only: the figures are read from /proc.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from openai import OpenAI

from harness.localserver import start
from harness.localserver.generation.waiting import REST_AFTER_S

ROOT = Path(__file__).parent.parent
DATA = ROOT / "fixtures" / "support"
# What the project promises of the default model, in bytes.
IDLE_LIMIT, TRAINING_LIMIT = 10**9, 4 * 10**9
ANSWERS, ANSWER_TOKENS = 32, 64
SAMPLE_S = 0.1
# How long the server is left alone before it counts as idle: until the engine has let go of merged fine-tunes.
SETTLE_S = REST_AFTER_S + 3.0
POLL_S = 1.0
TRAINING_TIMEOUT_S = 1800.0
FINISHED = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Bytes of a process tree at one moment; `processes` is how many it had."""

    rss: int
    pss: int
    processes: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What was measured in one stage: the peak while it lasted, and what was left when the server was idle again."""

    name: str
    seconds: float
    peak: Sample
    idle: Sample


def tree(root: int) -> list[int]:
    """A process and all that it and its descendants have started."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text(encoding="ascii").split()]
            except OSError:  # it has just ended
                continue
    return found


def sample(root: int) -> Sample:
    """The memory of a process tree now."""
    rss, pss, processes = 0, 0, 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:  # it has just ended
            continue
        sizes = {words[0]: int(words[1]) * 1024 for line in lines if len(words := line.split()) == 3}
        rss, pss, processes = rss + sizes.get("Rss:", 0), pss + sizes.get("Pss:", 0), processes + 1
    return Sample(rss=rss, pss=pss, processes=processes)


class Watch:
    """Samples a process tree until it is told to stop; keeps the largest."""

    def __init__(self, root: int) -> None:
        self.peak = sample(root)
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            now = sample(self._root)
            self.peak = max(self.peak, now, key=lambda one: one.rss)


@contextmanager
def stage(name: str, root: int, stages: list[Stage]) -> Iterator[None]:
    """Measure what happens in the block, and then what is left."""
    started = time.monotonic()
    with Watch(root) as watch:
        yield
    seconds = time.monotonic() - started
    time.sleep(SETTLE_S)
    stages.append(Stage(name=name, seconds=seconds, peak=watch.peak, idle=sample(root)))


def ask(client: OpenAI, model: str, number: int) -> int:
    """One answer of `ANSWER_TOKENS` tokens at most; returns how many it has."""
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"Tell me {number} things about ships."}],
        max_tokens=ANSWER_TOKENS,
        seed=number,
    )
    assert answer.usage is not None
    return answer.usage.completion_tokens


def train(client: OpenAI, model: str, *, epochs: int) -> str:
    """Train on the fixtures, to the end; returns the fine-tune's name."""
    files = {
        name: client.files.create(file=DATA / f"{name}.jsonl", purpose="fine-tune").id
        for name in ("train", "valid")
    }
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=files["train"],
        validation_file=files["valid"],
        seed=0,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}},
    )
    deadline = time.monotonic() + TRAINING_TIMEOUT_S
    while job.status not in FINISHED and time.monotonic() < deadline:
        time.sleep(POLL_S)
        job = client.fine_tuning.jobs.retrieve(job.id)
    if job.status != "succeeded" or job.fine_tuned_model is None:
        sys.exit(f"the training ended as {job.status}: {job.error}")
    return job.fine_tuned_model


def measure(state: Path, *, epochs: int) -> list[Stage]:
    """Every stage, in turn, of one server."""
    stages: list[Stage] = []
    before = set(tree(os.getpid()))
    with start(state) as server, OpenAI(base_url=server.base_url, api_key="local") as client:
        (root,) = (pid for pid in tree(os.getpid()) if pid not in before and _parent(pid) == os.getpid())
        with stage("started", root, stages):
            pass
        with stage("first answer", root, stages):
            ask(client, server.model, 1)
        with stage(f"{ANSWERS} answers at once", root, stages), ThreadPoolExecutor(ANSWERS) as pool:
            list(pool.map(lambda number: ask(client, server.model, number), range(ANSWERS)))
        with stage("training the fixtures", root, stages):
            tuned = train(client, server.model, epochs=epochs)
        with stage(f"{ANSWERS} answers of the fine-tune", root, stages), ThreadPoolExecutor(ANSWERS) as pool:
            list(pool.map(lambda number: ask(client, tuned, number), range(ANSWERS)))
    return stages


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


def report(stages: list[Stage]) -> dict[str, object]:
    """The figures, and whether they keep the promises."""
    idle = max(stage.idle.rss for stage in stages)
    training = max(stage.peak.rss for stage in stages if stage.name.startswith("training"))
    return {
        "stages": [asdict(stage) for stage in stages],
        "idle": {"bytes": idle, "limit": IDLE_LIMIT, "met": idle <= IDLE_LIMIT},
        "training": {"bytes": training, "limit": TRAINING_LIMIT, "met": training <= TRAINING_LIMIT},
    }


def show(stages: list[Stage]) -> None:
    """The same for a person."""
    print(
        f"{'MB':28} {'peak RSS':>9} {'PSS':>6} {'processes':>10}   {'idle RSS':>9} {'PSS':>6} {'seconds':>8}"
    )
    for one in stages:
        peak, idle = one.peak, one.idle
        print(
            f"{one.name:28} {peak.rss / 1e6:9.0f} {peak.pss / 1e6:6.0f} {peak.processes:10}"
            f"   {idle.rss / 1e6:9.0f} {idle.pss / 1e6:6.0f} {one.seconds:8.1f}"
        )
    idle = max(one.idle.rss for one in stages)
    training = max(one.peak.rss for one in stages if one.name.startswith("training"))
    for what, found, limit in (("idle", idle, IDLE_LIMIT), ("training", training, TRAINING_LIMIT)):
        verdict = "meets" if found <= limit else "MISSES"
        print(f"{what}: {found / 1e6:.0f} MB {verdict} {limit / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=1, help="of the training (default 1)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        stages = measure(Path(scratch), epochs=options.epochs)
    if options.json:
        print(json.dumps(report(stages), indent=1))
    else:
        show(stages)


if __name__ == "__main__":
    main()

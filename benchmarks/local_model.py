"""How fast is the embedded model here? Trains on 100 short examples for 3 epochs and answers 60 short prompts.

    python benchmarks/local_model.py [--threads N] [--repeat K]

Rows and prompts are made up from lists in this file. The targets are for two quiet cores: seconds are those of the
wall clock, so anything else that runs makes them longer. The share of the processors this process got is printed beside
them; below about 90 % the seconds say more about the neighbours than about the model.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.generation.requests import GenerationRequest
from harness.localserver.model.weights import ensure_weights

ROOT = Path(__file__).parent.parent
TRAINING_TARGET_S = 45.0
ANSWERING_TARGET_S = 15.0
EXAMPLES, EPOCHS, PROMPTS, ANSWER_TOKENS = 100, 3, 60, 48

SYSTEM = "Name the shelf this parcel belongs on."
THINGS = {
    "kitchen": ["a cast iron pan", "two soup ladles", "a bread knife", "six egg cups", "a salad bowl"],
    "garden": [
        "a watering can",
        "forty tulip bulbs",
        "a pair of shears",
        "a bird feeder",
        "a bag of compost",
    ],
    "office": [
        "a box of staples",
        "a desk lamp",
        "three ring binders",
        "a whiteboard marker",
        "an ink cartridge",
    ],
    "music": ["a violin bow", "guitar strings", "a tambourine", "a metronome", "sheet music for piano"],
}
FRAMES = [
    "The label says {}, and it should leave today.",
    "A customer sent back {} because it arrived too late.",
    "We found {} without any paper in the hall.",
    "Please tell me where {} goes, the usual place is full.",
    "Somebody ordered {} twice and wants to keep one.",
]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of wall clock and of processor time."""

    wall_s: float
    busy_s: float


@contextmanager
def timed(timings: list[Timing]) -> Iterator[None]:
    wall, busy = time.perf_counter(), _busy_s()
    yield
    timings.append(Timing(wall_s=time.perf_counter() - wall, busy_s=_busy_s() - busy))


def _busy_s() -> float:
    """Processor time of this process and of the children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def rows() -> list[list[dict[str, str]]]:
    """100 conversations, each with an answer of one word."""
    return [
        [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": frame.format(thing)},
            {"role": "assistant", "content": shelf},
        ]
        for frame, (shelf, things) in product(FRAMES, THINGS.items())
        for thing in things
    ][:EXAMPLES]


def train(folder: Path, weights: Path, *, threads: int) -> int:
    """Run the trainer as the server does; returns the tokens trained."""
    lines = [json.dumps({"messages": messages}) for messages in rows()]
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    plan = {
        "model": str(weights),
        "method": "supervised",
        "training_file": str(folder / "train.jsonl"),
        "validation_file": None,
        "n_epochs": EPOCHS,
        "batch_size": 4,
        "learning_rate_multiplier": 1.0,
        "seed": 0,
        "threads": threads,
    }
    (folder / "job.json").write_text(json.dumps(plan), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "harness.localserver.training.trainer", str(folder)], check=True, cwd=ROOT
    )
    outcome: dict[str, int] = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    return outcome["trained_tokens"]


def answer(engine: Engine, adapter: Path | None, *, count: int) -> tuple[int, int]:
    """Answer `count` prompts at once; returns the tokens read and written."""
    futures = [
        engine.submit(
            GenerationRequest(
                adapter=adapter, prompt=tuple(messages[:-1]), max_tokens=ANSWER_TOKENS, temperature=0.0
            )
        )
        for messages in rows()[:count]
    ]
    results = [future.result() for future in futures]
    return sum(result.prompt_tokens for result in results), sum(
        result.completion_tokens for result in results
    )


def report(what: str, timings: list[Timing], *, tokens: int, target_s: float, threads: int) -> None:
    """One line: the best run, its speed, and whether it meets the target."""
    best = min(timings, key=lambda timing: timing.wall_s)
    verdict = "meets" if best.wall_s <= target_s else "MISSES"
    print(
        f"{what:32} {best.wall_s:6.1f} s {tokens / best.wall_s:7.0f} tokens/s   {verdict} {target_s:.0f} s"
        f"   processors at {best.busy_s / best.wall_s / threads:4.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=1, help="runs of each part; the best counts")
    options = parser.parse_args()
    weights = ensure_weights()
    load = os.getloadavg()[0]
    print(f"{options.threads} of {os.cpu_count()} processors, load {load:.1f} before the start")
    training: list[Timing] = []
    answering: dict[str, list[Timing]] = {"base": [], "fine-tune": []}
    tokens = {"base": 0, "fine-tune": 0}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.repeat):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            with timed(training):
                trained = train(folder, weights, threads=options.threads)
        (last,) = [
            path
            for path in (folder / "checkpoints").iterdir()
            if path.name == f"step-{EXAMPLES * EPOCHS // 4}"
        ]
        for _ in range(options.repeat):
            for name, adapter in (("base", None), ("fine-tune", last)):
                # A new engine each time: what a first run pays, the loading of the model, is part of the target.
                with timed(answering[name]):
                    engine = Engine(LeanBackend(weights, threads=options.threads))
                    read, written = answer(engine, adapter, count=PROMPTS)
                    engine.close()
                tokens[name] = read + written
    report(
        f"train {EXAMPLES} rows x {EPOCHS} epochs",
        training,
        tokens=trained,
        target_s=TRAINING_TARGET_S,
        threads=options.threads,
    )
    for name, timings in answering.items():
        report(
            f"{PROMPTS} answers, {name}",
            timings,
            tokens=tokens[name],
            target_s=ANSWERING_TARGET_S,
            threads=options.threads,
        )


if __name__ == "__main__":
    main()

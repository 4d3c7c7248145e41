"""How much does fine-tuning on the shipped rows change the embedded model, and how much does half of them?

Trains the embedded model on shares of `fixtures/support/train.jsonl`, asks every model the suites it can answer, scores the
answers with the suites' own scorers, and prints one Markdown table (the one in `fixtures/README.md`):

    python benchmarks/embedded_effect.py --seeds 0 1 2 --shares 0.5 1

A share is drawn with the seed from each task and, within tickets, from each desk, so that the mix stays the same.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import mean

from harness.evals import evaluate, find_suites, load_suite
from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.generation.requests import GenerationRequest
from harness.localserver.model.weights import ensure_weights
from harness.records import Completion, Failure, Message, Role, Sampling, Suite, record

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "fixtures" / "support"
METRICS = {
    "ticket-routing": ("label",),
    "trip-extraction": ("json_fields", "all_fields"),
    "marv": ("facts", "style"),
    "refusals": ("refusal",),
}
"""The columns of the table: for each suite, scorers by name and measures."""


@record
class Recipe:
    """What a fine-tuning job is created with."""

    epochs: int
    batch_size: int
    multiplier: float


@record
class Tuned:
    """A fine-tune: its adapter, how many rows it saw, its last validation loss, seconds of training."""

    adapter: Path
    rows: int
    valid_loss: float
    seconds: float


class EngineModel:
    """The embedded model, or a fine-tune of it, asked without a server between."""

    def __init__(self, engine: Engine, adapter: Path | None) -> None:
        self._engine = engine
        self._adapter = adapter

    @property
    def name(self) -> str:
        """The folder of the adapter, or "base"."""
        return "base" if self._adapter is None else str(self._adapter)

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        trial: int = 0,  # noqa: ARG002 - greedy answers do not differ between trials
    ) -> Completion | Failure:
        """One greedy answer."""
        request = GenerationRequest(
            adapter=self._adapter,
            prompt=tuple({key: str(value) for key, value in message.items()} for message in messages),
            max_tokens=sampling.max_tokens or 64,
            temperature=0.0,
        )
        answer = await asyncio.wrap_future(self._engine.submit(request))
        return Completion(text=answer.text, finish_reason=answer.finish_reason)


def main() -> None:
    arguments = parsed_arguments()
    recipe = Recipe(epochs=arguments.epochs, batch_size=arguments.batch_size, multiplier=arguments.multiplier)
    weights = ensure_weights()
    suites = [load_suite(path) for path in find_suites(ROOT / "suites")]
    suites = [suite for suite in suites if suite.name in METRICS]
    engine = Engine(LeanBackend(weights))
    try:
        print_heading()
        print_row("base", means(suites, EngineModel(engine, None)))
        for seed in arguments.seeds:
            for share in arguments.shares:
                with tempfile.TemporaryDirectory() as folder:
                    tuned = train(weights, Path(folder), recipe=recipe, share=share, seed=seed)
                    title = f"seed {seed}, {tuned.rows} rows"
                    scores = means(suites, EngineModel(engine, tuned.adapter))
                    print_row(title, scores, loss=tuned.valid_loss, seconds=tuned.seconds)
    finally:
        engine.close()


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--multiplier", type=float, default=1.0)
    return parser.parse_args()


def train(weights: Path, folder: Path, *, recipe: Recipe, share: float, seed: int) -> Tuned:
    """Fine-tune on a share of the rows, in a process of its own as the server does.

    Raises:
        subprocess.CalledProcessError: The trainer failed; what it said is on standard error.
    """
    lines = drawn_rows(share, seed)
    training_file = folder / "training.jsonl"
    training_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    job = {
        "model": str(weights),
        "method": "supervised",
        "training_file": str(training_file),
        "validation_file": str(SUPPORT / "valid.jsonl"),
        "n_epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate_multiplier": recipe.multiplier,
        "seed": seed,
        "threads": None,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "harness.localserver.training.trainer", str(folder)], check=True, cwd=ROOT
    )
    seconds = time.perf_counter() - started
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return Tuned(
        adapter=folder / "checkpoints" / f"step-{steps[-1]['step']}",
        rows=len(lines),
        valid_loss=steps[-1]["full_valid_loss"],
        seconds=seconds,
    )


def drawn_rows(share: float, seed: int) -> list[str]:
    """A share of the training rows, the same share of every stratum; smaller shares lie within larger ones."""
    lines = (SUPPORT / "train.jsonl").read_text("utf-8").splitlines()
    origins = [json.loads(line) for line in (SUPPORT / "provenance.jsonl").read_text("utf-8").splitlines()]
    tasks = [origin["task"] for origin in origins if origin["file"] == "train.jsonl"]
    strata: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (line, task) in enumerate(zip(lines, tasks, strict=True)):
        answer = json.loads(line)["messages"][-1]["content"]
        strata[task, answer if task == "ticket-routing" else ""].append(index)
    generator = random.Random(seed)
    chosen = [
        index
        for _, members in sorted(strata.items())
        for index in generator.sample(members, len(members))[: ceil(len(members) * share)]
    ]
    return [lines[index] for index in sorted(chosen)]


def means(suites: Sequence[Suite], model: EngineModel) -> Mapping[str, float]:
    """The mean of every column's metric."""
    return {name: value for suite in suites for name, value in asyncio.run(suite_means(suite, model)).items()}


async def suite_means(suite: Suite, model: EngineModel) -> Mapping[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    role: Role = "candidate"
    async for result in evaluate(suite, {role: model}):
        for name, score in result.scores.items():
            if score.value is not None:
                found[name].append(score.value)
            for measure, value in score.measures.items():
                found[measure].append(value)
    return {name: mean(found[name]) for name in METRICS[suite.name]}


def print_heading() -> None:
    columns = ["model", *(name for names in METRICS.values() for name in names), "valid loss", "training"]
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns), flush=True)


def print_row(
    title: str, scores: Mapping[str, float], *, loss: float | None = None, seconds: float | None = None
) -> None:
    cells = [f"{scores[name]:.3f}" for names in METRICS.values() for name in names]
    cells += ["" if loss is None else f"{loss:.3f}", "" if seconds is None else f"{seconds:.0f} s"]
    print("| " + " | ".join([title, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()

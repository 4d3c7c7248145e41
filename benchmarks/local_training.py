"""How fast does the server train, against a plain loop of transformers and peft on the same machine and data?

    python benchmarks/local_training.py [--rows N] [--epochs N] [--threads N] [--repeat K] [--json]

Three trainings of the embedded model on `fixtures/support`, in turns, each in a process of its own: the server's trainer; peft
on the layers the server teaches; and peft on all layers, its default. Rows, their order, batch, learning rate, LoRA rank and
precision (bfloat16 where the processor multiplies it) are the same. Timed are the steps alone, without loading. What was
learned is then measured by one and the same program, transformers in float32, on the validation rows: the loss of an answer
token in nats, and how many answers would have been written word for word. Needs the extra `hf`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from harness.localserver.export.gguf_model import GgufModel
from harness.localserver.model.adapters import MODULES
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.model.weights import ensure_weights
from harness.localserver.training.device import training_precision
from harness.localserver.training.lean_learner import LONGEST_GRADIENT
from harness.localserver.training.lora import ALPHA, RANK, TAUGHT_SHARE
from harness.localserver.training.opening import open_learner
from harness.localserver.training.plan import TrainingPlan
from harness.localserver.training.schedule import Schedule
from harness.localserver.training.trainer import RATES, Training

ROOT = Path(__file__).parent.parent
DATA = ROOT / "fixtures" / "support"
SAME_LAYERS_TARGET, AS_SHIPPED_TARGET = 3.0, 5.0
SERVER, SAME_LAYERS, ALL_LAYERS = "server", "peft, same layers", "peft, all layers"
BATCH, SEED = 4, 0
# What transformers leaves out of the loss.
IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Of one benchmark: where its files are and how much is trained."""

    folder: str
    epochs: int
    threads: int
    valid_rows: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Tokens of all rows in all epochs; seconds of the steps, on the wall and on the processors; most memory, in bytes."""

    tokens: int
    seconds: float
    busy_seconds: float
    peak_bytes: int

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds

    @property
    def busy_speed(self) -> float:
        return self.tokens / self.busy_seconds


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Of speeds, by the wall clock and by processor time; the second says more on a busy machine."""

    wall: float
    busy: float


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """On the validation rows: the loss of an answer token in nats, and the share of answers right word for word."""

    loss: float
    score: float


# --- the two ways to train ---


def train_with_server(setup: Setup, target: Path) -> Trained:
    """What the server's trainer process does, checkpoints and saved states included; the adapter is moved to `target`."""
    job = target.with_name("job")
    job.mkdir()
    plan = TrainingPlan(
        model=ensure_weights(),
        training_file=Path(setup.folder) / "train.jsonl",
        validation_file=None,
        method="supervised",
        beta=None,
        n_epochs=setup.epochs,
        batch_size=BATCH,
        learning_rate_multiplier=1.0,
        seed=SEED,
        threads=setup.threads,
        resume_from=None,
    )
    with open_learner(plan) as learner:
        training = Training(plan, job, learner)
        started, busy = time.monotonic(), time.process_time()
        ending = training.run()
        found = finished(learner.tokens * setup.epochs, since=started, busy_since=busy)
    (job / "checkpoints" / f"step-{ending.step}").replace(target)
    return found


def train_with_peft(setup: Setup, target: Path, *, all_layers: bool) -> Trained:
    """The loop that the documentation of transformers and peft leads to."""
    torch.manual_seed(SEED)
    base = AutoModelForCausalLM.from_pretrained(
        Path(setup.folder) / "base", dtype=training_precision(torch.device("cpu"))
    )
    layers = base.config.num_hidden_layers
    taught = range(layers - round(layers * TAUGHT_SHARE), layers)
    model = get_peft_model(
        base,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=RANK,
            lora_alpha=int(ALPHA),
            target_modules=[module.rpartition(".")[2] for module in MODULES],
            layers_to_transform=None if all_layers else list(taught),
        ),
    )
    model.train()
    rows = encoded(Path(setup.folder) / "train.jsonl")
    schedule = Schedule(rows=len(rows), n_epochs=setup.epochs, batch_size=BATCH, seed=SEED)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=RATES["supervised"])
    started, busy = time.monotonic(), time.process_time()
    for step, members in enumerate(schedule.batches(), start=1):
        optimizer.param_groups[0]["lr"] = RATES["supervised"] * schedule.rate(step)
        loss = model(**padded([rows[index] for index in members])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, LONGEST_GRADIENT)
        optimizer.step()
        optimizer.zero_grad()
    found = finished(sum(len(ids) for ids, _ in rows) * setup.epochs, since=started, busy_since=busy)
    model.save_pretrained(target)
    return found


def finished(tokens: int, *, since: float, busy_since: float) -> Trained:
    return Trained(
        tokens=tokens,
        seconds=time.monotonic() - since,
        busy_seconds=time.process_time() - busy_since,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


# --- data and model for transformers ---


def encoded(path: Path) -> list[tuple[list[int], list[int]]]:
    """Ids and loss mask of each row, as the server makes them."""
    tokenizer = ChatTokenizer(GgufFile(ensure_weights()))
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tokenizer.encode_training(json.loads(line)["messages"]) for line in lines]


def padded(rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    """A batch for transformers, padded on the right."""
    longest = max(len(ids) for ids, _ in rows)

    def matrix(filler: int, lists: Iterator[list[int]]) -> torch.Tensor:
        return torch.tensor([[*values, *[filler] * (longest - len(values))] for values in lists])

    return {
        "input_ids": matrix(0, (ids for ids, _ in rows)),
        "attention_mask": matrix(0, ([1] * len(ids) for ids, _ in rows)),
        "labels": matrix(
            IGNORED,
            (
                [token if taught else IGNORED for token, taught in zip(ids, mask, strict=True)]
                for ids, mask in rows
            ),
        ),
    }


def examine(setup: Setup, adapter: Path) -> HeldOut:
    """What an adapter makes of the validation rows."""
    base = AutoModelForCausalLM.from_pretrained(Path(setup.folder) / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter).eval()
    losses, right = [], []
    with torch.no_grad():
        for row in encoded(DATA / "valid.jsonl")[: setup.valid_rows]:
            batch = padded([row])
            labels = batch.pop("labels")[0, 1:]
            logits = model(**batch).logits[0, :-1]
            learned = labels != IGNORED
            losses.append(
                torch.nn.functional.cross_entropy(logits[learned], labels[learned], reduction="none")
            )
            right.append(bool((logits[learned].argmax(dim=-1) == labels[learned]).all()))
    return HeldOut(loss=float(torch.cat(losses).mean()), score=statistics.mean(right))


# --- the runs ---


def child(what: str, setup: Setup, target: Path) -> None:
    """One training or one examination, in this process; the result goes to standard output."""
    torch.set_num_threads(setup.threads)
    if what == "examine":
        result: Trained | HeldOut = examine(setup, target)
    elif what == SERVER:
        result = train_with_server(setup, target)
    else:
        result = train_with_peft(setup, target, all_layers=what == ALL_LAYERS)
    print(json.dumps(asdict(result)))


def in_child(what: str, setup: Setup, target: Path) -> Mapping[str, float]:
    command = [sys.executable, __file__, "--child", what, json.dumps(asdict(setup)), str(target)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    found: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(setup: Setup, *, repeat: int) -> tuple[dict[str, list[Trained]], dict[str, HeldOut]]:
    """Every way to train, in turns, and what the last training of each is worth."""
    runs: dict[str, list[Trained]] = {SERVER: [], SAME_LAYERS: [], ALL_LAYERS: []}
    worth = {}
    for turn in range(repeat):
        for arm, found in runs.items():
            target = Path(setup.folder) / f"{arm}-{turn}" / "adapter"
            target.parent.mkdir()
            found.append(Trained(**in_child(arm, setup, target)))  # type: ignore[arg-type]
            if turn == repeat - 1:
                worth[arm] = HeldOut(**in_child("examine", setup, target))
    return runs, worth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=200, help="training rows (default and most: %(default)s)")
    parser.add_argument(
        "--valid-rows", type=int, default=60, help="rows held out (default and most: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=3, help="the same for all (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=1, help="turns of all three; the median ratio counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, setup, target = options.child
        child(what, Setup(**json.loads(setup)), Path(target))
        return
    with tempfile.TemporaryDirectory() as scratch:
        lines = (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()[: options.rows]
        (Path(scratch) / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
        base = Path(scratch) / "base"
        base.mkdir()
        GgufModel(ensure_weights()).write(base, adapter=None, precision="float32", progress=lambda *_: None)
        setup = Setup(
            folder=scratch, epochs=options.epochs, threads=options.threads, valid_rows=options.valid_rows
        )
        runs, worth = measured(setup, repeat=options.repeat)
    ratios = {arm: ratio_to(runs, arm) for arm in (SAME_LAYERS, ALL_LAYERS)}
    if options.json:
        report: dict[str, object] = {
            arm: {
                "tokens_per_second": [run.speed for run in found],
                "tokens_per_processor_second": [run.busy_speed for run in found],
                "peak_bytes": max(run.peak_bytes for run in found),
                **asdict(worth[arm]),
            }
            for arm, found in runs.items()
        }
        print(
            json.dumps(
                {
                    **report,
                    "rows": len(lines),
                    "epochs": options.epochs,
                    "ratios": {arm: asdict(ratio) for arm, ratio in ratios.items()},
                }
            )
        )
    else:
        tell(runs, worth, ratios=ratios)


def ratio_to(runs: Mapping[str, Sequence[Trained]], arm: str) -> Ratio:
    """How many times as fast the server is, turn by turn."""
    turns = list(zip(runs[SERVER], runs[arm], strict=True))
    return Ratio(
        wall=statistics.median(own.speed / other.speed for own, other in turns),
        busy=statistics.median(own.busy_speed / other.busy_speed for own, other in turns),
    )


def tell(
    runs: Mapping[str, Sequence[Trained]], worth: Mapping[str, HeldOut], *, ratios: Mapping[str, Ratio]
) -> None:
    """The table, and whether the targets are met."""
    print(f"{'':20}{'tokens/s':>10}{'peak GB':>9}{'held-out loss':>15}{'exact':>8}")
    for arm, found in runs.items():
        print(
            f"{arm:20}{statistics.median(run.speed for run in found):10.0f}"
            f"{max(run.peak_bytes for run in found) / 1e9:9.2f}{worth[arm].loss:15.3f}{worth[arm].score:8.0%}"
        )
    for what, arm, target in (
        ("same layers", SAME_LAYERS, SAME_LAYERS_TARGET),
        ("as shipped", ALL_LAYERS, AS_SHIPPED_TARGET),
    ):
        ratio = ratios[arm]
        verdict = "meets" if ratio.wall >= target else "MISSES"
        print(
            f"{what}: {ratio.wall:.1f} times as fast ({verdict} {target:.0f}), on {ratio.busy:.1f} times less processor time"
        )


if __name__ == "__main__":
    main()

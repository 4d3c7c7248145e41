"""How fast does the local server's engine write, against transformers and llama.cpp with the same model?

    python benchmarks/local_generation.py [--threads N] [--repeat K] [--unbatched N] [--json]

Four contenders answer the same short prompts greedily, each in a process of its own that has loaded the model and answered once
before; they take turns, round after round, so that whatever else the machine does falls on all of them. Tokens written are
divided by the seconds of the wall clock, the reading of the prompts included; a ratio is that of the medians. A second ratio, by
processor time, says more where other programs want the processors too.

- engine: all 32 prompts submitted at once, float32, as the server does it
- transformers, float32 and bfloat16: `generate` on the same weights, one prompt after the other; the first prompts only, for
  its speed does not depend on how many there are
- llama.cpp: all 32 at once on the quantised file itself (Q4_1), whose arithmetic is another: its answers differ. It comes in
  the xllamacpp wheel (`pip install --no-deps xllamacpp`) and is left out, and said to be, where that is missing.

Beside each speed stands how many of its answers are those of the engine, letter by letter.
"""

import argparse
import importlib
import importlib.util
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import TypeAlias

import torch
from transformers import AutoModelForCausalLM

from harness.localserver.export.gguf_model import GgufModel
from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.generation.requests import GenerationRequest
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.processors import available_processors
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.model.weights import ensure_weights

TARGET = 8.0
PROMPTS, ANSWER_TOKENS = 32, 64
THINGS = ("a bicycle", "the tide", "bread dough", "a violin", "an echo", "a lighthouse", "a beehive", "rust")
FRAMES = (
    "Explain to a child how {} works.",
    "Write two sentences about {} for a postcard.",
    "What do people often get wrong about {}?",
    "List three words that describe {}, with a reason for each.",
)
Messages: TypeAlias = list[dict[str, str]]
# Answers prompts; gives the text of each answer, and the tokens of all.
Writer: TypeAlias = Callable[[Sequence[Messages]], tuple[list[str], int]]


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one contender did in one round; seconds on the wall, and on the processors."""

    texts: list[str]
    tokens: int
    seconds: float
    busy_seconds: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """A contender over all rounds: speeds by the wall clock, and how many times as fast the engine is.

    `busy_ratio` is the same by processor time, which says more on a busy machine.
    """

    name: str
    tokens_per_s: list[float]
    ratio: float
    busy_ratio: float
    agreeing: int
    answers: int


def prompts() -> list[Messages]:
    """32 short questions."""
    return [[{"role": "user", "content": frame.format(thing)}] for frame, thing in product(FRAMES, THINGS)][
        :PROMPTS
    ]


def engine(weights: Path, threads: int) -> Writer:
    """The engine of the local server."""
    served = Engine(LeanBackend(weights, threads=threads))

    def write(asked: Sequence[Messages]) -> tuple[list[str], int]:
        futures = [
            served.submit(
                GenerationRequest(
                    adapter=None, prompt=tuple(messages), max_tokens=ANSWER_TOKENS, temperature=0.0
                )
            )
            for messages in asked
        ]
        results = [future.result() for future in futures]
        return [result.text for result in results], sum(result.completion_tokens for result in results)

    return write


def transformers_of(dtype: torch.dtype) -> Callable[[Path, int], Writer]:
    """`generate` of transformers, one prompt at a time, on the weights of the file."""

    def load(weights: Path, threads: int) -> Writer:
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            GgufModel(weights).write(folder, adapter=None, precision="float32", progress=lambda *_: None)
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        tokenizer = ChatTokenizer(GgufFile(weights))

        def write(asked: Sequence[Messages]) -> tuple[list[str], int]:
            texts, tokens = [], 0
            for messages in asked:
                ids = torch.tensor([tokenizer.encode_prompt(messages)])
                with torch.inference_mode():
                    said = model.generate(
                        ids,
                        attention_mask=torch.ones_like(ids),
                        max_new_tokens=ANSWER_TOKENS,
                        do_sample=False,
                        eos_token_id=sorted(tokenizer.control_ids),
                        pad_token_id=tokenizer.end_id,
                    )[0, ids.shape[1] :].tolist()
                written = [token for token in said if token not in tokenizer.control_ids]
                texts.append(tokenizer.decode(written))
                tokens += len(written)
            return texts, tokens

        return write

    return load


def llama_cpp(weights: Path, threads: int) -> Writer:
    """llama.cpp's own server within the process, with a slot for every prompt."""
    xllamacpp = importlib.import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights)
    settings.n_parallel = PROMPTS
    settings.n_ctx = PROMPTS * 256
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.verbosity = -1
    server = xllamacpp.Server(settings)

    def answer(messages: Messages) -> tuple[str, int]:
        body = {"messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0.0}
        found = server.handle_chat_completions(body)
        return str(found["choices"][0]["message"]["content"]), int(found["usage"]["completion_tokens"])

    def write(asked: Sequence[Messages]) -> tuple[list[str], int]:
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(answer, asked))
        return [text for text, _ in answers], sum(tokens for _, tokens in answers)

    return write


ENGINE = "engine, 32 at once, float32"
UNBATCHED = ("transformers, one by one, float32", "transformers, one by one, bfloat16")
LLAMA = "llama.cpp, 32 at once, Q4_1"
CONTENDERS: dict[str, Callable[[Path, int], Writer]] = {
    ENGINE: engine,
    UNBATCHED[0]: transformers_of(torch.float32),
    UNBATCHED[1]: transformers_of(torch.bfloat16),
    LLAMA: llama_cpp,
}


def contend(name: str, settings: tuple[Path, int], asked: Connection) -> None:
    """A contender's process: load, then answer whatever prompts come, until none do."""
    # Standard output is for the result; llama.cpp has things to say there.
    os.dup2(2, 1)
    write = CONTENDERS[name](*settings)
    write(prompts()[:1])
    asked.send(None)
    while given := asked.recv():
        started, busy = time.perf_counter(), time.process_time()
        texts, tokens = write(given)
        seconds, busy_seconds = time.perf_counter() - started, time.process_time() - busy
        asked.send(Round(texts=texts, tokens=tokens, seconds=seconds, busy_seconds=busy_seconds))
    # Threads of other people's servers need not end in order.
    os._exit(0)


@contextmanager
def contender(name: str, weights: Path, *, threads: int) -> Iterator[Callable[[list[Messages]], Round]]:
    """A contender that is ready; it answers when called."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=contend, args=(name, (weights, threads), there), daemon=True
    )
    process.start()
    there.close()

    def answer(given: list[Messages]) -> Round:
        here.send(given)
        found = here.recv()
        assert isinstance(found, Round)
        return found

    try:
        here.recv()
        yield answer
        here.send([])
    finally:
        process.join(10)
        process.kill()


def measured(names: Sequence[str], *, threads: int, repeat: int, unbatched: int) -> dict[str, list[Round]]:
    """All rounds of all contenders, who take turns."""
    rounds: dict[str, list[Round]] = {name: [] for name in names}
    weights = ensure_weights()
    with ExitStack() as stack:
        ready = {name: stack.enter_context(contender(name, weights, threads=threads)) for name in names}
        for _ in range(repeat):
            for name, answer in ready.items():
                rounds[name].append(answer(prompts()[: unbatched if name in UNBATCHED else PROMPTS]))
    return rounds


def score(name: str, rounds: dict[str, list[Round]]) -> Score:
    """One contender's rounds beside the engine's."""

    def speeds(of: str) -> list[float]:
        return [one.tokens / one.seconds for one in rounds[of]]

    def busy_speeds(of: str) -> list[float]:
        return [one.tokens / one.busy_seconds for one in rounds[of]]

    texts, engines = rounds[name][0].texts, rounds[ENGINE][0].texts
    return Score(
        name=name,
        tokens_per_s=speeds(name),
        ratio=median(speeds(ENGINE)) / median(speeds(name)),
        busy_ratio=median(busy_speeds(ENGINE)) / median(busy_speeds(name)),
        agreeing=sum(mine == theirs for mine, theirs in zip(texts, engines, strict=False)),
        answers=len(texts),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=available_processors())
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--unbatched",
        type=int,
        default=6,
        help="prompts a round for those who answer one by one (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    names = list(CONTENDERS)
    if not importlib.util.find_spec("xllamacpp"):
        names.remove(LLAMA)
        print("llama.cpp is left out: pip install --no-deps xllamacpp", file=sys.stderr)
    load = os.getloadavg()[0]
    rounds = measured(names, threads=options.threads, repeat=options.repeat, unbatched=options.unbatched)
    scores = [score(name, rounds) for name in names]
    if options.json:
        print(
            json.dumps({"threads": options.threads, "load": load, "scores": [asdict(one) for one in scores]})
        )
        return
    print(f"{options.threads} of {os.cpu_count()} processors, load {load:.1f} before the start")
    for one in scores:
        print(
            f"{one.name:36} {median(one.tokens_per_s):7.1f} tokens/s   engine is {one.ratio:5.2f} times as fast,"
            f" {one.busy_ratio:5.2f} by processor time   same answers {one.agreeing} of {one.answers}"
        )
    for name in UNBATCHED:
        reached = next(one for one in scores if one.name == name).ratio
        print(f"{'meets' if reached >= TARGET else 'MISSES'} {TARGET:.0f} times {name}: {reached:.1f}")


if __name__ == "__main__":
    main()

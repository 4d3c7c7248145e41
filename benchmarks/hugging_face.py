"""A model through transformers: is what it says right, and how fast, against `generate` one prompt at a time?

    python benchmarks/hugging_face.py [--model DIR_OR_GGUF] [--rows 1 8 32] [--tokens 32]

For the embedded model (the default) the logits are compared with those of our own network first. Then the same greedy answers are
written row by row with `transformers.generate` and side by side as the server writes them, prompts read included, in turns; the
ratio of both is what counts on a machine that does other things too.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from harness.localserver.generation.decoder import Decoder, Ids
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.hf.backend import HfBackend
from harness.localserver.hf.recognition import ModelOnDisk, recognise
from harness.localserver.model.weights import ensure_weights

QUESTIONS = (
    "What is the capital of France?",
    "Write a short poem about rain on a tin roof.",
    "I was charged twice for my order, and nobody answers my messages. What can I do about it?",
    "Name three colours.",
)


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(given.threads)
    model = recognise(given.model) if given.model else ModelOnDisk(path=ensure_weights(), lean=True)
    started = time.perf_counter()
    backend = HfBackend(ModelOnDisk(path=model.path, lean=False), threads=given.threads)
    backend.decoder(None)
    print(f"loaded in {time.perf_counter() - started:.1f} s")
    prompts = [
        tuple(backend.tokens.encode_prompt([{"role": "user", "content": f"{question} ({number})"}]))
        for number in range(max(given.rows))
        for question in [QUESTIONS[number % len(QUESTIONS)]]
    ]
    if model.lean:
        lean = LeanBackend(model.path, threads=given.threads)
        print(f"largest difference to our own network's logits: {difference(backend, lean, prompts[:4]):.1e}")
    print("| rows | generate, tokens/s | side by side, tokens/s | ratio | same tokens |")
    print("|---|---|---|---|---|")
    for rows in given.rows:
        print(compared(backend, prompts[:rows], tokens=given.tokens))


def difference(backend: HfBackend, lean: LeanBackend, prompts: Sequence[Ids]) -> float:
    """Between the logits after four prompts and after one more token."""
    decoders: list[Decoder] = [backend.decoder(None), lean.decoder(None)]
    with torch.inference_mode():
        ours, others = ([decoder.read(prompts), decoder.advance([5] * len(prompts))] for decoder in decoders)
    return max(float((one - other).abs().max()) for one, other in zip(ours, others, strict=True))


@torch.inference_mode()
def compared(backend: HfBackend, prompts: Sequence[Ids], *, tokens: int) -> str:
    """One line of the table."""
    assert backend._network is not None
    model = backend._network.model
    ends = sorted(backend.tokens.control_ids)
    started = time.perf_counter()
    alone = [
        model.generate(
            torch.tensor([prompt], device=model.device),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long, device=model.device),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        for prompt in prompts
    ]
    generate_s = time.perf_counter() - started
    started = time.perf_counter()
    decoder = backend.decoder(None)
    logits = decoder.read(prompts)
    said: list[list[int]] = [[] for _ in prompts]
    for step in range(tokens):
        logits[:, ends] = -torch.inf  # as `min_new_tokens` does
        for row, token in zip(said, logits.argmax(dim=-1).tolist(), strict=True):
            row.append(token)
        if step < tokens - 1:
            logits = decoder.advance([row[-1] for row in said])
    together_s = time.perf_counter() - started
    count = len(prompts) * tokens
    same = sum(one == other for one, other in zip(alone, said, strict=True))
    ratio = generate_s / together_s
    return f"| {len(prompts)} | {count / generate_s:.0f} | {count / together_s:.0f} | {ratio:.1f} | {same} of {len(prompts)} |"


if __name__ == "__main__":
    main()

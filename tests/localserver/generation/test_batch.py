import random
from dataclasses import replace

import pytest
import torch

from harness.localserver.generation.batch import Answer, Batch, Prompt
from harness.localserver.generation.lean import LeanDecoder
from harness.localserver.generation.prefill import Reader
from harness.localserver.generation.sampling import Manner
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import Network, read_network
from harness.localserver.model.tokenizer import ChatTokenizer
from tests.localserver.tiny_model import reference_logits, write_tiny_model


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture(scope="module")
def network(gguf: GgufFile) -> Network:
    return read_network(gguf, dtype=torch.float32, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def tokenizer(gguf: GgufFile) -> ChatTokenizer:
    return ChatTokenizer(gguf)


def prompt(
    number: int, *, max_tokens: int = 12, temperature: float = 0.0, stop: tuple[str, ...] = ()
) -> Prompt:
    ids = (1, 70, 71, 72, *(3 + (number * 17 + place * 5) % 240 for place in range(4 + number * 3)))
    return Prompt(
        ids=ids,
        max_tokens=max_tokens,
        manner=Manner(temperature=temperature, top_p=0.9, seed=number),
        stop=stop,
    )


def batch_of(network: Network, tokenizer: ChatTokenizer) -> Batch:
    return Batch(LeanDecoder(Reader(network)), tokenizer)


@torch.inference_mode()
def answers_of(batch: Batch, *groups: dict[int, Prompt]) -> dict[int, Answer]:
    """All answers, a group of prompts joining after every step."""
    answers: dict[int, Answer] = {}
    waiting = list(groups)
    while waiting or len(batch):
        if waiting:
            batch.admit(waiting.pop(0))
        for key, end in batch.step().items():
            assert isinstance(end, Answer)
            # What was known of a prompt depends on what was read before, and is asked elsewhere.
            answers[key] = replace(end, cached_tokens=0)
    return answers


def test_answer_is_what_the_plain_computation_says(
    gguf: GgufFile, network: Network, tokenizer: ChatTokenizer
) -> None:
    asked = prompt(3, max_tokens=6)
    ids = list(asked.ids)
    for _ in range(6):
        ids.append(int(reference_logits(gguf, ids)[-1].argmax()))
        if ids[-1] in tokenizer.control_ids:
            break
    answer = answers_of(batch_of(network, tokenizer), {0: asked})[0]
    assert answer.text == tokenizer.decode(ids[len(asked.ids) :])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answer_does_not_depend_on_its_company(
    network: Network, tokenizer: ChatTokenizer, temperature: float
) -> None:
    prompts = {
        number: prompt(number, max_tokens=5 + number % 7 * 4, temperature=temperature) for number in range(20)
    }
    alone: dict[int, Answer] = {}
    for number, asked in prompts.items():
        alone |= answers_of(batch_of(network, tokenizer), {number: asked})
    assert len({answer.text for answer in alone.values()}) > 10
    order = random.Random(0).sample(list(prompts), 20)
    groups = [{number: prompts[number] for number in order[start : start + 3]} for start in range(0, 20, 3)]
    assert answers_of(batch_of(network, tokenizer), *groups) == alone
    assert answers_of(batch_of(network, tokenizer), prompts) == alone


def test_batch_can_be_used_again(network: Network, tokenizer: ChatTokenizer) -> None:
    batch = batch_of(network, tokenizer)
    assert answers_of(batch, {0: prompt(1)}) == answers_of(batch, {0: prompt(1)})


def test_limit_cuts_the_answer(network: Network, tokenizer: ChatTokenizer) -> None:
    long = answers_of(batch_of(network, tokenizer), {0: prompt(3, max_tokens=9)})[0]
    short = answers_of(batch_of(network, tokenizer), {0: prompt(3, max_tokens=4)})[0]
    assert (long.tokens, long.complete, short.tokens, short.complete) == (9, False, 4, False)
    assert long.text.startswith(short.text)


def test_stop_text_ends_the_answer_before_it(network: Network, tokenizer: ChatTokenizer) -> None:
    whole = answers_of(batch_of(network, tokenizer), {0: prompt(3)})[0].text
    stop = whole[4:6]
    stopped = answers_of(batch_of(network, tokenizer), {0: prompt(3, stop=("never seen", stop))})[0]
    assert (stopped.text, stopped.complete) == (whole[: whole.index(stop)], True)


def test_end_mark_ends_the_answer(gguf: GgufFile, network: Network) -> None:
    """With the token the model writes third taken for a mark, the answer has two tokens."""
    tokenizer = ChatTokenizer(gguf)
    whole = answers_of(batch_of(network, tokenizer), {0: prompt(3)})[0].text
    ids = tokenizer.encode_text(whole)
    tokenizer.control_ids = tokenizer.control_ids | {ids[2]}
    answer = answers_of(batch_of(network, tokenizer), {0: prompt(3)})[0]
    assert (answer.tokens, answer.complete) == (ids.index(ids[2]), True)


def test_room_is_for_so_many_rows_and_so_many_tokens(network: Network, tokenizer: ChatTokenizer) -> None:
    batch = batch_of(network, tokenizer)
    short, long = prompt(1), prompt(1, max_tokens=8000)
    assert batch.fits([short] * 32)
    assert not batch.fits([short] * 33)
    assert batch.fits([long] * 4)
    assert not batch.fits([long] * 5)
    assert not batch.fits([long, *[short] * 4])


def test_one_row_always_has_room(network: Network, tokenizer: ChatTokenizer) -> None:
    assert batch_of(network, tokenizer).fits([prompt(1, max_tokens=10**6)])

from dataclasses import replace

import pytest
import torch

from harness.localserver.generation.prefill import Beginnings, Reader, Reading
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import Network, read_network
from tests.localserver.tiny_model import reference_logits, write_tiny_model

SYSTEM = tuple(range(10, 70))
PROMPTS = [(*SYSTEM, *range(start, start + 9 + start % 5)) for start in range(100, 140, 4)]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture(scope="module")
def network(gguf: GgufFile) -> Network:
    return read_network(gguf, dtype=torch.float32, device=torch.device("cpu"))


class CountingHead:
    """A head that knows how often, and with how many tokens, the network was run through it."""

    def __init__(self, network: Network) -> None:
        self.calls = 0
        self.network = Network(
            shape=network.shape,
            embedding=network.embedding,
            layers=network.layers,
            norm=network.norm,
            head=self,
        )
        self._head = network.head

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self._head(rows)


class CountingEmbedding:
    """An embedding that notes how many tokens it is asked for."""

    def __init__(self, network: Network, asked: list[int]) -> None:
        self._embedding = network.embedding
        self._asked = asked

    def __getitem__(self, ids: torch.Tensor, /) -> torch.Tensor:
        self._asked.append(len(ids))
        return self._embedding[ids]


@torch.inference_mode()
def read_alone(network: Network, prompt: tuple[int, ...]) -> Reading:
    (reading,) = Reader(network).read([prompt])
    return reading


def assert_same(found: Reading, expected: Reading) -> None:
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-6)
    assert found.memory.tokens == expected.memory.tokens
    for mine, theirs in zip(
        found.memory.keys + found.memory.values, expected.memory.keys + expected.memory.values, strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 8, 9, 40, 63, 64, 65, 130])
def test_logits_are_those_of_the_plain_computation(gguf: GgufFile, network: Network, length: int) -> None:
    ids = tuple(3 + place * 7 % 250 for place in range(length))
    expected = torch.from_numpy(reference_logits(gguf, ids)[-1]).float()
    torch.testing.assert_close(read_alone(network, ids).logits, expected, atol=5e-4, rtol=1e-3)


@torch.inference_mode()
def test_prompts_read_together_are_as_if_read_alone(network: Network) -> None:
    for prompt, reading in zip(PROMPTS, Reader(network).read(PROMPTS), strict=True):
        assert_same(reading, read_alone(network, prompt))


@torch.inference_mode()
def test_prompts_read_one_by_one_are_as_if_read_alone(network: Network) -> None:
    reader = Reader(network)
    for prompt in PROMPTS:
        (reading,) = reader.read([prompt])
        assert_same(reading, read_alone(network, prompt))


@torch.inference_mode()
def test_prompt_read_twice_is_the_same(network: Network) -> None:
    reader = Reader(network)
    (first,) = reader.read([PROMPTS[0]])
    (second,) = reader.read([PROMPTS[0]])
    assert_same(second, first)


@torch.inference_mode()
def test_very_long_prompt_is_read_in_stretches(network: Network) -> None:
    ids = tuple(3 + place * 11 % 250 for place in range(700))
    whole = read_alone(network, ids)
    reader = Reader(network)
    reader.read([ids[:650]])
    (continued,) = reader.read([ids])
    assert_same(continued, whole)


@torch.inference_mode()
def test_common_beginning_is_read_once(network: Network) -> None:
    counting = CountingHead(network)
    reader = Reader(counting.network)
    reader.read(PROMPTS)
    assert counting.calls == 2
    reader.read([(*SYSTEM, *range(200, 220)), (*SYSTEM, *range(150, 170))])
    assert counting.calls == 3


@torch.inference_mode()
def test_unlike_prompts_are_read_in_one_call(network: Network) -> None:
    counting = CountingHead(network)
    Reader(counting.network).read([tuple(range(start, start + 30)) for start in (10, 80, 150)])
    assert counting.calls == 1


@torch.inference_mode()
def test_beginnings_do_not_pile_up(network: Network) -> None:
    beginnings = Beginnings()
    for start in range(3, 15):
        Reader(network, beginnings).read([tuple(start + place * 13 % 240 for place in range(500))])
    assert 1500 < beginnings.tokens <= 2048


@torch.inference_mode()
def test_what_one_reader_read_another_knows(network: Network) -> None:
    beginnings = Beginnings()
    Reader(network, beginnings).read([PROMPTS[0]])
    (reading,) = Reader(network, beginnings).read([PROMPTS[1]])
    assert reading.known_tokens == len(SYSTEM)
    assert_same(reading, read_alone(network, PROMPTS[1]))


@torch.inference_mode()
def test_another_networks_reading_is_not_known(network: Network) -> None:
    beginnings = Beginnings()
    Reader(CountingHead(network).network, beginnings).read([PROMPTS[0]])
    (reading,) = Reader(network, beginnings).read([PROMPTS[0]])
    assert reading.known_tokens == 0


@torch.inference_mode()
def test_longer_beginning_takes_the_place_of_its_own_beginning(network: Network) -> None:
    beginnings = Beginnings()
    reader = Reader(network, beginnings)
    reader.read([PROMPTS[0][:50]])
    reader.read([PROMPTS[0]])
    assert beginnings.tokens == len(PROMPTS[0])


@torch.inference_mode()
def test_prompt_asked_eight_times_is_read_once(network: Network) -> None:
    counting = CountingHead(network)
    run = []
    counting.network = replace(counting.network, embedding=CountingEmbedding(network, run))
    Reader(counting.network).read([PROMPTS[0]] * 8)
    # Once but for the last eight tokens, then those for each; filled up to a multiple of 16.
    assert sum(run) <= len(PROMPTS[0]) + 8 * 8 + 16

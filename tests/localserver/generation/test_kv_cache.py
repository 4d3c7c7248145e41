import pytest
import torch

from harness.localserver.generation.kv_cache import BLOCK, KvCache, Memory, attend_in_blocks, whole_blocks
from harness.localserver.model.network import NetworkShape, attend_causally, causal_bias

SHAPE = NetworkShape(
    layers=2,
    width=64,
    heads=4,
    kv_heads=2,
    feed_forward=96,
    vocabulary=99,
    context=512,
    rope_base=1e4,
    epsilon=1e-5,
)


def random_memory(tokens: int) -> Memory:
    def tensors() -> tuple[torch.Tensor, ...]:
        return tuple(torch.randn(2, tokens, 16) for _ in range(SHAPE.layers))

    return Memory(keys=tensors(), values=tensors())


def new_cache(*memories: Memory) -> KvCache:
    cache = KvCache(SHAPE, like=torch.zeros(0))
    for row, memory in enumerate(memories):
        cache.reserve(rows=row + 1, tokens=memory.tokens)
        cache.put(row, memory)
    return cache


def one_step(cache: KvCache, lengths: list[int], *, seed: int = 0, filling: int = 0) -> torch.Tensor:
    """The context of one new token a row, each with queries, keys and values that depend on its length alone."""
    tokens = []
    for length in lengths + lengths[:1] * filling:
        generator = torch.Generator().manual_seed(seed + length)
        tokens.append(torch.randn(8, 16, generator=generator))
    heads = torch.stack(tokens)
    cache.reserve(rows=len(lengths), tokens=max(lengths) + 1)
    return cache.attention(lengths)(0, heads[:, :4], heads[:, 4:6], heads[:, 6:])


@pytest.mark.parametrize(("tokens", "expected"), [(1, BLOCK), (BLOCK, BLOCK), (BLOCK + 1, 2 * BLOCK)])
def test_whole_blocks(tokens: int, expected: int) -> None:
    assert whole_blocks(tokens) == expected


@pytest.mark.parametrize(("count", "tokens"), [(1, 64), (10, 64), (64, 128), (30, 320)])
def test_attention_in_blocks_is_attention(count: int, tokens: int) -> None:
    queries = torch.randn(count, 4, 16)
    keys, values = torch.randn(tokens, 2, 16), torch.randn(tokens, 2, 16)
    bias = causal_bias(count, tokens, like=keys)
    expected = attend_causally(queries, keys, values, bias=bias)
    found = attend_in_blocks(
        queries[None], keys.transpose(0, 1)[None], values.transpose(0, 1)[None], bias=bias[None]
    )
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-5)


def test_row_attends_to_what_was_put_there_and_to_itself() -> None:
    memory = random_memory(70)
    found = one_step(new_cache(memory), [70])
    token = torch.randn(8, 16, generator=torch.Generator().manual_seed(70))
    keys = torch.cat((memory.keys[0].transpose(0, 1), token[None, 4:6]))
    values = torch.cat((memory.values[0].transpose(0, 1), token[None, 6:]))
    expected = attend_causally(token[None, :4], keys, values, bias=causal_bias(1, 71, like=keys))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_new_token_is_remembered() -> None:
    cache = new_cache(random_memory(5))
    first = one_step(cache, [5])
    unlike = new_cache(random_memory(5))
    assert not torch.equal(one_step(cache, [6]), one_step(unlike, [6]))
    assert first.shape == (1, 64)


def test_longer_rows_beside_it_do_not_change_a_row() -> None:
    memory = random_memory(30)
    alone = one_step(new_cache(memory), [30], filling=3)
    beside = one_step(new_cache(memory, random_memory(300), random_memory(31)), [30, 300, 31], filling=1)
    torch.testing.assert_close(beside[0], alone[0], atol=1e-6, rtol=0)


def test_filling_is_given_what_the_first_row_is_given() -> None:
    found = one_step(new_cache(random_memory(5), random_memory(9)), [5, 9], filling=2)
    assert found.shape == (4, 64)
    assert torch.equal(found[2], found[0])


def test_moved_row_is_the_same_row() -> None:
    kept = random_memory(40)
    cache = new_cache(random_memory(70), kept)
    cache.move(source=1, target=0, tokens=40)
    torch.testing.assert_close(one_step(cache, [40]), one_step(new_cache(kept), [40]), atol=1e-6, rtol=0)


def test_growing_keeps_what_is_there() -> None:
    memory = random_memory(20)
    cache = new_cache(memory)
    cache.reserve(rows=9, tokens=1000)
    torch.testing.assert_close(one_step(cache, [20]), one_step(new_cache(memory), [20]), atol=1e-6, rtol=0)


def test_first_tokens_of_a_memory() -> None:
    memory = random_memory(9)
    assert memory.first(4).tokens == 4
    assert torch.equal(memory.first(4).values[1], memory.values[1][:, :4])

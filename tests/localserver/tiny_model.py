"""A Llama of a few thousand weights as a GGUF file, and a second, plain way to compute what it says."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import pre_tokenizers

from harness.localserver.model.gguf_file import GgufFile

# As in the server. On a busy machine the two halves of one tiny product would wait for each other most of the time.
torch.set_num_threads(1)

FloatArray = npt.NDArray[np.floating]

LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD = 6, 64, 4, 2, 96
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = [
    "h e",
    "l l",
    "he ll",
    "hell o",
    "Ġ w",
    "o r",
    "Ġw or",
    "Ġwor l",
    "Ġworl d",
    "s y",
    "i m",
    "im _",
    "< |",
]
# The template of the published model file.
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_KINDS = {"F32": 0, "F16": 1, "Q4_1": 3, "Q8_0": 8}


def write_tiny_model(path: Path, *, seed: int = 0, context: int = 4096) -> Path:
    """Random weights in all encodings the reader knows, with a byte-level vocabulary and a few merges."""
    generator = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.5) -> FloatArray:
        return generator.normal(size=(rows, columns)) * scale / np.sqrt(columns)

    vocabulary = [
        *CONTROL,
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *(merge.replace(" ", "") for merge in MERGES),
    ]
    kv_width = WIDTH // HEADS * KV_HEADS
    tensors: dict[str, tuple[str, FloatArray]] = {
        "token_embd.weight": ("F16", matrix(len(vocabulary), WIDTH, scale=8.0)),
        "output_norm.weight": ("F32", 1 + 0.1 * generator.normal(size=WIDTH)),
    }
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        tensors[prefix + "attn_norm.weight"] = ("F32", 1 + 0.1 * generator.normal(size=WIDTH))
        tensors[prefix + "ffn_norm.weight"] = ("F32", 1 + 0.1 * generator.normal(size=WIDTH))
        tensors[prefix + "attn_q.weight"] = ("Q4_1", matrix(WIDTH, WIDTH))
        tensors[prefix + "attn_k.weight"] = ("Q4_1", matrix(kv_width, WIDTH))
        tensors[prefix + "attn_v.weight"] = ("Q4_1", matrix(kv_width, WIDTH))
        tensors[prefix + "attn_output.weight"] = ("Q8_0", matrix(WIDTH, WIDTH))
        tensors[prefix + "ffn_gate.weight"] = ("Q8_0", matrix(FEED_FORWARD, WIDTH))
        tensors[prefix + "ffn_up.weight"] = ("F16", matrix(FEED_FORWARD, WIDTH))
        tensors[prefix + "ffn_down.weight"] = ("F32", matrix(WIDTH, FEED_FORWARD))
    settings: dict[str, int | float | str | list[str] | list[int]] = {
        "general.architecture": "llama",
        "llama.block_count": LAYERS,
        "llama.context_length": context,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.rope.freq_base": 10_000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": vocabulary,
        "tokenizer.ggml.token_type": [3] * len(CONTROL) + [1] * (len(vocabulary) - len(CONTROL)),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    path.write_bytes(
        gguf_bytes(
            settings,
            {name: (kind, encoded(kind, values), values.shape) for name, (kind, values) in tensors.items()},
        )
    )
    return path


def gguf_bytes(
    settings: Mapping[str, int | float | str | list[str] | list[int]],
    tensors: Mapping[str, tuple[str, bytes, Sequence[int]]],
) -> bytes:
    """A GGUF file of these settings and encoded tensors."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(settings))
    for key, value in settings.items():
        head += _text(key) + _value(value)
    body = b""
    for name, (kind, raw, shape) in tensors.items():
        head += _text(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size) for size in reversed(shape))
        head += struct.pack("<IQ", _KINDS[kind], len(body))
        body += raw + bytes(-len(raw) % 32)
    return head + bytes(-len(head) % 32) + body


def encoded(kind: str, values: FloatArray) -> bytes:
    """The values in one of the encodings."""
    if kind in {"F32", "F16"}:
        return values.astype("<f4" if kind == "F32" else "<f2").tobytes()
    blocks = values.reshape(-1, 32)
    if kind == "Q8_0":
        scale = (np.abs(blocks).max(axis=1) / 127).astype("<f2")
        whole = np.rint(blocks / scale[:, None].astype(np.float32)).astype("i1")
        return b"".join(one.tobytes() + row.tobytes() for one, row in zip(scale, whole, strict=True))
    minimum = blocks.min(axis=1).astype("<f2")
    scale = ((blocks.max(axis=1) - blocks.min(axis=1)) / 15).astype("<f2")
    steps = np.clip(np.rint((blocks - minimum[:, None]) / scale[:, None].astype(np.float32)), 0, 15).astype(
        "u1"
    )
    halves = steps[:, :16] | (steps[:, 16:] << 4)
    return b"".join(
        a.tobytes() + b.tobytes() + row.tobytes() for a, b, row in zip(scale, minimum, halves, strict=True)
    )


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: int | float | str | list[str] | list[int]) -> bytes:
    match value:
        case str():
            return struct.pack("<I", 8) + _text(value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_text(str(item)) for item in value)
        case _:
            return struct.pack("<IIQ", 9, 5, len(value)) + b"".join(struct.pack("<i", item) for item in value)


def reference_logits(
    gguf: GgufFile, ids: Sequence[int], *, changes: Mapping[str, FloatArray] | None = None
) -> FloatArray:
    """Logits (tokens, vocabulary) in float64, written as the paper reads: one head and one token at a time.

    Queries and keys are taken as llama.cpp stores them, with the two features of a rotation side by side. `changes` are added to
    tensors by name.
    """
    head_width = WIDTH // HEADS
    angles = np.arange(len(ids))[:, None] * 10_000.0 ** -(np.arange(0, head_width, 2) / head_width)

    def weight(name: str) -> FloatArray:
        return gguf.tensor(f"{name}.weight").astype(np.float64) + (changes or {}).get(name, 0.0)

    def norm(state: FloatArray, name: str) -> FloatArray:
        return state / np.sqrt((state**2).mean(axis=-1, keepdims=True) + 1e-5) * weight(name)

    def rotated(head: FloatArray) -> FloatArray:
        even, odd = head[:, 0::2], head[:, 1::2]
        turned = np.empty_like(head)
        turned[:, 0::2] = even * np.cos(angles) - odd * np.sin(angles)
        turned[:, 1::2] = odd * np.cos(angles) + even * np.sin(angles)
        return turned

    def attention(state: FloatArray, layer: str) -> FloatArray:
        queries, keys, values = (state @ weight(f"{layer}.attn_{which}").T for which in "qkv")
        mixed = np.empty_like(queries)
        for head in range(HEADS):
            own = slice(head * head_width, (head + 1) * head_width)
            shared = head // (HEADS // KV_HEADS)
            theirs = slice(shared * head_width, (shared + 1) * head_width)
            scores = rotated(queries[:, own]) @ rotated(keys[:, theirs]).T / np.sqrt(head_width)
            for token in range(len(ids)):
                seen = np.exp(scores[token, : token + 1] - scores[token, : token + 1].max())
                mixed[token, own] = seen / seen.sum() @ values[: token + 1, theirs]
        return mixed @ weight(f"{layer}.attn_output").T

    state = weight("token_embd")[list(ids)]
    for number in range(LAYERS):
        layer = f"blk.{number}"
        state = state + attention(norm(state, f"{layer}.attn_norm"), layer)
        fed = norm(state, f"{layer}.ffn_norm")
        gate = fed @ weight(f"{layer}.ffn_gate").T
        up = fed @ weight(f"{layer}.ffn_up").T
        state = state + (gate / (1 + np.exp(-gate)) * up) @ weight(f"{layer}.ffn_down").T
    return norm(state, "output_norm") @ weight("token_embd").T

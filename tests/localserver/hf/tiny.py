"""Models of a few thousand weights as Hugging Face folders, in the styles that circulate: their layers, tokens and templates."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

TEXTS = [
    "Which tool sends the parcel to Lyon? The blue one, says the clerk, and the user agrees.",
    "model assistant system user Hello world, hello again; 1 2 3 and so on.\n\nA second paragraph.",
    "im_start im_end begin of text [INST] [/INST] start_of_turn end_of_turn",
]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Drops the chain of thought of earlier answers, as reasoning models' templates do.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m['content'].split('</think>')[-1] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one family of models looks."""

    config: type[Any]
    settings: dict[str, Any] = field(default_factory=dict)
    template: str | None
    special: tuple[str, ...]
    bos: str | None
    eos: str
    plain_marks: tuple[str, ...] = ()
    sentencepiece: bool = False


STYLES = {
    "chatml": Style(
        config=Qwen2Config,
        template=CHATML,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        bos=None,
        eos="<|im_end|>",
    ),
    "thinking": Style(
        config=Qwen2Config,
        template=THINKING,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        bos=None,
        eos="<|im_end|>",
        plain_marks=("<think>", "</think>"),
    ),
    "llama3": Style(
        config=LlamaConfig,
        settings={"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
        template=LLAMA3,
        special=(
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
    ),
    "mistral": Style(
        config=MistralConfig,
        settings={"sliding_window": 12},
        template=MISTRAL,
        special=("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
        bos="<s>",
        eos="</s>",
        sentencepiece=True,
    ),
    "gemma": Style(
        config=Gemma2Config,
        settings={
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        template=GEMMA,
        special=("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
        bos="<bos>",
        eos="<eos>",
        plain_marks=("\n\n",),
        sentencepiece=True,
    ),
    "gpt2": Style(
        config=GPT2Config,
        settings={"n_layer": 3, "n_head": 4, "n_embd": 32, "n_positions": 256},
        template=None,
        special=("<|endoftext|>",),
        bos="<|endoftext|>",
        eos="<|endoftext|>",
    ),
    "hybrid": Style(
        config=Lfm2Config,
        settings={"layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False},
        template=CHATML,
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        bos=None,
        eos="<|im_end|>",
    ),
}


def tokenizer_of(style: str) -> PreTrainedTokenizerFast:
    """A tokenizer trained on three sentences."""
    wanted = STYLES[style]
    backend = Tokenizer(
        models.BPE(byte_fallback=wanted.sentencepiece, unk_token="<unk>" if wanted.sentencepiece else None)
    )
    special = list(wanted.special)
    if wanted.sentencepiece:
        # As SentencePiece models are converted: spaces are marks of their own, unknown characters are bytes.
        backend.normalizer = normalizers.Sequence([normalizers.Replace(" ", "▁")])
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(
            vocab_size=600, special_tokens=[*special, *alphabet], show_progress=False
        )
    else:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    backend.train_from_iterator(TEXTS, trainer)
    if wanted.sentencepiece:
        backend = _without_added_bytes(backend, special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=wanted.bos, eos_token=wanted.eos, model_max_length=256
    )
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in wanted.plain_marks])
    tokenizer.chat_template = wanted.template
    return tokenizer


def _without_added_bytes(backend: Tokenizer, special: list[str]) -> Tokenizer:
    """The byte tokens are part of the vocabulary alone: their spelling in a text is text."""
    import json

    plan = json.loads(backend.to_str())
    plan["added_tokens"] = [token for token in plan["added_tokens"] if token["content"] in special]
    return Tokenizer.from_str(json.dumps(plan))


def write_model(folder: Path, style: str, *, seed: int = 0, context: int = 256) -> Path:
    """A model of random weights, saved as Hugging Face models are."""
    wanted = STYLES[style]
    tokenizer = tokenizer_of(style)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
    }
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
    }
    settings = {} if wanted.config is GPT2Config else sizes
    config = wanted.config(vocab_size=len(tokenizer), **ids, **(settings | wanted.settings))
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(
                    8
                )  # fresh weights are so small that every answer would be one token over and over
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

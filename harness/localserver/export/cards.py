"""What does an exported folder say about itself? A README: where it comes from, and the commands that serve it."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

# vLLM refuses adapters above its --max-lora-rank, which is this unless it is told otherwise, and then one of these
# (its engine arguments).
_VLLM_DEFAULT_RANK = 16
_VLLM_RANKS = (16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a folder was made from: the fine-tune's name, None for a base model alone; the base, its digest, its licence."""

    name: str | None
    base: str
    base_digest: str
    license: str | None


def adapter_card(origin: Origin, *, folder: Path, base_folder: Path, rank: int) -> str:
    """The README of an adapter."""
    return _card(
        origin,
        front={"library_name": "peft", "base_model": str(base_folder), "pipeline_tag": "text-generation"},
        what=f"A LoRA adapter of rank {rank}, in PEFT's format. Its base model lies in `{base_folder}`.",
        use=f"""Serve it with vLLM, under the name it had:

```
{serve_adapter_command(origin, folder=folder, base_folder=base_folder, rank=rank)}
```

Or load it with PEFT:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained({str(base_folder)!r})
model = PeftModel.from_pretrained(base, {str(folder)!r})
tokenizer = AutoTokenizer.from_pretrained({str(base_folder)!r})
```

When the folders move, `base_model_name_or_path` in `adapter_config.json` has to follow; vLLM does not read it.""",
    )


def model_card(origin: Origin, *, folder: Path) -> str:
    """The README of a whole model, a fine-tune merged into its base or the base alone."""
    whole = "Its changes are merged into the weights" if origin.name else "It is not fine-tuned"
    return _card(
        origin,
        front={"library_name": "transformers", "pipeline_tag": "text-generation"},
        what=f"A whole model. {whole}.",
        use=f"""Serve it with vLLM:

```
{serve_model_command(origin, folder=folder)}
```

Or make a GGUF of it with the script in llama.cpp's repository:

```
python convert_hf_to_gguf.py {shlex.quote(str(folder))} --outfile model.gguf --outtype bf16
```""",
    )


def serve_adapter_command(origin: Origin, *, folder: Path, base_folder: Path, rank: int) -> str:
    """The command with which vLLM serves an adapter on its base, both under the names they had here."""
    ranks = [allowed for allowed in _VLLM_RANKS if allowed >= rank]
    limit = f" --max-lora-rank {ranks[0]}" if ranks and rank > _VLLM_DEFAULT_RANK else ""
    return (
        f"vllm serve {shlex.quote(str(base_folder))} --served-model-name {shlex.quote(origin.base)} "
        f"--enable-lora{limit} --lora-modules {shlex.quote(f'{origin.name}={folder}')}"
    )


def serve_model_command(origin: Origin, *, folder: Path) -> str:
    """The command with which vLLM serves a whole model under the name it had here."""
    name = shlex.quote(origin.name or origin.base)
    return f"vllm serve {shlex.quote(str(folder))} --served-model-name {name}"


def _card(origin: Origin, *, front: dict[str, str], what: str, use: str) -> str:
    if origin.license:
        front = {**front, "license": origin.license}
    # A JSON string is a YAML string, whatever a path has in it.
    head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())
    return f"""---
{head}
---

# {origin.name or origin.base}

{what}

Base model: `{origin.base}`, weights `{origin.base_digest}`. Written by `harness models export`.

{use}
"""

"""How do other programs split text for this model? Its vocabulary, marks and chat form in the files transformers and vLLM read."""

import json
from typing import TypeAlias

from tokenizers import AddedToken, Regex, pre_tokenizers

from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import DEFAULT_SYSTEM, ChatTokenizer, plain_text_tokenizer

JsonObject: TypeAlias = "dict[str, object]"

# The chat form of `ChatTokenizer` as a template: `developer` is the newer name of `system`, a message without content is empty,
# and a conversation that does not open with a system message gets the default one.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- set role = 'system' if message['role'] == 'developer' else message['role'] -%}"
    "{%- if loop.first and role != 'system' -%}"
    "{{- '<|im_start|>system\n" + DEFAULT_SYSTEM + "<|im_end|>\n' -}}"
    "{%- endif -%}"
    "{{- '<|im_start|>' + role + '\n' + (message['content'] or '') + '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
# `ChatTokenizer` splits a message's head and its text apart. A tokenizer that is given the rendered conversation sees both as one
# text, and would join the head's line break with blanks or line breaks the text begins with.
_HEAD = r"\A(?:system|user|assistant)\n"


def tokenizer_files(gguf: GgufFile) -> dict[str, JsonObject]:
    """The tokenizer's files by name: the ids are those of `ChatTokenizer`.

    One difference is the readers': in a whole conversation they take the spelling of a mark for the mark, also where a user wrote it.
    """
    tokenizer = ChatTokenizer(gguf)
    tokens = gguf.texts("tokenizer.ggml.tokens")
    marks = [tokens[index] for index in sorted(tokenizer.control_ids)]
    roles: JsonObject = {
        "bos_token": tokens[tokenizer.start_id],
        "eos_token": tokens[tokenizer.end_id],
        "pad_token": tokens[tokenizer.end_id],
        "additional_special_tokens": marks,
    }
    return {
        "tokenizer.json": _tokenizer(gguf, marks),
        "tokenizer_config.json": {
            # The class that takes tokenizer.json as it stands; named classes of other models bring a split of their own.
            "tokenizer_class": "PreTrainedTokenizerFast",
            **roles,
            "model_max_length": gguf.integer("llama.context_length"),
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
        "special_tokens_map.json": roles,
    }


def _tokenizer(gguf: GgufFile, marks: list[str]) -> JsonObject:
    tokenizer = plain_text_tokenizer(gguf)
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_HEAD), behavior="isolated"), tokenizer.pre_tokenizer]
    )
    written: JsonObject = json.loads(tokenizer.to_str())
    return written

"""Which token ids does a conversation become, and which of them is the model taught to write?

The chat form is the one in the model file's template: every message is
`<|im_start|>role`, a line break, the text, `<|im_end|>`, a line break; a conversation that does not open with
a system message gets the default one. The template is a program and is not run; its form is written here,
and a test compares the two.
"""

from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from harness.errors import UsageError
from harness.localserver.model.gguf_file import GgufFile

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

_START = "<|im_start|>"
_END = "<|im_end|>"
# `tokenizer.ggml.token_type` of tokens that are marks, not text (llama.cpp's LLAMA_TOKEN_TYPE_CONTROL).
_CONTROL = 3
# The newer name of the same role; the model has seen only the older.
_ROLE_NAMES = {"developer": "system"}


def _bytes_of_letters() -> dict[str, int]:
    """The byte each letter of a byte-level vocabulary stands for: printable bytes as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }


_BYTES = _bytes_of_letters()


class ChatTokenizer:
    """Text to ids and back, with the model's own vocabulary; it is the engine's `Tokens`.

    Text inside messages is split by the vocabulary's merges alone, which never produce a control token: whatever a
    user writes, `<|im_end|>` included, stays text.
    """

    # An answer begins right after its head.
    answer_opening = b""

    def __init__(self, gguf: GgufFile) -> None:
        tokens = gguf.texts("tokenizer.ggml.tokens")
        kinds = gguf.settings.get("tokenizer.ggml.token_type")
        assert isinstance(kinds, list)
        ids = {token: index for index, token in enumerate(tokens)}
        self._tokenizer = plain_text_tokenizer(gguf)
        self.control_ids = frozenset(index for index, kind in enumerate(kinds) if kind == _CONTROL)
        self.start_id, self.end_id = ids[_START], ids[_END]
        self._newline = self.encode_text("\n")
        self._spellings = tokens

    @property
    def size(self) -> int:
        """Ids in the vocabulary."""
        return len(self._spellings)

    def encode_text(self, text: str) -> list[int]:
        """The ids of a piece of plain text; none of them is a control token."""
        # A lone surrogate, which JSON can carry, has no UTF-8 form.
        clean = text.encode("utf-8", errors="replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return ids

    def encode_opening(self, text: str) -> list[int]:
        """The same: this model expects no mark before a text."""
        return self.encode_text(text)

    def encode_prompt(self, messages: Sequence[Mapping[str, object]]) -> list[int]:
        """The ids the model continues: the conversation, then the head of an assistant message."""
        ids = [token for message in _with_system(messages) for token in self._message(message)[0]]
        return ids + self._head("assistant")

    def encode_training(self, messages: Sequence[Mapping[str, object]]) -> tuple[list[int], list[int]]:
        """The ids of a whole conversation and their loss mask, both of shape (tokens,).

        The mask is 1 on what an assistant wrote and on the `<|im_end|>` after it; an assistant message with
        `"weight": 0` is context only, as in OpenAI's chat format.
        """
        ids: list[int] = []
        mask: list[int] = []
        for message in _with_system(messages):
            message_ids, written = self._message(message)
            taught = message.get("role") == "assistant" and message.get("weight", 1) != 0
            ids += message_ids
            mask += [int(taught and index in written) for index in range(len(message_ids))]
        return ids, mask

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; control tokens have none, and half a character becomes U+FFFD."""
        text: str = self._tokenizer.decode([index for index in ids if index not in self.control_ids])
        return text

    def token_bytes(self, token: int) -> bytes:
        """The exact bytes of one token's text, empty for a control token."""
        if token in self.control_ids:
            return b""
        spelling = self._spellings[token]
        try:
            return bytes(_BYTES[letter] for letter in spelling)
        except KeyError:  # a token added by hand is spelled as it reads
            return spelling.encode()

    def _head(self, role: str) -> list[int]:
        return [self.start_id, *self.encode_text(_ROLE_NAMES.get(role, role)), *self._newline]

    def _message(self, message: Mapping[str, object]) -> tuple[list[int], range]:
        """The ids of one message, and the places in them that its author wrote."""
        head = self._head(str(message.get("role", "user")))
        body = self.encode_text(_text_of(message.get("content")))
        return [*head, *body, self.end_id, *self._newline], range(len(head), len(head) + len(body) + 1)


def plain_text_tokenizer(gguf: GgufFile) -> Tokenizer:
    """The vocabulary of a file and how text is split for it; it knows no control token."""
    merges = [
        (left, right)
        for left, _, right in (merge.partition(" ") for merge in gguf.texts("tokenizer.ggml.merges"))
    ]
    ids = {token: index for index, token in enumerate(gguf.texts("tokenizer.ggml.tokens"))}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    # "smollm" in tokenizer.ggml.pre: every digit alone, then the byte-level split of GPT-2.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _with_system(messages: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    opening = str(messages[0].get("role")) if messages else ""
    if _ROLE_NAMES.get(opening, opening) == "system":
        return list(messages)
    return [{"role": "system", "content": DEFAULT_SYSTEM}, *messages]


def _text_of(content: object) -> str:
    """The text of a message's content: a string, a list of text parts, or nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise UsageError(
            f"a message's content is of type {type(content).__name__}",
            remedy="give text or a list of text parts",
        )
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: object) -> str:
    text = (
        part.get("text") if isinstance(part, Mapping) and part.get("type") in {"text", "input_text"} else None
    )
    if not isinstance(text, str):
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        raise UsageError(f"a message has a part of type {kind!r}", remedy="this model reads text parts only")
    return text


def shared_beginning(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences have in common from their start."""
    length = min(len(first), len(second))
    return next((index for index in range(length) if first[index] != second[index]), length)

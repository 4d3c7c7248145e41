"""Which token ids does a conversation become for a Hugging Face model, and which of them is the model taught to write?"""

import re
from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from harness.errors import UsageError
from harness.localserver.hf.chat_form import ANSWER_START, PLACES, ChatForm, body_at
from harness.localserver.hf.vocabulary import Vocabulary

# A conversation as ordinary as any, to see which marks a template writes.
_ORDINARY = ("user", "assistant", "user", "assistant")


class _Writing:
    """A conversation as text, with marks in their secret spelling, and the first and last places of its answers in it.

    An answer ends with the first mark after its text, or with the text if none follows.
    """

    def __init__(self) -> None:
        self.text = ""
        self.answers: list[tuple[int, int]] = []
        self._start: int | None = None
        self._is_open = False

    def mark(self, spelling: str) -> None:
        self.text += spelling
        if self._is_open:
            self.answers[-1] = (self.answers[-1][0], len(self.text))
            self._is_open = False

    def begin_answer(self) -> None:
        self._start = len(self.text)

    def body(self, text: str) -> None:
        self.text += text
        self._is_open = self._start is not None
        if self._start is not None:
            self.answers.append((self._start, len(self.text)))
            self._start = None


class HfTokens:
    """The tokens of a Hugging Face model; it is the engine's `Tokens`.

    Only marks that the chat template itself writes become control tokens: text in messages that spells one out stays text.

    Args:
        tokenizer: The model's tokenizer.
        size: Ids the model has logits for.
        ends: Ids that end a text, as the model's generation settings say.

    Raises:
        UsageError: The tokenizer or its template cannot be used.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, size: int, ends: Iterable[int]) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UsageError(
                f"the model's tokenizer ({type(tokenizer).__name__}) has no fast form",
                remedy="give a model folder with a tokenizer.json",
            )
        self._form = ChatForm(tokenizer)
        self._size = size
        ordinary = self._form.lesson(_ORDINARY)
        marks = _marks(tokenizer, self._form.template + ordinary)
        self._vocabulary = Vocabulary(backend, marks)
        self._place = re.compile(f"{PLACES}|(?P<mark>{self._vocabulary.mark_pattern})")
        written = {mark: number for mark, number in marks.items() if mark in ordinary}
        special = {number for mark, number in marks.items() if tokenizer.added_tokens_decoder[number].special}
        self._opening: list[int] = _opening(tokenizer)
        self.end_id = self._find_end(marks, tokenizer.eos_token_id)
        named = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id, *ends}
        ending = {*named, *(special & set(written.values())), self.end_id}
        # Some tokenizers know marks, of pictures say, that the network has no logits for.
        self.control_ids = frozenset(number for number in ending if number is not None and number < size)
        self._silent = self.control_ids | special
        self.answer_opening = self._find_opening()

    @property
    def size(self) -> int:
        """Ids the network has logits for."""
        return self._size

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text that goes on from another; none of them is a control token, whatever the text says."""
        return self._vocabulary.encode(text, continues=True).ids

    def encode_opening(self, text: str) -> list[int]:
        """The ids of a text read from its beginning: after the mark that some models expect there."""
        return self._opening + self._vocabulary.encode(text).ids

    def encode_prompt(self, messages: Sequence[Mapping[str, object]]) -> list[int]:
        """The ids the model continues: the conversation in its chat form, then the head of an assistant message.

        Raises:
            UsageError: A message holds something other than text, or the template does not take these roles in this order.
        """
        skeleton = self._form.prompt(_roles(messages))
        return self._vocabulary.encode(self._write(skeleton, messages).text).ids

    def encode_training(self, messages: Sequence[Mapping[str, object]]) -> tuple[list[int], list[int]]:
        """The ids of a whole conversation and its loss mask, both of shape (tokens,).

        The mask is 1 on what the model has to write after the prompt of each assistant message, up to and with the first mark
        after the message's text; an assistant message with `"weight": 0` is context only. What the template writes behind the last answer
        is left out, since the model is never asked for it.

        Raises:
            UsageError: As for `encode_prompt`.
        """
        written = self._write(self._form.lesson(_roles(messages)), messages)
        answering = [message for message in messages if message.get("role") == "assistant"]
        taught = [
            span
            for span, message in zip(written.answers, answering, strict=True)
            if message.get("weight", 1) != 0
        ]
        encoded = self._vocabulary.encode(written.text)
        # A token at a border belongs to the answer if it ends in it.
        mask = [int(any(first < end <= last for first, last in taught)) for _, end in encoded.spans]
        ids = encoded.ids
        if messages and messages[-1].get("role") == "assistant" and ids[-1] not in self.control_ids:
            ids.append(self.end_id)
            mask.append(int(messages[-1].get("weight", 1) != 0))
        return ids, mask

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; control tokens have none, and half a character becomes U+FFFD."""
        return self._vocabulary.decode([number for number in ids if number not in self._silent])

    def token_bytes(self, token: int) -> bytes:
        """The exact bytes of one token's text, empty for a control token."""
        return b"" if token in self._silent else self._vocabulary.token_bytes(token)

    def _write(self, skeleton: str, messages: Sequence[Mapping[str, object]]) -> _Writing:
        """Put the messages' texts into a skeleton, up to the end of the last answer if that is the end."""
        writing = _Writing()
        position = 0
        for found in self._place.finditer(skeleton):
            writing.text += skeleton[position : found.start()]
            position = found.end()
            body = body_at(found)
            if found["mark"]:
                writing.mark(self._vocabulary.secret(found["mark"]))
            elif body is None:
                writing.begin_answer()
            else:
                writing.body(body.text(text_of(messages[body.message].get("content"))))
        if not writing.answers or messages[-1].get("role") != "assistant":
            writing.text += skeleton[position:]
        return writing

    def _find_opening(self) -> bytes:
        """The white space a template writes between the prompt and the answer's text."""
        _, _, answer = self._form.lesson(("user", "assistant")).partition(ANSWER_START)
        between = re.split(PLACES, answer, maxsplit=1)[0]
        return between.encode() if between.isspace() else b""

    def _find_end(self, marks: Mapping[str, int], otherwise: int | None) -> int:
        """The mark a template ends an answer with, or else the tokenizer's own end of a text."""
        lesson = self._form.lesson(("user", "assistant"))
        behind = lesson[lesson.rindex("\ue001") :]
        found = next(
            (found[4] for found in self._place.finditer(behind) if self._place.groups > 3 and found[4]), None
        )
        end = marks[found] if found else otherwise
        if end is None:
            raise UsageError(
                "the model has no token that ends an answer",
                remedy="name an eos_token in its tokenizer_config.json",
            )
        return end


def _marks(tokenizer: PreTrainedTokenizerBase, written: str) -> dict[str, int]:
    """The tokens that people's text must never become: special ones, and added ones that the template writes.

    White space that was added to a vocabulary is text, also where a template writes it.
    """
    return {
        token.content: number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special or (token.content in written and not token.content.isspace())
    }


def _opening(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before every text by itself."""
    bare: list[int] = tokenizer.encode("a", add_special_tokens=False)
    full: list[int] = tokenizer.encode("a", add_special_tokens=True)
    starts = range(len(full) - len(bare) + 1)
    return full[: next((start for start in starts if full[start : start + len(bare)] == bare), 0)]


def _roles(messages: Sequence[Mapping[str, object]]) -> list[str]:
    if not messages:
        raise UsageError("there are no messages", remedy="begin with a user message")
    return [str(message.get("role", "user")) for message in messages]


def text_of(content: object) -> str:
    """The text of a message's content: a string, a list of text parts, or nothing.

    Raises:
        UsageError: It is something else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError("a message holds something other than text", remedy="this model reads text only")
    return "".join(str(text) for text in texts)

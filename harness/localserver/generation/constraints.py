"""Which tokens keep an answer on its way to fulfilling a JSON Schema? llguidance says, token by token."""

import threading
from collections import OrderedDict

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from torch import Tensor

from harness.errors import EndpointError, HarnessError, UsageError
from harness.localserver.generation.decoder import Tokens

# Between the parts of an object or a list at most one space: a small model that may write more sometimes writes nothing else.
_WHITESPACE = " ?"
# Characters of a schema. OpenAI's limit is 120,000 for the names and values in it.
_LONGEST_SCHEMA = 200_000
# Compiled schemas that are kept, the most recently used.
_KEPT = 32


class Constraint:
    """What one answer has to fulfil, and how far it has come."""

    def __init__(self, matcher: LLMatcher, *, size: int) -> None:
        self._matcher = matcher
        self._size = size
        self._bits = allocate_token_bitmask(1, size)

    @property
    def is_fulfilled(self) -> bool:
        """Whether the answer is whole and nothing can follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def failure(self) -> HarnessError | None:
        """Why the answer cannot go on, if it cannot."""
        if not self._matcher.is_error():
            return None
        return EndpointError(
            f"the schema cannot be followed any further: {self._matcher.get_error()}",
            remedy="give a simpler schema",
        )

    def allowed(self) -> Tensor:
        """Which tokens may come next, bool of shape (vocabulary,)."""
        fill_next_token_bitmask(self._matcher, self._bits)
        flags = np.unpackbits(self._bits.view(np.uint8), bitorder="little")
        return torch.from_numpy(flags[: self._size]).bool()

    def follow(self, token: int) -> None:
        """The answer goes on with this token."""
        self._matcher.consume_token(token)


class Grammars:
    """Makes constraints for answers of one vocabulary; safe to ask from several threads."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()
        self._tokenizer: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    def constraint(self, schema: str) -> Constraint:
        """A constraint for one answer.

        Raises:
            UsageError: The schema is not one, is too large, or says what cannot be followed token by token.
        """
        if len(schema) > _LONGEST_SCHEMA:
            raise UsageError(
                f"the schema has {len(schema)} characters; {_LONGEST_SCHEMA} are the most",
                remedy="give a smaller schema",
            )
        with self._lock:
            if schema not in self._compiled:
                self._compiled[schema] = self._compile(schema)
                if len(self._compiled) > _KEPT:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(schema)
            return Constraint(self._compiled[schema].deep_copy(), size=self._tokens.size)

    def _compile(self, schema: str) -> LLMatcher:
        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(TokenizerWrapper(_Vocabulary(self._tokens)))
        try:
            grammar = LLMatcher.grammar_from_json_schema(
                schema, overrides={"whitespace_pattern": _WHITESPACE}
            )
        except ValueError as error:
            raise _refused(str(error)) from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        return matcher


class _Vocabulary:
    """The tokens as llguidance wants to see them."""

    bos_token_id = None

    def __init__(self, tokens: Tokens) -> None:
        self._encode = tokens.encode_text
        self.eos_token_id = tokens.end_id
        self.tokens = [tokens.token_bytes(token) for token in range(tokens.size)]
        self.special_token_ids = sorted(tokens.control_ids)

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)


def _refused(why: str) -> UsageError:
    return UsageError(f"the schema cannot be followed: {why}", remedy="change the schema")

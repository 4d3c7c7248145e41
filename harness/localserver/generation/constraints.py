"""Which tokens keep an answer on its way to fulfilling a JSON Schema? llguidance says, token by token."""

import threading
from collections import OrderedDict

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from torch import Tensor

from harness.errors import EndpointError, HarnessError
from harness.localserver.generation.decoder import Tokens
from harness.localserver.generation.schemas import compile_schema, reason

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
            f"the schema cannot be followed any further: {reason(self._matcher)}",
            remedy="give a simpler schema",
        )

    def forbidden(self) -> Tensor:
        """Which tokens may not come next, bool of shape (vocabulary,)."""
        fill_next_token_bitmask(self._matcher, self._bits)
        flags = np.unpackbits(~self._bits.view(np.uint8), bitorder="little")
        return torch.from_numpy(flags[: self._size].view(np.bool_))

    def follow(self, token: int) -> None:
        """The answer goes on with this token."""
        self._matcher.consume_token(token)


class Grammars:
    """Makes constraints for answers of one vocabulary; safe to ask from several threads.

    While a schema is compiled, answers in progress go on; only other new answers with a schema wait.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()
        # Made when first needed: it takes 0.2 s and 20 MB for 50,000 tokens.
        self._tokenizer: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    def constraint(self, schema: str) -> Constraint:
        """A constraint for one answer; it fulfils the schema when it ends by itself.

        Raises:
            UsageError: The schema is not one, is too large, or says what cannot be followed token by token.
        """
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = LLTokenizer(TokenizerWrapper(_Vocabulary(self._tokens)))
            if schema not in self._compiled:
                self._compiled[schema] = compile_schema(schema, self._tokenizer)
                if len(self._compiled) > _KEPT:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(schema)
            return Constraint(self._compiled[schema].deep_copy(), size=self._tokens.size)


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

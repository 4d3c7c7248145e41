"""Advances many answers together, one token a step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.localserver.generation.constraints import Constraint
from harness.localserver.generation.decoder import Decoder, Ids, Tokens
from harness.localserver.generation.draft import Draft
from harness.localserver.generation.probabilities import token_logprob
from harness.localserver.generation.requests import Piece, TokenLogprob
from harness.localserver.generation.sampling import Chooser, Manner, choose


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What to continue, and how: at most `max_tokens` tokens, ending before the first of the `stop` texts.

    `constraint` is this answer's own: it is used up by it. `opening` is left out where the answer begins with it.
    """

    ids: Ids
    max_tokens: int
    manner: Manner
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    constraint: Constraint | None = None
    on_piece: Callable[[Piece], None] | None = None
    opening: bytes = b""

    @property
    def most_tokens(self) -> int:
        """Tokens of the prompt and the longest answer it may get."""
        return len(self.ids) + self.max_tokens


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A finished answer; `complete` unless it was cut off at `max_tokens`; `tokens` without the mark that ends it."""

    text: str
    complete: bool
    tokens: int
    cached_tokens: int
    logprobs: tuple[TokenLogprob, ...] | None


class _Row:
    """One answer in progress."""

    def __init__(self, key: int, prompt: Prompt, *, cached_tokens: int) -> None:
        self.key = key
        self.prompt = prompt
        self.chooser = Chooser(prompt.manner, prompt.constraint)
        self.is_wanted = True
        self._cached_tokens = cached_tokens
        self._draft = Draft(prompt.stop)
        self._tokens = 0

    def write(self, token: int, logits: Tensor, tokens: Tokens) -> Answer | HarnessError | None:
        """Go on with a token that was chosen by these logits; returns how the answer ends if it does."""
        constraint = self.prompt.constraint
        if constraint and constraint.failure:
            return constraint.failure
        if token in tokens.control_ids:
            return self._finished(complete=True)
        self._tokens += 1
        top = self.prompt.top_logprobs
        logprob = None if top is None else token_logprob(logits, token, alternatives=top, tokens=tokens)
        data = tokens.token_bytes(token)
        self._draft.write(data.removeprefix(self.prompt.opening) if self._tokens == 1 else data, logprob)
        if self._draft.is_stopped or (constraint and constraint.is_fulfilled):
            return self._finished(complete=True)
        if self._tokens >= self.prompt.max_tokens:
            return self._finished(complete=False)
        self._tell()
        return None

    def _finished(self, *, complete: bool) -> Answer:
        self._draft.finish()
        self._tell()
        return Answer(
            text=self._draft.text,
            complete=complete,
            tokens=self._tokens,
            cached_tokens=self._cached_tokens,
            logprobs=None if self.prompt.top_logprobs is None else self._draft.logprobs,
        )

    def _tell(self) -> None:
        if self.prompt.on_piece:
            piece = self._draft.take()
            if piece.text:
                self.prompt.on_piece(piece)


class Batch:
    """Answers in progress, all of one decoder; no answer depends on which others are in progress."""

    def __init__(self, decoder: Decoder, tokens: Tokens) -> None:
        self._decoder = decoder
        self._tokens = tokens
        self._rows: list[_Row] = []
        # Of the rows, in their order: (rows, vocabulary) laid end to end.
        self._logits: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._rows)

    def fits(self, prompts: Sequence[Prompt]) -> bool:
        """Whether there is room for all of these too, should every answer become as long as it may."""
        longest = max(prompt.most_tokens for prompt in (*prompts, *(row.prompt for row in self._rows)))
        return self._decoder.room_for([prompt.ids for prompt in prompts], longest=longest)

    def admit(self, prompts: Mapping[int, Prompt]) -> None:
        """Read prompts; their answers advance with the next step, under the keys given here."""
        if not prompts:
            return
        self._logits.append(self._decoder.read([prompt.ids for prompt in prompts.values()]))
        for key, prompt in prompts.items():
            cached = self._decoder.cached_tokens(len(self._rows))
            self._rows.append(_Row(key, prompt, cached_tokens=cached))

    def abandon(self, key: int) -> None:
        """The answer under this key is not wanted any more: the next step drops it without a word."""
        for row in self._rows:
            if row.key == key:
                row.is_wanted = False

    def step(self) -> dict[int, Answer | HarnessError]:
        """Choose one token for every answer; returns those that this ends, by key."""
        logits = torch.cat(self._logits) if len(self._logits) > 1 else self._logits[0]
        tokens = choose(logits, [row.chooser for row in self._rows])
        ended: dict[int, Answer | HarnessError] = {}
        for index in reversed(range(len(self._rows))):
            row = self._rows[index]
            end = row.write(tokens[index], logits[index], self._tokens) if row.is_wanted else None
            if end:
                ended[row.key] = end
            if end or not row.is_wanted:
                self._drop(index, tokens)
        self._logits = [self._decoder.advance(tokens)] if tokens else []
        return ended

    def _drop(self, index: int, tokens: list[int]) -> None:
        """Free a row and its token: the last one takes its place."""
        self._decoder.drop(index)
        self._rows[index], tokens[index] = self._rows[-1], tokens[-1]
        self._rows.pop()
        tokens.pop()

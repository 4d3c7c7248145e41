"""Advances many answers together, one token a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.localserver.generation.kv_cache import KvCache
from harness.localserver.generation.prefill import Reader
from harness.localserver.generation.sampling import Chooser, choose, chooser
from harness.localserver.model.network import FEWEST_ROWS, Network, next_token_logits
from harness.localserver.model.tokenizer import ChatTokenizer

# More rows have no more work done at once on a processor (measured: the products run at full speed from 8 rows on).
_MOST_ROWS = 32
# Tokens all rows may come to together, 46 kB each in float32: 1.5 GB, if every answer is as long as it may be.
_MOST_TOKENS = 32_768
# Prompts are read this many tokens at a time, so that many long ones do not need their inner states all at once.
_READ_TOKENS = 4096


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What to continue, and how: at most `max_tokens` tokens, ending before the first of the `stop` texts."""

    ids: tuple[int, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]

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


@dataclass(kw_only=True)
class _Row:
    key: int
    prompt: Prompt
    chooser: Chooser
    logits: Tensor
    written: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens whose keys and values are stored."""
        return len(self.prompt.ids) + len(self.written)


class Batch:
    """Answers in progress, all of one network; no answer depends on which others are in progress."""

    def __init__(self, network: Network, tokenizer: ChatTokenizer) -> None:
        self.network = network
        self._tokenizer = tokenizer
        self._reader = Reader(network)
        self._cache = KvCache(network.shape, like=network.norm)
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def fits(self, prompts: Sequence[Prompt]) -> bool:
        """Whether there is room for all of these too, should every answer become as long as it may."""
        rows = len(self._rows) + len(prompts)
        longest = max(prompt.most_tokens for prompt in (*prompts, *(row.prompt for row in self._rows)))
        return rows == 1 or (rows <= _MOST_ROWS and rows * longest <= _MOST_TOKENS)

    def admit(self, prompts: Mapping[int, Prompt]) -> None:
        """Read prompts; their answers advance with the next step, under the keys given here."""
        group: dict[int, Prompt] = {}
        for key, prompt in prompts.items():
            if group and sum(len(other.ids) for other in group.values()) + len(prompt.ids) > _READ_TOKENS:
                self._read(group)
                group = {}
            group[key] = prompt
        if group:
            self._read(group)

    def step(self) -> dict[int, Answer]:
        """Choose one token for every answer; returns those that this completes, by key."""
        tokens = choose(torch.stack([row.logits for row in self._rows]), [row.chooser for row in self._rows])
        answers: dict[int, Answer] = {}
        for index in reversed(range(len(self._rows))):
            row = self._rows[index]
            answer = self._answer(row, tokens[index])
            if answer:
                answers[row.key] = answer
                self._drop(index)
                tokens[index] = tokens[-1]
                tokens.pop()
        if tokens:
            self._advance(tokens)
        else:
            self._cache = KvCache(self.network.shape, like=self.network.norm)
        return answers

    def _read(self, prompts: Mapping[int, Prompt]) -> None:
        self._cache.reserve(
            rows=len(self._rows) + len(prompts), tokens=max(len(prompt.ids) for prompt in prompts.values())
        )
        readings = self._reader.read([prompt.ids for prompt in prompts.values()])
        for (key, prompt), reading in zip(prompts.items(), readings, strict=True):
            how = chooser(temperature=prompt.temperature, top_p=prompt.top_p, seed=prompt.seed)
            self._cache.put(len(self._rows), reading.memory)
            self._rows.append(_Row(key=key, prompt=prompt, chooser=how, logits=reading.logits))

    def _answer(self, row: _Row, token: int) -> Answer | None:
        """The answer if `token` ends it; else it is written."""
        if token in self._tokenizer.control_ids:
            return Answer(text=self._tokenizer.decode(row.written), complete=True, tokens=len(row.written))
        row.written.append(token)
        full = len(row.written) >= row.prompt.max_tokens
        if not full and not row.prompt.stop:
            return None
        text = self._tokenizer.decode(row.written)
        stops = [place for stop in row.prompt.stop if (place := text.find(stop)) >= 0]
        if stops:
            return Answer(text=text[: min(stops)], complete=True, tokens=len(row.written))
        return Answer(text=text, complete=False, tokens=len(row.written)) if full else None

    def _drop(self, index: int) -> None:
        """Free a row: the last one takes its place."""
        last = self._rows.pop()
        if index < len(self._rows):
            # The token just chosen is not stored yet.
            self._cache.move(source=len(self._rows), target=index, tokens=last.length - 1)
            self._rows[index] = last

    def _advance(self, tokens: list[int]) -> None:
        places = [row.length - 1 for row in self._rows]
        self._cache.reserve(rows=len(places), tokens=max(places) + 1)
        filling = max(0, FEWEST_ROWS - len(places))
        logits = next_token_logits(
            self.network,
            tokens + tokens[:1] * filling,
            positions=places + places[:1] * filling,
            attention=self._cache.attention(places),
        )
        for row, row_logits in zip(self._rows, logits[: len(places)], strict=True):
            row.logits = row_logits

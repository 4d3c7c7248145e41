"""What has an answer said so far, and how much of that is final?

Bytes that are half a character, and a tail that may turn out to begin a stop text, are held back until it is clear what
they are. So the pieces that are given out are, put together, always the text of the answer.
"""

import codecs
from collections.abc import Sequence

from harness.localserver.generation.requests import Piece, TokenLogprob


class Draft:
    """The text of one answer while it is written; it ends before the first of the `stop` texts."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(filter(None, stop))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        # Characters that no stop text can take back any more, and those of them that were given out.
        self._final = self._given = 0
        # With the number of characters there were before each token.
        self._logprobs: list[tuple[int, TokenLogprob]] = []
        self._logprobs_given = 0
        self.is_stopped = False

    @property
    def text(self) -> str:
        """All there is, what is held back included, but for half a character."""
        return self._text

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        """Those of the tokens that have a share in the text."""
        return tuple(logprob for start, logprob in self._logprobs if start < len(self._text))

    def write(self, data: bytes, logprob: TokenLogprob | None = None) -> None:
        """Append a token's bytes."""
        if logprob:
            self._logprobs.append((len(self._text), logprob))
        self._append(self._decoder.decode(data))

    def finish(self) -> None:
        """Nothing more comes: what was held back is text."""
        if not self.is_stopped:
            self._append(self._decoder.decode(b"", final=True))
        self._final = len(self._text)

    def take(self) -> Piece:
        """What has become final since the last time; empty when nothing has."""
        text = self._text[self._given : self._final]
        self._given = self._final
        first = self._logprobs_given
        while (
            self._logprobs_given < len(self._logprobs)
            and self._logprobs[self._logprobs_given][0] < self._final
        ):
            self._logprobs_given += 1
        news = self._logprobs[first : self._logprobs_given]
        return Piece(text=text, logprobs=tuple(logprob for _, logprob in news))

    def _append(self, more: str) -> None:
        self._text += more
        found = [place for stop in self._stop if (place := self._text.find(stop, self._final)) >= 0]
        if found:
            self._text = self._text[: min(found)]
            self.is_stopped = True
            self._final = len(self._text)
        else:
            self._final = len(self._text) - self._undecided()

    def _undecided(self) -> int:
        """How many of the last characters may be the beginning of a stop text."""
        tail = self._text[self._final :]
        return max(
            (
                length
                for stop in self._stop
                for length in range(1, min(len(stop) - 1, len(tail)) + 1)
                if tail.endswith(stop[:length])
            ),
            default=0,
        )

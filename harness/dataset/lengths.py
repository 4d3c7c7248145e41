"""The tally of tokens: how long rows are, what one epoch bills, and which rows a job would cut."""

from array import array
from collections.abc import Iterator, Sequence

from harness.dataset.findings import SHOWN_LINES, Finding
from harness.dataset.histograms import Histogram, histogram
from harness.dataset.official import Distribution, distribution
from harness.dataset.tallies import SeenRow, Setting

# Four bytes a row for each figure: a million rows take 12 MB.
_COUNT = "I"


class LengthTally:
    """Tokens of every example, as columns in file order."""

    def __init__(self) -> None:
        self.lines = array(_COUNT)
        self.script = array(_COUNT)
        self.billed = array(_COUNT)
        self.answers = array(_COUNT)
        self.messages = array(_COUNT)

    def add(self, row: SeenRow) -> None:
        """Take a row; those that are no example have no tokens."""
        if row.example is None or row.tokens is None:
            return
        self.lines.append(row.line.number)
        self.script.append(row.tokens.script)
        self.billed.append(row.tokens.billed)
        self.answers.append(row.tokens.answers)
        self.messages.append(len(row.example.messages))

    def merge(self, later: "LengthTally") -> None:
        """Take in the next part's columns."""
        self.lines.extend(later.lines)
        self.script.extend(later.script)
        self.billed.extend(later.billed)
        self.answers.extend(later.answers)
        self.messages.extend(later.messages)

    def billed_tokens(self, *, limit: int | None) -> int:
        """Tokens one epoch bills, every row cut at the limit."""
        return sum(self.billed) if limit is None else sum(min(limit, tokens) for tokens in self.billed)

    def distributions(self) -> dict[str, Distribution]:
        """The official script's figures of rows, answers and messages; empty for a file without examples."""
        return {name: distribution(values) for name, values in self._columns() if values}

    def histograms(self) -> dict[str, Histogram]:
        """The same as bars, by the same names."""
        return {name: histogram(values) for name, values in self._columns() if values}

    def _columns(self) -> Iterator[tuple[str, Sequence[int]]]:
        yield "messages", self.messages
        yield "tokens", self.script
        yield "answer_tokens", self.answers

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Rows longer than the model's limit for one example."""
        limit = setting.example_limit
        if limit is None:
            return
        long = [
            (line, tokens) for line, tokens in zip(self.lines, self.billed, strict=True) if tokens > limit
        ]
        if long:
            lost = sum(tokens - limit for _, tokens in long)
            yield Finding(
                name="too_long",
                level="warning",
                what=f"{len(long)} rows are longer than {limit:,} tokens, the limit of {setting.model}",
                count=len(long),
                lines=tuple(line for line, _ in long[:SHOWN_LINES]),
                why=f"a job cuts them at the end, where the answer is: {lost:,} tokens are lost",
                remedy="shorten the context or split the conversations",
                figures={"limit": limit, "longest": max(tokens for _, tokens in long), "lost": lost},
            )

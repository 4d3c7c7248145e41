"""The tally of tokens: how long rows are, what one epoch bills, and which rows a job would cut."""

from collections.abc import Iterator

import numpy as np

from harness.dataset.columns import Column
from harness.dataset.findings import SHOWN_LINES, Finding, counted
from harness.dataset.histograms import Histogram, histogram
from harness.dataset.official import Distribution, distribution
from harness.dataset.tallies import SeenRow, Setting


class LengthTally:
    """Tokens of every example, as columns in file order."""

    def __init__(self) -> None:
        self.lines = Column("I")
        self.script = Column("I")
        self.billed = Column("I")
        self.answers = Column("I")
        self.messages = Column("I")

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
        return {name: histogram(values.table()) for name, values in self._columns() if values}

    def _columns(self) -> Iterator[tuple[str, Column]]:
        yield "messages", self.messages
        yield "tokens", self.script
        yield "answer_tokens", self.answers

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Rows longer than the model's limit for one example."""
        limit = setting.example_limit
        if limit is None:
            return
        billed = self.billed.table()
        long = np.flatnonzero(billed > limit)
        if len(long):
            rows = counted(len(long), "row is", "rows are")
            lost = int(billed[long].sum()) - limit * len(long)
            yield Finding(
                name="too_long",
                level="warning",
                what=f"{rows} longer than {limit:,} tokens, the limit of {setting.model}",
                count=len(long),
                lines=tuple(self.lines[index] for index in long[:SHOWN_LINES].tolist()),
                why=f"a job cuts rows at the end, where the answer is; lost: {counted(lost, 'token')}",
                remedy="shorten the context or split the conversations",
                figures={"limit": limit, "longest": int(billed[long].max()), "lost": lost},
            )

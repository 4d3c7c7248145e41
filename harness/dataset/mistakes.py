"""One mistake of a row of training data: the categories, the official script's names first, and what is told of it."""

from typing import Literal

from harness.dataset.shapes import Source
from harness.records import record

Category = Literal[
    # the official script's
    "data_type",
    "missing_messages_list",
    "message_missing_key",
    "message_unrecognized_key",
    "unrecognized_role",
    "missing_content",
    "example_missing_assistant_message",
    # what it does not look for
    "unreadable_line",
    "foreign_shape",
    "extra_key",
    "wrong_type",
    "wrong_weight",
    "no_trained_message",
    "wrong_part",
    "wrong_tool_call",
    "unmatched_tool_id",
    "wrong_tools",
    "wrong_preference",
    "wrong_turn",
    "unwritten_row",
]


@record
class RowProblem:
    """One mistake of a row; `message` counts from 1, as OpenAI's errors do, and is None when the row is meant.

    `place` is the list it stands in: `messages`, `input.messages`, `preferred_output` ...; `source` is where `harness data
    convert` mends it.
    """

    category: Category
    what: str
    remedy: str
    message: int | None = None
    place: str = "messages"
    source: Source | None = None

    def sentence(self) -> str:
        """What is wrong, with its place in the row before it."""
        return f"{self.place}[{self.message - 1}]: {self.what}" if self.message else self.what


Told = tuple[Category, str, str]
"""A mistake of a message, before its place is known: category, what, remedy."""

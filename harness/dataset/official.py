"""What does OpenAI's own check script say of a file? Its counts in both editions, and where it would stop with an exception.

Ported rule by rule from the script of the fine-tuning guide (2023) and of the cookbook's Chat_finetuning_data_prep notebook
(2024), so that figures can be held against theirs. What is wrong with the rules themselves (a limit of 4,096 tokens for
every model, quantiles .1 and .9 called p5 and p95, tools not counted) is kept; `check` has the rules of today.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from harness.dataset.billing import default_epochs
from harness.dataset.lines import Line, RawLine, chunks
from harness.dataset.tokens import TOKENS_OF_REPLY_START, TOKENS_PER_MESSAGE, TOKENS_PER_NAME
from harness.records import Json, record

Edition = Literal["2023", "2024"]

# The context of the first model that could be tuned; the script never learned of another.
MAX_TOKENS = 4096
_KEYS: Mapping[Edition, frozenset[str]] = {
    "2023": frozenset({"role", "content", "name"}),
    "2024": frozenset({"role", "content", "name", "function_call", "weight"}),
}
_ROLES: Mapping[Edition, frozenset[str]] = {
    "2023": frozenset({"system", "user", "assistant"}),
    "2024": frozenset({"system", "user", "assistant", "function"}),
}
# Text of which the script's tokenizer call says that it is a special token and raises.
_SPECIAL = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|endofprompt|>")

# What Python says of a line that holds nothing but its end.
_BLANK = "JSONDecodeError: Expecting value: line 2 column 1 (char 1)"

CountTokens = Callable[[str], int]


@record
class RowCounts:
    """What the script counts in one row: messages, all tokens, the assistant's tokens, and roles it misses."""

    messages: int
    total: int
    assistant: int
    no_system: bool
    no_user: bool


@record
class Distribution:
    """The script's figures of a list; `p5` and `p95` are really its quantiles .1 and .9, as the script prints them."""

    min: float
    max: float
    mean: float
    median: float
    p5: float
    p95: float


def format_errors(row: Json, *, edition: Edition) -> Counter[str]:
    """The script's format errors of one row, by category.

    Raises:
        AttributeError, TypeError: Where the script does, on messages that are no list of objects.
    """
    errors: Counter[str] = Counter()
    if not isinstance(row, dict):
        errors["data_type"] += 1
        return errors
    messages = row.get("messages", None)
    if not messages:
        errors["missing_messages_list"] += 1
        return errors
    for message in messages:
        if "role" not in message or "content" not in message:
            errors["message_missing_key"] += 1
        if any(key not in _KEYS[edition] for key in message):
            errors["message_unrecognized_key"] += 1
        if not _is_known(message.get("role", None), edition):
            errors["unrecognized_role"] += 1
        content = message.get("content", None)
        called = message.get("function_call", None) if edition == "2024" else None
        if (not content and not called) or not isinstance(content, str):
            errors["missing_content"] += 1
    if not any(message.get("role", None) == "assistant" for message in messages):
        errors["example_missing_assistant_message"] += 1
    return errors


def _read(line: Line) -> Json:
    """The row, or the kind of exception the script's reading of the file ends with; it takes NaN for a number."""
    if line.fault and line.row is None:
        raise ValueError(line.fault.what)
    return line.row


def _is_known(role: Json, edition: Edition) -> bool:
    # The script looks the role up in a list, which compares even what cannot be hashed.
    return any(role == known for known in _ROLES[edition])


def count_row(row: Json, count: CountTokens) -> RowCounts:
    """The script's counts of one row.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: Where the script does: keys that are missing, values that are not
            text, text that looks like a special token.
    """
    messages: Sequence[Mapping[str, Json]] = row["messages"]  # type: ignore[index]
    total = TOKENS_OF_REPLY_START
    assistant = 0
    roles = {message["role"] for message in messages}
    for message in messages:
        total += TOKENS_PER_MESSAGE
        for key, value in message.items():
            total += _encoded(value, count) + (TOKENS_PER_NAME if key == "name" else 0)
        if message["role"] == "assistant":
            assistant += _encoded(message["content"], count)
    return RowCounts(
        messages=len(messages),
        total=total,
        assistant=assistant,
        no_system="system" not in roles,
        no_user="user" not in roles,
    )


def _encoded(value: Json, count: CountTokens) -> int:
    if not isinstance(value, str):
        raise TypeError(f"a bytes-like object is required, not {type(value).__name__!r}")
    for special in _SPECIAL:
        if special in value:
            raise ValueError(f"Encountered text corresponding to disallowed special token {special!r}.")
    return count(value)


def _texts(row: Json) -> Iterator[str]:
    """Every text that `count_row` may count in a row, whatever the row is."""
    messages = row.get("messages") if isinstance(row, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Mapping):
            yield from (value for value in message.values() if isinstance(value, str))


def distribution(values: Iterable[int]) -> Distribution:
    """The script's figures of a list that is not empty."""
    array = np.fromiter(values, dtype=np.int64)
    return Distribution(
        min=float(array.min()),
        max=float(array.max()),
        mean=float(array.mean()),
        median=float(np.median(array)),
        p5=float(np.quantile(array, 0.1)),
        p95=float(np.quantile(array, 0.9)),
    )


@record
class Estimate:
    """What the script says the job will bill: tokens of one epoch, each row cut at the limit, and epochs."""

    tokens: int
    epochs: int
    too_long: int

    @property
    def charged(self) -> int:
        """Tokens of all epochs."""
        return self.tokens * self.epochs


def estimate(totals: Sequence[int], *, rows: int, limit: int = MAX_TOKENS) -> Estimate:
    """The script's last lines, from the totals of all rows it counted."""
    return Estimate(
        tokens=sum(min(limit, total) for total in totals),
        epochs=default_epochs(rows),
        too_long=sum(total > limit for total in totals),
    )


@record
class Stop:
    """A row at which the script ends with an exception."""

    line: int
    error: str


@record
class OfficialReport:
    """What the script prints of a file, counted over the rows it can count.

    `stops` are rows, the first of them, at which the script itself would have ended; `stopped` counts them all.
    """

    edition: Edition
    rows: int
    errors: Mapping[str, int]
    no_system: int
    no_user: int
    messages: Distribution | None
    tokens: Distribution | None
    answers: Distribution | None
    estimate: Estimate
    stops: tuple[Stop, ...]
    stopped: int


# Rows that stop the script, told one by one.
SHOWN_STOPS = 5


def blank_line(raws: Iterable[RawLine]) -> Stop | None:
    """The first blank line, which the script, reading every line as JSON, ends at; other readers pass over it."""
    first = next((raw.number for raw in raws if not raw.text), None)
    return None if first is None else Stop(line=first, error=_BLANK)


def official_report(
    lines: Iterable[Line],
    count_all: Callable[[Sequence[str]], Sequence[int]],
    *,
    edition: Edition,
    limit: int = MAX_TOKENS,
    blank: Stop | None = None,
) -> OfficialReport:
    """The script's report of a file's lines; `count_all` counts the tokens of each of many texts, `blank` is the blank line it ends at."""
    errors: Counter[str] = Counter()
    counted: list[RowCounts] = []
    stops = [blank] if blank else []
    rows = 0
    for chunk in chunks(lines):
        texts = [*dict.fromkeys(text for line in chunk for text in _texts(line.row))]
        tokens = dict(zip(texts, count_all(texts), strict=True))
        for line in chunk:
            rows += 1
            try:
                errors += format_errors(_read(line), edition=edition)
                counted.append(count_row(line.row, tokens.__getitem__))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                stops.append(Stop(line=line.number, error=f"{type(error).__name__}: {error}"))
    totals = [row.total for row in counted]
    return OfficialReport(
        edition=edition,
        rows=rows,
        errors=dict(errors),
        no_system=sum(row.no_system for row in counted),
        no_user=sum(row.no_user for row in counted),
        messages=distribution([row.messages for row in counted]) if counted else None,
        tokens=distribution(totals) if counted else None,
        answers=distribution([row.assistant for row in counted]) if counted else None,
        estimate=estimate(totals, rows=max(1, rows), limit=limit),
        stops=tuple(stops[:SHOWN_STOPS]),
        stopped=len(stops),
    )

"""What a fine-tuning job will bill: tokens of the file, times epochs, times the price.

Billed tokens of a chat row are its messages' tokens (3 + role + content each) plus 1: exact on three
real jobs whose `trained_tokens` are public. Validation is free.
"""

from collections.abc import Mapping, Sequence

from harness.dataset.cost import Price, price_of
from harness.dataset.examples import Dataset, Example
from harness.dataset.model_names import base_of
from harness.dataset.shapes import PREFERRED
from harness.dataset.tallies import RowTokens
from harness.dataset.tokens import TOKENS_OF_REPLY_START, Pieces, count_many, encoding_for, pieces_of
from harness.dataset.tools import tool_text

# A prompt's count ends with the three tokens that open the reply, as the official script's of a row does; a job bills
# one closing token there.
PROMPT_OVER_ROW = 2
# Epochs OpenAI chooses by itself, from its cookbook's data preparation: three, more for small files,
# fewer for large ones. It holds in every real job found.
TARGET_EPOCHS, MIN_TARGET_EXAMPLES, MAX_TARGET_EXAMPLES = 3, 100, 25_000
MAX_DEFAULT_EPOCHS = 25
TOKENS_PER_PRICE = 1_000_000
# The batch OpenAI chooses by itself, as Azure's guide words it and real jobs show: 0.2 percent of the examples.
BATCH_PER_MILLE, MIN_BATCH, MAX_BATCH = 2, 1, 256
# The learning-rate multipliers `auto` became in real jobs, by the beginning of the model's name (2024-04 to 2025-05).
_MULTIPLIERS = (("gpt-3.5-turbo", 2.0), ("gpt-4o-mini", 1.8), ("gpt-4.1-nano", 1.0))


def default_batch_size(examples: int) -> int:
    """The batch size of a job that leaves it to the provider."""
    return min(MAX_BATCH, max(MIN_BATCH, examples * BATCH_PER_MILLE // 1000))


def default_multiplier(model: str) -> float | None:
    """The learning-rate multiplier of a job that leaves it to the provider; None where no real job is known."""
    name = base_of(model)
    return next((value for start, value in _MULTIPLIERS if name.startswith(start)), None)


def default_epochs(examples: int) -> int:
    """The epochs of a job that leaves them to the provider."""
    if examples * TARGET_EPOCHS < MIN_TARGET_EXAMPLES:
        return min(MAX_DEFAULT_EPOCHS, MIN_TARGET_EXAMPLES // max(1, examples))
    if examples * TARGET_EPOCHS > MAX_TARGET_EXAMPLES:
        return max(1, MAX_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS


def count_rows(examples: Sequence[Example], *, model: str) -> list[RowTokens]:
    """The tokens of each row; of a preference pair both answers count, of which the preferred one is learned."""
    encoding = encoding_for(model)
    pieces = [_pieces(example) for example in examples]
    counts = iter(count_many([text for row in pieces for text in row.texts], encoding=encoding))
    counted = []
    for row in pieces:
        own = [next(counts) for _ in row.texts]
        script = TOKENS_OF_REPLY_START + row.fixed + sum(own)
        counted.append(
            RowTokens(
                script=script,
                billed=script - PROMPT_OVER_ROW,
                answers=sum(own[place] for place in row.answers),
            )
        )
    return counted


def _pieces(example: Example) -> Pieces:
    own = pieces_of(example.messages)
    texts, fixed = list(own.texts), own.fixed
    if example.form == "preference":
        spelling = next(name for name in PREFERRED if name in example.row)
        rejected = example.row[f"non_{spelling}"]
        assert isinstance(rejected, list), "an example's row has been checked"
        other = pieces_of(message for message in rejected if isinstance(message, Mapping))
        texts += other.texts
        fixed += other.fixed
    if tools := tool_text(example.row):
        texts.append(tools)
    return Pieces(fixed=fixed, texts=tuple(texts), answers=own.answers)


def billed_tokens(dataset: Dataset, *, model: str) -> int:
    """Tokens billed for one epoch."""
    return sum(row.billed for row in count_rows(dataset.examples, model=model))


def training_cost_usd(
    dataset: Dataset, *, model: str, epochs: int | None, price: Price | None = None
) -> float | None:
    """What the job will cost in USD, by a price of one's own or the table's; None where neither has one."""
    listed = price_of(model)
    own = price.train if price is not None else None
    train = own if own is not None else listed.train if listed is not None else None
    if train is None:
        return None
    passes = epochs if epochs is not None else default_epochs(len(dataset.examples))
    return billed_tokens(dataset, model=model) * passes * train / TOKENS_PER_PRICE

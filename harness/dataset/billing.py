"""What a fine-tuning job will bill: tokens of the file, times epochs, times the price.

Billed tokens of a chat row are its messages' tokens (3 + role + content each) plus 1: exact on three
real jobs whose `trained_tokens` are public. Validation is free.
"""

from harness.dataset.cost import price_of
from harness.dataset.examples import Dataset
from harness.dataset.tokens import count_message_tokens

# A prompt's count ends with the three tokens that open the reply; a training row ends with one.
PROMPT_OVER_ROW = 2
# Epochs OpenAI chooses by itself, from its cookbook's data preparation: three, more for small files,
# fewer for large ones. It holds in every real job found.
TARGET_EPOCHS, MIN_TARGET_EXAMPLES, MAX_TARGET_EXAMPLES = 3, 100, 25_000
MAX_DEFAULT_EPOCHS = 25
TOKENS_PER_PRICE = 1_000_000


def default_epochs(examples: int) -> int:
    """The epochs of a job that leaves them to the provider."""
    if examples * TARGET_EPOCHS < MIN_TARGET_EXAMPLES:
        return min(MAX_DEFAULT_EPOCHS, MIN_TARGET_EXAMPLES // max(1, examples))
    if examples * TARGET_EPOCHS > MAX_TARGET_EXAMPLES:
        return max(1, MAX_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS


def billed_tokens(dataset: Dataset, *, model: str) -> int:
    """Tokens billed for one epoch."""
    return sum(
        count_message_tokens(example.messages, model=model) - PROMPT_OVER_ROW for example in dataset.examples
    )


def training_cost_usd(dataset: Dataset, *, model: str, epochs: int | None) -> float | None:
    """What the job will cost in USD; None where the model's training has no known price."""
    price = price_of(model)
    if price is None or price.train is None:
        return None
    passes = epochs if epochs is not None else default_epochs(len(dataset.examples))
    return billed_tokens(dataset, model=model) * passes * price.train / TOKENS_PER_PRICE

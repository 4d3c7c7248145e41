"""Training data: reading it, counting its tokens, pricing it."""

from harness.dataset.billing import billed_tokens, default_epochs, training_cost_usd
from harness.dataset.cost import Price, cost_usd, price_of
from harness.dataset.examples import Dataset, Example, read_dataset
from harness.dataset.model_names import base_of, is_tuned
from harness.dataset.tokens import count_message_tokens, count_tokens, encoding_for

__all__ = [
    "Dataset",
    "Example",
    "Price",
    "base_of",
    "billed_tokens",
    "cost_usd",
    "count_message_tokens",
    "count_tokens",
    "default_epochs",
    "encoding_for",
    "is_tuned",
    "price_of",
    "read_dataset",
    "training_cost_usd",
]

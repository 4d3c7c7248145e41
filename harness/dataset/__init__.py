"""Training data: reading it, checking it, counting its tokens, pricing it."""

from harness.dataset.billing import billed_tokens, default_epochs, training_cost_usd
from harness.dataset.checking import check_file
from harness.dataset.cost import Price, cost_usd, price_of
from harness.dataset.examples import Dataset, Example, read_dataset
from harness.dataset.findings import Finding
from harness.dataset.leaks import SuitePrompt
from harness.dataset.lines import read_lines
from harness.dataset.model_names import base_of, is_tuned
from harness.dataset.report import DatasetReport
from harness.dataset.tokens import count_message_tokens, count_tokens, encoding_for

__all__ = [
    "Dataset",
    "DatasetReport",
    "Example",
    "Finding",
    "Price",
    "SuitePrompt",
    "base_of",
    "billed_tokens",
    "check_file",
    "cost_usd",
    "count_message_tokens",
    "count_tokens",
    "default_epochs",
    "encoding_for",
    "is_tuned",
    "price_of",
    "read_dataset",
    "read_lines",
    "training_cost_usd",
]

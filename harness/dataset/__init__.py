"""Training data: reading it, checking it, counting its tokens, pricing it."""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.dataset.billing import billed_tokens, default_epochs, training_cost_usd
    from harness.dataset.checking import check_file
    from harness.dataset.cost import Price, cost_usd, price_of
    from harness.dataset.examples import Dataset, Example, read_dataset
    from harness.dataset.findings import Finding
    from harness.dataset.leaks import SuitePrompt
    from harness.dataset.lines import read_lines
    from harness.dataset.model_names import base_of, is_tuned
    from harness.dataset.report import DatasetReport
    from harness.dataset.tokens import count_message_tokens, count_tokens, encoding_for, knows_encoding
    from harness.dataset.tools import tool_text

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
    "knows_encoding",
    "price_of",
    "read_dataset",
    "read_lines",
    "tool_text",
    "training_cost_usd",
]

__getattr__ = door(
    __name__,
    {
        "Dataset": "examples",
        "DatasetReport": "report",
        "Example": "examples",
        "Finding": "findings",
        "Price": "cost",
        "SuitePrompt": "leaks",
        "base_of": "model_names",
        "billed_tokens": "billing",
        "check_file": "checking",
        "cost_usd": "cost",
        "count_message_tokens": "tokens",
        "count_tokens": "tokens",
        "default_epochs": "billing",
        "encoding_for": "tokens",
        "is_tuned": "model_names",
        "knows_encoding": "tokens",
        "price_of": "cost",
        "read_dataset": "examples",
        "read_lines": "lines",
        "tool_text": "tools",
        "training_cost_usd": "billing",
    },
)

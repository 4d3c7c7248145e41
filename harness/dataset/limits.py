"""How long may a training row be, by model? Beyond it a job cuts the row's end.

OpenAI's fine-tuning guides of 2024, Azure's model tables of 2025; the models of other makers are not in the table.
"""

from harness.dataset.model_names import base_of

_EXAMPLE_LIMITS = (
    # The longest matching beginning of a name holds.
    ("gpt-3.5-turbo", 16_385),
    ("gpt-3.5-turbo-0613", 4_096),
    ("gpt-4-0613", 8_192),
    ("gpt-4o", 65_536),
    ("gpt-4.1", 65_536),
    ("gpt-4.1-nano", 32_768),
    ("o4-mini", 65_536),
    ("babbage-002", 16_384),
    ("davinci-002", 16_384),
    ("smollm2-135m-instruct", 8_192),
)


def example_limit(model: str) -> int | None:
    """Tokens a training row may have; None for a model whose limit is not known."""
    name = base_of(model)
    matching = [(len(start), limit) for start, limit in _EXAMPLE_LIMITS if name.startswith(start)]
    return max(matching)[1] if matching else None

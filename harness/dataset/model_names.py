"""What a model's name says: the base behind a fine-tune's name.

OpenAI: `ft:<base snapshot>:<organisation>:<suffix>:<id>[:ckpt-step-<n>]`; Azure: `<base snapshot>.ft-<hex>[-suffix]`.
"""

_AZURE_MARK = ".ft-"


def is_tuned(model: str) -> bool:
    """Whether the name is that of a fine-tuned model."""
    return model.startswith("ft:") or _AZURE_MARK in model


def base_of(model: str) -> str:
    """The base a fine-tune's name carries; any other name is returned as it is."""
    if model.startswith("ft:"):
        return model.split(":")[1]
    return model.split(_AZURE_MARK, 1)[0]

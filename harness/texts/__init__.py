"""What a text says without asking any model: its normal forms, and whether it refuses."""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.texts.normalisation import fold
    from harness.texts.refusal_reading import RefusalReading, read_refusal

__all__ = ["RefusalReading", "fold", "read_refusal"]

__getattr__ = door(
    __name__,
    {
        "RefusalReading": "refusal_reading",
        "fold": "normalisation",
        "read_refusal": "refusal_reading",
    },
)

"""What a text says without asking any model: its normal forms, and whether it refuses."""

from harness.texts.normalisation import fold
from harness.texts.refusal_reading import RefusalReading, read_refusal

__all__ = ["RefusalReading", "fold", "read_refusal"]

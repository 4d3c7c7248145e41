"""A check that pytest shows as a failure and `python -O` does not remove."""


def require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Fail with the sentence `otherwise` unless the condition holds.

    Raises:
        AssertionError: It does not hold.
    """
    if not holds:
        raise AssertionError(otherwise)

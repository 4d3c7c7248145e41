"""Which label does a wording mean? Shared by the scorer that reads answers and the verdict that counts them."""

from collections.abc import Iterable, Mapping

from harness.records import Json
from harness.texts.normalisation import as_text, normalise


def wordings(labels: Iterable[str], aliases: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Every way to say a label, and the label."""
    yield from ((label, label) for label in labels)
    yield from aliases.items()


def label_meanings(labels: Iterable[str], aliases: Mapping[str, str]) -> dict[str, str]:
    """Normalised wording to label."""
    return {normalise(wording): label for wording, label in wordings(labels, aliases)}


def label_meant(value: Json, meanings: Mapping[str, str]) -> str | None:
    """The label that a case's `expected` means; None for what is no label."""
    text = as_text(value)
    return None if text is None else meanings.get(normalise(text))

"""For which base model is training data judged, and by which prices?"""

from pathlib import Path

from harness.config import EMBEDDED_MODEL, Settings, project_root, read_settings
from harness.dataset import Price
from harness.records import record

# The base when neither a flag nor the configuration names one: of those that can still be tuned, the cheap one.
DEFAULT_MODEL = "gpt-4.1-mini-2025-04-14"


@record
class Base:
    """A base by its id, with the prices the configuration gives it, and what is tuned from it."""

    model: str
    price: Price
    tuned_price: Price


def chosen_base(name: str | None) -> Base:
    """The base of this name or id; without one the configured base, or the embedded model where only training is configured.

    Raises:
        FileError: The configuration has mistakes.
    """
    settings = read_settings(project_root(Path.cwd()))
    return base_named(
        settings, name or settings.base or (EMBEDDED_MODEL if settings.train else DEFAULT_MODEL)
    )


def base_named(settings: Settings, name: str) -> Base:
    """A name under `models`, or an id; the price of an id is that of a table with this model.

    What is tuned from it costs what the configured candidate does, where the candidate comes from this base.
    """
    tables = settings.models
    table = tables.get(name) or next((table for table in tables.values() if table.model == name), None)
    candidate = tables.get(settings.candidate or "")
    is_tuned_from_it = candidate is not None and name == settings.base
    return Base(
        model=table.model if table else name,
        price=table.price if table else Price(),
        tuned_price=candidate.price if candidate and is_tuned_from_it else Price(),
    )

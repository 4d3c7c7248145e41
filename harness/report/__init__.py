"""The page of a run: ship or not, and why, in one self-contained HTML file.

The names are loaded when first used: the page's libraries take a second, and the terminal's report of training data needs none of them.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.cautions import warnings_of
    from harness.report.labelling_page import Card, Choice, render_sheet
    from harness.report.page import render
    from harness.report.text import text_summary

__all__ = ["Card", "Choice", "render", "render_sheet", "text_summary", "warnings_of"]

_HOMES = {
    "Card": "labelling_page",
    "Choice": "labelling_page",
    "render": "page",
    "render_sheet": "labelling_page",
    "text_summary": "text",
    "warnings_of": "cautions",
}


def __getattr__(name: str) -> object:
    """A name of the front door, from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'harness.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"harness.report.{_HOMES[name]}"), name)

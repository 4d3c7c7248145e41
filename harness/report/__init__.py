"""The page of a run: ship or not, and why, in one self-contained HTML file.

The names are loaded when first used: the page's libraries take a second, and the terminal's report of training data needs none of them.
"""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.report.cautions import warnings_of
    from harness.report.labelling_page import Card, Choice, render_sheet
    from harness.report.page import render
    from harness.report.text import text_summary

__all__ = ["Card", "Choice", "render", "render_sheet", "text_summary", "warnings_of"]

__getattr__ = door(
    __name__,
    {
        "Card": "labelling_page",
        "Choice": "labelling_page",
        "render": "page",
        "render_sheet": "labelling_page",
        "text_summary": "text",
        "warnings_of": "cautions",
    },
)

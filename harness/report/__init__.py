"""The page of a run: ship or not, and why, in one self-contained HTML file."""

from harness.report.cautions import warnings_of
from harness.report.labelling_page import Card, Choice, render_sheet
from harness.report.page import render
from harness.report.text import text_summary

__all__ = ["Card", "Choice", "render", "render_sheet", "text_summary", "warnings_of"]

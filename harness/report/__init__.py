"""The page of a run: ship or not, and why, in one self-contained HTML file."""

from harness.report.page import render

__all__ = ["render"]

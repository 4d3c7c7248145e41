"""Drawings as inline SVG: a training by step, and how counts are spread over rows. matplotlib is used here alone.

The names are loaded when first used: matplotlib takes half a second, and a page without a drawing needs none of it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.charts.behaviour import BehaviourLine, BehaviourPoint, behaviour_lines
    from harness.report.charts.courses import MEASURES, draw_training
    from harness.report.charts.spreads import Spread, draw_spread
    from harness.report.charts.svg import Chart

__all__ = [
    "MEASURES",
    "BehaviourLine",
    "BehaviourPoint",
    "Chart",
    "Spread",
    "behaviour_lines",
    "draw_spread",
    "draw_training",
]

_HOMES = {
    "MEASURES": "courses",
    "BehaviourLine": "behaviour",
    "BehaviourPoint": "behaviour",
    "Chart": "svg",
    "Spread": "spreads",
    "behaviour_lines": "behaviour",
    "draw_spread": "spreads",
    "draw_training": "courses",
}


def __getattr__(name: str) -> object:
    """A name of the front door, from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'harness.report.charts' has no attribute {name!r}")
    return getattr(importlib.import_module(f"harness.report.charts.{_HOMES[name]}"), name)

"""Drawings as inline SVG: a training by step, and how counts are spread over rows. matplotlib is used here alone."""

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

"""The run's suites over the runs before it, each a small drawing whose marks lead to those runs' pages."""

from urllib.parse import quote

from harness.evals import PAGE
from harness.records import record
from harness.report import trends
from harness.report.material import Material
from harness.report.trends import Trend


@record
class TrendView:
    """The drawings in SVG units; `pages` maps a run's folder to its page as an address from here."""

    trends: tuple[Trend, ...]
    pages: dict[str, str]
    width: float
    height: float


def show_trend(material: Material) -> TrendView | None:
    """The trends; None for a run that no other came before."""
    if not material.trends:
        return None
    folders = {mark.folder for trend in material.trends for mark in trend.marks if mark.folder}
    return TrendView(
        trends=material.trends,
        pages={folder: f"../{quote(folder, safe='', errors='replace')}/{PAGE}" for folder in folders},
        width=trends.WIDTH,
        height=trends.HEIGHT,
    )

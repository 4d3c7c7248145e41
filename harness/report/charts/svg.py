"""From matplotlib's document to a part of a page under a strict content security policy.

No style attributes, no metadata, colours as the page's own variables (so that a drawing follows light and dark), text
as text in the page's font, coordinates to a tenth of a unit.
"""

import io
import re
import xml.etree.ElementTree as ET

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.records import record

WIDTH_IN = 6.6
"""72 SVG units per inch: near the width of a column of the page, so that text keeps its size."""

# Colours that stand for the page's variables: matplotlib wants hex, the page wants var(--...).
TRAIN, VALID, INK, FAINT, LIMIT = "#010101", "#020202", "#030303", "#040404", "#050505"
FAULT, PAPER = "#060606", "#070707"
LINES = ("#0a0101", "#0a0202", "#0a0303", "#0a0404", "#0a0505", "#0a0606", "#0a0707")
_VARIABLES = {
    TRAIN: "var(--train)",
    VALID: "var(--valid)",
    INK: "var(--muted)",
    FAINT: "var(--rule)",
    LIMIT: "var(--bad)",
    FAULT: "var(--open)",
    PAPER: "var(--paper)",
    **{colour: f"var(--line-{number})" for number, colour in enumerate(LINES, start=1)},
}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_KEPT_STYLES = frozenset(
    {
        "fill",
        "stroke",
        "stroke-width",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-dasharray",
        "stroke-opacity",
        "fill-opacity",
        "opacity",
        "text-anchor",
    }
)


@record
class Chart:
    """A drawing, and the same in one sentence for those who do not see it."""

    title: str
    unit: str
    svg: Markup
    summary: str


def dress(axes: Axes) -> None:
    """Few lines, in the page's colours."""
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(axis="x", color=FAINT, labelcolor=INK)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def inline(figure: Figure, *, key: str, summary: str) -> Markup:
    """The figure as one `<svg>` element for the page; `summary` is its accessible name."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - matplotlib's own text
    for parent in root.iter():
        for child in list(parent):
            if child.tag in {f"{_SVG}style", f"{_SVG}metadata"} or not isinstance(child.tag, str):
                parent.remove(child)
    for element in root.iter():
        _clean(element, prefix=key)
    view_box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view_box, "role": "img", "aria-label": summary, "class": "chart"})
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - a serialised tree, escaped by ElementTree


def _clean(element: ET.Element, *, prefix: str) -> None:
    """Style attributes to presentation attributes, ids to the page's, numbers to a tenth."""
    element.tag = element.tag.removeprefix(_SVG)
    style = element.attrib.pop("style", "")
    for name, _, value in (part.partition(":") for part in style.split(";")):
        if name.strip() in _KEPT_STYLES:
            element.set(name.strip(), value.strip())
    target = element.attrib.pop(_XLINK, None)
    if target is not None:
        element.set("href", f"#{prefix}-{target.removeprefix('#')}")
    if element.tag == "g":  # nothing refers to a group
        element.attrib.pop("id", None)
    elif "id" in element.attrib:
        element.set("id", f"{prefix}-{element.attrib['id']}")
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name, value in element.attrib.items():
        element.set(name, _shortened(name, value, prefix=prefix))


def _shortened(name: str, value: str, *, prefix: str) -> str:
    if name in {"d", "x", "y", "width", "height", "transform"}:
        return re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)
    if name == "clip-path":
        return value.replace("url(#", f"url(#{prefix}-")
    return _VARIABLES.get(value, value)

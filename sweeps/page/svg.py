"""Matplotlib's pictures as inline SVG that takes the page's colours and fonts, in both themes.

Text stays text. Colours of text and lines are drawn as marks and replaced by custom properties;
identifiers get the picture's name before them, as several pictures stand on one page.
"""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK, RULE = "#010203", "#040506"
"""What is drawn instead of the page's colours."""
THEMED = {INK: "var(--soft)", RULE: "var(--rule)"}
POINTS_PER_INCH = 72
"""SVG has one unit a point here, so font sizes are as they are named."""
FONT_POINTS = 10.5
RASTER_DPI = 200
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "zooscope",
    "font.family": "sans-serif",
    "font.size": FONT_POINTS,
    "axes.titlesize": FONT_POINTS,
    "axes.labelsize": FONT_POINTS,
    "xtick.labelsize": FONT_POINTS - 0.5,
    "ytick.labelsize": FONT_POINTS - 0.5,
    "legend.fontsize": FONT_POINTS - 0.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    # Names are text, whatever dollar signs they hold.
    "text.parse_math": False,
}
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def svg(
    name: str,
    alternative: str,
    draw: Callable[[Any], None],
    *,
    size: tuple[float, float],
    margins: tuple[float, float] | None = None,
) -> Markup:
    """A picture as an SVG element.

    Args:
        name: of the picture, unlike any other's on the page.
        alternative: what it shows, for those who do not see it.
        draw: gets a matplotlib figure.
        size: width and height in points.
        margins: points left and below that texts take; None: as much as they need, which takes
            longer to find than to draw.
    """
    with mpl.rc_context(STYLE):
        inches = [length / POINTS_PER_INCH for length in size]
        layout = "constrained" if margins is None else None
        figure = Figure(figsize=(inches[0], inches[1]), layout=layout, dpi=RASTER_DPI)
        if margins is not None:
            left, bottom = (part / whole for part, whole in zip(margins, size, strict=True))
            figure.subplots_adjust(left=left, bottom=bottom, right=0.97, top=0.97)
        draw(figure)
        buffer = io.BytesIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata=metadata)
    return Markup(_inline(buffer.getvalue(), name, alternative, width=size[0]))


def _inline(document: bytes, name: str, alternative: str, *, width: float) -> str:
    root = ElementTree.fromstring(document)
    for part in ("metadata",):
        for element in root.findall(f"{{{SVG}}}{part}"):
            root.remove(element)
    for element in root.iter():
        _prefix(element, name)
    for length in ("width", "height", "version"):
        root.attrib.pop(length, None)
    root.set("role", "img")
    root.set("aria-label", alternative)
    root.set("style", f"max-width:{width * 1.15:.0f}px")
    text = ElementTree.tostring(root, encoding="unicode")
    for mark, colour in THEMED.items():
        text = text.replace(mark, colour)
    return re.sub(r"font: ((?:\w+ )*[\d.]+px) [^;\"]+", r"font: \1 var(--sans)", text)


def _prefix(element: Any, name: str) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == f"{{{XLINK}}}href" and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))

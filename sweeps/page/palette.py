"""The page's colours, light and dark, and the contrast that text on them keeps.

Contrast is that of WCAG 2.2: text needs 4.5, marks in pictures need 3. Series in pictures have one
colour for both themes, of a middling lightness, so that a picture is drawn once.
"""

from collections.abc import Mapping, Sequence

Pair = tuple[str, str]
"""A colour in the light theme, and in the dark one."""

COLOURS: Mapping[str, Pair] = {
    "page": ("#fbfaf7", "#14171b"),
    "card": ("#ffffff", "#1a1e24"),
    "ink": ("#1b1e23", "#e8eaed"),
    "soft": ("#525964", "#a9b1bc"),
    "rule": ("#e0ddd5", "#2f363f"),
    "frame": ("#7d8087", "#7f8792"),
    "link": ("#0a5783", "#82c3ec"),
    "good": ("#1c6b45", "#7fd1a6"),
    "bad": ("#a3301c", "#f0a08c"),
}
"""By the name of their custom property; `soft` is for text, `frame` for borders of controls."""
SERIES = ("#2f86c8", "#d4602a", "#1f9a6c", "#b0619f", "#a07a12", "#7a828d")
"""Of curves and points, on either theme."""
HEAT: Sequence[Sequence[str]] = (
    ("#f8f5ec", "#dce9cf", "#abd4c4", "#7dbcc6", "#5ba3c6"),
    ("#1d2228", "#1f333f", "#1f4855", "#205c63", "#26706a"),
)
"""What the heat map's colours run through, from the worst to the best: light, dark."""
STEPS = 21
"""Colours of the heat map."""


def heat_colours() -> tuple[Pair, ...]:
    """The colours of the heat map, from the worst to the best."""
    places = [number / (STEPS - 1) for number in range(STEPS)]
    light, dark = ([mixed(stops, place) for place in places] for stops in HEAT)
    return tuple(zip(light, dark, strict=True))


def mixed(stops: Sequence[str], place: float) -> str:
    """The colour at a place from 0 to 1 along equally spaced ones."""
    at = place * (len(stops) - 1)
    first = min(int(at), len(stops) - 2)
    share = at - first
    ends = (_channels(stops[first]), _channels(stops[first + 1]))
    values = [round(a + share * (b - a)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{value:02x}" for value in values)


def contrast(one: str, other: str) -> float:
    """Of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, from 0 to 1 (WCAG 2.2)."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(colour))
    ]
    return sum(
        weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))

"""What does a colour mean? Each format has one, each region of a format one, each field of a code one; no two share it.

The colours of the formats that are often drawn together lie at least 20 units of CIELAB apart, to normal eyes and to
those with protanopia, deuteranopia and tritanopia; every one has a contrast of at least 4.5:1 against the paper, as
WCAG 2.2 (criterion 1.4.3) asks of text. Because print knows no colours, a format also has a marker and a hatch of its
own. A line is solid where nothing is scaled, and dashed where a loss or a tensor is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from floatlab.errors import check_switch
from floatlab.formats import FloatFormat, get_format

__all__ = [
    "BITS",
    "FORMATS",
    "REGIONS",
    "THEMES",
    "Style",
    "Theme",
    "contrast",
    "format_colour",
    "format_styles",
    "short_name",
]


@dataclass(frozen=True)
class Style:
    """How a series is drawn: its colours on white and on dark paper, its marker, and the hatch of its areas."""

    light: str
    dark: str
    marker: Any
    hatch: str
    solid: bool = True

    def line(self, theme: Theme) -> dict[str, Any]:
        """Return the options of `Axes.plot`."""
        dashes = "-" if self.solid else (0, (4.5, 1.5))
        return {"color": self.colour(theme), "marker": self.marker, "linestyle": dashes}

    def colour(self, theme: Theme) -> str:
        """Return the colour on the paper of a theme."""
        return self.dark if theme.is_dark else self.light


# Name of the catalogue: on white, on dark paper, marker, hatch.
FORMATS: dict[str, Style] = {
    "float64": Style("#5F6670", "#AEB4BC", "h", "..."),
    "float32": Style("#000000", "#FFFFFF", "o", ""),
    "tf32": Style("#884DFF", "#8D73FF", "p", "|||"),
    "float16": Style("#B65D05", "#D6611F", "v", "///"),
    "bfloat16": Style("#033FB4", "#549FE0", "s", "\\\\\\"),
    "float8_e5m2": Style("#6D0855", "#F20AB4", "X", "xxx"),
    "float8_e4m3fn": Style("#003F25", "#9BD8B0", "P", "+++"),
    "float8_e4m3": Style("#1F6B2E", "#6FCF6A", "^", "---"),
    "float8_e3m4": Style("#3F7000", "#A8E05F", "d", "o"),
    "float8_e5m2fnuz": Style("#8F2A78", "#FF7ACF", "<", "xx"),
    "float8_e4m3fnuz": Style("#2C6E63", "#58C7B5", ">", "++"),
    "float8_e4m3b11fnuz": Style("#5B6600", "#C3D84A", "8", "--"),
    "float8_e8m0fnu": Style("#7A3B00", "#D8A070", "H", "O"),
    "float6_e2m3fn": Style("#007F9D", "#77E1FF", "*", "||"),
    "float6_e3m2fn": Style("#504206", "#E6D07C", "D", "//"),
    "float4_e2m1fn": Style("#995A64", "#BA6D72", (4, 1, 0), "\\\\"),
}
# Formats of one's own take one of these, always the same.
_SPARE = (
    Style("#3D5A80", "#9DB7D8", "v", "oo"),
    Style("#7B4B94", "#C9A3DC", "^", ".."),
    Style("#9C3D2A", "#F0A08F", "s", "OO"),
    Style("#2F5D62", "#8FC4C9", "D", "**"),
    Style("#6B5B2A", "#D9C68A", "o", "/o"),
    Style("#5A3E55", "#D3AFCB", "P", "\\o"),
)
_MARKERS = "osv^DXPp*<>hd8H"
_HATCHES = ("/o", "\\o", "|o", "-o", "+o", "/.", "\\.", "|.", "-.", "+.", "/*", "\\*", "|*", "-*", "+*")

_SHORT = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float8_e5m2": "fp8 E5M2",
    "float8_e4m3fn": "fp8 E4M3", "float8_e4m3": "E4M3 IEEE", "float8_e3m4": "E3M4", "float8_e8m0fnu": "E8M0",
    "float8_e5m2fnuz": "E5M2 fnuz", "float8_e4m3fnuz": "E4M3 fnuz", "float8_e4m3b11fnuz": "E4M3 b11",
    "float6_e2m3fn": "fp6 E2M3", "float6_e3m2fn": "fp6 E3M2", "float4_e2m1fn": "fp4 E2M1",
}  # fmt: skip

# What becomes of a number there; pale, so that words stand on them. Each with its hatch: lost is hatched one way,
# overflow the other, and subnormals are dotted.
REGIONS: dict[str, tuple[str, str, str]] = {
    "lost": ("#E6AFA8", "#6E2A24", "///"),
    "subnormal": ("#F7DC9A", "#5E4A12", "..."),
    "normal": ("#CDE6DC", "#1E4A3D", ""),
    "overflow": ("#BDBDC2", "#4B4B52", "\\\\\\"),
}
# The fields of a code. In grey: dark, middle, light.
BITS: dict[str, tuple[str, str]] = {
    "sign": ("#4A4A4A", "#C8C8C8"),
    "exponent": ("#E8A33D", "#A86A10"),
    "fraction": ("#CFE6F7", "#1F4E70"),
}


@dataclass(frozen=True)
class Theme:
    """The paper and the inks: `soft` for words beside the point, `alarm` for what fails, `behind` for others."""

    is_dark: bool
    paper: str
    ink: str
    soft: str
    grid: str
    alarm: str
    behind: str

    def region(self, name: str) -> str:
        """Return the fill of a region of a format."""
        return REGIONS[name][self.is_dark]

    def bits(self, name: str) -> str:
        """Return the fill of a field of a code."""
        return BITS[name][self.is_dark]

    def ink_on(self, fill: str) -> str:
        """Return black or white, whichever can be read on a fill."""
        return max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, fill))


THEMES = {
    False: Theme(False, "#FFFFFF", "#1A1A1A", "#555555", "#E3E3E3", "#C4161C", "#9A9A9A"),
    True: Theme(True, "#12161C", "#F2F2F2", "#B4BAC2", "#2E343C", "#FF6B6B", "#7A828C"),
}


def _luminance(colour: str) -> float:
    """Return the relative luminance of "#RRGGBB", as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Return the contrast of two colours, from 1 (none) to 21 (black on white).

    >>> contrast("#000000", "#FFFFFF")
    21.0
    """
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return round((high + 0.05) / (low + 0.05), 4)


def format_styles(formats: Iterable[FloatFormat | str]) -> dict[FloatFormat, Style]:
    """Return the style of each format, so that no two of them share a marker or a hatch.

    The colour is always the format's own. A format of the catalogue keeps its marker and its hatch as well; one of
    your own takes others where those are taken.

    >>> format_styles(["fp16"])[get_format("fp16")].light
    '#B65D05'
    """
    styles: dict[FloatFormat, Style] = {}
    known = [get_format(fmt) for fmt in formats]
    for fmt in sorted(dict.fromkeys(known), key=lambda fmt: (_home(fmt) is None, fmt.spec not in FORMATS)):
        style = _home(fmt) or _SPARE[zlib.crc32(repr(fmt._rule).encode()) % len(_SPARE)]
        markers, hatches = ({getattr(s, kind) for s in styles.values()} for kind in ("marker", "hatch"))
        if style.marker in markers:
            style = replace(style, marker=next((m for m in _MARKERS if m not in markers), style.marker))
        if style.hatch in hatches:
            style = replace(style, hatch=next((h for h in _HATCHES if h not in hatches), style.hatch))
        styles[fmt] = style
    return {fmt: styles[fmt] for fmt in known}


def format_colour(fmt: FloatFormat | str, *, dark: bool = False) -> str:
    """Return the colour of a format, which it has in every figure, on white or on dark paper.

    >>> format_colour("fp16"), format_colour("fp16", dark=True)
    ('#B65D05', '#D6611F')
    """
    return format_styles([fmt])[get_format(fmt)].colour(THEMES[check_switch("dark", dark)])


def _home(fmt: FloatFormat) -> Style | None:
    """Return the style of the catalogue's format that means the same, if there is one."""
    return next((style for name, style in FORMATS.items() if get_format(name).same_as(fmt)), None)


def short_name(fmt: FloatFormat | str) -> str:
    """Return what a format is called on a slide.

    >>> short_name("float8_e4m3fn"), short_name("e5m6")
    ('fp8 E4M3', 'e5m6')
    """
    known = get_format(fmt)
    return _SHORT.get(known.spec, known.name)

"""How does an object look in a notebook? Tables and small pictures in HTML, which every front end shows.

Colours are those of the page, light or dark: what is set apart is so by weight and lines, and nothing is loaded from
anywhere. Whatever text goes in is escaped.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Raw", "number", "picture", "table"]

_CELL = "padding:2px 10px;text-align:{};white-space:{};border:none"
_LONGEST = 26  # letters of a number
_LINE = "border-bottom:1px solid rgba(128,128,128,.6)"


class Raw(str):
    """Text that is HTML already."""

    __slots__ = ()


def _escaped(text: object) -> str:
    return text if isinstance(text, Raw) else html.escape(str(text))


def table(
    title: object,
    rows: Iterable[Sequence[object]],
    *,
    head: Sequence[object] = (),
    note: object = "",
    texts: int = 1,
) -> Raw:
    """Return a table with a title: so many columns, from the left, are texts and stand left, the others stand right.

    >>> table("A <b>", [("x", 1)], note="n").count("&lt;b&gt;")
    1
    """
    parts = [f'<div style="font-weight:600;margin:4px 0">{_escaped(title)}</div>']
    # What is wider than the page is moved sideways by itself, and not the page with it.
    parts.append('<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0">')
    if head:
        cells = "".join(_cell("th", column < texts, text, "nowrap") for column, text in enumerate(head))
        parts.append(f'<thead><tr style="{_LINE}">{cells}</tr></thead>')
    space = "nowrap" if head else "normal"  # a list of facts is broken, columns of numbers are not
    body = (
        "".join(_cell("td", column < texts, text, space) for column, text in enumerate(row)) for row in rows
    )
    parts.append(
        "<tbody>"
        + "".join(f'<tr style="background:none">{row}</tr>' for row in body)
        + "</tbody></table></div>"
    )
    if note:
        parts.append(f'<div style="opacity:.75;margin:4px 0">{_escaped(note)}</div>')
    return Raw("".join(parts))


def _cell(tag: str, is_text: bool, text: object, space: str) -> str:
    if not is_text and " " not in str(text) and len(str(text)) < _LONGEST:
        space = "nowrap"  # a number, which would be broken behind the minus of its exponent
    style = _CELL.format("left" if is_text else "right", space)
    return f'<{tag} style="{style}">{_escaped(text)}</{tag}>'


def number(value: float) -> str:
    """Return a number with as few digits as read back as itself.

    >>> number(65504.0), number(2.0**-24), number(float("nan")), number(2.0**-149)
    ('65504', '5.960464477539063e-08', 'NaN', '1.401298464324817e-45')
    """
    value = float(value)
    if value != value:
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = repr(value).removesuffix(".0")
    return f"−{text[1:]}" if text.startswith("-") else text


def picture(image: Any, *, width: int = 32) -> Raw:
    """Return an image of numbers from 0 to 1, (height, width) or (channels, height, width), as an HTML picture.

    >>> picture(np.zeros((2, 2))).startswith('<img src="data:image/png;base64,')
    True
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim == 3:
        pixels = pixels[0] if pixels.shape[0] != 3 else np.moveaxis(pixels, 0, -1)
    levels = np.round(255 * np.clip(np.nan_to_num(pixels), 0, 1)).astype(np.uint8)
    encoded = base64.b64encode(_png(levels)).decode()
    style = f"width:{width}px;image-rendering:pixelated;margin:1px;display:inline-block"
    return Raw(f'<img src="data:image/png;base64,{encoded}" style="{style}">')


def _png(levels: np.ndarray[Any, Any]) -> bytes:
    """Return 8-bit levels, grey or in three colours, as a PNG file (ISO/IEC 15948)."""
    height, width = levels.shape[:2]
    colour = 2 if levels.ndim == 3 else 0
    lines = b"".join(b"\x00" + levels[row].tobytes() for row in range(height))  # no filter on any line

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )

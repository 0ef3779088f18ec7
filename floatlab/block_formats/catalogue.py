"""Which block formats do people use? Their names, and what a name spells out."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.integer_format import IntFormat, get_int_format
from floatlab.errors import FloatlabError, FormatError, nearest_name
from floatlab.formats import FloatFormat, get_format
from floatlab.formats.notation import plain

__all__ = ["block_format", "block_formats", "is_block_format"]


def _named(name: str, element: FloatFormat | IntFormat, block: Any, scale: str, *rest: str) -> BlockFormat:
    return BlockFormat(name, element, block, get_format(scale), *rest)


def _catalogue() -> dict[str, BlockFormat]:
    e4m3, e2m1 = get_format("e4m3"), get_format("e2m1")
    formats = [
        _named("mxfp8_e4m3", e4m3, 32, "e8m0"),
        _named("mxfp8_e5m2", get_format("e5m2"), 32, "e8m0"),
        _named("mxfp6_e2m3", get_format("e2m3"), 32, "e8m0"),
        _named("mxfp6_e3m2", get_format("e3m2"), 32, "e8m0"),
        _named("mxfp4", e2m1, 32, "e8m0"),
        _named("mxint8", IntFormat(8, narrow=True, frac_bits=6), 32, "e8m0"),
        _named("nvfp4", e2m1, 16, "e4m3", "nvfp4", "amax"),
        _named("nvfp4_16x16", e2m1, (16, 16), "e4m3", "nvfp4", "amax"),
    ]
    for name, block in (("fp8_1x128", 128), ("fp8_128x128", (128, 128))):
        formats.append(_named(name, e4m3, block, "fp32", "amax"))
        formats.append(_named(f"{name}:pow2", e4m3, block, "fp32", "amax_pow2"))
    return {fmt.name: fmt for fmt in formats}


_CATALOGUE = _catalogue()
_FAMILIES = {
    "mxfp8": '"mxfp8_e4m3" (largest element 448) or "mxfp8_e5m2" (57344)',
    "mxfp6": '"mxfp6_e2m3" (largest element 7.5) or "mxfp6_e3m2" (28)',
    "mx": '"mxfp8_e4m3", "mxfp6_e2m3", "mxfp4" or "mxint8"',
}
_OTHER = {"mxfp4_e2m1": "mxfp4", "nvfp4_e2m1": "nvfp4", "nvfp4_1x16": "nvfp4"}
_GROUPED = re.compile(r"(?P<element>[a-z0-9_.]+):(?P<length>\d{1,9})")


def block_formats() -> tuple[BlockFormat, ...]:
    """Return the catalogue of block formats.

    >>> [fmt.name for fmt in block_formats()][:3]
    ['mxfp8_e4m3', 'mxfp8_e5m2', 'mxfp6_e2m3']
    """
    return tuple(_CATALOGUE.values())


def is_block_format(fmt: Any) -> bool:
    """Whether something is a block format, or a text that names one or a family of them.

    >>> is_block_format("mxfp4"), is_block_format("int4:32"), is_block_format("e2m1")
    (True, True, False)
    """
    if not isinstance(fmt, str):
        return isinstance(fmt, BlockFormat)
    name = plain(fmt)
    return name in _CATALOGUE or name in _OTHER or name in _FAMILIES or _GROUPED.fullmatch(name) is not None


def block_format(fmt: str | BlockFormat) -> BlockFormat:
    """Return a block format by its name; a `BlockFormat` is returned as it is.

    Beside the names of the catalogue, ``element:length`` spells one out: elements of that format, so many of which
    share a float32 scale, as ``int4:32`` and ``e4m3:64``.

    Raises
    ------
    FormatError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> block_format("nvfp4").bits_per_value, block_format("int4:32").bits_per_value
    (4.5, 5.0)
    >>> block_format("mxfp8")
    Traceback (most recent call last):
    ...
    floatlab.errors.FormatError: A block format is named as in floatlab.block_formats.formats(). Got 'mxfp8', which is \
a family. Use "mxfp8_e4m3" (largest element 448) or "mxfp8_e5m2" (57344).
    """
    if isinstance(fmt, BlockFormat):
        return fmt
    if isinstance(fmt, str):
        return _by_name(fmt)
    raise FormatError(f'A block format is a name or a BlockFormat. Got {fmt!r}. Use a name such as "mxfp4".')


@lru_cache(maxsize=256)
def _by_name(given: str) -> BlockFormat:
    name = plain(given)
    name = _OTHER.get(name, name)
    if name in _CATALOGUE:
        return _CATALOGUE[name]
    rule = f"A block format is named as in floatlab.block_formats.formats(). Got {given!r}"
    if name in _FAMILIES:
        raise FormatError(f"{rule}, which is a family. Use {_FAMILIES[name]}.")
    match = _GROUPED.fullmatch(name)
    if match is None:
        guess = (
            nearest_name(name, _CATALOGUE)
            if ":" not in name or name.startswith(("mx", "nv", "fp8"))
            else None
        )
        ways = f'Did you mean "{guess}"?' if guess else 'Use a name, or element:length, such as "int4:32".'
        raise FormatError(f"{rule}. {ways}")
    return _named(name, _element(given, match["element"]), int(match["length"]), "fp32", "absmax")


def _element(given: str, name: str) -> FloatFormat | IntFormat:
    """Return the element format of a spelt-out name; integers are narrow, so that both signs have the same range."""
    if name.startswith("uint"):
        raise FormatError(
            f"Integers in a group have a sign. Got {given!r}. Use {name[1:]}, or fl.quantize_int for unsigned ones."
        )
    if name.startswith("int"):
        fmt = get_int_format(name)
        return IntFormat(fmt.bits, narrow=True)
    try:
        return get_format(name)
    except FloatlabError as error:
        raise FormatError(f"element:length has the name of a format. Got {given!r}: {error}") from None

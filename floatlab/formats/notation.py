"""How is a format written down? As five fields, and those in one word.

    binary8p4se        P3109's name of a format of 8 bits and precision 4
    e5m6b15fn          exponent bits, mantissa bits, the bias if it is not the usual one, the specials if not "ieee"
    mine=e5m6b15       the same with a name of its own, which `FloatFormat.spec` writes

Sources: IEEE P3109 interim report (Binary{K}p{P}); names as e4m3fn are those of ml_dtypes and LLVM.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from floatlab.errors import FormatError

__all__ = ["SPECIALS", "Fields", "fields_and_name", "fields_of", "plain", "written"]

# What the topmost magnitude codes mean, for each kind of specials:
#   ieee            exponent all ones: mantissa 0 is infinity, the rest are NaNs
#   fn              only the very last code is a NaN, one per sign; no infinity
#   fnuz            no infinity, no -0; the code that would be -0 is the one NaN
#   finite          every code is a number
#   p3109_extended  the last code is infinity; the one NaN stands in the place of -0
#   p3109_finite    the one NaN stands in the place of -0
#   scale           the last code is NaN; no zero: an exponent field of 0 is a normal number (e8m0)
# An unsigned format has no place of -0, so the unsigned P3109 formats keep NaN as their very last code.
SPECIALS = ("ieee", "fn", "fnuz", "finite", "p3109_extended", "p3109_finite", "scale")


class Fields(NamedTuple):
    """What a format is made of, but for its name."""

    exponent_bits: int
    mantissa_bits: int
    bias: int | None  # None: the usual one
    specials: str
    signed: bool


# Nine digits are more than any field has, and few enough to compute with.
_P3109 = re.compile(r"binary(?P<k>[0-9]{1,9})p(?P<p>[0-9]{1,9})(?P<sign>[su])(?P<domain>[ef])")
_WIDTHS = r"e(?P<e>[0-9]{1,9})m(?P<m>[0-9]{1,9})(?:b(?P<bias>-?[0-9]{1,9}))?"
_FIELDS = re.compile(_WIDTHS + r"(?P<specials>fnuz|fn|finite)?")
_SPEC = re.compile(
    rf"(?P<name>(?:[a-z0-9_.-]|%[0-9a-f]{{2}})*)={_WIDTHS}"
    rf"(?P<specials>{'|'.join(sorted(SPECIALS, key=len, reverse=True))})?(?P<unsigned>_unsigned)?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.")


def plain(name: str) -> str:
    """Return a name without white space around it, capital letters and dashes, as the catalogue has it.

    >>> plain(" FP8-E4M3 ")
    'fp8_e4m3'
    """
    return re.sub("-(?!\\d)", "_", name.strip().lower())


def fields_of(given: str) -> Fields | None:
    """Return the fields that a name spells out, or None if it spells out none.

    Raises
    ------
    FormatError
        If it is a P3109 name that stands for no format.

    Examples
    --------
    >>> fields_of("binary8p4se")
    Fields(exponent_bits=4, mantissa_bits=3, bias=None, specials='p3109_extended', signed=True)
    >>> fields_of("e5m6b15fn").bias, fields_of("float16")
    (15, None)
    """
    name = plain(given)
    if match := _P3109.fullmatch(name):
        k, p = int(match["k"]), int(match["p"])
        signed = match["sign"] == "s"
        if k < 3 or not 1 <= p <= k - signed:
            raise FormatError(
                f"Binary{{K}}p{{P}} needs K > 2 and 1 <= P {'<' if signed else '<='} K. Got {given!r}. "
                "Choose another P."
            )
        specials = "p3109_extended" if match["domain"] == "e" else "p3109_finite"
        return Fields(k - p + (not signed), p - 1, None, specials, signed)
    if match := _FIELDS.fullmatch(name):
        return Fields(*_widths(match), match["specials"] or "ieee", True)
    return None


def _widths(match: re.Match[str]) -> tuple[int, int, int | None]:
    return int(match["e"]), int(match["m"]), None if match["bias"] is None else int(match["bias"])


def fields_and_name(spec: str) -> tuple[str, Fields]:
    """Return the name, and the fields, of which `written` makes a word.

    >>> fields_and_name("my%20own=e5m6b15finite_unsigned")
    ('my own', Fields(exponent_bits=5, mantissa_bits=6, bias=15, specials='finite', signed=False))
    """
    match = _SPEC.fullmatch(spec.strip())
    try:
        name = None if match is None else unquote_to_bytes(match["name"]).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        name = None
    if match is None or name is None:
        raise FormatError(
            f"A format with a name of its own is written as name=e5m6b15finite. Got {spec!r}. "
            "Take it from FloatFormat.spec."
        )
    specials = (match["specials"] or "ieee").lower()
    return name, Fields(*_widths(match), specials, match["unsigned"] is None)


def written(name: str, fields: Fields) -> str:
    """Return one word for a format of any name: no white space in it, no colon, no capital letter.

    >>> written("My own", Fields(5, 6, 15, "finite", True))
    '%4dy%20own=e5m6b15finite'
    """
    e, m, bias, specials, signed = fields
    kind = "" if specials == "ieee" else specials
    return f"{_escaped(name)}=e{e}m{m}b{bias}{kind}{'' if signed else '_unsigned'}"


def _escaped(name: str) -> str:
    """Write a name with the characters of `_PLAIN` and "%xx", which survives any change of case."""
    return "".join(
        c if c in _PLAIN else "".join(f"%{byte:02x}" for byte in c.encode("utf-8", "surrogatepass"))
        for c in name
    )

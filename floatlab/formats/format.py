"""What is a float format? One line of data each; every constant is computed from it.

A *format* gives bit patterns a meaning. Its codes are laid out as sign, exponent field, mantissa
field, and the magnitudes are in order: of two positive codes the larger one is the larger value.

    float8_e4m3fn   s eeee mmm      0 1111 110 = 448, the largest      0 1111 111 = NaN

So a format is described by the widths of its fields, a bias, and what its topmost codes are
(`specials`). The rest of floatlab asks a format for four magnitude codes (`max_code`, `inf_code`,
`nan_code`, `zero_code`) and for the scale of its last place, and never looks at its name.

Sources: IEEE 754-2019, section 3; OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP
Microscaling Formats 1.0 (fp6, fp4, E8M0); IEEE P3109 interim report (Binary{K}p{P}); the `fnuz` types of
Noune et al. 2022, "8-bit numerical formats for deep neural networks". Names are those of ml_dtypes and LLVM.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any
from urllib.parse import unquote_to_bytes
from weakref import WeakValueDictionary

import numpy as np

from floatlab.errors import FormatError, check_option, nearest_name
from floatlab.system.environment import check_environment

__all__ = ["FloatFormat", "formats", "get_format"]

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


@dataclass(frozen=True, init=False, eq=False)
class FloatFormat:
    """A float format: the rule that gives bit patterns a meaning.

    Two formats of the same fields and name are one object, wherever they were made: compare them by ``is`` or ``==``.
    `same_as` does not look at the name.

    Parameters
    ----------
    name : str
        What to call it.
    exponent_bits, mantissa_bits : int
        Widths of the fields; the mantissa's without the hidden bit.
    bias : int, optional
        The exponent field of 1.0. Default: ``2**(exponent_bits - 1) - 1`` (IEEE 754), and one more
        for the ``fnuz`` and P3109 formats.
    specials : str
        "ieee", "fn", "fnuz", "finite", "p3109_extended", "p3109_finite" or "scale"; see the top of this file.
    signed : bool
        Whether the topmost bit is a sign.

    Raises
    ------
    FormatError
        If no such format can exist, or if its values do not all fit in a float64.

    Examples
    --------
    >>> fmt = FloatFormat("e4m3fn", 4, 3, specials="fn")
    >>> fmt.bits, fmt.max, fmt.smallest_subnormal
    (8, 448.0, 0.001953125)
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    specials: str = "ieee"
    signed: bool = True

    def __new__(
        cls,
        name: str,
        exponent_bits: int,
        mantissa_bits: int,
        bias: int | None = None,
        specials: str = "ieee",
        signed: bool = True,
    ) -> FloatFormat:
        """Return the one format of these fields."""
        made = super().__new__(cls)
        given = (name, exponent_bits, mantissa_bits, bias, specials, signed)
        for field, value in zip(fields(cls), given, strict=True):
            object.__setattr__(made, field.name, value)
        made._check()
        with _INTERNING:
            return _INTERNED.setdefault((made.name, *made._rule), made)

    def _check(self) -> None:
        """Complete the fields, and raise FormatError if there is no such format."""
        check_option("specials", self.specials, SPECIALS, FormatError)
        if not isinstance(self.name, str):
            raise FormatError(f'The name of a format is a text. Got {self.name!r}. Give it one, as "mine".')
        if not isinstance(self.signed, bool | np.bool_):
            raise FormatError(f"signed is True or False. Got {self.signed!r}. Leave it out for a sign.")
        object.__setattr__(self, "signed", bool(self.signed))
        e, m = self._integer("exponent_bits", 1), self._integer("mantissa_bits", 0)
        if e > 11 or m > 52:  # before anything is computed, which might take a while
            raise FormatError(
                "Every value of a format must be a float64, which has 11 exponent bits and 52 mantissa bits. "
                f"Got {self.name!r} with {e} and {m}. Use a narrower format."
            )
        if self.bias is None:
            default = 2 ** (e - 1) - (0 if self.specials in ("fnuz", "p3109_extended", "p3109_finite") else 1)
            object.__setattr__(self, "bias", default)
        self._integer("bias")
        if self.specials == "ieee" and (m < 1 or e < 2):
            raise FormatError(
                "An IEEE-style format needs 2 exponent bits, and a mantissa bit to tell a NaN from infinity. "
                f'Got exponent_bits={e}, mantissa_bits={m}. Use specials="fn" or "finite".'
            )
        if (self.specials == "fnuz" and not self.signed) or (self.specials == "scale" and self.signed):
            raise FormatError(
                'A "fnuz" format keeps its NaN in the place of -0 and is signed; a "scale" format is unsigned. '
                f"Got specials={self.specials!r}, signed={self.signed}. Turn signed round."
            )
        if self.max_code < 1:
            raise FormatError(f"A format needs a finite value above 0. Got {self!r}. Give it another bit.")
        if self.emax > 1023 or self.etiny < -1074 or (self.specials == "scale" and m > 0):
            raise FormatError(
                f"Every value of a format must be a float64. Got {self.name!r} with values from "
                f"2**({self.etiny}) to 2**({self.emax}) and {m + 1} bits of precision. Use a narrower format."
            )

    def _integer(self, field: str, least: int | None = None) -> int:
        """Return a field as a Python integer, which it is from now on; NumPy's integers overflow."""
        given = getattr(self, field)
        try:
            value = operator.index(given)
        except TypeError:
            value = None
        if value is None or isinstance(given, bool | np.bool_) or (least is not None and value < least):
            rule = "is an integer" if least is None else f"is an integer of at least {least}"
            way_out = "Leave it out for the usual one." if least is None else "Give it one."
            raise FormatError(f"{field} {rule}. Got {given!r}. {way_out}")
        if value.bit_length() > 32:  # its digits alone might take a while
            raise FormatError(
                f"{field} is a small integer. Got one of {value.bit_length()} bits. Use another."
            )
        object.__setattr__(self, field, value)
        return value

    # -- codes -----------------------------------------------------------------------------------

    @cached_property
    def magnitude_bits(self) -> int:
        """Bits of a code without its sign."""
        return self.exponent_bits + self.mantissa_bits

    @cached_property
    def bits(self) -> int:
        """Bits of a code. (tf32 has 19; it travels in a 32-bit word, but 13 of those mean nothing.)"""
        return self.magnitude_bits + self.signed

    @cached_property
    def sign_mask(self) -> int:
        """The sign bit of a code, 0 in an unsigned format."""
        return 1 << self.magnitude_bits if self.signed else 0

    @cached_property
    def max_code(self) -> int:
        """The code of the largest finite value."""
        last = (1 << self.magnitude_bits) - 1
        if self.specials == "ieee":
            return last - (1 << self.mantissa_bits)  # 0 11110 1111111111 in float16
        below_last = {
            "fn": 1,
            "fnuz": 0,
            "finite": 0,
            "scale": 1,
            "p3109_extended": 1 if self.signed else 2,
            "p3109_finite": 0 if self.signed else 1,
        }
        return last - below_last[self.specials]

    @cached_property
    def inf_code(self) -> int | None:
        """The code of +infinity, or None."""
        return self.max_code + 1 if self.specials in ("ieee", "p3109_extended") else None

    @cached_property
    def nan_code(self) -> int | None:
        """The code of the (canonical, quiet, positive) NaN, or None."""
        match self.specials:
            case "finite":
                return None
            case "ieee":
                return self.max_code + 1 | 1 << self.mantissa_bits - 1  # 0 11111 1000000000 in float16
            case "fn" | "scale":
                return self.max_code + 1
            case _:  # fnuz and P3109: the place of -0, or the last code where there is no sign
                return self.sign_mask or (1 << self.magnitude_bits) - 1

    @cached_property
    def is_p3109(self) -> bool:
        """Whether the format is one of IEEE P3109's, which have rounding rules of their own at the ends."""
        return self.specials in ("p3109_extended", "p3109_finite")

    @cached_property
    def nan_has_sign(self) -> bool:
        """Whether a NaN can carry a sign (IEEE-style and fn formats)."""
        return self.signed and self.specials in ("ieee", "fn")

    @cached_property
    def has_zero(self) -> bool:
        """Whether there is a code for zero; only the scale format e8m0 has none."""
        return self.specials != "scale"

    @cached_property
    def has_subnormals(self) -> bool:
        """Whether an exponent field of 0 holds numbers below the smallest normal one."""
        return self.has_zero and self.mantissa_bits > 0

    @cached_property
    def has_infinity(self) -> bool:
        """Whether the format has infinities."""
        return self.inf_code is not None

    @cached_property
    def has_nan(self) -> bool:
        """Whether the format has a NaN."""
        return self.nan_code is not None

    @cached_property
    def has_negative_zero(self) -> bool:
        """Whether -0 has a code of its own."""
        return self.signed and self.specials in ("ieee", "fn", "finite")

    # -- exponents and constants -----------------------------------------------------------------

    @cached_property
    def precision(self) -> int:
        """Bits of the significand with the hidden one: 11 for float16."""
        return self.mantissa_bits + 1

    @cached_property
    def emin(self) -> int:
        """The exponent of the smallest normal value, which is ``2**emin``."""
        assert self.bias is not None
        return (1 if self.has_zero else 0) - self.bias

    @cached_property
    def etiny(self) -> int:
        """The exponent of the smallest step between values: ``2**etiny`` is the smallest subnormal value."""
        return self.emin - self.mantissa_bits

    @cached_property
    def emax(self) -> int:
        """The exponent of the largest finite value: ``2**emax <= max < 2**(emax + 1)``."""
        assert self.bias is not None
        field = self.max_code >> self.mantissa_bits
        if field == 0:  # every finite value is subnormal
            return self.etiny + self.max_code.bit_length() - 1
        return field - self.bias

    def magnitude(self, code: int) -> float:
        """Return the value of a finite magnitude code (no sign bit), exactly.

        >>> get_format("float16").magnitude(0x3C00)
        1.0
        """
        check_environment()
        assert self.bias is not None
        field, fraction = code >> self.mantissa_bits, code & (1 << self.mantissa_bits) - 1
        if field == 0 and self.has_zero:
            return float(np.ldexp(float(fraction), self.etiny))
        hidden = fraction | 1 << self.mantissa_bits
        return float(np.ldexp(float(hidden), field - self.bias - self.mantissa_bits))

    @cached_property
    def max(self) -> float:
        """The largest finite value."""
        return self.magnitude(self.max_code)

    @cached_property
    def lowest(self) -> float:
        """The smallest finite value: ``-max``, or the value of code 0 in an unsigned format."""
        return -self.max if self.signed else self.magnitude(0)

    @cached_property
    def smallest_normal(self) -> float:
        """The smallest normal value, ``2**emin``."""
        check_environment()
        return float(np.ldexp(1.0, self.emin))

    @cached_property
    def smallest_subnormal(self) -> float:
        """The smallest value above zero. Where there are no subnormals, the smallest normal one."""
        check_environment()
        return float(np.ldexp(1.0, self.etiny))

    @cached_property
    def eps(self) -> float:
        """The distance from 1 to the next larger value at full precision, ``2**-mantissa_bits``."""
        return float(np.ldexp(1.0, -self.mantissa_bits))

    @cached_property
    def unit_roundoff(self) -> float:
        """The largest relative error of rounding to nearest, ``eps / 2``."""
        return self.eps / 2

    # -- how arrays hold it ----------------------------------------------------------------------

    @cached_property
    def value_dtype(self) -> np.dtype[Any]:
        """The NumPy type that holds the values: float32 if it holds every one exactly, else float64."""
        narrow = self.mantissa_bits <= 23 and self.emax <= 127 and self.etiny >= -149
        return np.dtype(np.float32 if narrow else np.float64)

    @cached_property
    def code_dtype(self) -> np.dtype[Any]:
        """The unsigned integer type that holds the codes: uint8, uint16, uint32 or uint64."""
        return np.dtype(next(f"u{width}" for width in (1, 2, 4, 8) if self.bits <= 8 * width))

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """The NumPy or ml_dtypes type with exactly these codes, or None if there is none."""
        return _DTYPES.get(self._rule)

    @cached_property
    def _rule(self) -> tuple[object, ...]:
        """Everything but the name: two formats with the same rule are the same format."""
        return (self.exponent_bits, self.mantissa_bits, self.bias, self.specials, self.signed)

    def __reduce__(self) -> tuple[type[FloatFormat], tuple[object, ...]]:
        # Without what is cached; a copy is the format itself.
        return FloatFormat, (self.name, *self._rule)

    @cached_property
    def spec(self) -> str:
        """The format in one word, from which `get_format` makes it again, name and all; for files and records.

        The name, where that says it all. Otherwise ``name=e{E}m{M}b{bias}{specials}``, and ``_unsigned`` at
        the end where there is no sign. There is no white space in it, no colon, and no capital letter, whatever the
        name: other characters than a-z, 0-9, "_" and "." are written as in a URL.

        >>> get_format("float16").spec, get_format("e5m6").spec
        ('float16', 'e5m6')
        >>> FloatFormat("My format", 5, 6, specials="finite").spec
        '%4dy%20format=e5m6b15finite'
        >>> get_format("%4dy%20format=e5m6b15finite").name
        'My format'
        """
        try:
            if _by_name(self.name) is self:
                return self.name
        except FormatError:
            pass
        specials = "" if self.specials == "ieee" else self.specials
        sign = "" if self.signed else "_unsigned"
        fields = f"e{self.exponent_bits}m{self.mantissa_bits}b{self.bias}{specials}{sign}"
        return f"{_escaped(self.name)}={fields}"

    def same_as(self, other: FloatFormat) -> bool:
        """Whether both give every code the same meaning, whatever they are called."""
        return self._rule == other._rule

    def __str__(self) -> str:
        return self.name


_INTERNED: WeakValueDictionary[tuple[object, ...], FloatFormat] = WeakValueDictionary()
_INTERNING = Lock()


# -- the catalogue ---------------------------------------------------------------------------------
# name, exponent bits, mantissa bits, bias (None: the usual), specials, signed; then the names people say.

_CATALOGUE: tuple[tuple[FloatFormat, tuple[str, ...]], ...] = (
    # "float" is what Python and NumPy call so, which is C's double: get_format("float") is get_format(float).
    (FloatFormat("float64", 11, 52), ("fp64", "double", "float", "binary64", "f64")),
    (FloatFormat("float32", 8, 23), ("fp32", "single", "binary32", "f32")),
    (FloatFormat("tf32", 8, 10), ("tensorfloat32", "float32_tf32")),
    (FloatFormat("float16", 5, 10), ("fp16", "half", "binary16", "f16")),
    (FloatFormat("bfloat16", 8, 7), ("bf16", "brain")),
    (FloatFormat("float8_e5m2", 5, 2), ("fp8_e5m2", "e5m2")),
    # "E4M3" without more means OCP's, whose maximum is 448.
    (FloatFormat("float8_e4m3fn", 4, 3, specials="fn"), ("fp8_e4m3", "e4m3", "fp8_e4m3fn", "e4m3fn")),
    (FloatFormat("float8_e4m3", 4, 3), ("fp8_e4m3_ieee", "e4m3_ieee")),
    (FloatFormat("float8_e3m4", 3, 4), ("fp8_e3m4", "e3m4")),
    (FloatFormat("float8_e5m2fnuz", 5, 2, specials="fnuz"), ("fp8_e5m2fnuz", "e5m2fnuz")),
    (FloatFormat("float8_e4m3fnuz", 4, 3, specials="fnuz"), ("fp8_e4m3fnuz", "e4m3fnuz")),
    (FloatFormat("float8_e4m3b11fnuz", 4, 3, 11, "fnuz"), ("fp8_e4m3b11fnuz", "e4m3b11fnuz", "e4m3b11")),
    (FloatFormat("float8_e8m0fnu", 8, 0, None, "scale", False), ("fp8_e8m0", "e8m0", "e8m0fnu")),
    (FloatFormat("float6_e2m3fn", 2, 3, specials="finite"), ("fp6_e2m3", "e2m3", "e2m3fn")),
    (FloatFormat("float6_e3m2fn", 3, 2, specials="finite"), ("fp6_e3m2", "e3m2", "e3m2fn")),
    (FloatFormat("float4_e2m1fn", 2, 1, specials="finite"), ("fp4", "fp4_e2m1", "e2m1", "e2m1fn")),
)

_NAMES: dict[str, FloatFormat] = {name: fmt for fmt, names in _CATALOGUE for name in (fmt.name, *names)}


def _find_dtypes() -> dict[tuple[object, ...], np.dtype[Any]]:
    import ml_dtypes

    found: dict[tuple[object, ...], np.dtype[Any]] = {}
    for fmt, _ in _CATALOGUE:
        scalar_type = getattr(np, fmt.name, None) or getattr(ml_dtypes, fmt.name, None)
        if scalar_type is not None:
            found[fmt._rule] = np.dtype(scalar_type)
    return found


_DTYPES = _find_dtypes()

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


def _escaped(name: str) -> str:
    """Write a name with the characters of `_PLAIN` and "%xx", which survives any change of case."""
    return "".join(
        c if c in _PLAIN else "".join(f"%{byte:02x}" for byte in c.encode("utf-8", "surrogatepass"))
        for c in name
    )


def formats() -> tuple[FloatFormat, ...]:
    """Return the catalogue, from the widest format to the narrowest.

    >>> [fmt.name for fmt in formats()][:3]
    ['float64', 'float32', 'tf32']
    """
    return tuple(fmt for fmt, _ in _CATALOGUE)


def aliases(fmt: FloatFormat) -> tuple[str, ...]:
    """Return the other names by which `get_format` knows a format of the catalogue.

    >>> aliases(get_format("bfloat16"))
    ('bf16', 'brain')
    """
    return next((names for other, names in _CATALOGUE if other == fmt), ())


def get_format(fmt: str | FloatFormat | np.dtype[Any] | type) -> FloatFormat:
    """Return the format that a name, a NumPy or ml_dtypes type, or a `FloatFormat` stands for.

    Beside the names and aliases of the catalogue, ``binary{K}p{P}{s|u}{e|f}`` is the P3109 format of K
    bits and precision P (signed or unsigned, extended with infinities or finite), and
    ``e{E}m{M}[b{bias}][fn|fnuz|finite]`` is a format of those fields, IEEE-style without a suffix.
    "e4m3" alone means OCP's E4M3, ``float8_e4m3fn``, with a maximum of 448. "float" means the same as the type
    `float` does, to Python and to NumPy: float64 (it is 32 bits wide in C and in PyTorch; say "float32" for that).
    ``name=e{E}m{M}...`` gives such a format a name of its own; `FloatFormat.spec` says how any format is written so.

    Raises
    ------
    FormatError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> get_format("half").max
    65504.0
    >>> get_format("binary8p4se").max, get_format("e6m9").bits
    (224.0, 16)
    >>> get_format("float17")
    Traceback (most recent call last):
    ...
    floatlab.errors.FormatError: A format is named as in floatlab.formats(). Got 'float17'. Did you mean "float16"?
    """
    if isinstance(fmt, FloatFormat):
        return fmt
    if isinstance(fmt, str):
        return _by_name(fmt)
    try:
        dtype = None if fmt is None else np.dtype(fmt).newbyteorder("=")
    except (TypeError, ValueError, KeyError):  # whatever NumPy says of what is no type
        dtype = None
    for known in formats():
        if dtype is not None and known.dtype == dtype:
            return known
    raise FormatError(
        f"A format is a name, a FloatFormat, or a floating-point dtype. Got {fmt!r}. "
        'Use a name such as "float16", or numpy.float16.'
    )


@lru_cache(maxsize=512)
def _by_name(given: str) -> FloatFormat:
    if "=" in given:
        return _by_spec(given)
    name = re.sub("-(?!\\d)", "_", given.strip().lower())
    if name in _NAMES:
        return _NAMES[name]
    if match := _P3109.fullmatch(name):
        k, p = int(match["k"]), int(match["p"])
        signed = match["sign"] == "s"
        if k < 3 or not 1 <= p <= k - signed:
            raise FormatError(
                f"Binary{{K}}p{{P}} needs K > 2 and 1 <= P {'<' if signed else '<='} K. Got {given!r}. "
                "Choose another P."
            )
        specials = "p3109_extended" if match["domain"] == "e" else "p3109_finite"
        return FloatFormat(name, k - p + (not signed), p - 1, specials=specials, signed=signed)
    if match := _FIELDS.fullmatch(name):
        bias = None if match["bias"] is None else int(match["bias"])
        return FloatFormat(name, int(match["e"]), int(match["m"]), bias, match["specials"] or "ieee")
    guess = nearest_name(name, _NAMES)
    way_out = f'Did you mean "{guess}"?' if guess else "See floatlab.formats() for all of them."
    raise FormatError(f"A format is named as in floatlab.formats(). Got {given!r}. {way_out}")


def _by_spec(given: str) -> FloatFormat:
    match = _SPEC.fullmatch(given.strip())
    try:
        name = None if match is None else unquote_to_bytes(match["name"]).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        name = None
    if match is None or name is None:
        raise FormatError(
            f"A format with a name of its own is written as name=e5m6b15finite. Got {given!r}. "
            "Take it from FloatFormat.spec."
        )
    bias = None if match["bias"] is None else int(match["bias"])
    specials = (match["specials"] or "ieee").lower()
    return FloatFormat(
        name, int(match["e"]), int(match["m"]), bias, specials, signed=match["unsigned"] is None
    )

"""What is a float format? Five fields, from which every constant is computed.

A *format* gives bit patterns a meaning. Its codes are laid out as sign, exponent field, mantissa
field, and the magnitudes are in order: of two positive codes the larger one is the larger value.

    float8_e4m3fn   s eeee mmm      0 1111 110 = 448, the largest      0 1111 111 = NaN

So a format is described by the widths of its fields, a bias, and what its topmost codes are (`specials`, listed in
`notation.py`). The rest of floatlab asks a format for three magnitude codes (`max_code`, `inf_code`, `nan_code`) and
for the scale of its last place, and never looks at its name.

Sources: IEEE 754-2019, section 3; OCP 8-bit Floating Point Specification 1.0; IEEE P3109 interim report; the `fnuz`
types of Noune et al. 2022, "8-bit numerical formats for deep neural networks".
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from functools import cached_property
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from floatlab.errors import FormatError, check_option
from floatlab.formats.notation import SPECIALS, Fields, fields_of, plain, written
from floatlab.formats.shown import format_in_html
from floatlab.system.environment import check_environment

__all__ = ["DTYPES", "NAMES", "FloatFormat", "known_or_spelt"]


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
        "ieee", "fn", "fnuz", "finite", "p3109_extended", "p3109_finite" or "scale"; see
        `floatlab.formats.notation.SPECIALS`.
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

        >>> FloatFormat("float16", 5, 10).magnitude(0x3C00)
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
        return DTYPES.get(self._rule)

    @cached_property
    def _rule(self) -> Fields:
        """Everything but the name: two formats with the same rule are the same format."""
        return Fields(self.exponent_bits, self.mantissa_bits, self.bias, self.specials, self.signed)

    def __reduce__(self) -> tuple[type[FloatFormat], tuple[object, ...]]:
        # Without what is cached; a copy is the format itself.
        return FloatFormat, (self.name, *self._rule)

    @cached_property
    def spec(self) -> str:
        """The format in one word, from which `get_format` makes it again, name and all; for files and records.

        The name, where that says it all. Otherwise ``name=e{E}m{M}b{bias}{specials}``, and ``_unsigned`` at
        the end where there is no sign. There is no white space in it, no colon, and no capital letter, whatever the
        name: other characters than a-z, 0-9, "_" and "." are written as in a URL.

        >>> from floatlab.formats import get_format
        >>> get_format("float16").spec, get_format("e5m6").spec
        ('float16', 'e5m6')
        >>> FloatFormat("My format", 5, 6, specials="finite").spec
        '%4dy%20format=e5m6b15finite'
        >>> get_format("%4dy%20format=e5m6b15finite").name
        'My format'
        """
        try:
            if known_or_spelt(self.name) is self:
                return self.name
        except FormatError:
            pass
        return written(self.name, self._rule)

    def same_as(self, other: FloatFormat) -> bool:
        """Whether both give every code the same meaning, whatever they are called."""
        return self._rule == other._rule

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        return format_in_html(self)


_INTERNED: WeakValueDictionary[tuple[object, ...], FloatFormat] = WeakValueDictionary()
_INTERNING = Lock()

# What is known of some formats beyond their fields. The catalogue puts it here, as a format itself knows no other.
NAMES: dict[str, FloatFormat] = {}  # by name and alias
DTYPES: dict[Fields, np.dtype[Any]] = {}  # NumPy's and ml_dtypes' types, by the format's fields


def known_or_spelt(name: str) -> FloatFormat | None:
    """Return the format of that name or alias, or the one whose fields the name spells out; None if there is neither.

    >>> known_or_spelt("fp16").name, known_or_spelt("e5m6").bits
    ('float16', 12)
    """
    if (simple := plain(name)) in NAMES:
        return NAMES[simple]
    fields = fields_of(name)
    return None if fields is None else FloatFormat(simple, *fields)

"""Which formats are there, and what are they called? One line of data each; a format computes the rest from it.

Sources: IEEE 754-2019, section 3; OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP Microscaling Formats
1.0 (fp6, fp4, E8M0); the `fnuz` types of Noune et al. 2022. Names are those of ml_dtypes and LLVM.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.errors import FormatError, nearest_name
from floatlab.formats.format import DTYPES, NAMES, FloatFormat, known_or_spelt
from floatlab.formats.notation import fields_and_name, plain
from floatlab.formats.shown import catalogue_in_html

__all__ = ["aliases", "formats", "get_format"]

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

_FP8 = (
    'a family. Use "e4m3" (largest value 448) for weights and activations, or "e5m2" (57344) for gradients.'
)
_BLOCKS = "a block of numbers that share a scale. Use the format of the numbers, "
_WIDER = 'wider than what floatlab computes in. Use "float64", the widest format here.'
_INTEGER = "an integer type, which has no exponent. Use a format of floats."
# Names that people ask for and that are no format here: what they stand for, and what to say instead.
_OTHER_WORDS = {
    **dict.fromkeys(("fp8", "float8", "f8", "quarter", "minifloat"), _FP8),
    **dict.fromkeys(("hybrid", "fp8_hybrid"), 'a recipe. Use "e4m3" forward and "e5m2" for gradients.'),
    **dict.fromkeys(("fp6", "float6", "f6"), 'a family. Use "e2m3" (largest value 7.5) or "e3m2" (28).'),
    "mxfp8": _BLOCKS + '"e4m3" or "e5m2", and "e8m0" for the scale of 32 of them.',
    "mxfp6": _BLOCKS + '"e2m3" or "e3m2", and "e8m0" for the scale of 32 of them.',
    "mxfp4": _BLOCKS + '"e2m1", and "e8m0" for the scale of 32 of them.',
    "nvfp4": _BLOCKS + '"e2m1", and "e4m3" for the scale of 16 of them.',
    **dict.fromkeys(("bfloat", "brainfloat", "google"), 'bfloat16. Use "bf16".'),
    **dict.fromkeys(("fp19", "tensorfloat", "tf", "xf32"), 'TensorFloat-32, 19 bits wide. Use "tf32".'),
    **dict.fromkeys(
        ("fp128", "float128", "quad", "binary128", "longdouble", "float80", "fp80", "extended", "x87"), _WIDER
    ),
    **dict.fromkeys(("int8", "uint8", "int4", "int16", "int32", "int64", "int"), _INTEGER),
    **dict.fromkeys(
        ("posit", "posit8", "posit16", "posit32"),
        "a posit, whose exponent field has no fixed width. Use a format of floats.",
    ),
    "nf4": 'a table of 16 quantiles, which has no exponent. Use a format of floats, such as "e2m1".',
    **dict.fromkeys(("dlfloat", "dlfloat16"), 'IBM\'s DLFloat. Use "e6m9", which has its fields.'),
    **dict.fromkeys(("fp24", "pxr24"), 'of several kinds. Use its fields, such as "e7m16" or "e8m15".'),
}

NAMES.update((name, fmt) for fmt, names in _CATALOGUE for name in (fmt.name, *names))


def _add_dtypes() -> None:
    import ml_dtypes

    for fmt, _ in _CATALOGUE:
        scalar_type = getattr(np, fmt.name, None) or getattr(ml_dtypes, fmt.name, None)
        if scalar_type is not None:
            DTYPES[fmt._rule] = np.dtype(scalar_type)


_add_dtypes()


class FormatList(tuple[FloatFormat, ...]):
    """Formats in order: a tuple, which a notebook shows as a table, and a terminal by their names.

    >>> FormatList([FloatFormat("float16", 5, 10)])
    <1 format: float16>
    """

    __slots__ = ()

    def __repr__(self) -> str:
        names = ", ".join(fmt.name for fmt in self)
        return f"<{len(self)} {'format' if len(self) == 1 else 'formats'}: {names}>"

    def _repr_html_(self) -> str:
        return catalogue_in_html(self)


def formats() -> FormatList:
    """Return the catalogue, from the widest format to the narrowest.

    >>> [fmt.name for fmt in formats()][:3]
    ['float64', 'float32', 'tf32']
    """
    return FormatList(fmt for fmt, _ in _CATALOGUE)


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
        name, fields = fields_and_name(given)
        return FloatFormat(name, *fields)
    fmt = known_or_spelt(given)
    if fmt is not None:
        return fmt
    asked = plain(given).replace("-", "").replace(" ", "")
    if asked in _OTHER_WORDS:
        raise FormatError(
            f"A format is named as in floatlab.formats(). Got {given!r}, which is {_OTHER_WORDS[asked]}"
        )
    guess = nearest_name(asked, NAMES)
    way_out = f'Did you mean "{guess}"?' if guess else "See floatlab.formats() for all of them."
    raise FormatError(f"A format is named as in floatlab.formats(). Got {given!r}. {way_out}")

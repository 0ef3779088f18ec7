"""What is one try of the fuzz? A case: a call of floatlab's public face, and what the reference says of it.

A case becomes a line of Python, the call with all its numbers in it, and that text is what is evaluated. So the line
that a report shows reproduces what was found, by construction. Results become words, one for each element
(``0x1.8p+1``, ``-nan``, ``0x7e``, ``inexact+overflow``), which are compared and printed alike.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import numpy as np

from floatlab import reference
from floatlab.array.core import FloatArray
from floatlab.errors import FloatlabError
from floatlab.formats import FloatFormat
from floatlab.rounding.flags import Flags
from floatlab.sums import accumulators
from floatlab.verify.tasks import Array

__all__ = [
    "Case",
    "Check",
    "Difference",
    "Words",
    "array_text",
    "code_words",
    "difference",
    "flag_words",
    "value_words",
]

Words = dict[str, list[str]]  # "values", "codes" or "flags": one word for each element

REFUSED: Words = {"refused": ["by an error of floatlab"]}

PRELUDE = (
    "import numpy as np, floatlab as fl; from math import inf, nan; from fractions import Fraction; "
    "from floatlab.sums import accumulators"
)


@dataclass(frozen=True)
class Case:
    """One call, as data that can be made smaller.

    Attributes
    ----------
    check : str
        Which of `floatlab.verify.fuzz.checks.CHECKS` it belongs to.
    fmt : FloatFormat
        The format of the result.
    numbers : tuple of tuples
        The elements of each operand: floats that its dtype holds, or codes.
    shape : tuple of int
        The shape of the operands.
    dtype, layout : str
        The type of the operands and how they lie in memory; see `array_text`.
    options : dict
        Options of the call, by name; those at their defaults are left out.
    integers : tuple of int
        The random integers of a stochastic rounding, one for each element.
    what : str
        Which of the check's operations, functions or kinds.
    kinds : tuple
        Further formats and numbers of the call: those of the operands, or of an accumulator.
    length : int
        If not 0, the elements are repeated to so many, and the result must repeat as well.
    """

    check: str
    fmt: FloatFormat
    numbers: tuple[tuple[Any, ...], ...]
    shape: tuple[int, ...]
    dtype: str = "f8"
    layout: str = "plain"
    options: dict[str, Any] = field(default_factory=dict)
    integers: tuple[int, ...] = ()
    what: str = ""
    kinds: tuple[Any, ...] = ()
    length: int = 0

    @property
    def size(self) -> int:
        """How many elements an operand has."""
        return len(self.numbers[0])

    def operand(self, i: int = 0) -> str:
        """Return the text of an operand."""
        return array_text(self.numbers[i], self.shape, self.dtype, self.layout, self.length)

    def arguments(self, **more: Any) -> str:
        """Return the text of the options, with a leading comma for each."""
        text = "".join(f", {name}={value!r}" for name, value in (self.options | more).items())
        if self.integers:
            integers = array_text(self.integers, self.shape, "i8", "plain", self.length)
            text += f", random_integers={integers}"
        return text


@dataclass(frozen=True)
class Check:
    """How cases of one kind are drawn, called and judged.

    Attributes
    ----------
    draw : callable
        ``(random) -> Case``
    text : callable
        The expression that makes the call.
    expect : callable
        What `floatlab.reference` says, as words; an error of floatlab means that the call must be refused.
    weight : float
        How often it is drawn.
    signed_nan : bool
        Whether the sign of a NaN is compared, where the format's NaN has one.
    peers : tuple of str
        The packages that the oracle needs.
    """

    draw: Callable[[Random], Case]
    text: Callable[[Case], str]
    expect: Callable[[Case], Words]
    weight: float = 1.0
    signed_nan: bool = True
    peers: tuple[str, ...] = ()


# -- text ------------------------------------------------------------------------------------------------

_LAYOUTS = {
    "plain": "{}",
    "strided": "np.repeat({}, 2, -1)[..., ::2]",
    "reversed": "np.flip(np.flip({}).copy())",
    "transposed": "{}.T.copy().T",
    "byteswapped": "{}.astype('>{dtype}')",
    "readonly": "np.broadcast_to({}, {shape})",
    "list": "{}.tolist()",
}


def array_text(
    numbers: Sequence[Any], shape: tuple[int, ...], dtype: str, layout: str = "plain", length: int = 0
) -> str:
    """Return an expression of an array of these numbers.

    >>> array_text((1.0, 0.5), (2, 1), "f4", "transposed")
    "np.array([1.0, 0.5], 'f4').reshape((2, 1)).T.copy().T"
    """
    text = f"np.array([{', '.join(map(number_text, numbers))}], {dtype!r})"
    if length:
        text, shape = f"np.resize({text}, {length})", (length,)
    elif shape != (len(numbers),):
        text += f".reshape({shape})"
    if shape == () and layout in ("strided", "reversed", "list"):
        layout = "plain"
    return _LAYOUTS[layout].format(text, dtype=dtype, shape=shape)


def number_text(x: Any) -> str:
    """Return an expression of a number; that of a negative NaN keeps its sign.

    >>> number_text(-0.0), number_text(-math.nan)
    ('-0.0', '-nan')
    """
    return "-nan" if x != x and math.copysign(1.0, x) < 0 else repr(x)


def format_text(fmt: FloatFormat) -> str:
    """Return an expression of a format.

    >>> from floatlab.formats import get_format
    >>> format_text(get_format("e4m3")), format_text(FloatFormat("x", 4, 3, 20))
    ("'float8_e4m3fn'", "fl.FloatFormat('x', 4, 3, 20, 'ieee', True)")
    """
    if fmt.spec == fmt.name:
        return repr(fmt.name)
    fields = (fmt.name, fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.specials, fmt.signed)
    return f"fl.FloatFormat{fields!r}"


# -- words -----------------------------------------------------------------------------------------------


def value_words(values: Iterable[float], signed_nan: bool) -> list[str]:
    """Return a word for each value; NaNs have their sign only where that means anything."""
    return [
        x.hex() if x == x else "-nan" if signed_nan and math.copysign(1.0, x) < 0 else "nan" for x in values
    ]


def code_words(codes: Iterable[int]) -> list[str]:
    """Return a word for each code."""
    return [hex(code) for code in codes]


def flag_words(flags: Iterable[Iterable[str]]) -> list[str]:
    """Return a word for each set of flags."""
    return ["+".join(sorted(raised)) or "none" for raised in flags]


def words_of(result: Any, case: Case, signed_nan: bool) -> Words:
    """Return the words of what a call returned: values or codes, and flags where there are any."""
    result, flags = result if isinstance(result, tuple) else (result, None)
    array = result.values if isinstance(result, FloatArray) else np.asarray(result)
    found: Words = {}
    if case.length:
        found["repeats"] = [str(_repeats(array, case.size))]
        array = array.reshape(-1)[: case.size]
    flat = array.reshape(-1)
    if array.dtype.kind in "ui":
        found["codes"] = code_words(flat.tolist())
    elif array.dtype.kind in "Ub":
        found["values"] = [str(x) for x in flat.tolist()]
    else:
        with np.errstate(invalid="ignore"):  # signaling NaNs
            found["values"] = value_words(flat.astype(np.float64).tolist(), signed_nan)
    if flags is not None:
        parts = {name: np.reshape(getattr(flags, name), -1).tolist() for name in Flags.__dataclass_fields__}
        found["flags"] = flag_words(
            [name for name, raised in parts.items() if raised[i]] for i in range(flat.size)
        )
    return found


def _repeats(array: Array, period: int) -> bool:
    """Say whether an array repeats its first elements, bit for bit (but for the bits of NaNs)."""
    flat = array.reshape(-1)
    if flat.dtype.kind == "f":
        flat = np.where(np.isnan(flat), flat.dtype.type(np.nan), flat).view(f"u{flat.itemsize}")
    return bool((flat == np.resize(flat[:period], flat.size)).all())


@lru_cache(maxsize=1)
def _namespace() -> dict[str, Any]:
    """Return the names that a case's text uses; the public face lies above this room, so it is looked up late."""
    names: dict[str, Any] = {
        "fl": importlib.import_module("floatlab"),
        "np": np,
        "inf": math.inf,
        "nan": math.nan,
    }
    return names | {"Fraction": Fraction, "Decimal": Decimal, "accumulators": accumulators}


# -- a try -----------------------------------------------------------------------------------------------


def run(text: str, case: Case, signed_nan: bool) -> Words:
    """Evaluate a call, and return its words; warnings count as errors, for nobody asked for them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return words_of(eval(text, dict(_namespace())), case, signed_nan)
    except FloatlabError:
        return REFUSED
    except Exception as error:
        return {"raised": [f"{type(error).__name__}: {error}".splitlines()[0][:200]]}


class Difference(NamedTuple):
    """What differs: which part of the result, and the line of Python that shows it."""

    part: str
    line: str


def difference(case: Case, check: Check) -> Difference | None:
    """Run a case, and say what differs from the reference; None if nothing does."""
    try:
        expected = check.expect(case)
    except FloatlabError:
        expected = REFUSED
    if case.length and expected is not REFUSED:
        expected = {"repeats": ["True"], **expected}
    text = check.text(case)
    got = run(text, case, check.signed_nan and case.fmt.nan_has_sign)
    if got == expected:
        return None
    part = next((part for part in expected if got.get(part) != expected[part]), "more")
    found = got.get(part) or next(iter(got.values()))
    return Difference(part, f"{text}  # {part}{_compared(found, expected.get(part, []))}")


def _compared(found: list[str], words: list[str]) -> str:
    """Say at which element words differ first, and what they are there."""
    if len(found) != len(words) or found == words:
        return f": {', '.join(found)}, should be {', '.join(words)}"
    i = next(i for i, pair in enumerate(zip(found, words, strict=True)) if pair[0] != pair[1])
    return (f" at {i}" if len(words) > 1 else "") + f": {found[i]}, should be {words[i]}"


def reference_floats(results: Iterable[reference.Result]) -> list[float]:
    """Return the values of the reference's results."""
    return [reference.to_float(result.value) for result in results]

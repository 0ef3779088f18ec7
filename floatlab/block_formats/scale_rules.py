"""By what is a block divided? Every published rule, as data.

A scale that is a power of two says how the magnitudes of blocks are divided among exponents: exponent e serves the
largest magnitudes from T * 2^e on, up to T * 2^(e+1). All five rules are that, with a T of their own, and differ in
whether T * 2^e itself belongs to e or to the exponent below::

    floor     [2^emax, ...)                  the largest number's exponent less that of the format's largest value
    ceil      (2^(emax-1), ...]              ... rounded up
    even      [2^emax - half a unit, ...)    ... after rounding the number to the format's precision
    rceil     (M/2, ...]                     the smallest scale that nothing exceeds
    nearest   [3/4 M, ...)                   the power of two nearest to largest number / M

with M the element's largest value and emax its exponent. So with the words of float64 as integers, in which a binade
has the length 2^52, an exponent is one subtraction and one shift: exact, and without a logarithm.

Sources: OCP Microscaling Formats (MX) Specification 1.0, section 6.3 ("floor", a recommendation there); "ceil", "even"
and "rceil" are torchao's names (torchao.prototype.mx_formats.config, ScaleCalculationMode), and "rceil" is the rule of
NVIDIA's cuBLAS documentation (section on 1D block scaling for FP8 and FP4) and Transformer Engine; "nearest" is what a
conversion to e8m0 makes of the quotient in ml_dtypes and LLVM. NVFP4: NVIDIA, "Pretraining Large Language Models with
NVFP4" (2025), appendix A. Four over six: J. Cook et al., "Four Over Six: More Accurate NVFP4 Quantization with Adaptive
Block Scaling" (2025). Tiles: DeepSeek-AI, "DeepSeek-V3 Technical Report" (2024), section 3.3, and DeepGEMM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.elements import Element
from floatlab.formats import FloatFormat, get_format

__all__ = ["RULES", "ScaleRule", "exponents"]


@dataclass(frozen=True)
class ScaleRule:
    """One rule for scales.

    Attributes
    ----------
    name : str
        As in ``rule=name``.
    sentence : str
        What it does.
    who : str
        Who computes so.
    power : bool
        Whether scales are powers of two.
    start : callable or None
        Of a rule for powers of two: the smallest magnitude that exponent 0 serves.
    closed : bool
        Whether that magnitude itself belongs to exponent 0.
    scales : tuple of str
        The formats of scales that can carry it.
    arithmetics : tuple of str
        The ways to compute it, the exact one first.
    """

    name: str
    sentence: str
    who: str
    power: bool = True
    start: Callable[[Element], Fraction] | None = None
    closed: bool = True
    scales: tuple[str, ...] = ("e8m0", "fp32")
    arithmetics: tuple[str, ...] = ("exact",)

    def fits(self, scale: FloatFormat) -> bool:
        """Whether scales of a format, whatever it is called, can carry the rule.

        >>> RULES["rceil"].fits(get_format("e8m0")), RULES["rceil"].fits(get_format("e4m3"))
        (True, False)
        """
        return any(get_format(name).same_as(scale) for name in self.scales)


def _largest(element: Element) -> Fraction:
    return Fraction(element.max)


def _binade(element: Element) -> Fraction:
    return Fraction(2) ** element.emax


RULES: dict[str, ScaleRule] = {rule.name: rule for rule in (
    ScaleRule("floor", "exponent of the largest number less that of the format's largest value",
              "OCP MX 1.0 section 6.3; torchao's default; microxcaling, gfloat", start=_binade),
    ScaleRule("ceil", "the same, the exponent of the largest number rounded up", "torchao",
              start=lambda e: _binade(e) / 2, closed=False),
    ScaleRule("even", "the same, after the largest number is rounded to the format's precision", "torchao",
              start=lambda e: _binade(e) * (1 - Fraction(1, 2 ** (e.mantissa_bits + 2)))),
    ScaleRule("rceil", "the smallest power of two at which nothing saturates",
              "Transformer Engine, cuBLAS, torchao, DeepGEMM's ue8m0", start=lambda e: _largest(e) / 2, closed=False),
    ScaleRule("nearest", "largest number / largest value, to the nearest power of two, ties up",
              "ml_dtypes' and LLVM's conversion to e8m0", start=lambda e: _largest(e) * 3 / 4),
    ScaleRule("nvfp4", "largest number / largest value, rounded to the scale format", "NVFP4", power=False,
              scales=("e4m3",), arithmetics=("exact", "te", "torchao")),
    ScaleRule("nvfp4_4over6", "the same, or 1.5 times that where the block's mean absolute error is smaller",
              "Four Over Six", power=False, scales=("e4m3",), arithmetics=("exact", "te")),
    ScaleRule("absmax", "largest number / largest value", "int4 and int8 in groups", power=False, scales=("fp32",)),
    ScaleRule("amax", "max(largest number, 1e-4) / largest value", "DeepSeek-V3, DeepGEMM", power=False,
              scales=("fp32",), arithmetics=("exact", "deepseek", "deepgemm")),
    ScaleRule("amax_pow2", "the next power of two from there", "DeepGEMM's ue8m0, Transformer Engine's tiles",
              power=False, scales=("fp32",), arithmetics=("exact", "deepgemm", "te")),
)}  # fmt: skip


def exponents(magnitudes: Array, rule: ScaleRule, element: Element) -> Array:
    """Return the exponents of the scales of blocks, before they are clamped to those that a format has.

    Parameters
    ----------
    magnitudes : array of float32 or float64
        The largest magnitudes, finite. What is below float64's smallest normal number, and 0, gets an exponent below
        -890.
    rule : ScaleRule
        A rule for powers of two.
    element : Element
        The element format.

    Returns
    -------
    array of int64

    Examples
    --------
    >>> from floatlab.block_formats.elements import element_of
    >>> from floatlab.formats import get_format
    >>> e4m3 = element_of(get_format("e4m3"))
    >>> [exponents(np.array([448.0, 449.0]), RULES[name], e4m3).tolist() for name in ("floor", "rceil")]
    [[0, 0], [0, 1]]
    """
    words = magnitudes.astype(np.float64).view(np.int64)
    words -= _start(rule, element)
    words >>= 52
    return words


@lru_cache(maxsize=64)
def _start(rule: ScaleRule, element: Element) -> int:
    """Return the word of the smallest magnitude that exponent 0 serves."""
    assert rule.start is not None
    start = rule.start(element)
    assert Fraction(float(start)) == start  # a few bits
    return int(np.float64(start).view(np.int64)) + (not rule.closed)

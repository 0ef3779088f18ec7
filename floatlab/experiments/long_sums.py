"""Long sums in fp8: how far off is a product of matrices, against its length K?

The operands are E4M3; what is compared is the unit's product with the exact one of the same operands: the norm of the
difference over the norm of the exact product. Two kinds of numbers, because either alone is half of the truth:

- uniform on [0, 1): all products are positive, the sum grows, and a Hopper's 14 bits cut more and more of each product.
  At K = 4096 it is some per cent, at 65536 more than half.
- Gaussian: positive and negative products cancel, the sum stays small, and the error is far less than that with which
  the operands were rounded to E4M3.

Adding up in fp32 what every 128 products leave (`promote=128`), as DeepSeek-V3 does, keeps the error where it is after
128 products.

Prediction: no number is drawn. E4M3 has 120 values that are not negative; the distribution says how probable each is,
and so each product, exactly. Of a partial sum with exponent E the unit keeps multiples of u = 2^(E - 13): so a product
p loses p mod u, in the mean so much. Uniform: block by block, the expected sum. Gaussian: the sum is a random walk, and
the squares of what is lost add up. (Looked at on seed 11.)

Source of the promotion: DeepSeek-AI, "DeepSeek-V3 technical report", arXiv:2412.19437 (2024), section 3.3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import check_option
from floatlab.formats import get_format
from floatlab.matrix_units import get_unit
from floatlab.rounding.quantize import quantize

__all__ = ["DATA", "LENGTHS", "UNITS", "measured", "operand_error", "predicted"]

Array = NDArray[Any]
DATA = ("uniform", "gaussian")
LENGTHS = (128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
UNITS = ("h100", "h100:promote=128", "b200")
_E4M3 = get_format("e4m3")
_NONE = -1000  # the exponent of a zero, to which nothing is aligned
_LEVELS = np.arange(-12, 20)  # the exponents that a sum can have; what is smaller counts as the smallest
_NEGLIGIBLE = 1e-6  # a probability


# -- measured ------------------------------------------------------------------------------------------------


def _operands(data: str, length: int, seed: int, size: int) -> tuple[Array, Array]:
    check_option("data", data, DATA)
    rng = np.random.default_rng(seed)
    draw = rng.random if data == "uniform" else rng.standard_normal
    return draw((size, length)), draw((length, size))


def _relative(found: Array, exact: Array) -> float:
    return float(np.sqrt(np.square(found - exact).sum() / np.square(exact).sum()))


def measured(unit: str, data: str, length: int, seed: int, size: int = 16) -> float:
    """Return the relative error of products of (size, length) and (length, size), against that of the same operands.

    >>> measured("b200", "uniform", 128, seed=0) < 1e-6
    True
    """
    a, b = (quantize(x, _E4M3) for x in _operands(data, length, seed, size))
    # The products of E4M3 are multiples of 2^-18, and their sums here below 2^34: exact in float64.
    return _relative(get_unit(unit).multiply(a, b, None, (_E4M3, _E4M3)), a @ b)


def operand_error(data: str, length: int, seed: int, size: int = 16) -> float:
    """Return what rounding the operands to E4M3 has changed of the product already."""
    a, b = _operands(data, length, seed, size)
    return _relative(quantize(a, _E4M3) @ quantize(b, _E4M3), a @ b)


# -- predicted -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Products:
    """The distribution of the magnitude of a product of two E4M3 numbers: sizes, exponents, probabilities."""

    sizes: Array
    exponents: Array
    probable: Array

    def mean(self, values: Array) -> float:
        """Return the mean of something that depends on the product."""
        return float((self.probable * values).sum())

    def cut(self, unit: float) -> tuple[float, float]:
        """Return the mean, and the mean square, of what is lost where a multiple of `unit` is kept."""
        lost = np.fmod(self.sizes, unit)
        return self.mean(lost), self.mean(np.square(lost))

    def largest(self, count: int) -> dict[int, float]:
        """Return how probable each exponent is as the largest of so many products."""
        levels = np.unique(self.exponents)
        below = np.array([self.mean(self.exponents <= level) for level in levels]) ** count
        return dict(zip(levels.tolist(), np.diff(below, prepend=0.0).tolist(), strict=True))


@lru_cache(maxsize=2)
def _products(data: str) -> Products:
    # E4M3 written out: multiples of 2^-9 below 2^-6, then four bits to a number, up to 448.
    values = np.r_[
        np.arange(8) * 2.0**-9, [(8 + m) * 2.0 ** (e - 3) for e in range(-6, 9) for m in range(8)]
    ][:-1]
    edges = np.r_[0.0, (values[1:] + values[:-1]) / 2, np.inf]
    if data == "uniform":
        cumulated = np.minimum(edges, 1.0)
    else:
        cumulated = np.array([math.erf(x / math.sqrt(2.0)) for x in edges])
    probable = np.diff(cumulated)
    exponents = np.maximum(np.frexp(values)[1] - 1, -6)
    exponents[0] = _NONE  # a zero is aligned to nothing
    return Products(*(f(x, x).ravel() for f, x in (
        (np.multiply.outer, values), (np.add.outer, exponents), (np.multiply.outer, probable)
    )))  # fmt: skip


def predicted(unit: str, data: str, length: int) -> float | None:
    """Return the relative error that the distribution says; None of a unit that keeps so much that nothing is lost.

    >>> round(100 * predicted("h100", "uniform", 16384))
    25
    """
    check_option("data", data, DATA)
    how = get_unit(unit)
    one = how.instruction(_E4M3, _E4M3)
    bits = int(getattr(one, "fraction_bits", 24))
    if bits > 20:
        return None
    law = _of_sums if data == "uniform" else _of_walks
    return law(_products(data), min(length, how.promote or length), one.block, bits)


def _of_sums(products: Products, length: int, block: int, bits: int) -> float:
    """Return the share that is lost of a sum that grows: its expectation, block by block."""
    mean, total, largest = products.mean(products.sizes), 0.0, products.largest(block)
    variance = products.mean(np.square(products.sizes)) - mean**2
    cuts = lru_cache(maxsize=None)(products.cut)
    sums: dict[int, float] = {_NONE: 1.0}
    for start in range(0, length, block):
        unit = 0.0  # the mean of the places below which products are cut
        for own, chance in sums.items():
            for exponent, other in largest.items():
                place = 2.0 ** (max(own, exponent) - bits)
                total += block * chance * other * (mean - cuts(place)[0])
                unit += chance * other * place
        sums = _exponents(total, math.sqrt((start + block) * variance))
        # The sum is cut once more where it has a larger exponent than any term: half of what the place grows by.
        total -= max(0.0, sum(chance * 2.0 ** (k - bits) for k, chance in sums.items()) - unit) / 2
    return 1.0 - total / (length * mean)


def _of_walks(products: Products, length: int, block: int, bits: int) -> float:
    """Return the relative error of a sum that is a random walk: what is lost of each product is independent."""
    square, lost, largest = products.mean(np.square(products.sizes)), 0.0, products.largest(block)
    cuts = lru_cache(maxsize=None)(products.cut)
    for start in range(0, length, block):
        for own, chance in _exponents(0.0, math.sqrt(start * square)).items():
            for exponent, other in largest.items():
                lost += block * chance * other * cuts(2.0 ** (max(own, exponent) - bits))[1]
    return math.sqrt(lost / (length * square))


def _exponents(middle: float, deviation: float) -> dict[int, float]:
    """Return how probable each exponent is of a Gaussian number, where it is not negligible.

    >>> _exponents(12.0, 1.0), _exponents(0.0, 0.0)
    ({2: 3.167e-05, 3: 0.99993666, 4: 3.167e-05}, {-1000: 1.0})
    """
    if not deviation:
        return {_NONE: 1.0}
    scale = deviation * math.sqrt(2.0)
    ends = np.r_[0.0, 2.0 ** _LEVELS[1:], np.inf]
    below = np.array([(math.erf((x - middle) / scale) + math.erf((x + middle) / scale)) / 2 for x in ends])
    found = zip(_LEVELS.tolist(), np.diff(below).tolist(), strict=True)
    return {k: round(chance, 8) for k, chance in found if chance > _NEGLIGIBLE}

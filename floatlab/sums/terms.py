"""Which numbers are added up? The terms of each element of a product of matrices, in their order: `Terms`."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from fractions import Fraction
from functools import cached_property

import numpy as np

from floatlab.backend import Array, array_module, asnumpy
from floatlab.formats import FloatFormat
from floatlab.sums.certified import quantum

__all__ = ["Terms"]

_SMALLEST, _LARGEST = 2.0**-1074, float(np.finfo(np.float64).max)


class Terms:
    """The terms of each element of ``a @ b + addend``, the addend first, then in the order of the index.

    They are float64 arrays. Where products may lie beyond float64's ends (`as_fractions`), they are arrays of exact
    numbers: fractions, and floats for zeros, infinities and NaNs. This is slow, and always right; with `in_float64`
    the products are those of float64 in any case.

    >>> terms = Terms(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[0.5]]))
    >>> terms.stack(0, 3).ravel()
    array([0.5, 3. , 8. ])
    """

    def __init__(
        self,
        a: Array,
        b: Array,
        addend: Array | None = None,
        round_product: Callable[[Array], Array] | None = None,
        product_format: FloatFormat | None = None,
        *,
        in_float64: bool = False,
    ) -> None:
        xp = array_module(a)
        depth = max(a.ndim, b.ndim)
        a = a.reshape((1,) * (depth - a.ndim) + a.shape)
        b = b.reshape((1,) * (depth - b.ndim) + b.shape)
        self.a = xp.ascontiguousarray(xp.moveaxis(a, -1, 0))[..., :, None]  # (K, ..., M, 1)
        self.b = xp.ascontiguousarray(xp.moveaxis(b, -2, 0))[..., None, :]  # (K, ..., 1, N)
        self.addend, self.round_product, self.product_format = addend, round_product, product_format
        self.first = int(addend is not None)
        self.count = len(self.a) + self.first
        self.shape: tuple[int, ...] = np.broadcast_shapes(self.a.shape[1:], self.b.shape[1:])
        self.size = math.prod(self.shape)
        self.as_fractions = not in_float64 and self._leave_float64()
        if self.as_fractions:
            self.a, self.b = asnumpy(self.a), asnumpy(self.b)
            self.addend = None if addend is None else asnumpy(addend)

    def _leave_float64(self) -> bool:
        """Return whether some product may be beyond float64's ends, where it would not be the exact one."""
        if not (len(self.a) and self.size):
            return False
        unit, largest = self.product
        if largest <= _LARGEST and unit >= _SMALLEST:
            return False
        (low, high), (lower, higher) = _ends(self.a), _ends(self.b)
        return high * higher > _LARGEST or low * lower < _SMALLEST

    @cached_property
    def product(self) -> tuple[float, float]:
        """A power of two of which all products are multiples, and a bound of their magnitudes; NaN if one is."""
        with np.errstate(all="ignore"):
            unit = quantum(self.a, None) * quantum(self.b, None)
            return float(unit), float(abs(self.a).max() * abs(self.b).max())

    def stack(self, start: int, stop: int, step: int = 1) -> Array:
        """Return the terms start, start + step ... before stop, as an array of shape (n, ..., M, N)."""
        xp = array_module(self.a)
        head = []
        if self.first:
            if start == 0:
                head = [xp.broadcast_to(self.addend, self.shape)[None]]
                start += step
            start, stop = start - 1, stop - 1
        factors = self.a[start:stop:step], self.b[start:stop:step]
        products = _PRODUCTS(*factors) if self.as_fractions else factors[0] * factors[1]
        if self.round_product:
            products = self.round_product(products)
        return xp.concatenate([*head, products]) if head else products

    def __getitem__(self, k: int) -> Array:
        return self.stack(k, k + 1)[0]

    def of_rows(self, rows: slice) -> Terms:
        """Return the terms of some rows of the product."""
        part = copy(self)
        part.a = self.a[..., rows, :]
        part.addend = None if self.addend is None else self.addend[..., rows, :]
        part.shape = np.broadcast_shapes(part.a.shape[1:], self.b.shape[1:])
        part.size = math.prod(part.shape)
        return part

    def adds_exactly(self, fmt: FloatFormat, *, compensated: bool = False) -> bool:
        """Return whether float64 adds any two numbers without error that meet on the way to a sum in `fmt`.

        All of them are multiples of a unit: the smallest of the terms, or that of the largest value, which an overflow
        may put in the place of a sum. (Rounding turns a multiple of one power of two into a multiple of
        another one, unless it changes nothing.) So it is enough that none reaches 2^53 units.

        In every mode a rounded number is one of the two neighbours of the exact one. With u = 2^(1 - p) and q the
        smallest value above zero, that is at most |x| (1 + u) + q: a term far below q may become q. After n terms of at
        most L, a partial sum is at most n (L + q) (1 + u)^n, which is less than 3 n (L + q) for n u <= 1. A
        compensated sum also adds what was lost: by induction all its numbers are less than 3 n (L + 8 q) for
        16 n u <= 1. No partial sum is larger than the format's largest value, and saturating or flushing
        make it smaller.
        """
        if len(self.a) == 0 or self.size == 0 or not fmt.has_zero:
            return False
        if self.round_product is not None or self.as_fractions:
            return False
        unit, largest = self.product
        if self.addend is not None:
            unit = min(unit, float(quantum(self.addend, None)))
            largest = max(largest, float(abs(self.addend).max()))
        unit = min(unit, math.ldexp(1.0, fmt.emax - fmt.mantissa_bits))
        few = self.count * (16 if compensated else 1) <= 2 ** (fmt.precision - 1)
        sums = 3.0 * self.count * (largest + 8.0 * fmt.smallest_subnormal) if few else np.inf
        return bool(2.0 * (min(sums, fmt.max) + largest) < 2.0**53 * unit < np.inf)


def _ends(x: Array) -> tuple[float, float]:
    """Return the lowest bit that is set anywhere, and the largest finite magnitude; 1 and 0 if all are zero."""
    xp = array_module(x)
    size = abs(x[xp.isfinite(x) & (x != 0)])
    if not size.size:
        return 1.0, 0.0
    return max(float(quantum(size, None)), _SMALLEST), float(size.max())


def _product(x: float, y: float) -> Fraction | float:
    """Return x * y; of more than 53 bits those that float64 would keep if its exponent had no ends."""
    if not (x and y and math.isfinite(x) and math.isfinite(y)):
        return x * y
    n, e = math.frexp(x)
    m, f = math.frexp(y)
    rounded = n * m  # between 1/4 and 1
    return Fraction(rounded) * Fraction(2) ** (e + f)


_PRODUCTS: Callable[..., Array] = np.frompyfunc(_product, 2, 1)

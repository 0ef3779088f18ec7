"""What does one instruction of a matrix unit do? Its operands' formats, and how many products it adds at a time.

An instruction turns an accumulator c and a block of products into the next accumulator d::

    d = c + a[0] b[0] + a[1] b[1] + ... + a[L - 1] b[L - 1]        rounded as the hardware does, not as IEEE 754

A longer sum is a chain: d is the c of the next block. What is too short is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format

__all__ = ["FLOAT32", "Formats", "Instruction", "blocks_of", "pieces", "product"]

Formats = tuple[FloatFormat, FloatFormat]  # of the two operands

FLOAT32 = get_format("float32")
_ELEMENTS = 1 << 16  # results that are computed at a time: some arrays of them stay in the cache


@dataclass(frozen=True)
class Instruction:
    """The base of all instructions.

    Parameters
    ----------
    operands : tuple of str or FloatFormat
        The formats that it multiplies. Each of the two operands may have any of them; empty: all.
    block : int
        How many products are added at a time, L.
    register : str or FloatFormat
        The format of the accumulator, before and after.
    carrier : str or FloatFormat, optional
        The format in which operands come, if it is another one: bits that theirs lacks are dropped. (A tf32 operand is
        an fp32 number whose last 13 bits nobody reads.)
    """

    operands: tuple[Any, ...]  # texts become formats
    block: int
    register: FloatFormat = FLOAT32
    carrier: FloatFormat | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name == "operands":
                given = (value,) if isinstance(value, str | FloatFormat) else value
                object.__setattr__(self, field.name, tuple(get_format(fmt) for fmt in given))
            elif field.name in ("register", "kept", "carrier") and value is not None:
                object.__setattr__(self, field.name, get_format(value))
        for name in ("block", "fraction_bits", "zero_exponent"):
            if isinstance(getattr(self, name, None), np.integer):
                object.__setattr__(self, name, int(getattr(self, name)))
        if isinstance(self.block, bool) or not isinstance(self.block, int) or self.block < 1:
            raise OptionError(
                f"block is how many products are added at a time, 1 or more. Got {self.block!r}. Use 16."
            )

    def multiplies(self, a: FloatFormat, b: FloatFormat) -> bool:
        """Return whether the operands may have these formats."""
        return not self.operands or all(any(x.same_as(fmt) for fmt in self.operands) for x in (a, b))

    def chain(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return what is left of c, (..., M, N), after all products of a, (..., M, K), and b, (..., K, N).

        All of them are float64, with the same leading dimensions; the values are those of `formats`, and c those of
        the register. Matrices are computed piece by piece; stacks of them, which are small, at once.
        """
        if c.ndim > 2:
            return self._add_all(a, b, c, formats)
        out = np.empty(c.shape)
        for rows, columns in pieces(c.shape):
            out[rows, columns] = self._add_all(a[rows], b[:, columns], c[rows, columns], formats)
        return out

    def _add_all(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        for x, y in blocks_of(a, b, self.block):
            c = self.add(x, y, c, formats)
        return c

    def add(self, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return c after one block of products: a (..., M, L), b (..., L, N)."""
        raise TypeError(f"{type(self).__name__} adds no blocks of numbers without scales.")


def product(a: Array, b: Array, k: int) -> Array:
    """Return the products number k of all dot products, exactly: a[..., k] times b[..., k, :].

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), 1)
    array([[10., 12.]])
    """
    made: Array = a[..., :, k, None] * b[..., k, None, :]
    return made


def pieces(shape: tuple[int, ...], elements: int = _ELEMENTS) -> Iterator[tuple[slice, slice]]:
    """Yield the pieces in which a matrix is computed: some rows, of a wide one some columns of them.

    >>> list(pieces((3, 4), 8))
    [(slice(0, 2, None), slice(0, 4, None)), (slice(2, 3, None), slice(0, 4, None))]
    """
    columns = max(1, min(shape[1], elements))
    rows = max(1, elements // columns)
    for i in range(0, shape[0], rows):
        for j in range(0, shape[1], columns):
            yield slice(i, min(i + rows, shape[0])), slice(j, min(j + columns, shape[1]))


def blocks_of(a: Array, b: Array, block: int) -> Iterator[tuple[Array, Array]]:
    """Yield the columns of a and the rows of b, `block` of them at a time; the last are filled up with zeros.

    >>> for x, y in blocks_of(np.ones((1, 3)), np.ones((3, 1)), 2):
    ...     print(x, y.T)
    [[1. 1.]] [[1. 1.]]
    [[1. 0.]] [[1. 0.]]
    """
    for k in range(0, a.shape[-1], block):
        x, y = a[..., k : k + block], b[..., k : k + block, :]
        missing = block - x.shape[-1]
        if missing:
            whole = [(0, 0)] * (a.ndim - 2)
            x, y = np.pad(x, [*whole, (0, 0), (0, missing)]), np.pad(y, [*whole, (0, missing), (0, 0)])
        yield x, y

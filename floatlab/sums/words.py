"""What is true of both operands of a term, or of one of them? Of 64 terms at a time: a bit of a word for each.

Whether a row and a column have a place in common where neither is zero, or whether their signs differ in every place,
is asked of few elements of a product, and is one operation for 64 terms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from floatlab.backend import Array, array_module

__all__ = ["words_of"]


def words_of(
    rows: Array, columns: Array, shape: tuple[int, ...], where: tuple[Array, ...]
) -> Iterator[tuple[Array, Array]]:
    """Yield for 64 terms after the other one word of each row and one of each column, for the elements `where`.

    Parameters
    ----------
    rows, columns : array of bool, shapes (..., M, K) and (..., N, K)
        What is said of each operand: a bit of a word. Bits beyond the last term are 0.
    shape : tuple of int
        That of the product, (..., M, N).
    where : tuple of arrays of int
        The indices of elements of the product.

    Examples
    --------
    >>> rows, columns = np.array([[True, False]]), np.array([[True, True], [False, True]])
    >>> (left, right), = words_of(rows, columns, (1, 2), (np.array([0, 0]), np.array([0, 1])))
    >>> (left == right).tolist(), ((left & right) != 0).tolist()
    ([False, False], [True, False])
    """
    xp = array_module(rows)
    lead, foot = shape[:-1], (*shape[:-2], shape[-1])
    for left, right in zip(_packed(rows), _packed(columns), strict=True):
        yield xp.broadcast_to(left, lead)[where[:-1]], xp.broadcast_to(right, foot)[(*where[:-2], where[-1])]


def _packed(bits: Array) -> Array:
    """Return uint64 words, the first of each row before the second, each of 64 bits."""
    xp = array_module(bits)
    padded = xp.zeros((*bits.shape[:-1], -(-bits.shape[-1] // 64) * 64), bool)
    padded[..., : bits.shape[-1]] = bits
    words = xp.packbits(padded.reshape(-1)).view(np.uint64).reshape(*bits.shape[:-1], -1)
    return xp.ascontiguousarray(xp.moveaxis(words, -1, 0))

"""How large is the largest number of a block? Found in the words, where order is that of integers.

Without their sign the words of floats are in the order of the magnitudes, infinity above all finite ones and the NaNs
above infinity. So one maximum says what a block holds, exactly, and is faster than that of floats.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from floatlab.backend import Array

__all__ = ["Words", "largest_words", "words_of"]


class Words(NamedTuple):
    """The words of a float type."""

    integer: np.dtype[Any]
    magnitude: int  # all bits but the sign
    infinity: int


_WORDS = {
    np.dtype(np.float32): Words(np.dtype(np.int32), 0x7FFFFFFF, 0x7F800000),
    np.dtype(np.float64): Words(np.dtype(np.int64), 0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000),
}


def words_of(dtype: np.dtype[Any]) -> Words:
    """Return what is known of the words of float32 or float64.

    >>> hex(words_of(np.dtype(np.float32)).infinity)
    '0x7f800000'
    """
    return _WORDS[dtype]


def largest_words(blocks: Array, scratch: Array | None = None) -> Array:
    """Return the word of the largest magnitude of each block, with the sign bit 0.

    Parameters
    ----------
    blocks : array of float32 or float64
        (blocks, numbers), contiguous.
    scratch : array, optional
        Integers of that size and shape, to work in.

    Examples
    --------
    >>> largest_words(np.float32([[1.0, -2.0], [0.0, -0.0]])).view(np.float32).tolist()
    [2.0, 0.0]
    """
    words = words_of(blocks.dtype)
    sizes = np.bitwise_and(blocks.view(words.integer), words.integer.type(words.magnitude), out=scratch)
    # Neighbours in pairs, and pairs of these: as blocks lie one after the other, none of them takes part in two. So
    # NumPy has a few long loops, and not one for each block.
    flat, length = sizes.reshape(-1), sizes.shape[1]
    while length > 1 and length % 2 == 0:
        flat, length = np.maximum(flat[0::2], flat[1::2]), length // 2
    return flat if length == 1 else np.maximum.reduceat(flat, np.arange(0, flat.size, length))

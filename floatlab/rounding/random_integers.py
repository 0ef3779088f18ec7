"""Where do the random integers of stochastic rounding come from? From a generator, or from the caller.

Nothing here is global: a `numpy.random.Generator` is passed in, and the same one gives the same integers on every
machine, however the array is cut into blocks. Supplied integers replay a rounding exactly.

See Also
--------
floatlab.quantize : where the random integers are used

References
----------
M. Croci, M. Fasi, N. J. Higham, T. Mary and M. Mikaitis, "Stochastic rounding: implementation, error analysis and
    applications", Royal Society Open Science 9 (2022), 211631.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.rounding.device.random_words import random_words

__all__ = ["Counted", "RandomIntegers", "as_integers", "counted", "generator", "spread"]

# Enough for float32 to bfloat16 to be unbiased: 16 bits go there. Four such integers come from one 64-bit draw.
DEFAULT_RANDOM_BITS = 16


def generator(rng: np.random.Generator | int | None) -> np.random.Generator | None:
    """Return a generator, or None: one that is given as it is, and of a seed (an integer from 0) a new one.

    What draws more than once turns a seed into a generator first, or it would draw the same integers again.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> int(generator(7).integers(100)) == int(np.random.default_rng(7).integers(100))
    True
    """
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise OptionError(
        "Stochastic rounding takes its randomness from a numpy.random.Generator, or from the seed of one. "
        f"Got rng={rng!r}. Pass rng=numpy.random.default_rng(seed), or random_integers."
    )


class RandomIntegers:
    """The random integers of a stochastic rounding, block by block, whether drawn or supplied."""

    def __init__(self, rng: np.random.Generator | int | None, bits: int | None, supplied: Any) -> None:
        self.bits = DEFAULT_RANDOM_BITS if bits is None else bits
        if isinstance(bits, bool) or not isinstance(self.bits, int | np.integer) or not 1 <= self.bits <= 48:
            raise OptionError(f"random_bits is an integer from 1 to 48. Got {bits!r}. Leave it out for 16.")
        self.bits = int(self.bits)
        self.rng, self.supplied, self.xp = generator(rng), None, array_module(None)
        self.left: Array | None = None  # of the last word that was cut up
        if supplied is not None:
            supplied = as_integers(supplied)
            if supplied.dtype.kind not in "iu":
                raise DtypeError(
                    f"random_integers are integers. Got dtype {supplied.dtype}. Use rng.integers(2**random_bits, ...)."
                )
            fits = supplied.dtype.kind == "u" and 8 * supplied.dtype.itemsize <= self.bits
            if supplied.size and not (
                fits or (int(supplied.min()) >= 0 and int(supplied.max()) < 1 << self.bits)
            ):
                raise OptionError(
                    f"random_integers lie in 0 to 2**{self.bits} - 1. Got {int(supplied.min())} to "
                    f"{int(supplied.max())}. Say how many bits they have with random_bits."
                )
            self.supplied = supplied
        elif self.rng is None:
            raise OptionError(
                "Stochastic rounding takes its randomness from a numpy.random.Generator. "
                f"Got rng={rng!r}. Pass rng=numpy.random.default_rng(seed), or random_integers."
            )

    def fit(self, x: Array) -> None:
        """Spread the supplied integers over the shape of x, and draw others where x is."""
        self.xp = array_module(x)
        if self.supplied is None:
            return
        self.supplied = spread(self.supplied, x)

    def hold(self, size: int) -> None:
        """Draw the integers of so many elements now, so that `block` can be asked for any of them, and again."""
        if self.supplied is None:
            self.supplied = self.block(0, size)

    def block(self, start: int, n: int) -> Array:
        """Return the integers of elements start to start + n; drawn ones must be asked for in order.

        What element i gets depends on i alone, and not on the lengths of the blocks before.
        """
        if self.supplied is not None:
            return self.supplied[start : start + n]
        kept = self.left
        if kept is None or not kept.size:
            drawn = self._drawn(n)
            drawn, self.left = drawn[:n], drawn[n:]
        elif kept.size >= n:
            drawn, self.left = kept[:n], kept[n:]
        else:
            more = self._drawn(n - kept.size)
            drawn, self.left = self.xp.concatenate([kept, more])[:n], more[n - kept.size :]
        return drawn

    @property
    def width(self) -> int:
        """How many bits of a drawn word an integer takes."""
        return 16 if self.bits <= 16 else 32 if self.bits <= 32 else 64

    @property
    def can_jump(self) -> bool:
        """Whether `apart` can begin anywhere: the integers are there, or their generator can leave out words."""
        if self.supplied is not None or self.rng is None:
            return self.supplied is not None
        # Of NumPy's, these leave out single words.
        jumping = (np.random.PCG64, np.random.PCG64DXSM)
        return type(self.rng.bit_generator) in jumping and self.xp is np

    def apart(self, start: int) -> RandomIntegers:
        """Return the integers from element `start` on, which are drawn apart from these, of which none is drawn yet.

        Blocks that are rounded side by side each have their own. Only where `can_jump` says so.

        >>> whole = RandomIntegers(7, 16, None)
        >>> part = whole.apart(5)
        >>> bool((part.block(5, 3) == whole.block(0, 8)[5:]).all())
        True
        """
        if self.supplied is not None:
            return self
        other = copy(self)
        other.rng = _twin(self.rng)
        each = 64 // self.width
        other.skip(start - start % each)
        if start % each:
            other.left = other._drawn(each)[start % each :]
        return other

    def skip(self, n: int) -> None:
        """Have the generator move on as if the integers of n elements had been drawn. Only where `can_jump` says so."""
        if self.supplied is not None:
            return
        assert self.rng is not None
        bits: Any = self.rng.bit_generator
        with bits.lock:
            before = bits.state
            bits.advance(-(-n * self.width // 64))
            kept = {name: before[name] for name in ("has_uint32", "uinteger")}  # which `advance` forgets
            bits.state = bits.state | kept

    def _drawn(self, n: int) -> Array:
        """Draw at least n integers.

        Full 64-bit words, cut up, are the cheapest; in little-endian order on every machine.
        """
        assert self.rng is not None
        width = self.width
        count = -(-n * width // 64)
        if self.xp is np:
            words = self.rng.integers(0, 2**64 - 1, count, np.uint64, endpoint=True)
            drawn: Array = words.astype("<u8", copy=False).view(f"<u{width // 8}")
        else:
            drawn = random_words(self.rng, count, self.xp).view(f"u{width // 8}")
        if self.bits < width:
            drawn >>= drawn.dtype.type(width - self.bits)
        return drawn


def _twin(rng: np.random.Generator | None) -> np.random.Generator:
    """Return a generator that will draw what this one will, in a quarter of the time of a copy with its seed."""
    assert rng is not None
    bits = type(rng.bit_generator)(0)
    bits.state = rng.bit_generator.state
    return np.random.Generator(bits)


def as_integers(supplied: Any) -> Array:
    """Return supplied random integers as an array; whether they are integers is for others to see.

    >>> as_integers([1, 2])
    array([1, 2])
    """
    if isinstance(supplied, np.ma.MaskedArray):
        raise DtypeError(
            "There is a random integer for each element. Got a masked array. Use random_integers.filled(0)."
        )
    try:
        return array_module(supplied).asarray(supplied)
    except ValueError as error:
        raise DtypeError(
            f"random_integers form a regular array. Got a ragged sequence ({error}). Pad it."
        ) from None


def spread(supplied: Array, x: Array) -> Array:
    """Return one integer for each element of x, in C order.

    >>> spread(np.array([1, 2]), np.zeros((2, 2)))
    array([1, 2, 1, 2])
    """
    xp = array_module(x)
    try:
        return xp.broadcast_to(xp.asarray(supplied), x.shape).reshape(-1)
    except ValueError:
        raise ShapeError(
            f"random_integers have the shape of x, or broadcast to it. Got {supplied.shape} for {x.shape}. "
            "Draw one for each element."
        ) from None


# -- of an array whose blocks come in any order -------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """The random integers of an array that is rounded in blocks, in any order: element i of all gets integer i of all.

    Attributes
    ----------
    rng : numpy.random.Generator
        What draws the first of them next; it stays as it is.
    bits : int
        How many bits they have.
    shape : tuple of int
        The shape of the array.
    """

    rng: np.random.Generator
    bits: int
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which they are drawn."""
        return RandomIntegers(self.rng, self.bits, None).block(0, 0).dtype

    def __call__(self, place: Sequence[tuple[int, int]]) -> Array:
        """Return the integers of a block, for each axis from where to where it reaches.

        >>> whole = counted(7, 16, (4, 5))
        >>> bool((whole([(1, 3), (2, 5)]) == whole([(0, 4), (0, 5)])[1:3, 2:5]).all())
        True
        """
        sides = [stop - start for start, stop in place]
        if 0 in sides:
            return np.empty(sides, self.dtype)
        # Axes that the block has whole make one run of elements with the axis before them.
        axes = len(sides)
        while axes > 1 and sides[axes - 1] == self.shape[axes - 1]:
            axes -= 1
        run = math.prod(sides[axes - 1 :])
        draw = RandomIntegers(_twin(self.rng), self.bits, None)
        assert draw.rng is not None
        bits: Any = draw.rng.bit_generator
        each, at, parts = 64 // draw.width, 0, []
        for row in np.ndindex(*sides[: axes - 1]):
            index = [start + k for (start, _), k in zip(place, (*row, 0), strict=False)]
            index += [0] * (len(sides) - len(index))
            word, rest = divmod(int(np.ravel_multi_index(index, self.shape)) if index else 0, each)
            bits.advance(word - at)  # one back where two runs share a word
            parts.append(draw._drawn(rest + run)[rest : rest + run])
            at = word - (-(rest + run) // each)
        return np.concatenate(parts).reshape(sides)


def counted(rng: np.random.Generator | int | None, bits: int | None, shape: tuple[int, ...]) -> Counted:
    """Return the random integers of an array, of which each block can be drawn alone; the generator moves past them.

    Raises
    ------
    OptionError
        If there is no generator, or one that draws in order alone.

    Examples
    --------
    >>> counted(7, None, (3,))([(1, 3)]).tolist() == RandomIntegers(7, None, None).block(0, 3)[1:].tolist()
    True
    """
    draw = RandomIntegers(rng, bits, None)
    assert draw.rng is not None
    if not draw.can_jump:
        raise OptionError(
            "Blocks that are computed in no order take their random integers from a generator that can leave some out. "
            f"Got one on {type(draw.rng.bit_generator).__name__}. Use numpy.random.default_rng(seed), or pass "
            "random_integers, one for each element."
        )
    found = Counted(_twin(draw.rng), draw.bits, shape)
    draw.skip(math.prod(shape))
    return found

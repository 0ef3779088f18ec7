"""How are a million numbers rounded quickly? The block kernel for signed formats with a mantissa.

`rounding.py` says what rounding is; this file does the same with a dozen passes over a block that
stays in the cache, each pass one NumPy call without a temporary. Three ideas carry it.

*The magic number.* A float32 has 24 bits of precision. Add 2^k to a smaller number, and the sum keeps only
bits down to 2^(k-23): the hardware rounds the number to a multiple of 2^(k-23), to nearest and ties to
even; subtract 2^k again, and what is left is the rounded number. With k = exponent + 23 - mantissa_bits
the unit 2^(k-23) is the last place of the target format. If the exponent is first raised to the format's
`emin`, the unit is that of the subnormals, which so need no case of their own.

    x       = 0 10000011 10011001100110011001101     25.6, exponent 4
    magic   = 2^(4+23-3), last place 2^1             e4m3fn: 3 mantissa bits
    x+magic - magic = 26.0

*Units as integers.* Between magic and 2*magic the bit pattern, read as an integer, counts units. One more
or one fewer unit is an integer addition, whatever the exponent.

*Nested grids.* The values of one sign at full precision are a finer grid than the multiples of the smallest
subnormal, wherever the two differ. Rounding towards zero or an infinity may go through the finer grid first:
a bit mask, then `trunc`, `floor` or `ceil`. Rounding to nearest may not: it would round twice.

A format with the carrier's own exponents (bfloat16 and tf32 in float32) needs none of this: its values are the
carrier's with fewer mantissa bits, subnormals and all, and rounding is an integer addition and a mask.

Infinities, NaNs and overflow are looked for once per block, by a maximum, and handled only where found.
The same code serves float64 with the constants of float64.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from floatlab.backend import BLOCK_BYTES, Array
from floatlab.formats import FloatFormat
from floatlab.system.environment import check_environment

__all__ = ["LARGE", "ORDINARY", "SPECIAL", "Kernel", "Workspace", "kernel_for"]

# What a kernel found in a block: nothing that could overflow; something that may; an infinity or a NaN.
ORDINARY, LARGE, SPECIAL = 0, 1, 2

Pair = tuple[float, float]

ROW = 4096  # elements in a row of bounds; see Workspace.clamp


class _Scratch(threading.local):
    """Three blocks of memory for each thread, for the CPU's workspaces to share, so that none is allocated anew.

    They start at multiples of 64 bytes (a cache line): NumPy's loops are up to twice as fast there.
    """

    def __init__(self) -> None:
        self.blocks = []
        for _ in range(3):
            raw = np.empty(BLOCK_BYTES + 64, np.uint8)
            start = -raw.ctypes.data % 64
            self.blocks.append(raw[start : start + BLOCK_BYTES])
        self.words = {size: [b.view(f"i{size}") for b in self.blocks] for size in (4, 8)}
        self.floats = {size: [b.view(f"f{size}") for b in self.blocks] for size in (4, 8)}


_scratch = _Scratch()


def scratch(length: int) -> Array:
    """Return int32 scratch memory of this thread, at most a block of it."""
    return _scratch.words[4][0][:length]


class Workspace:
    """Scratch arrays for blocks of at most `length` elements, reused from block to block."""

    def __init__(self, kernel: Kernel, length: int, xp: Any = np) -> None:
        self.xp, self.length = xp, length
        if xp is np:
            size = kernel.dtype.itemsize
            self.words = [words[:length] for words in _scratch.words[size]]
            self.floats = [floats[:length] for floats in _scratch.floats[size]]
        else:
            self.words = [xp.empty(length, kernel.word) for _ in range(3)]
            self.floats = [words.view(kernel.dtype) for words in self.words]

    def take(self, n: int) -> tuple[list[Array], list[Array]]:
        """Return the words, and the floats that are the same memory, for a block of n."""
        if n == self.length:
            return self.words, self.floats
        return [w[:n] for w in self.words], [f[:n] for f in self.floats]

    def rounded(self, n: int) -> Array:
        """Return the scratch in which a rounded block waits for `Kernel.limit`."""
        return self.floats[1] if n == self.length else self.floats[1][:n]

    def clamp(self, ufunc: Any, words: Array, bound: Any) -> None:
        """Apply `maximum` or `minimum` with one bound in place.

        NumPy 2 takes three times as long for a scalar bound as for an array. A row of bounds, broadcast
        over the block, stays in the first-level cache.
        """
        if words.size % ROW or self.xp is not np or not isinstance(bound, np.generic):
            ufunc(words, bound, out=words)
            return
        table = words.reshape(-1, ROW)
        ufunc(table, _row(bound, bound.dtype), out=table)


@lru_cache(maxsize=256)
def _row(bound: Any, dtype: np.dtype[Any]) -> Array:
    return np.full(ROW, bound, dtype)  # by dtype too, because np.int32(1) == np.float32(1)


@dataclass(frozen=True)
class Kernel:
    """The constants of one format in one carrier type (float32 or float64), and a method per mode.

    A method reads the block `x` and writes the rounded block `y`, both contiguous, of the carrier type,
    and not overlapping. It rounds as if the exponent had no upper end and returns ORDINARY, LARGE or SPECIAL. After
    the last two the rounded block is still in scratch: `limit` applies the overflow policy and writes y.
    """

    fmt: FloatFormat
    dtype: np.dtype[Any]

    # -- constants, as 0-dimensional arrays or scalars of the right type, so that NumPy converts nothing --

    @cached_property
    def word(self) -> np.dtype[Any]:
        """The signed integer type as wide as the carrier."""
        return np.dtype(f"i{self.dtype.itemsize}")

    def _word(self, value: int) -> Any:
        return self.word.type(value)

    def _wrapped(self, value: int) -> Any:
        width = 8 * self.dtype.itemsize
        return self._word((value + (1 << width - 1)) % (1 << width) - (1 << width - 1))

    def _bits(self, value: float) -> Any:
        return np.asarray(value, self.dtype).view(self.word)[()]

    @cached_property
    def carrier_bits(self) -> int:
        """Mantissa bits of the carrier."""
        return 23 if self.dtype.itemsize == 4 else 52

    @cached_property
    def drop(self) -> int:
        """How many mantissa bits a normal value loses."""
        return self.carrier_bits - self.fmt.mantissa_bits

    @cached_property
    def infinity(self) -> Any:
        """Infinity's bits, which are also the mask of the exponent field."""
        return self._bits(np.inf)

    @cached_property
    def magnitude(self) -> Any:
        """The mask of all bits but the sign."""
        return self._word(np.iinfo(self.word).max)

    @cached_property
    def sign(self) -> Any:
        """The mask of the sign bit."""
        return self._word(np.iinfo(self.word).min)

    @cached_property
    def floor(self) -> Any:
        """2^emin: below it the last place no longer shrinks."""
        return self._bits(self.fmt.smallest_normal)

    @cached_property
    def ceiling(self) -> Any:
        """2^(emax + 1): everything from here on is above the maximum, so its last place may be anything."""
        return self._bits(2.0 * float(np.ldexp(1.0, self.fmt.emax)))

    @cached_property
    def top(self) -> int:
        """2^emax: a block whose exponents are all below needs no look at the maximum."""
        return int(self._bits(float(np.ldexp(1.0, self.fmt.emax))))

    @cached_property
    def highest(self) -> int:
        """The largest exponent whose magic number, and what is added to it, is finite in the carrier."""
        return int(self._bits(np.ldexp(1.0, self.bias - self.drop - 2)))

    @cached_property
    def lift(self) -> Any:
        """Added to an exponent's bits, makes it the magic number 2^(exponent + drop)."""
        return self._word(self.drop << self.carrier_bits)

    @cached_property
    def signed_lift(self) -> Any:
        """As `lift`, for 1.5 * 2^(exponent + drop), which a negative number does not pull below a power of two."""
        return self._word(self.drop << self.carrier_bits | 1 << self.carrier_bits - 1)

    @cached_property
    def dropped(self) -> Any:
        """The mask of the mantissa bits that a normal value loses."""
        return self._word((1 << self.drop) - 1)

    @cached_property
    def kept(self) -> Any:
        """The mask of the bits that a normal value keeps."""
        return self._word(-1 << self.drop)

    @cached_property
    def quantum(self) -> Any:
        """The smallest subnormal."""
        return self.dtype.type(self.fmt.smallest_subnormal)

    @cached_property
    def per_quantum(self) -> Any:
        """One over the smallest subnormal."""
        return self.dtype.type(1.0 / self.fmt.smallest_subnormal)

    @cached_property
    def max_bits(self) -> Any:
        """The largest finite value's bits in the carrier."""
        return self._bits(self.fmt.max)

    @cached_property
    def scales(self) -> tuple[Any, Any] | None:
        """What takes 2^emax to the carrier's largest power of two, and what undoes it; None if that does not work.

        Where the largest value has all mantissa bits set, the first makes exactly the values beyond it overflow, and
        they stay infinite after the second. A format whose values are all below 1 would need a larger scale
        than the carrier has.
        """
        if self.fmt.specials != "ieee" or self.fmt.emax < 0:
            return None
        exponent = self.bias - self.fmt.emax
        return self.dtype.type(2.0**exponent), self.dtype.type(2.0**-exponent)

    @cached_property
    def one(self) -> Any:
        """The integer 1."""
        return self._word(1)

    @cached_property
    def last_bit(self) -> Any:
        """How far to shift the sign to the last place."""
        return self._word(8 * self.dtype.itemsize - 1)

    @cached_property
    def bias(self) -> int:
        """The exponent field of 1.0 in the carrier."""
        return 127 if self.dtype.itemsize == 4 else 1023

    # -- the modes ---------------------------------------------------------------------------------

    def _exponents(self, x: Array, e: Array, lift: Any, work: Workspace) -> int:
        """Put the magic number of each element into the words `e`; return what `limit` has to look for."""
        xp = work.xp
        xp.bitwise_and(x.view(self.word), self.infinity, out=e)
        top = int(e.max())
        if top > self.highest:  # keep the magic number itself finite
            work.clamp(xp.minimum, e, self.ceiling)
        work.clamp(xp.maximum, e, self.floor)
        xp.add(e, lift, out=e)
        return SPECIAL if top == self.infinity else LARGE if top >= self.top else ORDINARY

    def _extent(self, x: Array) -> int:
        """Return what `limit` has to look for, from the extremes of x."""
        high, low = float(x.max()), float(x.min())  # either is NaN if any element is
        if high < self.fmt.max and low > -self.fmt.max:
            return ORDINARY
        return LARGE if high - low < np.inf else SPECIAL

    def _place(self, y: Array, found: int, work: Workspace) -> Array:
        """Return where the rounded block goes: to y, or to scratch if `limit` has still to move it on to y.

        A pass over y costs more than one over scratch, which is in the cache and aligned; so y is written once.
        """
        return y if found == ORDINARY else work.rounded(y.size)

    def _sign(self, x: Array, rounded: Array, scratch: Array, y: Array, xp: Any) -> None:
        """Write `rounded` to y with the sign of x.

        -0.1 rounds to -0, but adding and subtracting the magic number makes it +0.
        """
        xp.bitwise_and(x.view(self.word), self.sign, out=scratch)
        xp.bitwise_or(rounded.view(self.word), scratch, out=y.view(self.word))

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties to even."""
        (e, *_), (magic, rounded, _) = work.take(x.size)
        found = self._exponents(x, e, self.signed_lift, work)
        work.xp.add(x, magic, out=rounded)
        work.xp.subtract(rounded, magic, out=rounded)
        self._sign(x, rounded, e, self._place(y, found, work), work.xp)
        return found

    def _nearest_both(self, x: Array, y: Array, work: Workspace, choose: Any) -> int:
        """Round the magnitude with ties to even and with ties to odd, and choose between the two.

        The magic number plus one unit is odd, so a tie that makes the sum even makes the rounded number odd.
        The two results differ only at a tie: there one is above, the other below.
        """
        xp = work.xp
        (e, _, size), (magic, even, odd) = work.take(x.size)
        found = self._exponents(x, e, self.lift, work)
        xp.bitwise_and(x.view(self.word), self.magnitude, out=size)
        xp.add(odd, magic, out=even)
        xp.subtract(even, magic, out=even)
        xp.add(e, self.one, out=e)
        xp.add(odd, magic, out=odd)
        xp.subtract(odd, magic, out=odd)
        choose(even, odd, out=odd)
        self._sign(x, odd, e, self._place(y, found, work), xp)
        return found

    def nearest_away(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties away from zero."""
        return self._nearest_both(x, y, work, work.xp.maximum)

    def nearest_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Round to nearest, ties towards zero."""
        return self._nearest_both(x, y, work, work.xp.minimum)

    def _to_quantum(self, y: Array, whole: Any, xp: Any) -> None:
        """Round y to multiples of the smallest subnormal by `whole`: trunc, floor or ceil."""
        xp.multiply(y, self.per_quantum, out=y)
        whole(y, out=y)
        xp.multiply(y, self.quantum, out=y)

    def toward_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the magnitude: first to full precision, then to a multiple of the smallest subnormal."""
        found = self._extent(x)
        self._cut(x, self._place(y, found, work), work.xp)
        return found

    def _cut(self, x: Array, y: Array, xp: Any) -> None:
        xp.bitwise_and(x.view(self.word), self.kept, out=y.view(self.word))
        self._to_quantum(y, xp.trunc, xp)

    def _outward(self, x: Array, y: Array, work: Workspace, negative: bool) -> None:
        """Round the magnitudes of one sign up and of the other down, at full precision."""
        xp, (t, *_) = work.xp, work.take(x.size)[0]
        words = y.view(self.word)
        xp.right_shift(x.view(self.word), self.last_bit, out=t)  # -1 where negative, else 0
        xp.bitwise_and(t, self.dropped, out=t)
        if not negative:
            xp.subtract(self.dropped, t, out=t)
        xp.add(x.view(self.word), t, out=words)  # carries into the next magnitude, unless x is on the grid
        xp.bitwise_and(words, self.kept, out=words)

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards plus infinity."""
        found = self._extent(x)
        rounded = self._place(y, found, work)
        self._outward(x, rounded, work, negative=False)
        self._to_quantum(rounded, work.xp.ceil, work.xp)
        return found

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Round towards minus infinity."""
        found = self._extent(x)
        rounded = self._place(y, found, work)
        self._outward(x, rounded, work, negative=True)
        self._to_quantum(rounded, work.xp.floor, work.xp)
        return found

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the magnitude, and set its last bit if anything was lost."""
        xp = work.xp
        (e, _, s), (magic, _, cut) = work.take(x.size)
        found = self._exponents(x, e, self.lift, work)
        self._cut(x, y, xp)
        lost = xp.not_equal(x, y)
        xp.bitwise_and(y.view(self.word), self.magnitude, out=s)
        if found != ORDINARY:  # infinity with its last bit set would be a NaN; and as s, so its magic number
            work.clamp(xp.minimum, s, self.ceiling)
            work.clamp(xp.minimum, e, self.ceiling + self.lift)
        xp.add(cut, magic, out=cut)  # exact: now the last bit of the word is the last place
        xp.bitwise_or(s, lost, out=s)
        xp.subtract(cut, magic, out=cut)
        self._sign(x, cut, e, self._place(y, found, work), xp)
        return found

    def random_bits_limit(self) -> int:
        """The most random bits that `stochastic` can take: its integers and its power of two must fit."""
        room = self.bias - self.carrier_bits + self.fmt.emin + self.drop
        return min(8 * self.dtype.itemsize - 4, room - 1)

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Cut off the magnitude, and add a unit if the discarded fraction and a random integer carry over.

        With N random bits R and the discarded fraction v of a unit (IEEE P3109, stochastic rounding): A adds
        a unit if floor(v 2^N) + R >= 2^N; B if floor(v 2^(N+1)) + 2R + 1 >= 2^(N+1); C if
        round_to_even(v 2^N) + R >= 2^N.
        """
        xp = work.xp
        (e, s, t), (magic, cut, fraction) = work.take(x.size)
        found = self._exponents(x, e, self.lift, work)
        if found != ORDINARY:  # the sizes below are cut to `ceiling`, so the magic numbers must be as well
            work.clamp(xp.minimum, e, self.ceiling + self.lift)
        self._cut(x, y, xp)
        xp.subtract(x, y, out=fraction)  # exact, and of the sign of x
        bits += variant == "b"
        # A unit is magic * 2^-carrier_bits, so 2^bits / unit is a power of two, and subtraction finds its exponent.
        xp.subtract(self._wrapped((bits + self.carrier_bits + 2 * self.bias) << self.carrier_bits), e, out=s)
        xp.multiply(fraction, cut, out=fraction)
        xp.absolute(fraction, out=fraction)
        (xp.rint if variant == "c" else xp.trunc)(fraction, out=fraction)
        if found != ORDINARY:  # far beyond the maximum the fraction may be larger than the integers
            xp.minimum(fraction, self.dtype.type(2**bits), out=fraction)
        xp.copyto(s, fraction, casting="unsafe")
        xp.add(s, integers, out=s)
        if variant == "b":
            xp.add(s, integers, out=s)
            xp.add(s, self.one, out=s)
        xp.right_shift(s, self._word(bits), out=s)  # 1 if it carried over, else 0
        xp.bitwise_and(y.view(self.word), self.magnitude, out=t)
        if found != ORDINARY:  # one unit more than infinity would be a NaN
            work.clamp(xp.minimum, t, self.ceiling)
        size = fraction  # the same memory as t
        xp.add(size, magic, out=size)
        xp.add(t, s, out=t)
        xp.subtract(size, magic, out=size)
        self._sign(x, size, e, self._place(y, found, work), xp)
        return found

    # -- the upper and the lower end ---------------------------------------------------------------

    def limit(self, x: Array, y: Array, work: Workspace, found: int, over: Pair, infinite: Pair) -> None:
        """Apply the overflow policy to the rounded block in scratch, where `found` is not ORDINARY, and write y.

        `over` stands for a finite value beyond the maximum and `infinite` for an infinity, each as a pair
        for the positive and the negative side. A NaN becomes a quiet NaN of its sign.
        """
        xp = work.xp
        (size, words, beyond), (_, rounded, _) = work.take(x.size)
        if found == SPECIAL:  # looked at before y is written, which may be x
            xp.bitwise_and(x.view(self.word), self.magnitude, out=size)
            nan = xp.greater(size, self.infinity)
            ends = [(x == np.inf, infinite[0]), (x == -np.inf, infinite[1])]
            signs = xp.signbit(x)
        if np.isfinite(over[0]) != np.isfinite(
            over[1]
        ):  # one side stops at its largest value, and is then as usual
            stops = 0 if np.isfinite(over[0]) else 1
            work.clamp((xp.minimum, xp.maximum)[stops], rounded, self.dtype.type(over[stops]))
            mark = abs(over[1 - stops])
            over = (mark, -mark)
        if over == infinite == (np.inf, -np.inf) and self.scales is not None:
            to_end, back = self.scales
            xp.multiply(rounded, to_end, out=rounded)
            xp.multiply(rounded, back, out=y)
        elif over[0] == -over[1] or (np.isnan(over[0]) and np.isnan(over[1])):  # alike but for the sign
            # No `where`: a branch per element costs more than this, where overflow is neither rare nor usual.
            xp.bitwise_and(words, self.magnitude, out=size)
            if np.isfinite(over[0]):
                work.clamp(xp.minimum, size, self._bits(over[0]))
                self._sign(x, size, beyond, y, xp)
            else:
                xp.subtract(self.max_bits, size, out=beyond)
                xp.right_shift(beyond, self.last_bit, out=beyond)  # -1 where beyond the maximum, else 0
                xp.bitwise_and(beyond, self._bits(over[0]), out=beyond)
                if np.isnan(over[0]):
                    xp.bitwise_or(words, beyond, out=y.view(self.word))  # a NaN of the value's sign
                else:
                    xp.maximum(size, beyond, out=size)
                    self._sign(x, size, beyond, y, xp)
        else:
            negative = xp.signbit(x)
            xp.bitwise_and(words, self.magnitude, out=size)
            outside = xp.greater(size, self.max_bits)
            xp.copyto(y, rounded)
            xp.copyto(y, self.dtype.type(over[0]), where=outside & ~negative)
            xp.copyto(y, self.dtype.type(over[1]), where=outside & negative)
        if found == SPECIAL:
            for where, end in ends:
                xp.copyto(y, self.dtype.type(end), where=where)
            nan |= xp.isnan(y)
            xp.copyto(y, self.dtype.type(np.nan), where=nan)
            xp.copyto(y, self.dtype.type(-np.nan), where=nan & signs)
        if not self.fmt.nan_has_sign and (found == SPECIAL or any(end != end for end in over)):
            xp.absolute(y, out=y, where=xp.isnan(y))

    def flush(self, x: Array, y: Array, work: Workspace) -> None:
        """Copy x to y with every magnitude below the smallest normal replaced by a zero of its sign."""
        (size, *_), _ = work.take(x.size)
        work.xp.bitwise_and(x.view(self.word), self.magnitude, out=size)
        small = work.xp.less(size, self.floor)
        if y is not x:
            work.xp.copyto(y, x)
        words = y.view(self.word)
        work.xp.bitwise_and(words, self.sign, out=words, where=small)


class AlignedKernel(Kernel):
    """The kernel of a format that has the carrier's own exponents: rounding is integer arithmetic.

    The bits of bfloat16 are the first 16 of float32. Adding to the 16 that go makes them carry into those
    that stay; a carry out of the mantissa raises the exponent, and out of the largest number gives infinity.
    """

    def _carry(self, x: Array, y: Array, addend: Any, work: Workspace) -> int:
        found = self._extent(x)
        words = self._place(y, found, work).view(self.word)
        work.xp.add(x.view(self.word), addend, out=words)
        work.xp.bitwise_and(words, self.kept, out=words)
        return found

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under half a unit, or exactly half where the last kept bit is odd."""
        xp, (t, *_) = work.xp, work.take(x.size)[0]
        xp.right_shift(x.view(self.word), self._word(self.drop), out=t)
        xp.bitwise_and(t, self.one, out=t)
        xp.add(t, self.dropped >> 1, out=t)
        return self._carry(x, y, t, work)

    def nearest_away(self, x: Array, y: Array, work: Workspace) -> int:
        """Add half a unit."""
        return self._carry(x, y, (self.dropped >> 1) + 1, work)

    def nearest_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under half a unit."""
        return self._carry(x, y, self.dropped >> 1, work)

    def toward_zero(self, x: Array, y: Array, work: Workspace) -> int:
        """Cut off the bits that go."""
        found = self._extent(x)
        rounded = self._place(y, found, work)
        work.xp.bitwise_and(x.view(self.word), self.kept, out=rounded.view(self.word))
        return found

    def toward_positive(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to positive numbers."""
        found = self._extent(x)
        self._outward(x, self._place(y, found, work), work, negative=False)
        return found

    def toward_negative(self, x: Array, y: Array, work: Workspace) -> int:
        """Add just under a unit to the magnitude of negative numbers."""
        found = self._extent(x)
        self._outward(x, self._place(y, found, work), work, negative=True)
        return found

    def to_odd(self, x: Array, y: Array, work: Workspace) -> int:
        """Let any lost bit carry into a copy, and set the last kept bit from there."""
        xp, words, (t, *_) = work.xp, x.view(self.word), work.take(x.size)[0]
        xp.bitwise_and(words, self.dropped, out=t)
        xp.add(t, self.dropped, out=t)
        xp.bitwise_or(t, words, out=t)
        found = self._extent(x)
        xp.bitwise_and(t, self.kept, out=self._place(y, found, work).view(self.word))
        return found

    def random_bits_limit(self) -> int:
        """The most random bits that `stochastic` can take."""
        return 8 * self.dtype.itemsize - 2

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Add the random integer, scaled to the bits that go.

        floor(v 2^N) + R >= 2^N holds exactly where the discarded bits and R, shifted to their width, carry.
        """
        xp, (t, _, s) = work.xp, work.take(x.size)[0]
        words = x.view(self.word)
        xp.copyto(t, integers, casting="unsafe")
        if variant == "b":  # floor(v 2^(N+1)) + (2R + 1): variant A with one more bit
            bits += 1
            xp.left_shift(t, self.one, out=t)
            xp.bitwise_or(t, self.one, out=t)
        surplus = bits - self.drop
        if surplus >= 0:
            xp.right_shift(t, self._word(surplus), out=t)
        else:
            xp.left_shift(t, self._word(-surplus), out=t)
        if variant == "c" and surplus < 0:
            # round the discarded bits to N bits, ties to even, before they are added
            unit = self._word(1 << -surplus)
            xp.bitwise_and(words, self.dropped, out=s)
            low = xp.bitwise_and(s, unit - self.one)
            xp.subtract(s, low, out=s)
            half = unit >> self.one
            up = (low > half) | ((low == half) & ((s & unit) != 0))
            xp.add(s, unit, out=s, where=up)
            xp.add(t, s, out=t)
            xp.bitwise_and(words, self.kept, out=s)
            words = s
        found = self._extent(x)
        rounded = self._place(y, found, work).view(self.word)
        xp.add(words, t, out=rounded)
        xp.bitwise_and(rounded, self.kept, out=rounded)
        return found


class IdentityKernel(AlignedKernel):
    """The kernel of the carrier itself: every value is representable, and only the ends need care."""

    def nearest_even(self, x: Array, y: Array, work: Workspace) -> int:
        """Copy."""
        found = self._extent(x)
        work.xp.copyto(self._place(y, found, work), x)
        return found

    nearest_away = nearest_zero = toward_zero = toward_positive = toward_negative = to_odd = nearest_even

    def stochastic(
        self, x: Array, y: Array, work: Workspace, integers: Array, bits: int, variant: str
    ) -> int:
        """Copy: nothing is discarded."""
        return self.nearest_even(x, y, work)


@lru_cache(maxsize=256)
def kernel_for(fmt: FloatFormat, dtype: np.dtype[Any]) -> Kernel | None:
    """Return the kernel of a format in a carrier type, or None where there is none.

    There is none for unsigned formats and those without a mantissa (their rules are their own), nor where a
    constant would not fit into the carrier.
    """
    check_environment()
    width, bits = (8, 23) if dtype.itemsize == 4 else (11, 52)
    largest = 2 ** (width - 1) - 1
    if fmt.specials == "ieee" and fmt.signed and (fmt.exponent_bits, fmt.bias) == (width, largest):
        if fmt.mantissa_bits == bits:
            return IdentityKernel(fmt, dtype)
        return AlignedKernel(fmt, dtype) if fmt.mantissa_bits < bits else None
    drop = bits - fmt.mantissa_bits
    fits = (
        fmt.signed
        and 1 <= fmt.mantissa_bits <= bits - 2  # room for the magic number's own leading bits
        and fmt.emin >= 1 - largest
        and fmt.emax + 2 + drop <= largest  # the magic number of the largest value
        and 0
        <= fmt.mantissa_bits - fmt.emin
        < largest  # one over the smallest subnormal; no product underflows
        and fmt.emax + 2 + fmt.mantissa_bits - fmt.emin < largest  # the largest value in units of that
        and fmt.max_code >> fmt.mantissa_bits > 0  # there are normal values
    )
    return Kernel(fmt, dtype) if fits else None

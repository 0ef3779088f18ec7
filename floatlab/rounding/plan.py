"""How does an array of any shape and type pass through a kernel? A block at a time, in place where it can be.

Which kernel that is, and in which type it works, is decided once for all conversions of a kind: a `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, block_length, is_gpu_array
from floatlab.rounding.definition import refuse_nan, round_exactly
from floatlab.rounding.device.rounding import round_on_device
from floatlab.rounding.kernels.choose import kernel_for
from floatlab.rounding.kernels.counting import Kernel
from floatlab.rounding.kernels.ends import Ends
from floatlab.rounding.kernels.lookup import Lookup, has_keys, ready
from floatlab.rounding.kernels.workspace import ORDINARY, SPECIAL, Workspace, scratch, workspace
from floatlab.rounding.options import Rule
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["Plan", "Readable", "lookup_of", "plan"]


# So many numbers are rounded without a look at how they would be cut into blocks.
_ONE_BLOCK = 1 << 15


@dataclass(frozen=True)
class Plan:
    """What a conversion of one kind does to each block.

    Attributes
    ----------
    rule : Rule
        What was asked for.
    carrier : dtype
        The type to work in: float32 if the source and the format allow it, else float64.
    kernel : Kernel or None
        The block kernel, if the format has one.
    readable : callable
        What rounds a block where there is no kernel: ``(x, integers, bits) -> values``.
    lookup : Lookup or None
        The tables, if there is no kernel, the format is short enough, and the rounding is not stochastic.
    """

    rule: Rule
    carrier: np.dtype[Any]
    kernel: Kernel | None
    readable: Callable[[Array, Array | None, int], Array]
    lookup: Lookup | None = None

    @cached_property
    def ends(self) -> Ends:
        """What the kernel leaves to do beyond the ends."""
        assert self.kernel is not None
        return Ends(self.kernel, self.rule.over, self.rule.infinite)

    @cached_property
    def method(self) -> Callable[[Array, Array, Workspace], int] | None:
        """The kernel's method, where nothing but `Ends` has to be done besides; else None."""
        rule = self.rule
        if self.kernel is None or rule.variant is not None:
            return None
        plain = rule.subnormals == "gradual" and not rule.flush_inputs and rule.fmt.has_negative_zero
        return getattr(self.kernel, rule.rounding) if plain else None

    def run(self, target: Array, source: Array, draw: RandomIntegers | None, start: int = 0) -> None:
        """Round `source` into `target`; they are the same array, or share no memory. Neither is empty.

        `start` is the number of the first element among those that `draw` knows.
        """
        if is_gpu_array(source):
            round_on_device(target, source, self.rule, draw, start)
            return
        size = source.size
        if (
            self.method is not None
            and size <= _ONE_BLOCK
            and source.dtype == target.dtype == self.carrier
            and source.flags.c_contiguous
            and target.flags.c_contiguous
        ):
            x, y = source.reshape(-1), target.reshape(-1)
            self._round(x, y, workspace(self.carrier.itemsize, size))
            return
        if ready(self.lookup, size):
            self._run_lookup(target, source)
            return
        length = min(block_length(self.carrier.itemsize), size)
        for x, y in _pieces(target, source, length):
            result = y if y.flags.c_contiguous else np.empty(y.size, y.dtype)
            self._block(x, result, draw, start)
            if result is not y:
                y[...] = result
            start += x.size

    def _round(self, x: Array, y: Array, work: Workspace) -> None:
        """Round a block, where nothing is to be done besides."""
        assert self.method is not None
        self._put_ends(x, y, work, self.method(x, y, work))

    def _put_ends(self, x: Array, y: Array, work: Workspace, found: int) -> None:
        """Do what the kernel has found to be left."""
        if found != ORDINARY:
            self.ends.limit(x, y, work, found)
            if found == SPECIAL:
                refuse_nan(y, self.rule)

    def _run_lookup(self, target: Array, source: Array) -> None:
        """Round by looking up, a block at a time."""
        assert self.lookup is not None
        length = min(1 << 15, source.size)
        words = scratch(length)
        for x, y in _pieces(target, source, length):
            block = x if x.dtype == np.float32 else x.astype(np.float32)
            result = y if y.dtype == np.float32 and y.flags.c_contiguous else np.empty(x.size, np.float32)
            self.lookup.round(block, result, words[: x.size])
            if not self.rule.fmt.has_nan and result.max() != result.max():
                refuse_nan(result, self.rule)
            if result is not y:
                np.copyto(y, result, casting="same_kind")

    def _block(self, x: Array, y: Array, draw: RandomIntegers | None, start: int) -> None:
        """Round the contiguous block x, whose first element is number `start`, into y."""
        rule = self.rule
        if x.dtype != self.carrier or rule.flush_inputs:  # flushed inputs are written back to x
            x = x.astype(self.carrier)
        integers = draw.block(start, x.size) if draw is not None else None
        if self.kernel is None:
            result = self.readable(x, integers, draw.bits if draw is not None else 0)
            refuse_nan(result, rule)
            np.copyto(y, result, casting="same_kind")
            return
        work = workspace(self.carrier.itemsize, x.size)
        result = y if y.dtype == self.carrier else np.empty(x.size, self.carrier)
        if self.method is not None:
            self._round(x, result, work)
        else:
            self._round_and_flush(x, result, work, integers, draw)
        if result is not y:
            np.copyto(y, result, casting="same_kind")

    def _round_and_flush(
        self, x: Array, y: Array, work: Workspace, integers: Array | None, draw: RandomIntegers | None
    ) -> None:
        """Round a block, with all that may have to be done besides."""
        rule, kernel = self.rule, self.kernel
        assert kernel is not None
        if rule.flush_inputs:
            self.ends.flush(x, x, work)
        if integers is not None and draw is not None:
            integers = integers.astype(kernel.word)
            found = kernel.stochastic(x, y, work, integers, draw.bits, rule.variant or "a")
        else:
            found = getattr(kernel, rule.rounding)(x, y, work)
        self._put_ends(x, y, work, found)
        if rule.subnormals == "flush":
            self.ends.flush(y, y, work)
        if not rule.fmt.has_negative_zero:
            np.add(y, 0.0, out=y)  # -0 + 0 = +0


def _pieces(target: Array, source: Array, length: int) -> Iterator[tuple[Array, Array]]:
    """Yield contiguous pieces of the source, and the pieces of the target that they go to, in C order.

    Where source and target are one array, so are the pieces. For other strides NumPy's buffered iterator copies.
    """
    if source.flags.c_contiguous and target.flags.c_contiguous:
        flat_source, flat_target = source.reshape(-1), target.reshape(-1)
        for start in range(0, source.size, length):
            x = flat_source[start : start + length]
            yield x, x if source is target else flat_target[start : start + length]
        return
    iterator = np.nditer(
        [source, target],
        flags=["external_loop", "buffered", "copy_if_overlap"],
        op_flags=[["readonly"], ["writeonly"]],
        order="C",
        buffersize=length,
    )
    with iterator:
        for x, y in iterator:
            yield np.ascontiguousarray(x), y


@dataclass(frozen=True)
class Readable:
    """`round_exactly` where a kernel is expected: for the formats whose rules are their own."""

    rule: Rule

    def __call__(self, x: Array, integers: Array | None, bits: int) -> Array:
        """Round a block of float64 numbers."""
        return round_exactly(x, self.rule, integers, bits)


@lru_cache(maxsize=512)
def plan(rule: Rule, source: np.dtype[Any], bits: int | None) -> Plan:
    """Decide once for all conversions of this kind: the kernel and the type to work in, or the tables."""
    for carrier in (np.dtype(np.float32), np.dtype(np.float64)):
        if source.itemsize > carrier.itemsize:
            continue
        kernel = kernel_for(rule.fmt, carrier, rule.natural)
        if kernel is not None and bits is None and rule.rounding not in kernel.modes:
            kernel = None  # a mode that the kernels do not know is rounded by the readable steps
        if kernel is not None and (bits is None or bits <= kernel.random_bits_limit()):
            return Plan(rule, carrier, kernel, Readable(rule))
    lookup = lookup_of(rule) if bits is None and source.itemsize <= 4 else None
    return Plan(rule, np.dtype(np.float64), None, Readable(rule), lookup)


@lru_cache(maxsize=128)
def lookup_of(rule: Rule) -> Lookup | None:
    """Return the tables of a conversion; None where the format is too long for them."""
    return Lookup(Readable(rule)) if has_keys(rule.fmt) else None

"""What each PTX instruction computes, as NumPy expressions over lanes: the table that `ptx` runs.

A row of `COMPUTED` names an instruction that reads values and writes one: the modifiers that are understood, and the
function. A modifier that its row doesn't name is refused. Integers wrap; a float operation rounds to nearest even
(`.rn`), as NumPy's do; `.ftz` stands around the function, once for all.

The manual: https://docs.nvidia.com/cuda/parallel-thread-execution/, whose sections have the instructions' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TYPES = {
    f"{kind}{bits}": np.dtype(f"{letter}{bits // 8}")
    for kind, letter in (("b", "u"), ("u", "u"), ("s", "i"))
    for bits in (8, 16, 32, 64)
}
TYPES |= {"f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"), "pred": np.dtype(bool)}

ROUNDED_TO_INTEGER = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
# What arithmetic makes of any NaN. The manual promises neither sign nor payload, so a kernel may count on neither.
NAN = {np.dtype("f2"): 0x7FFF, np.dtype("f4"): 0x7FFFFFFF, np.dtype("f8"): 0x7FFFFFFFFFFFFFFF}


class PtxError(Exception):
    """The text has something that this machine doesn't know, or asks for something that no chip would allow."""


def word(bits: int) -> np.dtype[Any]:
    """Return the unsigned type of this width."""
    return np.dtype(f"u{bits // 8}")


# -- an instruction --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instruction:
    """One statement: "@!%p1 add.rn.ftz.f32 %r1, %r2, %r3" has a guard, a name, modifiers, types and operands."""

    guard: str | None
    name: str
    modifiers: tuple[str, ...]
    types: tuple[str, ...]
    operands: tuple[str, ...]
    text: str

    @staticmethod
    def read(text: str) -> Instruction:
        """Return the instruction that this statement, without its semicolon, says."""
        found = re.fullmatch(r"(?:@(!?%p\d+)\s+)?([\w.:]+)\s*(.*)", text, re.S)
        if found is None:
            raise PtxError(f"This is no instruction: {text!r}.")
        guard, code, rest = found.groups()
        name, *parts = code.split(".")
        operands = re.findall(r"\[[^\]]*\]|\{[^}]*\}|[^,\s]+", rest)
        return Instruction(
            guard,
            name,
            tuple(part for part in parts if part not in TYPES),
            tuple(part for part in parts if part in TYPES),
            tuple(operands),
            " ".join(text.split()),
        )

    @property
    def type(self) -> str:
        """The type of what is read; of `cvt.f32.f64`, f64."""
        if not self.types:
            raise PtxError(f"{self.text}: this machine doesn't know the type of {self.name}.")
        return self.types[-1]

    @property
    def bits(self) -> int:
        """How wide the type is."""
        return 8 * TYPES[self.type].itemsize

    @property
    def is_float(self) -> bool:
        """Whether floats are read."""
        return self.type in ("f16", "f32", "f64")

    def only(self, *known: str) -> None:
        """Refuse a modifier that is none of these."""
        if strange := [m for m in self.modifiers if m not in known]:
            raise PtxError(f"{self.text}: this machine doesn't know .{strange[0]} of {self.name}.")

    def one_of(self, *choices: str) -> str:
        """Return the modifier among these that must stand."""
        found = [m for m in self.modifiers if m in choices]
        if len(found) != 1:
            raise PtxError(f"{self.text}: this machine knows {self.name} with one of .{', .'.join(choices)}.")
        return found[0]


# -- floats ----------------------------------------------------------------------------------------


def flushed(x: Array) -> Array:
    """Return float32 numbers with zeros of their sign for subnormals: what `.ftz` does, before and after."""
    if x.dtype != np.float32:
        return x
    bits = x.view(np.uint32)
    return np.where(bits & 0x7F800000 == 0, bits & np.uint32(0x80000000), bits).view(np.float32)


def canonical(x: Array) -> Array:
    """Return results with one NaN for all, whatever sign and payload NumPy's have."""
    if x.dtype.kind != "f":
        return x
    bits = x.view(f"u{x.dtype.itemsize}")
    return np.where(np.isnan(x), bits.dtype.type(NAN[x.dtype]), bits).view(x.dtype)


def _rounded(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a float operation that must say that it rounds to nearest even."""

    def rounded(op: Instruction, *x: Array) -> Array:
        if op.is_float:
            op.one_of("rn")
        return canonical(function(*x))

    return rounded


def _picked(op: Instruction, x: Array, y: Array, larger: bool) -> Array:
    """Return the maximum or minimum; of floats, the number beside a NaN, and -0 < +0."""
    if not op.is_float:
        return np.maximum(x, y) if larger else np.minimum(x, y)
    first = np.where(x == y, np.signbit(y) if larger else np.signbit(x), x > y if larger else x < y)
    return canonical(np.where(np.isnan(x), y, np.where(np.isnan(y), x, np.where(first, x, y))))


def _sign_changed(op: Instruction, x: Array, keep: bool) -> Array:
    """Return |x| or -x; of floats by the sign bit alone."""
    if not op.is_float:
        return np.abs(x) if keep else (np.zeros_like(x) - x)
    bits, sign = x.view(word(op.bits)), word(op.bits).type(1 << (op.bits - 1))
    return (bits & ~sign if keep else bits ^ sign).view(x.dtype)


def convert(op: Instruction, x: Array) -> Array:
    """Return `cvt`: between integers it cuts or extends, to an integer it saturates, to a float it rounds to even."""
    target, source = TYPES[op.types[0]], TYPES[op.type]
    if source.kind == "f" and target.kind != "f":
        return _saturated(ROUNDED_TO_INTEGER[op.one_of(*ROUNDED_TO_INTEGER)](x), op.types[0], op.type)
    narrows = target.kind == "f" and (source.kind != "f" or target.itemsize < source.itemsize)
    if narrows:
        op.one_of("rn")
    elif source == target and source.kind == "f" and (how := set(op.modifiers) - {"ftz"}):
        x = ROUNDED_TO_INTEGER[how.pop()](x)
    return canonical(x.astype(target))


def _saturated(whole: Array, target: str, source: str) -> Array:
    """Return whole numbers as integers of a type: its ends for what lies beyond, and what the manual says for NaN."""
    info = np.iinfo(TYPES[target])
    low, high = whole < float(info.min), whole >= float(info.max) + (info.bits < 53)
    result = np.where(low | high | np.isnan(whole), 0, whole).astype(info.dtype)
    result = np.where(low, info.dtype.type(info.min), np.where(high, info.dtype.type(info.max), result))
    wide = source == "f64" or info.bits == 64
    nan = np.array(1 << (info.bits - 1) if wide else 0, word(info.bits)).view(info.dtype)
    return np.where(np.isnan(whole), nan, result)


# -- integers --------------------------------------------------------------------------------------


def _product(op: Instruction, x: Array, y: Array) -> Array:
    """Return `mul`: the low half, the high half, or both; of floats the rounded product."""
    if op.is_float:
        return _rounded(np.multiply)(op, x, y)
    half = op.one_of("lo", "hi", "wide")
    if half == "lo":
        return x * y
    if op.bits == 64:
        if half == "wide":
            raise PtxError(f"{op.text}: no register holds 128 bits.")
        return _high_product(x, y)
    double = np.dtype(f"{x.dtype.kind}{2 * x.dtype.itemsize}")
    full = x.astype(double) * y.astype(double)
    return full if half == "wide" else (full >> double.type(op.bits)).astype(x.dtype)


def _high_product(x: Array, y: Array) -> Array:
    """Return the high 64 bits of a product, from products of 32-bit halves."""
    a, b = x.view(np.uint64), y.view(np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
    middle = a1 * b0 + (a0 * b0 >> half)
    other = a0 * b1 + (middle & low)
    high = a1 * b1 + (middle >> half) + (other >> half)
    if x.dtype.kind == "i":  # a negative number's word is 2**64 too large
        high = high - np.where(x < 0, b, np.uint64(0)) - np.where(y < 0, a, np.uint64(0))
    return high.view(x.dtype)


def _multiply_add(op: Instruction, x: Array, y: Array, z: Array) -> Array:
    """Return `mad` of integers. Of floats it is a fused operation, which no kernel here may have."""
    if op.is_float:
        raise PtxError(f"{op.text}: this machine doesn't know fused operations.")
    return _product(op, x, y) + z


def _divided(op: Instruction, x: Array, y: Array, rest: bool) -> Array:
    """Return `div` or `rem` of integers, cut towards zero; `div` of floats."""
    if op.is_float:
        return _rounded(np.divide)(op, x, y)
    if (y == 0).any():
        raise PtxError(
            f"{op.text}: an integer is divided by zero, and the manual doesn't say what comes of it."
        )
    left = np.fmod(x, y)
    return left if rest else (x - left) // y


def _shifted(op: Instruction, x: Array, by: Array) -> Array:
    """Return `shl` or `shr`, which shift by at most the width; `shr` of a signed number copies the sign."""
    if x.dtype.kind == "i" and op.name == "shr":
        return x >> np.minimum(by, op.bits - 1).astype(x.dtype)
    return _shift(x, by, left=op.name == "shl")


def _funnel(op: Instruction, low: Array, high: Array, by: Array) -> Array:
    """Return `shf`: 32 bits out of two words side by side."""
    by = (by & 31 if op.one_of("wrap", "clamp") == "wrap" else np.minimum(by, 32)).astype(np.uint64)
    both = high.astype(np.uint64) << np.uint64(32) | low
    if op.one_of("l", "r") == "r":
        return (both >> by).astype(np.uint32)
    return (both << by >> np.uint64(32)).astype(np.uint32)


def _leading_zeros(op: Instruction, x: Array) -> Array:
    """Return `clz`, as a 32-bit number."""
    left, count = x.copy(), np.full(x.shape, op.bits, np.uint32)
    step = op.bits // 2
    while step:  # the upper half has a one: it holds the answer
        upper = left >> left.dtype.type(step)
        count = np.where(upper != 0, count - np.uint32(step), count)
        left = np.where(upper != 0, upper, left)
        step //= 2
    return count - (left != 0).astype(np.uint32)


def _permuted(op: Instruction, a: Array, b: Array, selector: Array) -> Array:
    """Return `prmt`: each byte of the result one of eight, or its sign eight times."""
    both = b.astype(np.uint64) << np.uint64(32) | a
    result = np.zeros(a.shape, np.uint32)
    for k in range(4):
        choice = selector >> np.uint32(4 * k) & np.uint32(0xF)
        byte = (both >> (choice & np.uint32(7)).astype(np.uint64) * np.uint64(8) & np.uint64(0xFF)).astype(
            np.uint32
        )
        byte = np.where(choice & 8, np.where(byte & 0x80, np.uint32(0xFF), np.uint32(0)), byte)
        result |= byte << np.uint32(8 * k)
    return result


def _extracted(op: Instruction, x: Array, start: Array, length: Array) -> Array:
    """Return `bfe` of an unsigned number: `length` bits from `start` on."""
    if op.type not in ("u32", "u64"):
        raise PtxError(f"{op.text}: this machine knows bfe of unsigned numbers.")
    return _shift(x, start & 0xFF, left=False) & _ones(x, length & 0xFF)


def _inserted(op: Instruction, x: Array, into: Array, start: Array, length: Array) -> Array:
    """Return `bfi`: the second number with `length` bits from `start` on taken from the first."""
    field = _shift(_ones(x, length & 0xFF), start & 0xFF, left=True)
    return into & ~field | _shift(x, start & 0xFF, left=True) & field


def _ones(like: Array, count: Array) -> Array:
    """Return numbers of which the lowest bits are ones: so many of them."""
    one = np.ones_like(like)
    return _shift(one, count, left=True) - one


def _shift(x: Array, by: Array, left: bool) -> Array:
    """Return unsigned numbers shifted; what goes beyond the width is gone."""
    bits = 8 * x.dtype.itemsize
    within = np.minimum(by, bits - 1).astype(x.dtype)
    return np.where(by < bits, x << within if left else x >> within, x.dtype.type(0))


def _logic_of_three(op: Instruction, a: Array, b: Array, c: Array, table: Array) -> Array:
    """Return `lop3`: bit k of the table is the answer for the k-th combination of bits, a's the highest."""
    result, chosen = np.zeros_like(a), int(table[0])
    for k in range(8):
        if chosen >> k & 1:
            result |= (a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c)
    return result


# -- comparisons -----------------------------------------------------------------------------------

_ORDERED = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
COMPARISONS = (*_ORDERED, "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
JOINED = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def compare(op: Instruction, x: Array, y: Array) -> Array:
    """Return the comparison of `setp`. A NaN makes it false, or true where it ends with u."""
    op.only("ftz", *COMPARISONS, *JOINED)
    how = op.one_of(*COMPARISONS)
    if "ftz" in op.modifiers:
        x, y = flushed(x), flushed(y)
    unordered = np.isnan(x) | np.isnan(y) if op.is_float else np.zeros(x.shape, bool)
    if how in ("num", "nan"):
        return unordered if how == "nan" else ~unordered
    if how in _ORDERED:
        return _ORDERED[how](x, y) & ~unordered
    return _ORDERED[how.removesuffix("u")](x, y) | unordered


# -- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Computed:
    """An instruction that reads values and writes one.

    `reads` gives the types of the operands, by place, that are not the instruction's own ("result": that of the
    result); `writes` the type of the result.
    """

    function: Callable[..., Array]
    modifiers: tuple[str, ...] = ()
    reads: Mapping[int, str] = field(default_factory=dict)
    writes: Callable[[Instruction], str] = lambda op: op.type

    def __call__(self, op: Instruction, *x: Array) -> Array:
        """Return the result, as a chip would: `.ftz` flushes what is read and what is written."""
        op.only(*self.modifiers)
        if "ftz" not in op.modifiers:
            return self.function(op, *x)
        return flushed(self.function(op, *map(flushed, x)))


def _widened(op: Instruction) -> str:
    """Return the type of a product: twice as wide, where it says so."""
    return f"{op.type[0]}{2 * op.bits}" if "wide" in op.modifiers else op.type


_ROUNDS = ("rn", "ftz")
COMPUTED = {
    "mov": Computed(lambda op, x: x),
    "cvta": Computed(lambda op, x: x, ("to", "global")),
    "cvt": Computed(convert, ("rn", "ftz", *ROUNDED_TO_INTEGER), writes=lambda op: op.types[0]),
    "add": Computed(_rounded(np.add), _ROUNDS),
    "sub": Computed(_rounded(np.subtract), _ROUNDS),
    "mul": Computed(_product, (*_ROUNDS, "lo", "hi", "wide"), writes=_widened),
    "mad": Computed(_multiply_add, ("lo", "hi", "wide"), reads={2: "result"}, writes=_widened),
    "div": Computed(lambda op, x, y: _divided(op, x, y, rest=False), _ROUNDS),
    "rem": Computed(lambda op, x, y: _divided(op, x, y, rest=True)),
    "sqrt": Computed(_rounded(np.sqrt), _ROUNDS),
    "min": Computed(lambda op, x, y: _picked(op, x, y, larger=False), ("ftz",)),
    "max": Computed(lambda op, x, y: _picked(op, x, y, larger=True), ("ftz",)),
    "abs": Computed(lambda op, x: _sign_changed(op, x, keep=True), ("ftz",)),
    "neg": Computed(lambda op, x: _sign_changed(op, x, keep=False), ("ftz",)),
    "copysign": Computed(lambda op, sign, size: np.copysign(size, sign)),
    "and": Computed(lambda op, x, y: x & y),
    "or": Computed(lambda op, x, y: x | y),
    "xor": Computed(lambda op, x, y: x ^ y),
    "not": Computed(lambda op, x: ~x),
    "shl": Computed(_shifted, reads={1: "u32"}),
    "shr": Computed(_shifted, reads={1: "u32"}),
    "shf": Computed(_funnel, ("l", "r", "wrap", "clamp"), reads={2: "u32"}),
    "clz": Computed(_leading_zeros, writes=lambda op: "u32"),
    "popc": Computed(lambda op, x: np.bitwise_count(x).astype(np.uint32), writes=lambda op: "u32"),
    "prmt": Computed(_permuted),
    "bfe": Computed(_extracted, reads={1: "u32", 2: "u32"}),
    "bfi": Computed(_inserted, reads={2: "u32", 3: "u32"}),
    "lop3": Computed(_logic_of_three, reads={3: "u32"}),
    "selp": Computed(lambda op, x, y, which: np.where(which, x, y), reads={2: "pred"}),
}

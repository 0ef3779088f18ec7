"""What is timed? Cases: one piece of work, the data, and everyone who can do it.

The numbers are "normal" (all within the format's normal range) or "spread": magnitudes from a quarter of the smallest
subnormal to four times the maximum, all equally frequent, so that every block has subnormal, normal and too large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from peers import Array, Call, Contender, calculators, decoders, encoders, loaded, rounders

import floatlab as fl
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize

FORMATS = ("fp16", "bf16", "tf32", "e4m3", "e5m2", "fp6_e2m3", "fp4")
MODES = ("nearest_away", "nearest_zero", "toward_zero", "toward_positive", "toward_negative", "to_odd")
COPY = "numpy.copyto"


@dataclass
class Case:
    """One thing to do, and who can do it.

    Attributes
    ----------
    group, name : str
        The table, and the row.
    size : int
        Elements.
    contenders : dict of str to Contender
        "floatlab" among them; others named "floatlab, ..." are floatlab doing something simpler.
    base : str
        The contender that is 1.
    accepted : callable
        Makes the arrays that a result may be. By default what "floatlab" gives.
    x, fmt : array and FloatFormat, optional
        What is rounded to what, by which differences are sorted into kinds.
    """

    group: str
    name: str
    size: int
    contenders: dict[str, Contender]
    base: str = COPY
    accepted: Callable[[], list[Array]] | None = None
    x: Array | None = None
    fmt: FloatFormat | None = None


@dataclass
class Sizes:
    """How many elements: those of the page, or few for a test."""

    large: int = 1 << 22
    huge: int = 1 << 24
    million: int = 1_000_000
    matrix: int = 512
    small: tuple[int, ...] = (1, 100, 1000)


QUICK = Sizes(1 << 14, 1 << 15, 1 << 14, 32, (1, 100))


# -- data ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=3)
def numbers(kind: str, fmt: FloatFormat, size: int) -> Array:
    """Return float32 numbers, "normal" in the format or "spread" over all magnitudes."""
    rng = np.random.default_rng(0)
    low, high = np.log2(fmt.smallest_subnormal) - 2, min(np.log2(fmt.max) + 2, 127.9)
    if kind == "normal":
        low, high = np.log2(fmt.smallest_normal), np.log2(fmt.max) - 1
    placed = aligned(size, np.float32)
    placed[...] = np.exp2(rng.uniform(low, high, size)) * rng.choice([-1, 1], size)
    return placed


def aligned(size: int, dtype: Any) -> Array:
    """Return an array that starts at a multiple of 64 bytes, as large ones from NumPy do not: fair to everyone."""
    width = np.dtype(dtype).itemsize
    raw = np.zeros(size * width + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * width].view(dtype)


def copy_of(x: Array) -> Contender:
    target = aligned(x.size, x.dtype)
    return Contender(lambda: np.copyto(target, x))


def ours(x: Array, fmt: FloatFormat, **options: Any) -> Contender:
    """Return floatlab's `quantize` into an array that is there."""
    out = aligned(x.size, fmt.value_dtype)
    return Contender(lambda: quantize(x, fmt, out=out, **options))


# -- rounding ------------------------------------------------------------------------------------------------


def rounding(sizes: Sizes) -> Iterator[Case]:
    """To nearest, ties to even, from float32 to float32."""
    for name in FORMATS:
        fmt = fl.get_format(name)
        for kind in ("normal", "spread"):
            for size in (sizes.large, sizes.huge) if name == "fp16" else (sizes.large,):
                x = numbers(kind, fmt, size)
                contenders = {COPY: copy_of(x), "floatlab": ours(x, fmt), **rounders(x, fmt)}
                row = f"{name}, {kind}" + (", 16M" if size == sizes.huge else "")
                yield Case("rounding", row, size, contenders, x=x, fmt=fmt)
        if name == "e4m3":  # the same spread numbers as PyTorch's cast to e4m3 treats them
            contenders = {COPY: copy_of(x), "floatlab": ours(x, fmt, overflow="saturate"), **rounders(x, fmt)}
            yield Case("rounding", "e4m3, spread, saturating", x.size, contenders, x=x, fmt=fmt)


def modes(sizes: Sizes) -> Iterator[Case]:
    """The other modes, on spread numbers, beside nearest even."""
    for name in ("fp16", "bf16", "e4m3"):
        fmt = fl.get_format(name)
        x = numbers("spread", fmt, sizes.large)
        for mode in MODES:
            contenders = {
                COPY: copy_of(x),
                "floatlab": ours(x, fmt, rounding=mode),
                "floatlab, nearest even": ours(x, fmt),
                **rounders(x, fmt, mode),
            }
            yield Case("modes", f"{name}, {mode}", sizes.large, contenders, x=x, fmt=fmt)


def stochastic(sizes: Sizes) -> Iterator[Case]:
    """Stochastic rounding: every result has to be a neighbour of the number."""
    for name in ("fp16", "bf16", "e4m3", "e5m2"):
        fmt, rng = fl.get_format(name), np.random.default_rng(0)
        x = numbers("spread", fmt, sizes.large)
        contenders = {
            COPY: copy_of(x),
            "floatlab": ours(x, fmt, rounding="stochastic", rng=rng),
            "floatlab, nearest even": ours(x, fmt),
            **rounders(x, fmt, "stochastic"),
        }
        yield Case(
            "stochastic", name, sizes.large, contenders, accepted=partial(_neighbours, x, fmt), x=x, fmt=fmt
        )


def _neighbours(x: Array, fmt: FloatFormat) -> list[Array]:
    return [quantize(x, fmt, rounding=f"toward_{side}") for side in ("negative", "positive")]


def from_float64(sizes: Sizes) -> Iterator[Case]:
    """From float64 numbers that no float32 is, which must not be rounded twice."""
    for name in ("fp16", "bf16", "e4m3", "e5m2"):
        fmt = fl.get_format(name)
        narrow = numbers("spread", fmt, sizes.large)
        wide = aligned(sizes.large, np.float64)
        np.multiply(narrow, 1 + 2.0**-40, out=wide, dtype=np.float64)
        contenders = {
            COPY: copy_of(wide),
            "floatlab": ours(wide, fmt),
            "floatlab, from float32": ours(narrow, fmt),
            **rounders(wide, fmt),
        }
        yield Case("float64 sources", name, sizes.large, contenders, x=wide, fmt=fmt)


def flags(sizes: Sizes) -> Iterator[Case]:
    """With the five IEEE 754 exceptions of every element."""
    for name in ("fp16", "bf16", "e4m3"):
        fmt = fl.get_format(name)
        for kind in ("normal", "spread"):
            x = numbers(kind, fmt, sizes.large)
            contenders = {
                COPY: copy_of(x),
                "floatlab": Contender(
                    partial(quantize, x, fmt, return_flags=True), lambda result: np.asarray(result[0])
                ),
                "floatlab, without flags": ours(x, fmt),
            }
            yield Case("flags", f"{name}, {kind}", sizes.large, contenders)


def threads(sizes: Sizes) -> Iterator[Case]:
    """Two threads, in wall time."""
    for name, mode in (("fp16", "nearest_even"), ("e4m3", "nearest_even"), ("fp16", "stochastic")):
        fmt = fl.get_format(name)
        x = numbers("spread", fmt, sizes.large)
        contenders = {
            "floatlab, one thread": ours(x, fmt, rounding=mode, rng=1),
            "floatlab": ours(x, fmt, rounding=mode, rng=1, threads=2),
        }
        yield Case("two threads", f"{name}, {mode}", sizes.large, contenders, "floatlab, one thread")


# -- codes ---------------------------------------------------------------------------------------------------


def codes(sizes: Sizes) -> Iterator[Case]:
    """Between values and codes."""
    for name in ("e4m3", "e5m2", "fp6_e2m3", "fp4", "fp16", "bf16"):
        fmt = fl.get_format(name)
        x = numbers("spread", fmt, sizes.large)
        yield _encoding(x, fmt, f"encode {name}")
        if name == "e4m3":  # as PyTorch's cast to it does
            yield _encoding(x, fmt, "encode e4m3, saturating", overflow="saturate")
        bits = encode(x, fmt)
        own = Contender(partial(decode, bits, fmt))
        contenders = {COPY: copy_of(x), "floatlab": own, **decoders(bits, fmt)}
        yield Case("codes", f"decode {name}", sizes.large, contenders)


def _encoding(x: Array, fmt: FloatFormat, row: str, **options: Any) -> Case:
    peers = {who: _by_value(contender, fmt) for who, contender in encoders(x, fmt).items()}
    own = _by_value(Contender(partial(encode, x, fmt, **options)), fmt)
    return Case("codes", row, x.size, {COPY: copy_of(x), "floatlab": own, **peers}, x=x, fmt=fmt)


def _by_value(contender: Contender, fmt: FloatFormat) -> Contender:
    """Compare codes by what they mean: a format has many NaNs, and one is as good as another."""
    result = contender.result
    return Contender(contender.call, lambda made: decode(result(made), fmt), contender.part)


# -- arithmetic and sums -------------------------------------------------------------------------------------


def arithmetic(sizes: Sizes) -> Iterator[Case]:
    """Operations on arrays of a format, each result rounded once.

    On standard normal numbers; in bfloat16 also on some from its whole range, whose products and quotients are often
    subnormal or too large.
    """
    for name in ("fp16", "bf16"):
        fmt, rng, size = fl.get_format(name), np.random.default_rng(0), sizes.million
        a, b = (quantize(rng.standard_normal(size).astype(np.float32), fmt) for _ in range(2))
        for operation in ("add", "multiply", "divide"):
            yield _calculation(f"{name}, {operation}", operation, a, b, fmt)
    a, b = (quantize(numbers("normal", fmt, size)[::step], fmt) for step in (1, -1))
    for operation in ("multiply", "divide"):
        yield _calculation(f"bf16, {operation}, whole range", operation, a, b, fmt)


def _calculation(row: str, operation: str, a: Array, b: Array, fmt: FloatFormat) -> Case:
    plain, out = getattr(np, operation), aligned(a.size, np.float32)
    arrays = [fl.array(x, fmt) for x in (a, b)]
    contenders = {
        COPY: copy_of(a),
        "floatlab": Contender(partial(plain, *arrays), lambda result: np.asarray(result.values, np.float32)),
        "NumPy float32": Contender(partial(_quietly, plain, a, b, out=out)),
        **calculators(operation, a, b, fmt),
    }
    return Case("arithmetic", row, a.size, contenders)


def _quietly(call: Callable[..., Any], *values: Any, **options: Any) -> Any:
    with np.errstate(all="ignore"):
        return call(*values, **options)


def sums(sizes: Sizes) -> Iterator[Case]:
    """Sums that are exact, rounded once."""
    for dtype in (np.float32, np.float64):
        fmt = fl.get_format(np.dtype(dtype))
        rng = np.random.default_rng(0)
        x = rng.standard_normal(sizes.million).astype(dtype)
        listed = x.tolist()
        contenders = {
            COPY: copy_of(x),
            "floatlab": Contender(partial(fl.sum, x, fmt, accumulator="exact")),
            "math.fsum": Contender(partial(math.fsum, listed), lambda total, d=dtype: np.asarray(total, d)),
            "numpy.sum": Contender(partial(np.sum, x)),
        }
        yield Case("sums", f"{fmt}, 10^6 terms", sizes.million, contenders)
        side = math.isqrt(sizes.million)
        rows = x[: side * side].reshape(side, side)
        lists = rows.tolist()
        contenders = {
            COPY: copy_of(rows.reshape(-1)),
            "floatlab": Contender(partial(fl.sum, rows, fmt, axis=1, accumulator="exact")),
            "math.fsum": Contender(
                partial(_fsum_of_each, lists),
                lambda totals, d=dtype: np.asarray(totals, d),
            ),
            "numpy.sum": Contender(partial(np.sum, rows, axis=1)),
        }
        yield Case("sums", f"{fmt}, 1000 rows of 1000", rows.size, contenders)


def _fsum_of_each(lists: list[list[float]]) -> list[float]:
    return [math.fsum(row) for row in lists]


def products(sizes: Sizes) -> Iterator[Case]:
    """Matrix products, with float64 sums that are proven to round as the exact ones do, and other accumulators."""
    n = sizes.matrix
    for name, side, accumulator in (
        ("fp32", n, "wide"),
        ("fp32", n // 4, "wide"),
        ("fp16", n, "wide"),
        ("bf16", n, "wide"),
        ("e4m3", n, "wide"),
        ("fp16", n, "fp32"),
        ("e4m3", n, "fp32"),
        ("fp16", n // 4, "fp16"),
        ("fp16", n // 4, "chunked:fp16:fp32:64"),
    ):
        fmt, rng = fl.get_format(name), np.random.default_rng(0)
        a, b = (quantize(rng.standard_normal((side, side)).astype(np.float32), fmt) for _ in range(2))
        arrays = [fl.array(x, fmt) for x in (a, b)]
        contenders = {
            "floatlab": Contender(
                partial(fl.matmul, *arrays, fmt, accumulator=accumulator),
                lambda result: np.asarray(result.values, np.float32),
            ),
            "NumPy float64": Contender(partial(_product_in_float64, a, b)),
            "NumPy float32": Contender(partial(np.matmul, a, b)),
        }
        if (torch := loaded("torch")) is not None:
            tensors = [torch.from_numpy(x) for x in (a, b)]
            contenders["PyTorch fp32"] = Contender(partial(torch.matmul, *tensors), lambda r: r.numpy())
        row = f"{name}, {side} × {side}, {'proven' if accumulator == 'wide' else accumulator}"
        yield Case("products", row, side**3, contenders, "NumPy float64")


def _product_in_float64(a: Array, b: Array) -> Array:
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)


# -- small calls ---------------------------------------------------------------------------------------------


def small(sizes: Sizes) -> Iterator[Case]:
    """Calls on few elements, of which most time goes into finding out what is asked for."""
    fmt = fl.get_format("fp16")
    for size in sizes.small:
        x = numbers("normal", fmt, size)
        count = f"{size} element" + "s" * (size > 1)
        own = {COPY: copy_of(x), "floatlab": Contender(partial(quantize, x, fmt))}
        yield Case(
            "small calls", f"quantize, {count}", size, {**own, **rounders(x, fmt, fresh=True)}, x=x, fmt=fmt
        )
        peers = {who: _by_value(contender, fmt) for who, contender in encoders(x, fmt).items()}
        own = {COPY: copy_of(x), "floatlab": _by_value(Contender(partial(encode, x, fmt)), fmt)}
        yield Case("small calls", f"encode, {count}", size, {**own, **peers}, x=x, fmt=fmt)
        a = quantize(x, fmt)
        arrays = [fl.array(v, fmt) for v in (a, a)]
        own = {
            COPY: copy_of(x),
            "floatlab": Contender(partial(np.add, *arrays), lambda r: np.asarray(r.values, np.float32)),
        }
        yield Case("small calls", f"add, {count}", size, {**own, **calculators("add", a, a, fmt)})
        short = a.astype(np.float16)
        contenders = {
            COPY: copy_of(x),
            "floatlab": Contender(arrays[0].sum, lambda r: np.asarray(r.values, np.float32)),
            "NumPy types": Contender(partial(_quietly, short.sum), lambda r: np.asarray(r, np.float32)),
        }
        yield Case("small calls", f"sum, {count}", size, contenders)


GROUPS: dict[str, Callable[[Sizes], Iterator[Case]]] = {
    "rounding": rounding,
    "modes": modes,
    "stochastic": stochastic,
    "float64 sources": from_float64,
    "codes": codes,
    "flags": flags,
    "arithmetic": arithmetic,
    "sums": sums,
    "products": products,
    "small calls": small,
    "two threads": threads,
}

__all__ = ["COPY", "GROUPS", "QUICK", "Call", "Case", "Sizes"]

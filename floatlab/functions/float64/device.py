"""How does a GPU compute these functions? By the same operations in the same order, one kernel each.

Every line of a kernel of this folder is one line of C++ here: float64 additions, multiplications and divisions, which
IEEE 754 rounds alike everywhere (products and sums are not contracted), look-ups, and integer operations. So the bits
are those of a CPU. The tables are sent once to each device. A NaN keeps its sign.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise, array_module, asnumpy, beside, widened
from floatlab.functions.multiprecision import nearest
from floatlab.functions.tables import (
    ERF_END,
    ERF_STEPS,
    LN2,
    LOG_ORIGIN,
    MILLS_FIRST,
    MILLS_LAST,
    MILLS_STEPS,
    ROOT_HALF,
    SIGMOID_END,
    SIGMOID_STEPS,
    TANH_END,
    TANH_STEPS,
    TURN,
    erf_table,
    exp_table,
    log_table,
    mills_table,
    sigmoid_table,
    sin_table,
    tanh_table,
)

__all__ = ["FAR", "function_kernel", "run_on_device"]

FAR = 2.0**17  # beyond it, the reduction of an angle would need more parts of pi

_COMMON = """
typedef long long word_type;
__device__ inline word_type word(double x) { return __double_as_longlong(x); }
__device__ inline double number(word_type w) { return __longlong_as_double(w); }
__device__ inline double with_sign(double x, double sign) {
    return number((word(x) & ~(1ll << 63)) | (word(sign) & (1ll << 63)));
}
__device__ inline double size_of(double x) { return number(word(x) & ~(1ll << 63)); }
__device__ inline double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }
__device__ inline word_type shifted_left(word_type n, int by) { return (word_type)((unsigned long long)n << by); }
#define MAGIC 0x1.8p52
#define INFINITE number(0x7ff0000000000000ll)
"""

_EXP = """
struct Parts { word_type n; double q, s; };
template <typename Bits, typename Missing>
__device__ inline Parts exp_parts(double x, const Bits& bits, const Missing& missing) {
    double turns = x * SCALE + MAGIC;
    word_type n = word(turns);
    turns -= MAGIC;
    double r = x - turns * STEP_HIGH;
    r -= turns * STEP_LOW;
    double q = r * (1.0 / 24) + 1.0 / 6;
    q = q * r + 1.0 / 2;
    q = q * r * r + r;
    q += missing[n & 2047];
    return {n, q, number(bits[n & 2047] + shifted_left(n, 41))};
}
__device__ inline double power_of_two(word_type k) { return number(shifted_left(k + 1023, 52)); }
__device__ inline double times_power_of_two(double m, word_type k) {
    return m * power_of_two(k >> 1) * power_of_two(k - (k >> 1));
}
struct Scaled { word_type k; double m; };
template <typename Bits, typename Missing>
__device__ inline Scaled scaled_exp(double x, const Bits& bits, const Missing& missing) {
    Parts of = exp_parts(x, bits, missing);
    word_type k = (of.n - word(MAGIC)) >> 11;
    double s = number(word(of.s) - shifted_left(k, 52));
    return {k, s + s * of.q};
}
template <typename Bits, typename Missing>
__device__ inline double exp64(double x, const Bits& bits, const Missing& missing) {
    if (x != x) return x;
    if (x >= -670 && x <= 709) {
        Parts of = exp_parts(x, bits, missing);
        return of.s + of.q * of.s;
    }
    Scaled of = scaled_exp(clipped(x, -746, 710), bits, missing);
    return times_power_of_two(of.m, of.k);
}
template <typename Bits, typename Missing>
__device__ inline double expm1_64(double x, const Bits& bits, const Missing& missing) {
    if (x != x) return x;
    if (x > 709) return x > 709.78271289338397 ? INFINITE : exp64(x, bits, missing);
    Parts of = exp_parts(x < -50 ? -50 : x, bits, missing);
    return with_sign((of.s - 1) + of.q * of.s, x);
}
"""

_LOG = """
template <typename Table>
__device__ inline double log_parts(double u, double extra, const Table& middles, const Table& high, const Table& low) {
    word_type bits = word(u), place = bits - ORIGIN, k = place >> 52;
    double exponent = (double)k, m = number(bits - shifted_left(k, 52));
    place = (place >> 41) & 2047;
    double c = middles[place], r = (m - c) / c + extra / u;
    double rest = r * (1.0 / 5) - 1.0 / 4;
    rest = rest * r + 1.0 / 3;
    rest = rest * r - 1.0 / 2;
    rest = rest * r * r + low[place];
    rest += exponent * LN2_LOW;
    double large = high[place] + exponent * LN2_HIGH;
    double total = large + r;
    rest += r - (total - large);
    return total + rest;
}
template <typename Table>
__device__ inline double log64(double x, const Table& middles, const Table& high, const Table& low) {
    if (x == 0) return -INFINITE;
    if (x < 0) return number(0x7ff8000000000000ll);
    if (!(x < INFINITE)) return x;
    if (x < 0x1p-1022) return log_parts(x * 0x1p54, 0.0, middles, high, low) - 54 * LN2;
    return log_parts(x, 0.0, middles, high, low);
}
template <typename Table>
__device__ inline double log1p64(double x, const Table& middles, const Table& high, const Table& low) {
    if (!(x > -1 && x < 0x1p1000)) return with_sign(log64(x == -1 ? 0.0 : x, middles, high, low), x);
    double u = x + 1.0, back = u - x;
    double extra = (1.0 - back) + (x - (u - back));
    return with_sign(log_parts(u, extra, middles, high, low), x);
}
"""

_PLACE = """
struct Point { word_type place; double r; };
__device__ inline Point nearest_point(double r, double steps, double first, word_type mask) {
    double point = r * steps + (MAGIC + first);
    word_type place = word(point) & mask;
    return {place, r - (point - (MAGIC + first)) * (1 / steps)};
}
"""

_TANH = """
template <typename Table>
__device__ inline double tanh64(double x, const Table& high, const Table& low) {
    if (x != x) return x;
    Point at = nearest_point(clipped(x, -END, END), STEPS, END * STEPS, MASK);
    double r = at.r, square = r * r;
    double rest = square * (-17.0 / 315) + 2.0 / 15;
    rest = rest * square - 1.0 / 3;
    rest = rest * square * r;
    double base = high[at.place], t = r + rest, p = t * base;
    rest -= (t + base) * p / (p + 1);
    rest += low[at.place];
    double total = base + r;
    rest += (base - total) + r;
    return with_sign(total + rest, x);
}
"""

_SIGMOID = """
template <typename Table, typename Bits>
__device__ inline double sigmoid64(double x, const Table& high, const Table& low, const Table& slope, const Bits& bits,
                                   const Table& missing) {
    if (x != x) return x;
    if (x < -END) return exp64(x, bits, missing);
    Point at = nearest_point(clipped(x, -END, END), STEPS, END * STEPS, MASK);
    double r = at.r, u = r * (1.0 / 720);
    u = (u + 1.0 / 120) * r;
    u = (u + 1.0 / 24) * r;
    u = (u + 1.0 / 6) * r;
    u = (u + 1.0 / 2) * r * r + r;
    double base = high[at.place];
    u = u * slope[at.place] / (base * u + 1) + low[at.place];
    return base + u;
}
"""

_CIRCLE = """
template <typename Table>
__device__ inline double circle(double x, int quarter_turns, const Table& high, const Table& low, const Table& cosine) {
    if (!(size_of(x) <= FAR)) return number(0x7ff8000000000000ll);
    double turns = x * TURNS + MAGIC;
    word_type place = (word(turns) + quarter_turns * (TURN / 4)) & (TURN - 1);
    turns -= MAGIC;
    double r = x - turns * C1;
    r -= turns * C2;
    r -= turns * C3;
    r -= turns * C4;
    double square = r * r;
    double rest = (square * (1.0 / 120) - 1.0 / 6) * square * r;
    double bend = (square * (1.0 / 24) - 1.0 / 2) * square;
    double base = high[place], slope = cosine[place];
    rest = rest * slope + bend * base;
    rest += low[place];
    r *= slope;
    double total = base + r;
    rest += (base - total) + r;
    return total + rest;
}
"""

_ERF = """
template <typename Table>
__device__ inline double erf64(double x, const Table& high, const Table& low, const Table& c) {
    if (x != x) return x;
    double r = size_of(x);
    r = r < ERF_END ? r : ERF_END;
    double point = r * ERF_STEPS + MAGIC;
    word_type place = word(point) & 2047;
    r -= (point - MAGIC) * (1.0 / ERF_STEPS);
    double y = c[4 * ERF_POINTS + place];
    for (int n = 3; n >= 0; n--) y = y * r + c[n * ERF_POINTS + place];
    y = y * r + low[place];
    return with_sign(y + high[place], x);
}
"""

_GELU = """
template <typename Table, typename Bits>
__device__ inline double gelu64(double x, const Table& high, const Table& low, const Table& c, const Table& mills,
                                const Bits& bits, const Table& missing) {
    if (x != x) return x;
    if (!(x < -1)) return with_sign((erf64(x * ROOT_HALF, high, low, c) + 1) * 0.5 * x, x);
    double t = -x < LAST ? -x : LAST;
    double point = t * STEPS + MAGIC;
    word_type place = (word(point) & 1023) - FIRST * STEPS;
    double r = t - (point - MAGIC) / STEPS;
    double tail = mills[9 * POINTS + place];
    for (int n = 8; n >= 0; n--) tail = tail * r + mills[n * POINTS + place];
    double upper = number(word(t) & -(1ll << 27)), e = (t - upper) * (t + upper) * -0.5;
    Scaled density = scaled_exp(upper * upper * -0.5, bits, missing);
    tail *= density.m;
    tail += tail * (e + e * e * (0.5 + e / 6));
    return with_sign(times_power_of_two(tail * -t, density.k), x);
}
"""


# -- tables, and the constants that stand in the text ----------------------------------------------------


def _defined(**numbers: float | int) -> str:
    """Return C++ definitions, of floats in hexadecimal, which no compiler rounds."""
    texts = {name: n.hex() if isinstance(n, float) else f"{n}ll" for name, n in numbers.items()}
    return "".join(f"#define {name} ({text})\n" for name, text in texts.items())


def _undefined(text: str) -> str:
    """Return the text that takes back what `_defined` said, so that the next function may say otherwise."""
    return "".join(f"#undef {line.split()[1]}\n" for line in text.splitlines())


def _with_constants(text: str, **numbers: float | int) -> str:
    defined = _defined(**numbers)
    return defined + text + _undefined(defined)


def _exp_text() -> str:
    _, _, scale, high, low = exp_table()
    return _with_constants(_EXP, SCALE=scale, STEP_HIGH=high, STEP_LOW=low)


def _log_text() -> str:
    *_, high, low = log_table()
    return _with_constants(_LOG, ORIGIN=LOG_ORIGIN, LN2_HIGH=high, LN2_LOW=low, LN2=LN2)


def _mask(steps: int, end: int) -> int:
    return (1 << (2 * end * steps).bit_length()) - 1


def _tanh_text() -> str:
    of = {"STEPS": float(TANH_STEPS), "END": float(TANH_END), "MASK": _mask(TANH_STEPS, TANH_END)}
    return _PLACE + _with_constants(_TANH, **of)


def _sigmoid_text() -> str:
    of = {"STEPS": float(SIGMOID_STEPS), "END": float(SIGMOID_END), "MASK": _mask(SIGMOID_STEPS, SIGMOID_END)}
    return _exp_text() + _PLACE + _with_constants(_SIGMOID, **of)


def _circle_text() -> str:
    c1, c2, c3, c4 = sin_table()[3]
    turns = TURN / (2 * np.pi)
    return _with_constants(_CIRCLE, FAR=FAR, TURNS=turns, TURN=TURN, C1=c1, C2=c2, C3=c3, C4=c4)


def _erf_text() -> str:
    points = len(erf_table()[0])
    of = {"ERF_STEPS": float(ERF_STEPS), "ERF_END": float(ERF_END), "ERF_POINTS": points}
    return _with_constants(_ERF, **of)


def _gelu_text() -> str:
    of = {"FIRST": MILLS_FIRST, "LAST": float(MILLS_LAST), "POINTS": len(mills_table()[0])}
    steps = {"STEPS": MILLS_STEPS, "ROOT_HALF": ROOT_HALF}
    return _exp_text() + _erf_text() + _with_constants(_GELU, **of, **steps)


_Table = np.ndarray[Any, Any]
_TABLES: dict[str, Callable[[], _Table]] = {
    "bits": lambda: exp_table()[0],
    "missing": lambda: exp_table()[1],
    "middles": lambda: log_table()[0],
    "log_high": lambda: log_table()[1],
    "log_low": lambda: log_table()[2],
    "tanh_high": lambda: tanh_table()[0],
    "tanh_low": lambda: tanh_table()[1],
    "sigmoid_high": lambda: sigmoid_table()[0],
    "sigmoid_low": lambda: sigmoid_table()[1],
    "sigmoid_slope": lambda: sigmoid_table()[2],
    "sin_high": lambda: sin_table()[0],
    "sin_low": lambda: sin_table()[1],
    "cosine": lambda: sin_table()[2],
    "erf_high": lambda: erf_table()[0],
    "erf_low": lambda: erf_table()[1],
    "erf_terms": lambda: np.concatenate(erf_table()[2]),
    "mills": lambda: np.concatenate(mills_table()),
}


# Of each function: the text before it, the expression, and the tables that it takes, in order.
_EXPONENTIAL, _LOGARITHM = ("bits", "missing"), ("middles", "log_high", "log_low")
_CIRCULAR, _OF_ERF = ("sin_high", "sin_low", "cosine"), ("erf_high", "erf_low", "erf_terms")
_FUNCTIONS: dict[str, tuple[Callable[[], str], str, tuple[str, ...]]] = {
    "exp64": (_exp_text, "exp64(x, {})", _EXPONENTIAL),
    "expm1_64": (_exp_text, "expm1_64(x, {})", _EXPONENTIAL),
    "log64": (_log_text, "log64(x, {})", _LOGARITHM),
    "log1p64": (_log_text, "log1p64(x, {})", _LOGARITHM),
    "softplus64": (
        lambda: _exp_text() + _log_text(),
        "x != x ? with_sign(x, -1.0) : (x > 0 ? x : 0.0) + log1p64(exp64(-size_of(x), bits, missing), {})",
        (*_LOGARITHM, *_EXPONENTIAL),
    ),
    "tanh64": (_tanh_text, "tanh64(x, {})", ("tanh_high", "tanh_low")),
    "sigmoid64": (
        _sigmoid_text,
        "sigmoid64(x, {})",
        ("sigmoid_high", "sigmoid_low", "sigmoid_slope", *_EXPONENTIAL),
    ),
    "sin64": (_circle_text, "x == 0 ? x : circle(x, 0, {})", _CIRCULAR),
    "cos64": (_circle_text, "circle(x, 1, {})", _CIRCULAR),
    "erf64": (_erf_text, "erf64(x, {})", _OF_ERF),
    "gelu64": (_gelu_text, "gelu64(x, {})", (*_OF_ERF, "mills", *_EXPONENTIAL)),
}


@lru_cache(maxsize=16)
def function_kernel(name: str) -> tuple[Elementwise, tuple[str, ...]]:
    """Return the kernel of a function, and the names of the tables that follow its argument."""
    text, expression, tables = _FUNCTIONS[name]
    given = _LOGARITHM if name == "softplus64" else tables
    kinds = {"bits": "int64"}
    inputs = ", ".join(["float64 x", *(f"raw {kinds.get(table, 'float64')} {table}" for table in tables)])
    operation = f"y = {expression.format(', '.join(given))}"
    return Elementwise(inputs, "float64 y", operation, f"floatlab_{name}", _COMMON + text()), tables


@lru_cache(maxsize=256)
def _sent(table: str, device: int, xp: Any) -> Array:
    """Return a table on a device, the current one; sent once."""
    return xp.asarray(_TABLES[table]())


def run_on_device(name: str, x: Any, out: Array | None) -> Array:
    """Return a function of an array of a device, the bits of a CPU; angles beyond `FAR` are asked of the host."""
    xp = array_module(x)
    x = widened(x) if x.dtype.kind == "f" else x.astype(np.float64)
    kernel, tables = function_kernel(name)
    sent = [_sent(table, x.device.id, xp) for table in tables]
    far = None
    if name in ("sin64", "cos64"):
        far = xp.flatnonzero((xp.abs(x) > FAR) & xp.isfinite(x))
        given = asnumpy(x.reshape(-1)[far]).tolist() if far.size else []
    result: Array = kernel(x, *sent) if out is None else kernel(x, *sent, out)
    if far is not None and far.size:
        values = np.array([nearest(name[:3], angle) for angle in given])
        flat = result.reshape(-1)
        flat[far] = beside(values, x)
        if not result.flags.c_contiguous:
            result[...] = flat.reshape(result.shape)
    return result

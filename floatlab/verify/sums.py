"""Are sums and products of matrices what their accumulator says? Adversarial terms, against integers and fractions.

The terms are made to go wrong: they cancel but for the last bit, span the whole range of exponents, are all
subnormal, or lie so that the sum is a tie or its neighbour. "exact" and "wide" must be the exact result rounded once,
in every mode, and the same for every order of the terms; the other accumulators must round every partial sum as
`floatlab.reference` does, one addition after the other.

And everything at random: sums, means and dot products with every accumulator, rounding mode, overflow policy and
subnormal rule, in formats that nobody has described before, of terms near and far beyond their ends, with the
flags of what is rounded once (`random_sum`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from floatlab import reference
from floatlab.errors import FloatlabError, FormatError
from floatlab.formats import FloatFormat, formats
from floatlab.formats.notation import SPECIALS
from floatlab.sums import matmul as accumulate
from floatlab.sums.accumulators import Chunked, Kahan, Pairwise, Sequential
from floatlab.sums.matmul import matmul
from floatlab.sums.matmul import sum as sum_
from floatlab.sums.names import get_accumulator
from floatlab.verify.loops import Draws, Loops, products
from floatlab.verify.oracle import DETERMINISTIC, STOCHASTIC, find, float_bits, policies
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["Case", "check", "differences", "random_sum", "tasks"]

LENGTHS = (1, 2, 3, 8, 61, 300)
KINDS = ("any", "cancelling", "spread", "subnormal", "ties")
RANDOM = "random formats, options, terms"
RANDOM_CASES = (40, 2000)  # for each format, short and full


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format and kind of terms."""
    found = []
    for fmt in kinds:
        if not fmt.signed or fmt.bits > 32 or fmt not in formats():
            continue
        for kind in KINDS:
            seconds = (7.0 if full else 0.05) * (2 if fmt.bits > 16 else 1)
            found.append(Task("sums", "sum, dot, matmul", fmt.name, (), seconds, full=full, detail=kind))
        seconds = RANDOM_CASES[full] * 0.006
        found.append(Task("sums", RANDOM, fmt.name, (), seconds, full=full, detail="random"))
    return found


def check(task: Task) -> Outcome:
    """Run one task."""
    fmt, tally = find(task.subject), Tally()
    if task.detail == "random":
        return _check_random(fmt, RANDOM_CASES[task.full], tally)
    rng = np.random.default_rng([fmt.bits, KINDS.index(task.detail)])
    rows = 24 if task.full else 3
    for length in LENGTHS if task.full else LENGTHS[:-1]:
        x = terms(task.detail, fmt, rows, length, rng)
        for mode in DETERMINISTIC if task.full else ("nearest_even", "toward_negative"):
            _check_exact(x, fmt, mode, rng, tally)
        _check_ordered(x[: 8 if task.full else 2], fmt, tally)
    return tally.outcome()


def terms(kind: str, fmt: FloatFormat, rows: int, length: int, rng: np.random.Generator) -> Array:
    """Return rows of values of the format, as float64, of a kind that makes sums go wrong."""
    shape, top = (rows, length), fmt.max_code
    if kind == "subnormal":
        codes = rng.integers(0, min(1 << fmt.mantissa_bits, top), shape)
    elif kind == "spread":
        exponents = rng.integers(0, (top >> fmt.mantissa_bits) + 1, shape)
        codes = np.minimum(
            (exponents << fmt.mantissa_bits) + rng.integers(0, 1 << fmt.mantissa_bits, shape), top
        )
    else:
        codes = rng.integers(0, top + 1, shape)
    x = _values(codes, fmt) * rng.choice([-1.0, 1.0], shape)
    if kind == "cancelling" and length > 2:
        half = length // 2
        x[:, half : 2 * half] = -x[:, :half]
        x[:, -1] = _values(rng.integers(0, min(5, top), rows), fmt)
        x = rng.permuted(x, axis=1)
    if (
        kind == "ties" and length > 2
    ):  # one value, and powers of two that add up to half its last place, nearly
        large = rng.integers(top // 2, top, rows)
        x[:, 0] = _values(large, fmt)
        gap = _values(large + 1, fmt) - x[:, 0]
        share = gap[:, None] / 2 / np.exp2(np.arange(1, length))[None, :]
        share[:, -1] *= rng.choice([1, 2, 3], rows)
        smallest = _values(np.array([1]), fmt)[0]
        x[:, 1:] = np.where(share >= smallest, share, 0.0)
    return x if fmt.has_negative_zero else x + 0.0


def _values(codes: Array, fmt: FloatFormat) -> Array:
    flat = [reference.to_float(reference.decode(int(code), fmt)) for code in codes.flat]
    return np.array(flat).reshape(codes.shape)


def _numbers(results: list[reference.Result]) -> Array:
    return np.array([reference.to_float(result.value) for result in results])


def _bits(values: Array, fmt: FloatFormat) -> Array:
    wide = np.ascontiguousarray(values).astype(np.float64)
    return float_bits(np.where(np.isnan(wide), np.nan, wide), fmt)


def _check_exact(x: Array, fmt: FloatFormat, mode: str, rng: np.random.Generator, tally: Tally) -> None:
    rows, length = x.shape
    y = x[rng.permutation(rows)][:, rng.permutation(length)]
    order = rng.permutation(length)
    total = _numbers([reference.sum(row.tolist(), fmt, rounding=mode) for row in x])
    product = _numbers(
        [reference.dot(a.tolist(), b.tolist(), fmt, rounding=mode) for a, b in zip(x, y, strict=True)]
    )
    for accumulator in ("exact", "wide"):

        def describe(what: str, accumulator: str = accumulator) -> Any:
            return lambda i: f"{what} of {x[i].tolist()} in {fmt.name}, {accumulator}, {mode}, as bits"

        options: dict[str, Any] = {"rounding": mode, "accumulator": accumulator}
        expected = _bits(total, fmt)
        tally.compare(_bits(sum_(x, fmt, axis=1, **options), fmt), expected, describe("sum"))
        shuffled = sum_(x[:, order], fmt, axis=1, **options)
        tally.compare(_bits(shuffled, fmt), expected, describe("sum in another order"))
        dots = matmul(x[:, None, :], y[:, :, None], fmt, **options)[:, 0, 0]
        tally.compare(_bits(dots, fmt), _bits(product, fmt), describe("dot product"))
        square = matmul(x, y.T, fmt, **options)
        tally.compare(_bits(np.diagonal(square), fmt), _bits(product, fmt), describe("diagonal of matmul"))
        again = matmul(x[:, order], y.T[order], fmt, **options)
        tally.compare(
            _bits(again, fmt).ravel(), _bits(square, fmt).ravel(), lambda i: "matmul in another order"
        )


def _check_ordered(x: Array, fmt: FloatFormat, tally: Tally) -> None:
    rows = [[reference.exact(v) for v in row.tolist()] for row in x]
    for how in (("sequential", fmt), ("pairwise", fmt), ("chunked", fmt, fmt, 8), ("kahan", fmt)):
        accumulator = ":".join(str(part) for part in how)
        got = sum_(x, fmt, axis=1, accumulator=accumulator)
        expected = _numbers(Loops().sums(how, rows, fmt))
        tally.compare(
            _bits(got, fmt),
            _bits(expected, fmt),
            lambda i, accumulator=accumulator: (
                f"sum of {x[i].tolist()} with accumulator {accumulator}, as bits"
            ),
        )


# -- everything at random --------------------------------------------------------------------------------


class Case(NamedTuple):
    """One call: `operation` of `a` (and of the column `b`) in `fmt`, with everything that it depends on."""

    operation: str
    a: Array
    b: Array
    fmt: FloatFormat
    accumulator: tuple[Any, ...]
    options: dict[str, Any]
    random_bits: int | None
    seed: int


def random_format(rng: np.random.Generator) -> FloatFormat:
    """Return any format that can be described, with a bias as extreme as it may be."""
    while True:
        specials = str(rng.choice(SPECIALS if rng.random() < 0.5 else ["ieee"]))
        bias = (None, int(rng.integers(-1030, 1081)), int(rng.integers(-40, 41)))[int(rng.integers(3))]
        e, m = (
            int(rng.choice([1, 2, 3, 4, 5, 8, 10, 11])),
            int(rng.choice([0, 1, 2, 3, 7, 10, 23, 30, 45, 50])),
        )
        signed = specials != "scale" and rng.random() < 0.9
        try:
            return FloatFormat("random", e, m, bias, specials, signed)
        except FormatError:
            continue


def random_terms(fmt: FloatFormat, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return numbers of at most 26 bits about the ends of a format, and far below its smallest value."""
    ends = (fmt.emin - fmt.mantissa_bits, fmt.emin, fmt.emax, (fmt.emin + fmt.emax) // 2, 0)
    found = np.empty(shape)
    for i in np.ndindex(shape):
        length = int(rng.integers(1, min(fmt.precision + 2, 27)))
        digits = int(rng.integers(0, 1 << length)) | 1
        exponent = int(rng.choice([*ends, ends[0] - int(rng.choice([5, 60, 300]))])) + int(
            rng.integers(-2, 4)
        )
        exponent -= digits.bit_length()
        x = math.ldexp(digits, min(exponent, 1024 - digits.bit_length())) * int(rng.choice([-1, 1]))
        special = [0.0, -0.0, math.inf, -math.inf, math.nan]
        found[i] = x if rng.random() < 0.94 else rng.choice(special, p=[0.35, 0.35, 0.1, 0.1, 0.1])
    if shape[1] > 2 and rng.random() < 0.3:
        found[:, -1] = -found[:, 0]
    return found


def random_sum(rng: np.random.Generator, fmt: FloatFormat | None = None) -> Case:
    """Return a call with random options, in a random format or a given one."""
    target = random_format(rng) if fmt is None else fmt
    inner = target if rng.random() < 0.5 else random_format(rng)
    outer = inner if rng.random() < 0.5 else random_format(rng)
    hows = (("exact",), ("wide",), ("sequential", inner), ("pairwise", inner), ("kahan", inner))
    how: tuple[Any, ...] = (*hows, ("chunked", inner, outer, int(rng.integers(1, 4))))[int(rng.integers(6))]
    mode = str(rng.choice([*DETERMINISTIC, *STOCHASTIC]))
    options = {
        "rounding": mode,
        "overflow": policies(target)[int(rng.integers(len(policies(target))))],
        "subnormals": str(rng.choice(["gradual", "gradual", "flush"])),
    }
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 3, 4, 7])))
    a = random_terms(inner, shape, rng)
    b = np.where(rng.random(shape[1]) < 0.5, 1.0, random_terms(inner, (1, shape[1]), rng)[0])
    bits = int(rng.choice([1, 5, 16, 30, 48])) if mode in STOCHASTIC else None
    operation = str(rng.choice(["sum", "mean", "matmul"]))
    return Case(operation, a, b, target, how, options, bits, int(rng.integers(1 << 30)))


def differences(case: Case) -> list[str]:
    """Run a case, and describe where floatlab and the plain loop differ."""
    got: Any
    try:
        got = _floatlab(case)
    except FloatlabError as error:
        got = error
    try:
        expected: Any = _by_loops(case)
    except FloatlabError as error:
        expected = error
    if isinstance(got, FloatlabError) or isinstance(expected, FloatlabError):
        refused = [isinstance(x, FloatlabError) for x in (got, expected)]
        return [] if all(refused) else [f"{case}: got {got!r}, not {expected!r}"]
    values, again, flags = got
    found = []
    if not np.array_equal(_bits(values, case.fmt), _bits(again, case.fmt)):
        found.append(f"{case}: asking for flags makes {values.tolist()} to {again.tolist()}")
    if not np.array_equal(_bits(values, case.fmt), _bits(_numbers(expected), case.fmt)):
        found.append(f"{case}: got {values.tolist()}, not {_numbers(expected).tolist()}")
    for i, result in enumerate(expected if flags is not None else ()):
        raised = {name for name in flags.__dataclass_fields__ if getattr(flags, name)[i]}
        if raised != set(result.flags):
            found.append(f"{case}: row {i} raises {sorted(raised)}, not {sorted(result.flags)}")
    return found


def _floatlab(case: Case) -> tuple[Array, Array, Any]:
    """Return the values, and once more with the flags where there are any."""
    how = (
        get_accumulator(case.accumulator[0]) if len(case.accumulator) == 1 else _accumulator(case.accumulator)
    )

    def call(**more: Any) -> Any:
        options = case.options | {"accumulator": how, "random_bits": case.random_bits} | more
        options["rng"] = None if case.random_bits is None else np.random.default_rng(case.seed)
        if case.operation == "matmul":
            return matmul(case.a, case.b, case.fmt, **options)
        return getattr(accumulate, case.operation)(case.a, case.fmt, axis=1, **options)

    values = call()
    return (values, values, None) if len(case.accumulator) > 1 else (values, *call(return_flags=True))


def _accumulator(how: tuple[Any, ...]) -> Any:
    return {"sequential": Sequential, "pairwise": Pairwise, "chunked": Chunked, "kahan": Kahan}[how[0]](
        *how[1:]
    )


def _by_loops(case: Case) -> list[reference.Result]:
    how = ("exact",) if len(case.accumulator) == 1 else case.accumulator
    draws = None
    if case.random_bits is not None:
        draws = Draws(np.random.default_rng(case.seed), case.random_bits)
    column = case.b if case.operation == "matmul" else np.ones(case.a.shape[1])
    rows = [products(row.tolist(), column.tolist()) for row in case.a]
    loops = Loops(case.options, draws)
    return (loops.means if case.operation == "mean" else loops.sums)(how, rows, case.fmt)


def _check_random(fmt: FloatFormat, cases: int, tally: Tally) -> Outcome:
    rng = np.random.default_rng([fmt.bits, fmt.mantissa_bits, 7])
    for k in range(cases):
        case = random_sum(rng, fmt if k % 2 else None)
        found = differences(case)
        tally.note(not found, found[0] if found else "")
    return tally.outcome()

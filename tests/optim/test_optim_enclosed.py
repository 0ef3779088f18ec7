"""The fast way to results that are rounded once gives the bits of the exact one, whichever way an element takes."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.optim import enclosed, workbench
from floatlab.optim.evaluation import FUSED, evaluate
from floatlab.optim.exactly import settle
from floatlab.optim.stand_in import stand_in
from floatlab.optim.workbench import Rounding, Workbench

Array = np.ndarray[Any, Any]
ARRAYS = {
    "scale": 1,
    "multiply": 2,
    "divide": 1,
    "sqrt": 1,
    "shift": 1,
    "add": 2,
    "add_product": 3,
    "add_quotient": 3,
    "blend": 2,
}
SCALARS = (
    0.9,
    0.1,
    1.0 - 0.9,
    0.999,
    1.0 - 0.999,
    1e-8,
    0.3,
    1.0 / 3.0,
    0.5,
    2.0**-9,
    1.0 + 2.0**-40,
    7.3,
    1.0,
)
SHARES = (0.1, 1.0 - 0.9, 0.5, 0.75, 1.0)
#: How the ways are chosen: by size, and by how many elements are not sure.
WAYS = {
    "few calls": (1 << 30, 8),
    "few passes": (0, 8),
    "few passes, always": (0, 1),
    "neither": (0, 1 << 30),
}


def exactly(name: str, operands: tuple[Any, ...], fmt: FloatFormat) -> Array:
    """Return what exactly.py makes of an operation, without anything that is faster."""
    size = operands[0].size
    work = evaluate(name, operands, np.empty(size), np.empty(size))
    single = name not in FUSED
    if not (single and fmt.precision == 53):
        settle(name, operands, work, fmt, True, None if single else operands[0])
    return work.astype(fmt.value_dtype)


def decimals(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    return rng.integers(-(2**20), 2**20, size) * 10.0  # next to ties, times 0.9


def ordinary(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    return rng.normal(size=size) * 2.0 ** rng.integers(-12, 3, size)


def short(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    return rng.integers(-64, 65, size) * 2.0 ** rng.integers(-30, 6, size)  # ties, and sums that cancel


def of_all_sizes(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    info = np.finfo(dtype)
    return rng.normal(size=size) * 2.0 ** rng.integers(info.minexp - info.nmant, info.maxexp - 2, size)


def subnormal(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    return rng.integers(-(2**24), 2**24, size) * float(np.finfo(dtype).smallest_subnormal)


def next_to_subnormal(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    return subnormal(rng, dtype, size) * 2.0 ** rng.integers(0, 60, size)


def special(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    info = np.finfo(dtype)
    sizes = (0.0, 1.0, np.inf, np.nan, float(info.max), float(info.tiny), float(info.smallest_subnormal), 1.5)
    return rng.choice(np.array([*sizes, *(-x for x in sizes)]), size)


def mostly_zero(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    x = rng.normal(size=size)
    return np.where(rng.random(size) < 0.6, np.copysign(0.0, x), x)


def with_one_infinity(rng: np.random.Generator, dtype: np.dtype[Any], size: int) -> Array:
    x = rng.normal(size=size)
    x[rng.integers(size)] = rng.choice([np.inf, -np.inf, np.nan, float(np.finfo(dtype).max)])
    return x


KINDS: list[Callable[..., Array]] = [
    decimals, ordinary, short, of_all_sizes, subnormal, next_to_subnormal, special, mostly_zero, with_one_infinity,
]  # fmt: skip


def cases(rng: np.random.Generator, name: str, fmt: FloatFormat, size: int) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    dtype = fmt.value_dtype
    for kind in KINDS:
        for scalar in SHARES if name == "blend" else SCALARS:
            kinds = [kind, *rng.choice(np.array(KINDS, object), 2)] if rng.random() < 0.5 else [kind] * 3
            arrays = [k(rng, dtype, size).astype(dtype) for k in kinds[: ARRAYS[name]]]
            sign = rng.choice([-1.0, 1.0]) if name != "blend" else 1.0
            if name == "add" and rng.random() < 0.3:  # a sum that cancels
                arrays[0] = (-sign * scalar * arrays[1].astype(np.float64)).astype(dtype)
            extra = () if name in ("multiply", "sqrt") else (float(sign * scalar),)
            found.append((*arrays, *extra))
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_fast_way_gives_the_bits_of_the_exact_one(
    fmt: str, name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, rng, size = get_format(fmt), np.random.default_rng(len(way)), 200
    for option, value in zip(("_LARGE", "_MANY"), WAYS[way], strict=True):
        monkeypatch.setattr(enclosed, option, value)
    monkeypatch.setattr(enclosed, "_PIECE", 64)
    rounding = Rounding(form)
    bench = Workbench((size,), rounding, rounding, rounding, {})
    for operands in cases(rng, name, form, size):
        expected = exactly(name, operands, form)
        out = operands[0].copy()  # in place, as in an optimizer
        found = getattr(bench, name)(out, *operands[1:], to=rounding, out=out)
        assert np.array_equal(found, expected, equal_nan=True), operands
        signs = np.signbit(found) == np.signbit(expected)
        assert (signs | np.isnan(found)).all(), operands


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
def test_the_fast_way_gives_the_fraction_rounded_once(
    fmt: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, rng = get_format(fmt), np.random.default_rng(1)
    for option, value in zip(("_LARGE", "_MANY"), WAYS[way], strict=True):
        monkeypatch.setattr(enclosed, option, value)
    rounding = Rounding(form)
    bench = Workbench((60,), rounding, rounding, rounding, {})
    for kind in (decimals, ordinary, short, next_to_subnormal):
        for scalar in (0.9, 1.0 - 0.999, 1.0 / 3.0):
            x, y = (kind(rng, form.value_dtype, 60).astype(form.value_dtype) for _ in range(2))
            summed = bench.add(x, y, -scalar, to=rounding, out=np.empty_like(x))
            blended = bench.blend(x, y, scalar, to=rounding, out=np.empty_like(x))
            for a, b, *found in zip(x, y, summed, blended, strict=True):
                p, q, s = Fraction(float(a)), Fraction(float(b)), Fraction(scalar)
                for exact, value in zip((p - s * q, p + s * (q - p)), found, strict=True):
                    expected = reference.to_float(reference.round(exact, form, "nearest_even").value)
                    assert float(value) == expected


def test_large_and_strided_weights_are_computed_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "BLOCK", 100)
    form, rng = get_format("fp32"), np.random.default_rng(0)
    x, y = (rng.normal(size=(30, 11)).astype(np.float32) for _ in range(2))
    rounding = Rounding(form)
    bench = Workbench((30, 11), rounding, rounding, rounding, {})
    expected = exactly("add", (x.reshape(-1), y.reshape(-1), 0.1), form).reshape(30, 11)
    assert np.array_equal(bench.add(x, y, 0.1, to=rounding, out=np.empty_like(x)), expected)
    turned = np.asfortranarray(x)
    bench.add(turned, np.asfortranarray(y), 0.1, to=rounding, out=turned)
    assert np.array_equal(turned, expected)
    empty = np.empty((0, 3), np.float32)
    bench = Workbench((0, 3), rounding, rounding, rounding, {})
    assert bench.add(empty, empty, 0.1, to=rounding, out=empty).shape == (0, 3)


@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
def test_few_elements_are_computed_exactly(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(name: str, operands: Any, work: Array, *options: Any) -> None:
        counts.append(work.size)
        settle(name, operands, work, *options)

    monkeypatch.setattr(enclosed, "settle", counted)
    form, rng, size = get_format(fmt), np.random.default_rng(0), 20000
    x, y, z = (rng.normal(size=size).astype(form.value_dtype) for _ in range(3))
    rounding = Rounding(form)
    bench = Workbench((size,), rounding, rounding, rounding, {})
    out = np.empty_like(x)
    bench.scale(x, 0.9, to=rounding, out=out)
    bench.add(x, y, -0.1, to=rounding, out=out)
    bench.blend(x, y, 0.1, to=rounding, out=out)
    bench.add_product(x, y, y, 0.001, to=rounding, out=out)
    bench.add_quotient(x, y, z, -0.001, to=rounding, out=out)
    assert sum(counts) < 0.001 * size


def test_products_with_the_stand_in_are_rounded_once() -> None:
    rng, form = np.random.default_rng(0), get_format("fp32")
    for _ in range(150):
        q = int(rng.integers(1, 2 ** int(rng.integers(2, 24))))
        p = int(rng.integers(1, 2**25))
        factor = p / q * 2.0 ** int(rng.integers(-20, 3))
        for f in (factor, np.nextafter(factor, 0.0).item(), np.nextafter(factor, np.inf).item()):
            k = rng.integers(1, max(2**24 // q, 2), 8)
            x = np.concatenate([(k * q).astype(np.float32), rng.integers(1, 2**24, 4).astype(np.float32)])
            found = (x.astype(np.float64) * stand_in(f)).astype(np.float32)
            for a, b in zip(x, found, strict=True):
                exact = Fraction(float(a)) * Fraction(f)
                assert float(b) == reference.to_float(reference.round(exact, form, "nearest_even").value)


def test_a_factor_next_to_no_short_fraction_stands_for_itself() -> None:
    assert stand_in(1.0 / 3.0 + 2.0**-40) == 1.0 / 3.0 + 2.0**-40
    assert stand_in(0.75) == 0.75
    assert stand_in(-0.9) == -stand_in(0.9) != -0.9

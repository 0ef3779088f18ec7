"""One entry of `MODES` is a whole rounding mode: what rounds follows it, or refuses it by name."""

import functools
import math
from fractions import Fraction
from typing import Any

import gmpy2
import numpy as np
import pytest

import floatlab as fl
from floatlab import reference
from floatlab.errors import OptionError
from floatlab.formats import get_format
from floatlab.reference import rounding as oracle
from floatlab.rounding import modes
from floatlab.rounding import options as rules

FORMATS = ("fp16", "bf16", "e4m3", "e5m2", "fp6_e2m3", "fp4", "e8m0", "binary8p1se", "e3m9", "fp32", "fp64")
NARROW = ("fp16", "bf16", "e4m3", "fp6_e2m3", "e3m9")
RNG = np.random.default_rng(20)
NUMBERS = np.concatenate(
    [
        RNG.normal(size=60),
        RNG.normal(size=60) * np.exp2(RNG.integers(-30, 30, 60)),
        [
            0.0,
            -0.0,
            1.0,
            -1.5,
            448.0,
            449.0,
            1e6,
            -1e6,
            65504.0,
            65505.0,
            3e38,
            3.5e38,
            -3.5e38,
            1e-8,
            -1e-45,
        ],
    ]
)


@pytest.fixture
def from_zero(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Away from zero, whatever goes: decimal calls it ROUND_UP. Nobody but this test knows it."""
    entry = modes.Mode("from_zero", "away from zero is {}", lambda d: d.inexact & True)
    monkeypatch.setitem(modes.MODES, "from_zero", entry)
    usual = oracle._goes_up

    def goes_up(spot: Any, minus: bool, fmt: Any, rounding: str, R: int, N: int) -> bool:
        return spot.rest > 0 if rounding == "from_zero" else usual(spot, minus, fmt, rounding, R, N)

    monkeypatch.setattr(oracle, "MODES", (*oracle.MODES, "from_zero"))
    monkeypatch.setattr(oracle, "_goes_up", goes_up)
    yield "from_zero"
    rules._rule.cache_clear()


def positive_only(fmt: Any, x: np.ndarray) -> np.ndarray:
    return x if get_format(fmt).signed else np.abs(x[x != 0])


def expect(results: Any) -> tuple[list[float], list[Any]]:
    return [reference.to_float(r.value) for r in results], [r.flags for r in results]


def agree(found: Any, wanted: list[float]) -> None:
    found = np.asarray(found, np.float64).ravel()
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def agree_flags(found: Any, wanted: list[Any]) -> None:
    for name in ("invalid", "divide_by_zero", "overflow", "underflow", "inexact"):
        assert getattr(found, name).ravel().tolist() == [name in flags for flags in wanted], name


@pytest.mark.parametrize("source", [np.float64, np.float32])
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_conversion_follows_a_new_mode(from_zero: str, fmt: str, source: type) -> None:
    with np.errstate(over="ignore"):
        x = positive_only(fmt, NUMBERS.astype(source))
    if get_format(fmt).specials == "finite":
        x = x[np.isfinite(x)]
    results = [reference.round(float(v), get_format(fmt), from_zero) for v in x]
    values, flags = expect(results)
    agree(fl.quantize(x, fmt, rounding=from_zero), values)
    found, raised = fl.quantize(x, fmt, rounding=from_zero, return_flags=True)
    agree(found, values)
    agree_flags(raised, flags)
    assert fl.encode(x, fmt, rounding=from_zero).tolist() == [r.code for r in results]
    large = np.tile(x, 700)  # where short formats are looked up
    agree(fl.quantize(large, fmt, rounding=from_zero), values * 700)


@pytest.mark.parametrize("fmt", NARROW)
@pytest.mark.parametrize("overflow", ["saturate", "propagate"])
def test_policies_and_exact_sources_follow_a_new_mode(from_zero: str, fmt: str, overflow: str) -> None:
    x = [Fraction(1, 3), Fraction(-(2**200), 3), Fraction(1, 3 * 2**300), 10**40]
    values, _ = expect([reference.round(Fraction(v), get_format(fmt), from_zero, overflow) for v in x])
    agree(fl.quantize(x, fmt, rounding=from_zero, overflow=overflow), values)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "fma", "sqrt"])
@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "e3m9", "fp32", "fp64"])
def test_an_operation_follows_a_new_mode(from_zero: str, fmt: str, name: str) -> None:
    count = {"fma": 3, "sqrt": 1}.get(name, 2)
    operands = [fl.quantize(RNG.permutation(NUMBERS), fmt, overflow="saturate") for _ in range(count)]
    exact = getattr(reference, name)
    values, flags = expect(
        [exact(*map(float, row), get_format(fmt), rounding=from_zero) for row in zip(*operands, strict=True)]
    )
    agree(getattr(fl, name)(*operands, fmt, rounding=from_zero), values)
    found, raised = getattr(fl, name)(*operands, fmt, rounding=from_zero, return_flags=True)
    agree(found, values)
    agree_flags(raised, flags)
    arrays = [fl.array(x, fmt) for x in operands]
    if name in ("add", "subtract", "multiply", "divide", "sqrt"):
        with fl.arithmetic(rounding=from_zero):
            agree(getattr(np, name)(*arrays).values, values)


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "fp32"])
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sin", "cbrt"])
def test_a_function_follows_a_new_mode(from_zero: str, fmt: str, name: str) -> None:
    x = fl.quantize(NUMBERS[np.abs(NUMBERS) < 1e4], fmt, overflow="saturate")
    x = np.abs(x) if name == "log" else x
    with gmpy2.context(gmpy2.get_context(), precision=300):
        exact = [getattr(gmpy2, name)(gmpy2.mpfr(float(v))) for v in x]
        wanted = [
            Fraction(*map(int, v.as_integer_ratio())) if v and gmpy2.is_finite(v) else float(v) for v in exact
        ]
    values, _ = expect([reference.round(w, get_format(fmt), from_zero) for w in wanted])
    agree(getattr(fl, name)(x, fmt, rounding=from_zero), values)


def by_steps(row: Any, fmt: Any, rounding: str) -> float:
    total = reference.round(float(row[0]), fmt, rounding).value
    for term in row[1:]:
        total = reference.add(total, float(term), fmt, rounding=rounding).value
    return reference.to_float(total)


def by_pairs(row: list[float], fmt: Any, rounding: str) -> float:
    values = [reference.round(float(x), fmt, rounding).value for x in row]
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [reference.add(a, b, fmt, rounding=rounding).value for a, b in pairs] + odd
    return reference.to_float(values[0])


ROWS = [RNG.normal(size=n) * 2.0**k for n, k in ((1, 0), (3, -3), (8, 0), (37, 3))]


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "fp32", "fp64"])
def test_sums_that_are_rounded_once_follow_a_new_mode(from_zero: str, fmt: str) -> None:
    def rounded(exact: Fraction) -> list[float]:
        return [reference.to_float(reference.round(exact, get_format(fmt), from_zero).value)]

    for row in (fl.quantize(row, fmt) for row in ROWS):
        total = sum(map(Fraction, row.tolist()))
        squares = rounded(sum(Fraction(a) * Fraction(a) for a in row.tolist()))
        agree(fl.sum(row, fmt, rounding=from_zero), rounded(total))
        agree(fl.mean(row, fmt, rounding=from_zero), rounded(total / len(row)))
        agree(fl.dot(row, row, fmt, rounding=from_zero), squares)
        agree(fl.matmul(row[None], row[:, None], fmt, rounding=from_zero), squares)
        with fl.arithmetic(rounding=from_zero):
            agree(np.sum(fl.array(row, fmt)).values, rounded(total))


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "fp32"])
def test_partial_sums_follow_a_new_mode(from_zero: str, fmt: str) -> None:
    for row in (fl.quantize(row, fmt) for row in ROWS):
        in_order = by_steps(row, get_format(fmt), from_zero)
        agree(fl.sum(row, fmt, accumulator=f"sequential:{fmt}", rounding=from_zero), [in_order])
        chunked = {  # where all is positive, away from zero is up
            mode: float(fl.sum(np.abs(row), fmt, accumulator=f"chunked:{fmt}:fp32:4", rounding=mode))
            for mode in (from_zero, "toward_positive", "toward_zero")
        }
        assert chunked[from_zero] == chunked["toward_positive"]
    assert chunked[from_zero] > chunked["toward_zero"]
    eight = fl.quantize(ROWS[2], fmt)
    found = fl.sum(eight, fmt, accumulator=f"pairwise:{fmt}", rounding=from_zero)
    agree(found, [by_pairs(eight, get_format(fmt), from_zero)])


def test_what_cannot_follow_a_new_mode_refuses_it_by_name(from_zero: str) -> None:
    with pytest.raises(OptionError, match="from_zero"):
        fl.sum([1.0, 2.0], "fp64", accumulator="sequential:fp64", rounding=from_zero)


def test_explain_tells_what_a_new_mode_does(from_zero: str) -> None:
    story = str(fl.explain(0.1, "e4m3", rounding=from_zero))
    assert "away from zero is above" in story and "0.1015625" in story
    assert "the same" not in story
    assert "away from zero is below" in str(fl.explain(-1e-30, "fp16", rounding=from_zero))


@pytest.mark.parametrize("name", ["floor", "ceiling", "sign", "modes", "drop"])
def test_a_mode_may_be_called_as_something_of_a_kernel(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(modes.MODES, name, modes.Mode(name, "down is {}", lambda d: d.inexact & d.negative))
    x = NUMBERS[np.isfinite(NUMBERS)]
    for fmt in ("fp16", "bf16", "e4m3"):
        found = fl.quantize(x, fmt, rounding=name, overflow="saturate")
        agree(found, fl.quantize(x, fmt, rounding="toward_negative", overflow="saturate").tolist())
    rules._rule.cache_clear()


def test_the_mode_is_gone_afterwards() -> None:
    for call in (fl.quantize, fl.encode, fl.explain, functools.partial(fl.sum, accumulator="fp16")):
        with pytest.raises(OptionError, match="from_zero"):
            call([1.0] if call is not fl.explain else 1.0, "fp16", rounding="from_zero")


@pytest.mark.parametrize("mode", modes.MODES.values(), ids=lambda mode: mode.name)
def test_every_entry_decides_and_has_its_sentence(mode: modes.Mode) -> None:
    assert (mode.goes_up is None) == (mode.carries is not None) == (mode.variant is not None)
    assert mode.name in rules.ROUNDING_MODES
    assert mode.variant or "{}" in mode.sentence
    if mode.goes_up is not None:  # the same answer for a number and for an array
        for half in (-1, 0, 1):
            for odd in (False, True):
                for negative in (False, True):
                    one = mode.goes_up(modes.Discarded(half, True, odd, negative))
                    many = mode.goes_up(
                        modes.Discarded(*(np.array([v]) for v in (half, True, odd, negative)))
                    )
                    assert many.dtype == bool and bool(one) == many.item()
        nothing = modes.Discarded(np.array([-0.5]), np.array([False]), np.array([True]), np.array([True]))
        assert not mode.goes_up(nothing).any()


def test_an_exact_half_of_a_share_is_rounded_to_even() -> None:
    for rest in range(16):
        ratio = modes.Ratio(rest, 16)
        for n in range(6):
            assert ratio.floor(n) == math.floor(Fraction(rest, 16) * 2**n)
            assert ratio.even(n) == round(Fraction(rest, 16) * 2**n)

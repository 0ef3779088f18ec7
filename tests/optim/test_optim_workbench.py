"""What each operation of an optimizer's workbench returns: the exact result, rounded once, in fractions."""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from floatlab import optim, reference
from floatlab.autograd import Tensor
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.optim import workbench
from floatlab.optim.workbench import Rounding, Workbench
from floatlab.rounding.quantize import quantize

FP64, FP32 = get_format("float64"), get_format("float32")
MODES = ("nearest_even", "nearest_away", "toward_zero", "toward_positive", "toward_negative", "to_odd")
FORMATS = [
    get_format(name) for name in ("bf16", "fp16", "tf32", "e4m3", "e5m2", "e8m20", "fp32", "e9m30", "fp64")
]


def to(x: Fraction, fmt: FloatFormat, mode: str = "nearest_even") -> Fraction:
    """Return `x` rounded by the reference, which knows nothing of NumPy."""
    value = reference.round(x, fmt, mode).value
    return value if isinstance(value, Fraction) else Fraction(reference.to_float(value))


def evaluate(name: str, xs: list[Fraction], scalar: float, work: FloatFormat | None = None) -> Fraction:
    """Evaluate an operation as its docstring says: exactly, or each of its steps rounded to nearest in `work`."""

    def r(x: Fraction) -> Fraction:
        return x if work is None else to(x, work)

    s = Fraction(scalar)
    match name:
        case "scale":
            return r(xs[0] * s)
        case "multiply":
            return r(xs[0] * xs[1])
        case "divide":
            return r(xs[0] / xs[1])
        case "shift":
            return r(xs[0] + s)
        case "add":
            return r(xs[0] + r(s * xs[1]))
        case "add_product":
            return r(xs[0] + r(r(s * xs[1]) * xs[2]))
        case "add_quotient":
            return r(xs[0] + r(r(s * xs[1]) / xs[2]))
        case "blend":
            gap = r(xs[1] - xs[0])
            if scalar < 0.5:
                return r(xs[0] + r(gap * s))
            return r(xs[1] - r(gap * (1 - s)))
    raise AssertionError(name)


OPERANDS = {
    "scale": 1,
    "multiply": 2,
    "divide": 2,
    "shift": 1,
    "add": 2,
    "add_product": 3,
    "add_quotient": 3,
    "blend": 2,
}
SCALARLESS = ("multiply", "divide")


def bench_of(fmt: FloatFormat, mode: str, count: int) -> Workbench:
    weight = Rounding(fmt, mode)
    return Workbench((count,), Rounding(fmt), Rounding(fmt), weight, {})


def operands(rng: np.random.Generator, fmt: FloatFormat, count: int, number: int) -> list[np.ndarray]:
    """Return ordinary values of the format, many of them of few bits, so that ties are frequent."""
    found = []
    for _ in range(number):
        size = rng.uniform(1.0, 2.0, count) * 2.0 ** rng.integers(-3, 4, count)
        short = rng.integers(1, 8, count) * 2.0 ** rng.integers(-4, 2, count)
        x = np.where(rng.random(count) < 0.5, size, short) * rng.choice([-1.0, 1.0], count)
        found.append(Tensor(x, format=fmt).data)
    return found


@pytest.mark.parametrize("name", OPERANDS)
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_an_operation_is_rounded_once_from_float64_or_from_the_exact_result(
    name: str, fmt: FloatFormat
) -> None:
    rng = np.random.default_rng(0)
    count = 24
    for mode in MODES:
        if fmt.precision == 53 and mode != "nearest_even":
            continue  # which an optimizer refuses
        bench = bench_of(fmt, mode, count)
        work = FP64 if fmt.precision < 24 else None  # as documented
        for scalar in (0.3, 0.9, 2.0**-9, 1.0 + 2.0**-40, 1.0 / 3.0, -0.1, 1.0):
            if name in SCALARLESS and scalar != 0.3:
                continue
            xs = operands(rng, fmt, count, OPERANDS[name])
            extra = () if name in SCALARLESS else (scalar,)
            out = np.empty(count, fmt.value_dtype)
            result = getattr(bench, name)(*xs, *extra, to=bench.weight, out=out)
            for i in range(count):
                exact = evaluate(name, [Fraction(float(x[i])) for x in xs], scalar, work)
                expected = to(exact, fmt, mode)
                assert Fraction(float(result[i])) == expected, (mode, scalar, [float(x[i]) for x in xs])


# Results that float64 takes for a tie or a value of the format, and that lie just beside it.
BESIDE = [
    ("add", [1.0, 1.0], 2.0**-24 * (1.0 + 2.0**-52), "fp32"),
    ("add", [1.0, 1.0], -(2.0**-25) * (1.0 + 2.0**-52), "fp32"),
    ("add", [1.0, -3.0], 1.0 / 3.0, "fp32"),  # float64 gives 0, and 1 - 3 * (the float64 next to 1/3) is not
    ("add", [1.0, -3.0], 1.0 / 3.0, "fp64"),
    ("add", [1.0, 1.0], 2.0**-53 * (1.0 + 2.0**-52), "fp64"),
    ("add", [2.0**52, 3.0], 1.0 / 3.0, "fp64"),
    ("add_product", [1.0, 2.0**-12, 2.0**-12], 1.0 + 2.0**-52, "fp32"),
    ("add_product", [1.0, 1.0 + 2.0**-23, 1.0 - 2.0**-23], 2.0**-24 * (1.0 + 2.0**-46), "fp32"),
    ("add_product", [1.0, 1.0 + 2.0**-50, 1.0 - 2.0**-50], -1.0, "fp64"),
    ("add_quotient", [1.0, 1.0, 3.0], 3.0 * 2.0**-24 * (1.0 + 2.0**-51), "fp32"),
    ("add_quotient", [1.0, 3.0, 3.0], -1.0 + 2.0**-53, "fp64"),
    ("add_quotient", [1.0, 1.0, 3.0], 2.0**-52, "fp64"),
    ("blend", [1.0, 1.0 + 2.0**-23], 0.5 + 2.0**-53, "fp32"),
    ("blend", [1.0, 1e8], 1.0, "fp32"),
    ("blend", [1e8, 1.0], 1.0, "fp32"),
    ("blend", [1e8, 1.0], 1.0, "fp64"),
    ("blend", [1e300, 1.0], 1.0 - 2.0**-53, "fp64"),
    ("shift", [1.0], 2.0**-24 + 2.0**-76, "fp32"),
    ("scale", [1.0 + 2.0**-23], 1.0 + 2.0**-24 + 2.0**-48, "fp32"),
    ("scale", [3.0], (1.0 + 2.0**-24) / 3.0, "fp32"),
    ("divide", [1.0 + 2.0**-23, 3.0], 0.3, "fp32"),
    ("add", [2.0**-1000, 2.0**-1000], 1.0 / 3.0, "fp64"),  # beyond where errors are float64 numbers
    ("add_product", [2.0**-1060, 2.0**-530, 2.0**-530], 1.0 / 3.0, "fp64"),
    ("add", [2.0**1000, 2.0**1000], 1.0 / 3.0, "fp64"),
]


@pytest.mark.parametrize(("name", "xs", "scalar", "fmt"), BESIDE, ids=lambda x: str(x)[:20])
def test_a_result_beside_a_tie_or_a_value_is_not_taken_for_it(
    name: str, xs: list[float], scalar: float, fmt: str
) -> None:
    form = get_format(fmt)
    for sign, mode in product((1.0, -1.0), MODES):
        if form.precision == 53 and mode != "nearest_even":
            continue
        bench = bench_of(form, mode, 1)
        values = [sign * np.array([x], form.value_dtype) for x in xs]
        if name in ("add_product", "add_quotient", "divide"):
            values[1:] = [sign * x for x in values[1:]]  # so that all of the result has the sign
        extra = () if name in SCALARLESS else (sign * scalar if name == "shift" else scalar,)
        found = getattr(bench, name)(*values, *extra, to=bench.weight, out=np.empty(1, form.value_dtype))
        exact = evaluate(name, [Fraction(float(x[0])) for x in values], *(extra or (0.0,)))
        assert Fraction(float(found[0])) == to(exact, form, mode), (sign, mode)


def test_a_sum_just_above_a_tie_becomes_the_tie_in_float64_where_the_format_is_narrow() -> None:
    # 1 + 2^-8 (1 + 2^-52) in bf16: float64 loses the last bit, and the tie goes to the even 1.0
    bench = bench_of(get_format("bf16"), "nearest_even", 1)
    one = np.ones(1, np.float32)
    result = bench.add(one, one, 2.0**-8 * (1.0 + 2.0**-52), to=bench.weight, out=np.empty(1, np.float32))
    assert result.item() == 1.0
    assert "In narrower formats float64's roundings come first" in (workbench.__doc__ or "")


@pytest.mark.parametrize("fmt", ["fp32", "fp64", "e9m30"])
@pytest.mark.parametrize("factor", [0.9, 0.1, 0.999, 1.0 - 0.9, 1.0 - 0.999, 1e-3, 0.01])
def test_a_decimal_factor_times_a_round_number_is_on_its_own_side_of_the_tie(fmt: str, factor: float) -> None:
    # 0.9 * 10 k = 9 k (1 + 2^-55): float64 says 9 k, which is a tie of float32 for many k
    form = get_format(fmt)
    k = np.random.default_rng(0).integers(2 ** (form.precision - 8), 2 ** (form.precision - 4), 400) * 10.0
    x = quantize(k, form).astype(form.value_dtype)
    bench = bench_of(form, "nearest_even", 400)
    out = np.empty(400, form.value_dtype)
    found = bench.scale(x, factor, to=bench.weight, out=out).copy()
    summed = bench.blend(np.zeros_like(x), x, factor, to=bench.weight, out=out)
    for a, b, c in zip(x, found, summed, strict=True):
        expected = to(Fraction(factor) * Fraction(float(a)), form)
        assert Fraction(float(b)) == Fraction(float(c)) == expected


def test_what_is_not_finite_is_what_float64_gives() -> None:
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 3e38]
    for fmt in ("fp32", "fp64", "bf16"):
        form = get_format(fmt)
        bench = bench_of(form, "nearest_even", 7**3)
        xs = [Tensor(x, format=fmt).data for x in np.array(list(product(special, repeat=3))).T]
        with np.errstate(all="ignore"):
            for name, plain in (
                ("add", xs[0] + 0.5 * xs[1].astype(np.float64)),
                ("add_product", xs[0] + 0.5 * (xs[1].astype(np.float64) * xs[2])),
                ("add_quotient", xs[0] + 0.5 * xs[1].astype(np.float64) / xs[2]),
                ("blend", xs[1] - 0.5 * (xs[1].astype(np.float64) - xs[0])),
            ):
                arguments = xs[: OPERANDS[name]]
                found = getattr(bench, name)(
                    *arguments, 0.5, to=bench.weight, out=np.empty(7**3, form.value_dtype)
                )
                expected = Tensor(plain, format=fmt).data
                assert np.array_equal(found, expected, equal_nan=True), (fmt, name)
                assert np.array_equal(
                    np.signbit(found), np.signbit(expected) | np.isnan(found) & np.signbit(found)
                )


def test_root_and_products_and_quotients_of_two_values_are_rounded_once() -> None:
    # The docstring says so of formats of up to 25 bits: float64's own rounding cannot be seen.
    rng = np.random.default_rng(1)
    for fmt in (f for f in FORMATS if f.precision <= 25 and f != FP32):
        bench = bench_of(fmt, "nearest_even", 60)
        x, y = operands(rng, fmt, 60, 2)
        out = np.empty(60, fmt.value_dtype)
        for name, exact in (("multiply", reference.multiply), ("divide", reference.divide)):
            result = getattr(bench, name)(x, y, to=bench.weight, out=out)
            for a, b, found in zip(x, y, result, strict=True):
                assert float(found) == reference.to_float(exact(float(a), float(b), fmt).value)
        result = bench.sqrt(abs(x), to=bench.weight, out=out)
        for a, found in zip(x, result, strict=True):
            assert float(found) == reference.to_float(reference.sqrt(float(abs(a)), fmt).value)


@pytest.mark.parametrize(
    ("rounding", "less"), [("toward_zero", True), ("toward_positive", False), ("to_odd", True)]
)
def test_a_rounding_mode_acts_on_float32_weights_too(rounding: str, less: bool) -> None:
    w = Tensor([1.0], requires_grad=True)
    w.grad = Tensor([1.0])
    optim.SGD([w], lr=2.0**-30, rounding=rounding).step()  # 1 - 2^-30 lies between two float32 numbers
    assert w.data.item() == (1.0 - 2.0**-24 if less else 1.0)


def test_stochastic_rounding_of_float32_weights_keeps_small_updates_on_average() -> None:
    w = Tensor(np.ones(4096), requires_grad=True)
    w.grad = Tensor(np.ones(4096))
    optim.SGD([w], lr=2.0**-26, rounding="stochastic", rng=0).step()
    moved = float((w.data < 1.0).mean())
    assert 0.2 < moved < 0.3  # a quarter of a unit


def test_the_state_in_float32_is_rounded_as_its_mode_says() -> None:
    w = Tensor([1.0], requires_grad=True)
    sgd = optim.SGD([w], lr=0.0, momentum=2.0**-30, state_rounding="toward_positive")
    for _ in range(2):  # the second velocity is 1 + 2^-30
        w.grad = Tensor([1.0])
        sgd.step()
    assert sgd.state[w]["momentum_buffer"].item() == 1.0 + 2.0**-23


@pytest.mark.parametrize(
    ("weight", "options"),
    [
        ("fp64", {"rounding": "toward_zero"}),
        ("fp64", {"rounding": "stochastic", "rng": 0}),
        ("fp64", {"state_rounding": "toward_positive"}),
        ("fp32", {"state_format": "fp64", "state_rounding": "to_odd"}),
    ],
)
def test_a_mode_that_could_not_act_is_refused(weight: str, options: dict[str, Any]) -> None:
    w = Tensor([1.0], requires_grad=True, format=weight)
    with pytest.raises(OptionError, match="nothing is wider than float64"):
        optim.SGD([w], momentum=0.9, **options)


def test_modes_are_taken_wherever_they_act() -> None:
    names = ("bf16", "fp32", "e9m30")
    for weight, state, mode in product(names, (None, *names), ("toward_zero", "to_odd")):
        w = Tensor([1.0], requires_grad=True, format=weight)
        w.grad = Tensor([1.0], format=weight)
        optim.SGD([w], momentum=0.9, rounding=mode, state_rounding=mode, state_format=state).step()

"""Every share of a report is what counting number by number gives, and every scale the best of those near it."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DataError, DtypeError, FloatlabError, OptionError
from floatlab.inspection import source as source_module
from floatlab.inspection.measurement import SCALINGS
from floatlab.inspection.scales import best_power, channel_scales, overflow_from

FORMATS = ("fp32", "bf16", "fp16", "e4m3", "e5m2", "e4m3fnuz", "e3m4", "e2m3", "fp4", "binary8p3sf")


def odd_numbers(fmt, dtype=np.float64):
    """Return numbers at which the fates change: ends, ties, and one float to each side of them."""
    fmt = fl.get_format(fmt)
    tie = fmt.max + 2.0 ** (fmt.emax - fmt.mantissa_bits - 1)
    marks = [
        0.0,
        fmt.max,
        tie,
        2 * fmt.max,
        fmt.smallest_normal,
        fmt.smallest_subnormal,
        fmt.smallest_subnormal / 2,
        1.0,
    ]
    marks += [(fmt.smallest_normal + (fmt.smallest_normal - fmt.smallest_subnormal)) / 2]
    with np.errstate(all="ignore"):
        at = np.array(marks).astype(dtype)
        beside = [np.nextafter(at, dtype(np.inf)), np.nextafter(at, dtype(-np.inf))]
    numbers = np.concatenate([at, *beside, -at, [dtype(x) for x in (-0.0, np.nan, np.inf, -np.inf)]])
    return numbers.astype(dtype)


def counted(x, fmt, scale=1.0):
    """Count in another way: number by number, with the exact rounding of the oracle to an unbounded exponent."""
    fmt = fl.get_format(fmt)
    counts = dict.fromkeys(("nonzero", "underflow", "subnormal", "overflow"), 0)
    step = Fraction(2) ** (fmt.emax - fmt.mantissa_bits)
    for number in np.asarray(x, np.float64).ravel().tolist():
        if not math.isfinite(number) or number == 0:
            continue
        exact = abs(Fraction(number) * Fraction(scale))
        counts["nonzero"] += 1
        # beyond the largest value the grid of the last binade goes on
        units = exact / step
        rounded = round(units) * step  # Python rounds ties to even
        if exact > Fraction(fmt.max) and rounded > Fraction(fmt.max):
            counts["overflow"] += 1
            continue
        least = Fraction(fmt.smallest_subnormal)
        small = round(exact / least) * least if exact < 2 * Fraction(fmt.smallest_normal) else exact
        counts["underflow"] += small == 0
        counts["subnormal"] += 0 < small < Fraction(fmt.smallest_normal)
    return counts


def assert_alike(one, other):
    """Compare the outcomes of two reports: sums in another order differ in their last bits."""
    for a, b in zip(one["tensors"][0]["outcomes"], other["tensors"][0]["outcomes"], strict=True):
        for key in a:
            assert a[key] == (pytest.approx(b[key], rel=1e-12) if isinstance(a[key], float) else b[key]), key


def told(outcome):
    return {name: getattr(outcome, name) for name in ("nonzero", "underflow", "subnormal", "overflow")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", FORMATS)
def test_counts_are_those_of_counting_number_by_number_at_the_ties_too(fmt, dtype):
    x = odd_numbers(fmt, dtype)
    (tensor,) = fl.inspect(x, fmt, "none").tensors
    assert told(tensor.outcomes[0]) == counted(x, fmt)
    assert (tensor.nans, tensor.infinities) == (1, np.count_nonzero(np.isinf(x)))
    assert tensor.zeros == np.count_nonzero(x == 0)


@pytest.mark.parametrize("kind", ["tensor", "tensor_real"])
@pytest.mark.parametrize("fmt", FORMATS[1:])
def test_counts_of_scaled_numbers_are_those_of_the_products(fmt, kind):
    x = odd_numbers(fmt)
    x = x[~(np.abs(x) < 1e-300) | (x == 0)] * 3.7  # whose products are no zeros
    (tensor,) = fl.inspect(x, fmt, kind).tensors
    outcome = tensor.outcomes[0]
    products = np.where(np.isfinite(x), x, np.nan) * outcome.scale
    assert told(outcome) == counted(products, fmt)
    if kind == "tensor":
        assert math.frexp(outcome.scale)[0] == 0.5
        assert told(outcome) == counted(x, fmt, outcome.scale)


def test_channels_are_scaled_each_by_the_largest_power_that_fits():
    x = np.array([[1e-6, 3e-6, 0.0], [1000.0, 1e-3, np.nan], [0.0, 0.0, 0.0]], np.float32)
    (tensor,) = fl.inspect(x, "e4m3", "channel").tensors
    outcome = tensor.outcomes[0]
    scales = [2.0**27, 2.0**-2, 1.0]
    parts = [counted(row, "e4m3", scale) for row, scale in zip(x, scales, strict=True)]
    assert told(outcome) == {name: sum(part[name] for part in parts) for name in parts[0]}
    assert outcome.scale is None
    assert channel_scales(np.array([3e-6, 1000.0, 0.0]), fl.get_format("e4m3")).tolist() == scales


@pytest.mark.parametrize("shape", [(70, 3), (3, 7, 9), (200, 1), (1, 300), (11, 130)])
def test_a_tensor_in_many_blocks_is_one_tensor(shape, monkeypatch):
    """Whole rows to a block, and rows longer than one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-6, 4, shape)
    x.flat[0], x.flat[-1] = np.nan, np.inf
    options = {"formats": ("e4m3", "fp16"), "scaling": tuple(SCALINGS)}
    whole = fl.inspect(x, **options).to_dict()
    for module in ("source", "measurement"):
        monkeypatch.setattr(f"floatlab.inspection.{module}.BLOCK", 128)
    parts = fl.inspect(x, **options).to_dict()
    assert_alike(whole, parts)
    assert source_module.BLOCK == 128


@pytest.mark.parametrize("kind", ["none", "tensor", "tensor_real"])
def test_noise_and_cosine_are_those_of_the_plain_formulas(kind):
    x = np.random.default_rng(1).normal(size=5000) * 1e-3
    outcome = fl.inspect(x, "e4m3", kind).outcomes[0]
    result = fl.quantize(x * outcome.scale, "e4m3", overflow="saturate") / outcome.scale
    assert outcome.sqnr == pytest.approx(10 * np.log10(np.sum(x**2) / np.sum((x - result) ** 2)), rel=1e-9)
    assert outcome.cosine == pytest.approx(x @ result / np.sqrt((x @ x) * (result @ result)), rel=1e-9)
    assert outcome.relative_error == pytest.approx(np.max(np.abs((result - x) / x)), rel=1e-9)


@pytest.mark.parametrize("size", [2.0**-660, 2.0**660])
def test_squares_neither_vanish_nor_overflow(size):
    x = np.array([1.0, 3.0, 0.7]) * size
    outcome = fl.inspect(x, "bf16", "tensor").outcomes[0]
    near = fl.inspect(x / size, "bf16", "tensor").outcomes[0]
    assert outcome.sqnr == pytest.approx(near.sqnr) and outcome.cosine == pytest.approx(near.cosine)
    lost = fl.inspect(x, "bf16", "none").outcomes[0]
    assert lost.share("lost") == 1.0 and lost.sqnr == pytest.approx(0.0, abs=1e-6)


def test_exact_numbers_have_no_noise_and_nothing_has_none():
    exact = fl.inspect(np.array([1.0, 0.5, -448.0]), "e4m3", "none").outcomes[0]
    assert exact.sqnr == math.inf and exact.relative_error == 0.0 and exact.cosine == pytest.approx(1.0)
    assert exact.to_dict()["exact"] is True and exact.to_dict()["sqnr_db"] is None
    for nothing in (np.zeros(5), np.full(4, np.nan), np.zeros((0, 3)), np.array([np.inf])):
        outcome = fl.inspect(nothing, "e4m3", "tensor").outcomes[0]
        assert outcome.nonzero == 0 and outcome.share("lost") == 0.0 and math.isnan(outcome.sqnr)
        assert outcome.scale == 1.0


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_first_number_that_overflows_is_the_tie_or_the_float_after_it(fmt):
    fmt = fl.get_format(fmt)
    first = overflow_from(fmt)
    tie = fmt.max + 2.0 ** (fmt.emax - fmt.mantissa_bits - 1)
    assert first in (tie, math.nextafter(tie, math.inf))
    assert first == tie if fmt.max_code % 2 else first > tie


def test_nothing_overflows_float64():
    assert overflow_from(fl.get_format("float64")) == math.inf
    assert fl.inspect(np.array([1.7e308, 5e-324]), "float64", "none").outcomes[0].share("lost") == 0.0


@pytest.mark.parametrize("fmt", ["fp16", "e4m3", "e5m2", "fp4"])
def test_no_power_of_two_has_less_noise_than_the_best(fmt):
    x = np.random.default_rng(2).standard_t(3, size=2000) * 1e-5
    best = fl.inspect(x, fmt, "tensor").outcomes[0]
    real = fl.inspect(x, fmt, "tensor_real").outcomes[0]
    for k in range(-3, 40):
        y = x * 2.0**k
        noise = np.sum((fl.quantize(y, fmt, overflow="saturate") - y) ** 2)
        assert 10 * np.log10(np.sum(y**2) / noise) <= best.sqnr + 0.06
    assert real.sqnr >= best.sqnr - 0.06


def test_a_format_that_needs_no_scaling_gets_none():
    assert best_power(np.random.default_rng(0).normal(size=100), fl.get_format("bf16")) == 1.0


# -- what may be looked at -----------------------------------------------------------------------------


def test_an_array_may_lie_in_memory_as_it_likes():
    x = np.random.default_rng(3).normal(size=(6, 10)).astype(np.float32)
    expected = fl.inspect(x).to_dict()
    for dressed in (
        np.asfortranarray(x),
        np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
        x[::-1, ::-1].copy()[::-1, ::-1],
        x.astype(">f4"),
        x.astype(np.float64),
        fl.array(x, "fp32"),
        fl.Tensor(x),
        x.tolist(),
    ):
        assert_alike(expected, fl.inspect(dressed).to_dict())


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float4_e2m1fn]
)
def test_small_types_are_floats(dtype):
    x = np.array([0.5, -1.5, 6.0], dtype)
    (tensor,) = fl.inspect(x, "e5m2", "none").tensors
    assert tensor.largest == 6.0 and tensor.smallest == 0.5 and tensor.outcomes[0].nonzero == 3


def test_integers_are_listed_and_not_measured():
    report = fl.inspect(
        {"w": np.ones((2, 2)), "ids": np.arange(5), "mask": np.ones(3, bool), "z": np.ones(1) * 1j}
    )
    notes = {tensor.name: tensor.note for tensor in report.tensors}
    assert notes == {"w": "", "ids": "not floats", "mask": "not floats", "z": "not floats"}
    assert "not floats" in str(report) and report.recommend().format == "float8_e4m3fn"


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="a long double is a float64 here")
def test_a_long_double_is_not_read_because_no_float64_holds_it():
    assert fl.inspect(np.ones(3, np.longdouble)).tensors[0].note == "not read"


def test_scalars_empty_tensors_and_numbers_have_a_row():
    for x, size in (
        (np.float32(0.1), 1),
        (0.1, 1),
        (np.array(2.5), 1),
        (np.zeros((3, 0)), 0),
        ([0.1, 0.2], 2),
    ):
        (tensor,) = fl.inspect(x).tensors
        assert tensor.elements == size and len(tensor.outcomes) in (8, 12)


def test_models_and_nested_dictionaries_have_dotted_names():
    model = fl.nn.Sequential(fl.nn.Linear(3, 2, rng=0), fl.nn.Linear(2, 1, rng=0))
    names = [tensor.name for tensor in fl.inspect({"model": model}, sort="file").tensors]
    assert names == ["model.0.weight", "model.0.bias", "model.1.weight", "model.1.bias"]


@pytest.mark.parametrize(
    "x", [None, {"a": "text"}, np.array(["a"]), [Fraction(1, 3)], np.zeros(2, "M8[s]"), len]
)
def test_what_is_no_tensor_is_refused(x):
    with pytest.raises(DtypeError, match="Tensors are arrays"):
        fl.inspect(x)


@pytest.mark.parametrize(
    "options",
    [
        {"formats": "fp17"}, {"formats": ()}, {"formats": "e8m0"}, {"scaling": "chanel"}, {"scaling": ()},
        {"sample": 0}, {"sample": True}, {"sample": 1.5}, {"sort": "losst"}, {"progress": "yes"},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(options):
    with pytest.raises(FloatlabError) as caught:
        fl.inspect(np.ones(3), **options)
    assert str(caught.value).count(".") >= 2


def test_a_filter_keeps_the_tensors_of_such_names():
    tensors = {"a.weight": np.ones(2), "a.bias": np.ones(2), "b.weight": np.ones(2)}
    report = fl.inspect(tensors, filter="*.weight", sort="name")
    assert [tensor.name for tensor in report.tensors] == ["a.weight", "b.weight"]
    with pytest.raises(DataError, match=r"a\.weight"):
        fl.inspect(tensors, filter="*.Weight")


@pytest.mark.parametrize("shape", [(10_000,), (100, 100), (2, 5000), (10_000, 1)])
@pytest.mark.parametrize("count", [1, 50, 1000, 9999])
def test_a_sample_has_about_so_many_numbers_of_the_tensor(shape, count):
    x = np.arange(1.0, 10_001.0).reshape(shape)
    (tensor,) = fl.inspect(x, "fp32", "none", sample=count).tensors
    assert tensor.elements == 10_000 and tensor.shape == shape and tensor.note == "a sample"
    assert count / 2 < tensor.measured <= count
    assert tensor.smallest >= 1 and tensor.largest <= 10_000
    if count > 200:
        assert tensor.smallest < 1500 and tensor.largest > 8500  # from both ends


def test_a_bar_is_shown_when_it_is_asked_for(capfd):
    fl.inspect(np.ones(10), progress=True)
    assert capfd.readouterr().out == ""


def test_a_wrong_condition_is_refused():
    report = fl.inspect(np.ones(3))
    for wrong in (
        "lost",
        "lost>",
        "lost=1%",
        "last>1%",
        "sqnr<20%",
        "lost>1dB",
        "lost>1..2",
        "lost>1% x",
        "",
        3,
    ):
        with pytest.raises(OptionError):
            report.matching(wrong)

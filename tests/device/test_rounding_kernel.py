"""The kernels of a device, compiled for the processor, against `quantize`, `encode` and `decode` there.

Every format of the catalogue, formats of P3109, and formats that no catalogue would hold; every mode, policy and rule
for subnormal numbers; numbers of all three float types.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support import CATALOGUE, P3109_8, P3109_16, POLICIES, critical_points

import floatlab as fl
from device import loose
from device.compiler import compiler
from device.ledger import LEDGER
from floatlab.errors import FloatlabError, OverflowPolicyError
from floatlab.formats import FloatFormat
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import Rule, make_rule

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

ODD = (
    FloatFormat("max below 1", 4, 3, 20),
    FloatFormat("max near 1", 4, 3, 15),
    FloatFormat("without a mantissa", 3, 0, None, "fn"),
    FloatFormat("odd bias, one bit", 5, 0, 16, "finite"),
    FloatFormat("even bias, one bit", 5, 0, 15, "finite"),
    FloatFormat("normal numbers below float32's", 8, 2, 130),
    FloatFormat("normal numbers at float32's end", 8, 5, 127, "fn"),
    FloatFormat("normal numbers below float64's", 11, 3, 1026),
    FloatFormat("unsigned, finite", 2, 3, None, "finite", False),
    FloatFormat("unsigned, ieee", 4, 3, None, "ieee", False),
    FloatFormat("all subnormal", 1, 4, None, "finite"),
    FloatFormat("another scale", 5, 0, None, "scale", False),
    FloatFormat("wide mantissa", 3, 23),
    FloatFormat("wider mantissa", 4, 40),
)
FORMATS = (*CATALOGUE, *P3109_8[::7], *P3109_16, *ODD)
ENDS = [0.0, -0.0, np.inf, -np.inf, 5e-324, -1e-310, 2.0**-149, 1.5 * 2.0**-149, 1e-40, 3.4e38, -1e300]


def numbers(fmt: FloatFormat, dtype: type, most: int = 1500) -> np.ndarray:
    """Return numbers of a type on which a wrong rounding to a format would show."""
    rng = np.random.default_rng(fmt.bits)
    points = np.asarray(critical_points(fmt)) if fmt.bits <= 16 else between(fmt, rng)
    if points.size > most:
        points = rng.choice(points, most, replace=False)
    with np.errstate(all="ignore"):
        anywhere = rng.integers(0, 2**63, 300, np.int64).view(np.float64)
        near = rng.standard_normal(300) * fmt.max / 2
        x = np.concatenate([points, -points, near, anywhere, ENDS]).astype(dtype)
    x = x[~np.isnan(x)]
    return np.concatenate([x, np.array([np.nan, -np.nan], dtype)]) if fmt.has_nan else x


def between(fmt: FloatFormat, rng: np.random.Generator) -> np.ndarray:
    """Return numbers at and around values of a long format, and halfway and a quarter of the way to the next."""
    codes = rng.integers(0, fmt.max_code, 300, np.uint64, endpoint=True)
    codes[:3] = 0, 1, fmt.max_code
    value = fl.decode(codes.astype(fmt.code_dtype), fmt).astype(np.float64)
    with np.errstate(all="ignore"):
        points = np.concatenate([value + share * fl.ulp(value, fmt) for share in (0, 0.25, 0.5, 0.75)])
        return np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, 0)])


def rules(fmt: FloatFormat) -> list[tuple[Rule, dict]]:
    """Return every conversion to a format that is allowed, and its options."""
    found = []
    for mode, overflow, subnormals, flush in itertools.product(
        MODES, POLICIES, ("gradual", "flush"), (False, True)
    ):
        options = {
            "rounding": mode,
            "overflow": overflow,
            "subnormals": subnormals,
            "flush_inputs": flush,
        }
        try:
            found.append((make_rule(fmt, *options.values()), options))
        except FloatlabError:  # a policy that the format cannot have
            continue
    return found


def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return where bits differ; any two NaNs of one sign are alike."""
    word = f"u{a.dtype.itemsize}"
    alike = np.isnan(a) & np.isnan(b) & (np.signbit(a) == np.signbit(b))
    return (a.view(word) != b.view(word)) & ~alike


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_mode_policy_and_flush_gives_the_processors_bits(fmt):
    rng = np.random.default_rng(7)
    for dtype in (np.float32, np.float64, np.float16):
        x = numbers(fmt, dtype)
        for rule, options in rules(fmt):
            integers, bits = None, 0
            if rule.variant:
                bits = int(rng.integers(1, 49))
                integers = rng.integers(0, 1 << bits, x.size, np.uint64)
                options = options | {"random_bits": bits, "random_integers": integers}
            values, codes = loose.rounded(x, rule, integers, bits)
            expected = fl.quantize(x, fmt, out=np.empty(x.shape, values.dtype), **options)
            wrong = differ(values, expected)
            assert not wrong.any(), (options, x[wrong][:3], values[wrong][:3], expected[wrong][:3])
            assert np.array_equal(codes, fl.encode(x, fmt, **options)), options


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_code_is_decoded(fmt):
    rng = np.random.default_rng(3)
    if fmt.bits <= 16:
        codes = np.arange(1 << fmt.bits, dtype=np.uint64)
    else:
        ends = [fmt.max_code, fmt.inf_code or 0, fmt.nan_code or 0, fmt.sign_mask, 0, 1]
        codes = np.append(rng.integers(0, 1 << fmt.bits, 5000, np.uint64), np.array(ends, np.uint64))
    values = loose.decoded(codes, make_rule(fmt, "nearest_even", None, "gradual", False))
    expected = fl.decode(codes.astype(fmt.code_dtype), fmt)
    assert not differ(values, expected).any()


@pytest.mark.parametrize("shift", (0, 1))
@pytest.mark.parametrize("size", (1, 3, 4, 5, 63, 1000, 1001))
def test_arrays_in_one_piece_are_rounded_like_strided_ones(cupy, size, shift):
    rng = np.random.default_rng(size)
    for dtype, fmt, mode in (
        (np.float32, "e4m3", "nearest_even"),
        (np.float64, "fp16", "stochastic"),
        (np.float16, "e5m2", "to_odd"),
        (np.float32, "fp64", "stochastic_b"),
        (np.float32, "fp4", "stochastic"),
    ):
        x = rng.standard_normal(size + shift).astype(dtype)[shift:]  # not where four numbers begin
        options = {"rounding": mode}
        if mode.startswith("stochastic"):
            options["random_integers"] = rng.integers(0, 1 << 16, size, np.uint16)
        there = cupy.asarray(x)
        beside = cupy.asarray(np.repeat(x, 2))[::2]
        for device in (there, beside):
            result, codes = fl.quantize(device, fmt, **options), fl.encode(device, fmt, **options)
            assert not differ(result.get(), fl.quantize(x, fmt, **options)).any()
            assert np.array_equal(codes.get(), fl.encode(x, fmt, **options))


def test_one_launch_and_no_reading_round_an_array(cupy):
    x = cupy.asarray(np.random.default_rng(0).standard_normal((30, 40)).astype(np.float32))
    for fmt in ("fp16", "bf16", "e4m3", "e8m0", "fp64"):
        for given in (x, x[::2, 1:]):
            before = LEDGER.launches.total(), LEDGER.readings.total()
            fl.quantize(abs(given) if fmt == "e8m0" else given, fmt)
            assert LEDGER.launches.total() - before[0] == 1 + (fmt == "e8m0")
            assert LEDGER.readings.total() == before[1], fmt


@pytest.mark.parametrize("place", (0, 6, 7))
def test_a_nan_is_found_where_a_format_has_none(cupy, place):
    x = np.arange(8, dtype=np.float32)
    fl.quantize(cupy.asarray(x), "fp4")
    x[place] = np.nan
    for given in (cupy.asarray(x), cupy.asarray(np.repeat(x, 2))[::2]):
        for function in (fl.quantize, fl.encode):
            with pytest.raises(OverflowPolicyError, match="Got 1 NaN"):
                function(given, "fp4")


def test_the_generator_moves_on_as_if_it_had_drawn_here(cupy):
    x = np.random.default_rng(1).standard_normal(1003).astype(np.float32)
    for kind in (np.random.PCG64, np.random.Philox):
        here, there = np.random.Generator(kind(5)), np.random.Generator(kind(5))
        (
            here.integers(0, 2**32, 1, np.uint32),
            there.integers(0, 2**32, 1, np.uint32),
        )  # half a word is kept back
        for bits in (1, 16, 17, 40):
            expected = fl.quantize(x, "e4m3", rounding="stochastic", rng=here, random_bits=bits)
            result = fl.quantize(cupy.asarray(x), "e4m3", rounding="stochastic", rng=there, random_bits=bits)
            assert np.array_equal(result.get(), expected)
        assert np.array_equal(here.random(5), there.random(5))
        assert (
            here.integers(0, 2**32, 3, np.uint32).tolist() == there.integers(0, 2**32, 3, np.uint32).tolist()
        )

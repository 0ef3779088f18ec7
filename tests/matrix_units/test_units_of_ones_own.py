"""Units of one's own, far from any chip: against the definition in fractions, written down once more."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import FormatError, OptionError, OverflowPolicyError
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.tiles import chain_in_tiles


def exponent(x, fmt):
    """floor(log2 |x|), at least the format's smallest."""
    size = abs(Fraction(x))
    e = size.numerator.bit_length() - size.denominator.bit_length()
    return max(e - (Fraction(2) ** e > size), fmt.emin)


def defined(a, b, c, formats, how):
    """The sum of one row and one column, block by block."""
    for start in range(0, len(a), how.block):
        pairs = list(zip(a[start : start + how.block], b[start : start + how.block], strict=True))
        terms = [
            (exponent(x, formats[0]) + exponent(y, formats[1]), Fraction(x) * Fraction(y))
            for x, y in pairs
            if x * y
        ]
        terms += [(exponent(c, how.register), Fraction(c))] if c else []
        unit = Fraction(2) ** (max([e for e, _ in terms] + [how.zero_exponent]) - how.fraction_bits)
        total = sum(math.trunc(term / unit) for _, term in terms) * unit
        if not total:
            c = 0.0
            continue
        step = Fraction(2) ** (exponent(total, how.kept) - how.kept.precision + 1)
        c = float(math.trunc(total / step) * step)
        if abs(c) >= 2.0 ** (how.kept.emax + 1):
            c = math.copysign(math.inf, c)
    return c


def product(how, a, b, formats, c=None):
    """The unit's, through `floatlab.matmul`."""
    return fl.matmul(a, b, "fp32", unit=fl.MatrixUnit("own", [how]), formats=formats, bias=c, bias_first=True)


# -- what tiles are not for ------------------------------------------------------------------------------------


def test_a_narrow_register_behind_a_float32_overflows_and_underflows_as_itself():
    how = Aligned("fp16", 4, fraction_bits=25, kept="fp16")
    big, small = np.array([[256.0, 1.0]]), np.array([[2.0**-12, 2.0**-13]])
    assert product(how, big, big.T, ("fp16", "fp16")).item() == math.inf
    assert product(how, small, small.T, ("fp16", "fp16")).item() == 2.0**-24  # 1.25 times that, cut
    assert product(how, small / 8, small.T, ("fp16", "fp16")).item() == 0.0


@pytest.mark.parametrize("zero", [3, 0])
def test_an_exponent_of_zeros_that_is_high_cuts_all_that_lies_below(zero):
    how = Aligned("fp16", 4, fraction_bits=2, zero_exponent=zero)
    a = np.array([[1.0, 0.5]])
    wanted = defined(a[0].tolist(), [1.0, 1.0], 0.0, how.operands * 2, how)
    assert product(how, a, np.ones((2, 1)), ("fp16", "fp16")).item() == wanted
    assert wanted == {3: 0.0, 0: 1.5}[zero]


def test_numbers_below_the_normal_ones_of_float32_are_no_zeros():
    how = Aligned((), 16, fraction_bits=25)
    assert product(how, [[2.0**-127]], [[2.0**-9]], ("e8m0", "e4m3")).item() == 2.0**-136
    wide = fl.matmul(
        [[2.0**-200]], [[2.0**100]], "fp32", unit=fl.MatrixUnit("own", [how]), formats=("e9m6", "e9m6")
    )
    assert wide.item() == 2.0**-100


@pytest.mark.parametrize("operand", ["e9m2", "e8m7b140", "e8m7b120", "e8m3fn"])
def test_exponents_that_float32_lacks_are_those_of_the_format(operand):
    fmt = fl.get_format(operand)
    rng = np.random.default_rng(3)
    how = Aligned((), 3, fraction_bits=20)
    shifts = rng.integers(max(fmt.emin, -80), -20, (4, 7))
    a = fl.quantize(np.ldexp(rng.standard_normal((4, 7)), shifts), fmt).astype(float)
    a[1], b = [fmt.smallest_subnormal] * 7, fl.quantize(rng.standard_normal((7, 3)), fmt).astype(float)
    b[:, 2] = min(fmt.max, 2.0**127)
    made = product(how, a, b, (fmt, fmt))
    for i in range(4):
        for j in range(3):
            assert made[i, j] == defined(a[i].tolist(), b[:, j].tolist(), 0.0, (fmt, fmt), how)


def test_an_instruction_that_adds_in_its_own_way_is_not_computed_in_another():
    class Doubled(Aligned):
        def add(self, a, b, c, formats):
            return 2 * super().add(a, b, c, formats)

    assert product(Doubled("fp16", 4, fraction_bits=25), [[1.0]], [[1.0]], ("fp16", "fp16")).item() == 2.0


# -- tiles and definition --------------------------------------------------------------------------------------

PAIRS = [
    ("fp16", "e4m3"),
    ("e4m3b20", "bf16"),
    ("tf32", "e8m11"),
    ("e5m2", "e2m1"),
    ("e7m4", "e5m2fnuz"),
    ("fp16", "tf32"),
]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_tiles_of_two_formats_are_the_definition(pair):
    rng = np.random.default_rng(sum(map(ord, "".join(pair))))
    formats = tuple(map(fl.get_format, pair))
    for bits, block, kept in (
        (25, 16, None),
        (27, 3, "e8m13"),
        (1, 129, "e8m1"),
        (13, 200, "e8m13"),
        (26, 33, None),
    ):
        how = Aligned((), block, fraction_bits=bits, kept=kept)
        length = block + 5

        def matrix(shape, fmt, rng=rng):
            low, high = max(fmt.etiny, -45), min(fmt.emax, 40)
            x = np.ldexp(rng.standard_normal(shape), rng.integers(low, high, shape))
            return fl.quantize(np.where(rng.random(shape) < 0.4, 0.0, x), fmt, overflow="saturate").astype(
                float
            )

        a, b = matrix((3, length), formats[0]), matrix((length, 2), formats[1])
        c = np.ldexp(
            rng.choice([1.0, -1.25, 1 + 2.0**-23, 0.0], (3, 2)),
            rng.choice([-149, -120, -101, 0, 60, 99], (3, 2)),
        )
        made = chain_in_tiles(how, a, b, fl.quantize(c, "fp32").astype(float), formats)
        assert made is not None
        for i in range(3):
            for j in range(2):
                start = float(fl.quantize(c[i, j], "fp32"))
                assert made[i, j] == defined(a[i].tolist(), b[:, j].tolist(), start, formats, how)


# -- what a unit cannot be -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Aligned("fp16", 4, "fp64"), OptionError, "values of float32"),
        (lambda: Aligned("fp16", 4, kept="fp64"), OptionError, "values of float32"),
        (lambda: Aligned("fp16", 4, "fp16", kept="bf16"), OptionError, "values of float16"),
        (lambda: Aligned("fp16", 4, kept="e8m0"), OptionError, "signed"),
        (lambda: Aligned("fp16", 4, kept="e4m3"), OverflowPolicyError, "infinity"),
        (lambda: Aligned("fp64", 4), OptionError, "26 bits"),
        (lambda: Aligned("fp16", 4, zero_exponent=-1.5), OptionError, "zero_exponent"),
        (lambda: fl.MatrixUnit("own", fraction_bits=40, block=2048), OptionError, "at most 2047"),
        (lambda: fl.MatrixUnit("own", [3]), OptionError, "list of Instruction"),
        (lambda: fl.MatrixUnit("own", 3), OptionError, "list of Instruction"),
        (
            lambda: fl.MatrixUnit("own", fl.get_unit("h100").instructions, rounding="to_odd"),
            OptionError,
            "belong",
        ),
        (
            lambda: fl.MatrixUnit("own", fl.get_unit("h100").instructions, operands="fp16"),
            OptionError,
            "belong",
        ),
    ],
)
def test_a_unit_that_could_not_be_computed_is_not_made(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_longest_block_of_the_most_bits_is_exact():
    how = fl.MatrixUnit("own", fraction_bits=40, block=2047).instructions[0]
    a = np.full((1, 2047), 2 - 2.0**-7)
    assert product(how, a, a.T, ("bf16", "bf16")).item() == defined(
        a[0].tolist(), a[0].tolist(), 0.0, how.operands or (fl.get_format("bf16"),) * 2, how
    )


def test_operands_whose_products_float64_lacks_are_refused_by_a_unit_of_any_formats():
    unit = fl.MatrixUnit("own", fraction_bits=25, block=16)
    assert fl.matmul([[1.5]], [[1 / 4]], "fp32", unit=unit, formats=("fp32", "fp32")).item() == 0.375
    for fmt in ("fp64", "e11m6"):
        with pytest.raises(FormatError, match="up to 26 bits"):
            fl.matmul([[1.0]], [[1.0]], "fp32", unit=unit, formats=(fmt, fmt))


def test_numbers_of_a_unit_may_be_numpys():
    made = fl.MatrixUnit("own", fraction_bits=np.int64(25), block=np.uint8(16))
    assert made == fl.MatrixUnit("own", fraction_bits=25, block=16)


def test_operands_of_a_unit_of_ones_own_may_be_one_text():
    unit = fl.MatrixUnit("own", fraction_bits=25, block=16, operands="fp16")
    assert unit.multiplied() == (fl.get_format("fp16"),)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0, 3, 4), (4, 5)),
        ((2, 0, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 0)),
        ((2, 1, 3, 4), (0, 4, 2)),
        ((2, 3, 0), (2, 0, 4)),
        ((2, 3, 0), (0, 4)),
    ],
)
def test_stacks_without_elements_have_the_shape_of_numpys_product(a, b):
    x, y = np.ones(a), np.ones(b)
    made = fl.matmul(x, y, "fp32", unit="h100", formats=("fp16", "fp16"))
    assert made.shape == (x @ y).shape and not made.any()

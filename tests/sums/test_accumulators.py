"""Sums in a named order and width, against scalar sums in exact arithmetic and against published numbers."""

import math

import numpy as np
import pytest
from support import DETERMINISTIC, STOCHASTIC, bits64

from floatlab import reference
from floatlab.errors import FloatlabError, FormatError, OptionError, OverflowPolicyError
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums import accumulators
from floatlab.sums.accumulators import Chunked, Exact, Kahan, Pairwise, Sequential, Wide
from floatlab.sums.matmul import matmul
from floatlab.sums.matmul import sum as sum_of
from floatlab.sums.names import get_accumulator
from floatlab.sums.terms import Terms
from floatlab.verify.loops import Draws, Loops, products

# -- names -------------------------------------------------------------------------------------------

NAMED = {
    "wide": Wide(),
    "exact": Exact(),
    "fp16": Sequential("fp16"),
    "sequential:fp16": Sequential("fp16"),
    "E6M9": Sequential("e6m9"),
    "pairwise:bf16": Pairwise("bf16"),
    "kahan:e4m3": Kahan("e4m3"),
    "chunked:fp16:fp32:16": Chunked("fp16", "fp32", 16),
    "chunked:fp16:fp32": Chunked("fp16", "fp32"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_stands_for_its_accumulator_and_the_accumulator_says_its_name(name):
    assert get_accumulator(name) == NAMED[name]
    assert get_accumulator(str(NAMED[name])) == NAMED[name]
    assert get_accumulator(NAMED[name]) is NAMED[name]


def test_a_format_stands_for_sequential_accumulation():
    assert get_accumulator(get_format("bf16")) == Sequential(get_format("bfloat16"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("wyde", 'Did you mean "wide"'),
        ("pairwse:fp16", 'Did you mean "pairwise"'),
        ("float17", 'Did you mean "float16"'),
        ("pairwise", "pairwise is followed by: format"),
        ("wide:fp16", "wide is followed by: nothing"),
        ("chunked:fp16", 'Write it as "chunked:fp16:fp32:64"'),
        ("chunked:fp16:fp32:64:2", "inner, outer, size"),
        ("chunked:fp16:fp32:0", "at least one term"),
        ("chunked:fp16:fp32:many", "at least one term"),
        ("chunked:fp16:fp32:-1", "at least one term"),
        ("kahan:fp17", "fp17"),
        ("", "An accumulator is"),
        (None, "An accumulator is"),
        (16, "An accumulator is"),
    ],
)
def test_a_wrong_name_is_answered_with_a_right_one(wrong, says):
    with pytest.raises(FloatlabError, match=says):
        get_accumulator(wrong)


def test_an_accumulator_checks_its_parts():
    with pytest.raises(OptionError):
        Chunked("fp16", "fp32", 1.5)
    with pytest.raises(OptionError):
        Chunked("fp16", "fp32", True)
    with pytest.raises(FormatError):
        Kahan("nothing")


# -- the scalar oracle ---------------------------------------------------------------------------------


def scalar_sum(how, terms, rounding="nearest_even"):
    """Add exact terms (reference numbers) as the accumulator `how` should, one at a time."""

    def add(fmt, x, y):
        return reference.add(x, y, fmt, rounding=rounding).value

    def once(fmt, x):
        return reference.round(x, fmt, rounding).value

    def in_order(fmt, row):
        total = once(fmt, row[0])
        for term in row[1:]:
            total = add(fmt, total, term)
        return total

    match how:
        case Sequential(fmt):
            return in_order(fmt, terms)
        case Pairwise(fmt):
            while len(terms) > 1:
                pairs = [add(fmt, *terms[i : i + 2]) for i in range(0, len(terms) - 1, 2)]
                terms = pairs + terms[2 * len(pairs) :]
            return once(fmt, terms[0])
        case Chunked(inner, outer, size):
            chunks = [in_order(inner, terms[i : i + size]) for i in range(0, len(terms), size)]
            return in_order(outer, chunks)
        case Kahan(fmt):
            total, excess = once(fmt, terms[0]), reference.exact(0.0)
            for term in terms[1:]:
                y = reference.subtract(term, excess, fmt, rounding=rounding).value
                new = add(fmt, total, y)
                gained = reference.subtract(new, total, fmt, rounding=rounding).value
                excess = reference.subtract(gained, y, fmt, rounding=rounding).value
                total = new
            return total


def assert_matmul_is_scalar(how, a, b, fmt, rounding="nearest_even"):
    fmt = get_format(fmt)
    got = matmul(a, b, fmt, accumulator=how, rounding=rounding)
    for i, j in np.ndindex(got.shape):
        total = scalar_sum(how, products(a[i], b[:, j]), rounding)
        wanted = np.float64(reference.to_float(reference.round(total, fmt, rounding).value))
        np.testing.assert_array_equal(got[i, j], wanted)
        if not np.isnan(wanted):
            assert np.signbit(got[i, j]) == np.signbit(wanted), (i, j, wanted)


def wild(rng, shape, fmt, lowest=-12, highest=4):
    """Values of a format over a wide range of exponents, with zeros of both signs."""
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(lowest, highest, shape)
    return quantize(np.where(rng.random(shape) < 0.1, rng.choice([0.0, -0.0], shape), x), fmt)


ORDERS = ["sequential:{0}", "pairwise:{0}", "kahan:{0}", "chunked:{0}:fp32:3", "chunked:{0}:{0}:4"]


@pytest.fixture(params=["arrays", "floats"])
def way(request, monkeypatch):
    """Run a test with arrays of partial sums, and with Python floats."""
    monkeypatch.setattr(accumulators, "_FEW_ROWS", {"arrays": -1, "floats": 1 << 30}[request.param])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "e5m2", "fp32", "tf32", "e5m2fnuz", "e8m30", "e2m1"])
def test_every_partial_sum_is_rounded_once(order, fmt):
    how = get_accumulator(order.format(fmt))
    rng = np.random.default_rng(3)
    a, b = wild(rng, (3, 10), "fp16"), wild(rng, (10, 4), "fp16")
    if fmt in ("e4m3", "e2m1"):
        a, b = a / 8, b / 8  # stay below the largest value
    assert_matmul_is_scalar(how, a, b, "fp32")
    assert_matmul_is_scalar(how, a, b, fmt)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_partial_sums_are_rounded_in_every_mode(order, rounding):
    rng = np.random.default_rng(4)
    a, b = wild(rng, (3, 9), "fp16"), wild(rng, (9, 3), "fp16")
    a[0] = np.concatenate([[3.0, -3.0], np.zeros(7)])  # cancels, and adds zeros
    b[:2, 0] = 5.0
    assert_matmul_is_scalar(get_accumulator(order.format("fp16")), a, b, "fp16", rounding)


@pytest.mark.usefixtures("way")
def test_a_sum_that_needs_more_than_float64_is_still_rounded_once():
    # 1 + 2^-10 is odd in float16. The product is 2^-11 - 2^-57, just short of half a unit; rounded to float64
    # the sum would be a tie, and go up to 1 + 2^-9.
    a = np.array([[1.0, 1.0 + 2.0**-23]])
    b = np.array([[1.0 + 2.0**-10], [2.0**-11 * (1.0 - 2.0**-23)]])
    for order in ("fp16", "pairwise:fp16", "chunked:fp16:fp16:2"):
        assert matmul(a, b, "fp16", accumulator=order) == 1.0 + 2.0**-10
    # The same in float32 beside a partial sum, 8, that is much larger than any term.
    terms = [*[1.0] * 8, 2.0**-20, 2.0**-21 - 2.0**-52]
    assert sum_of(terms, "fp32", accumulator="fp32") == 8.0 + 2.0**-20


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("order", ["sequential:fp16", "pairwise:fp16", "chunked:fp16:fp32:3"])
def test_overflow_and_nan_pass_through_partial_sums(order):
    how = get_accumulator(order)
    a = np.array([[65504.0, 65504.0, -65504.0, 1.0], [np.inf, 1.0, 1.0, -np.inf], [1.0, np.nan, 1.0, 1.0]])
    b = np.array([[1.0], [1.0], [1.0], [1.0]])
    assert_matmul_is_scalar(how, a, b, "fp16")
    saturated = matmul(a[:1], b, "fp16", accumulator="fp16", overflow="saturate")
    assert saturated == 1.0  # 65504 + 65504 stays 65504


def test_infinity_turns_a_compensated_sum_into_nan_as_on_hardware():
    assert np.isnan(matmul([[65504.0, 65504.0, 1.0]], np.ones((3, 1)), "fp16", accumulator="kahan:fp16"))


@pytest.mark.parametrize("order", ORDERS)
def test_blocks_change_no_bit(monkeypatch, order):
    how = get_accumulator(order.format("bf16"))
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((7, 29)), rng.standard_normal((29, 5))
    whole = matmul(a, b, "fp32", accumulator=how)
    monkeypatch.setattr(accumulators, "_BLOCK", 40)
    assert matmul(a, b, "fp32", accumulator=how).tobytes() == whole.tobytes()


@pytest.mark.parametrize("together", [1, 5, 11, 34])
def test_some_rows_after_the_other_change_no_bit_and_no_draw(monkeypatch, together):
    rng = np.random.default_rng(6)
    a, b, bias = rng.standard_normal((2, 7, 29)), rng.standard_normal((29, 5)), rng.standard_normal((2, 7, 5))
    far = a * 2.0 ** rng.choice([-600, 500], a.shape)  # products beyond float64, as fractions

    def results():
        draws = np.random.default_rng(1)
        yield matmul(a, b, "fp16", accumulator="bf16", rounding="stochastic", rng=draws)
        for rounding in ("nearest_even", "toward_negative"):
            for x, y, more in (
                (a, b, None),
                (a, b, bias),
                (a[0], b, bias[0, 0]),
                (a[:, :1], b, None),
                (far[0], b * 2.0**600, None),
            ):
                yield matmul(x, y, "fp32", accumulator="fp16", rounding=rounding, bias=more)

    whole = [x.tobytes() for x in results()]
    monkeypatch.setattr(accumulators, "_TOGETHER", together)
    assert [x.tobytes() for x in results()] == whole


def test_stacks_accumulate_as_their_matrices_do():
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, 1, 3, 9)), rng.standard_normal((4, 9, 2))
    for order in ORDERS:
        name = order.format("fp16")
        got = matmul(a, b, "fp16", accumulator=name)
        assert got.shape == (2, 4, 3, 2)
        for i, j in np.ndindex(2, 4):
            np.testing.assert_array_equal(got[i, j], matmul(a[i, 0], b[j], "fp16", accumulator=name))


def test_the_bias_is_the_first_term():
    a, b = np.full((1, 4), 1.0), np.ones((4, 1))
    assert matmul(a, b, "fp16", accumulator="fp16", bias=[[2048.0]]) == 2048.0  # 1 is lost four times
    assert matmul(a, b, "fp16", accumulator="pairwise:fp16", bias=[[2048.0]]) == 2052.0
    assert matmul(a, b, "fp16", bias=[[2048.0]]) == 2052.0
    with_bias = matmul(a, b, "fp16", accumulator="chunked:fp16:fp16:2", bias=[[2048.0]])
    assert with_bias == 2052.0  # (2048 + 1) + (1 + 1) + 1: 2048, then 2050, then a tie to 2052


def test_products_are_rounded_first_on_request():
    a = np.array([[1.0 + 2.0**-10, 1.0]])
    b = np.array([[1.0 + 2.0**-10], [-(1.0 + 2.0**-9)]])
    assert matmul(a, b, "fp32", accumulator="fp32") == 2.0**-20
    assert matmul(a, b, "fp32", accumulator="fp32", product_format="fp16") == 0.0


def test_stochastic_partial_sums_follow_the_generator():
    x = np.full(4096, 1.0)
    once = sum_of(x, "bf16", accumulator="bf16", rounding="stochastic", rng=np.random.default_rng(0))
    again = sum_of(x, "bf16", accumulator="bf16", rounding="stochastic", rng=np.random.default_rng(0))
    assert once == again
    assert 3000 < once < 5200  # nearest-even stays at 256


def test_float64_partial_sums_are_those_of_a_plain_loop():
    rng = np.random.default_rng(8)
    a, b = rng.standard_normal((3, 50)), rng.standard_normal((50, 4))
    total = np.zeros((3, 4))
    for k in range(50):
        total += a[:, k, None] * b[k]
    np.testing.assert_array_equal(matmul(a, b, "fp64", accumulator="fp64"), total)
    np.testing.assert_array_equal(matmul(a, b, "fp64"), total)
    with pytest.raises(OptionError, match="at most 51 bits"):
        matmul(a, b, "fp64", accumulator="fp64", rounding="toward_zero")


# -- how far partial sums reach ------------------------------------------------------------------------


EVERY_ORDER = ["{0}", "pairwise:{0}", "kahan:{0}", "chunked:{0}:{0}:2", "chunked:{0}:fp32:3"]


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_terms_far_below_the_smallest_value_count_in_directed_modes(order):
    for fmt, tiny, n in (
        ("e4m3", 1e-30, 3),
        ("fp16", 2.0**-80, 9),
        ("e2m1", 1e-300, 4),
        ("e4m3fnuz", 1e-9, 5),
    ):
        how = get_accumulator(order.format(fmt))
        for x in (np.full((1, n), tiny), np.full((1, n), -tiny), np.array([[1.0] + [tiny] * (n - 1)])):
            for rounding in ("toward_positive", "toward_negative", "to_odd", "toward_zero"):
                assert_matmul_is_scalar(how, x, np.ones((n, 1)), "fp32", rounding)
                assert_matmul_is_scalar(how, x[:, :], np.full((n, 1), 2.0**-60), "fp32", rounding)


def test_three_tiny_terms_are_three_smallest_values_toward_positive():
    for accumulator, times in (
        ("e4m3", 3),
        ("pairwise:e4m3", 2),
        ("kahan:e4m3", 3),
        ("chunked:e4m3:e4m3:2", 3),
    ):
        got = sum_of([1e-30] * 3, "e4m3", accumulator=accumulator, rounding="toward_positive")
        assert got == times * 2.0**-9, (
            accumulator
        )  # pairwise, the third waits and is added to the sum of two, 2^-9
    assert (
        matmul([[1e-15] * 3], [[1e-15]] * 3, "e4m3", accumulator="e4m3", rounding="toward_positive")
        == 3 * 2.0**-9
    )


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_a_saturated_or_flushed_partial_sum_is_followed_by_exact_additions(order):
    how = get_accumulator(order.format("e4m3"))
    x = np.array([[440.0, 440.0, 2.0**-30, -448.0, 2.0**-9, 2.0**-30, -(2.0**-40)]])
    for options in (
        {"overflow": "saturate"},
        {"subnormals": "flush"},
        {"overflow": "saturate", "subnormals": "flush"},
    ):
        for rounding in ("nearest_even", "toward_positive", "toward_negative", "to_odd"):
            assert_sums_are_those_of_loops(how, x, "fp32", rounding=rounding, **options)


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("random_bits", [1, 16, 29, 48])
def test_stochastic_partial_sums_look_at_every_random_bit_of_the_exact_sum(rounding, random_bits):
    # 1 + 2^-30 is 2^-7 of a unit of float32 above 1: with 48 bits, its last bits and R decide.
    rng = np.random.default_rng(random_bits)
    x = np.array([[1.0, 2.0**-30, 2.0**-68, -(2.0**-25), 3 * 2.0**-70]] * 3) * rng.choice([1, 3, 5], (3, 5))
    for how in (Sequential("fp32"), Pairwise("fp32"), Kahan("fp32"), Chunked("fp32", "fp16", 2)):
        for _ in range(5):
            assert_sums_are_those_of_loops(
                how, x, "fp32", rounding=rounding, random_bits=random_bits, rng=rng
            )


def assert_sums_are_those_of_loops(how, x, fmt, rng=None, random_bits=None, **options):
    seed = None if rng is None else int(rng.integers(1 << 30))
    draws = None if rng is None else Draws(np.random.default_rng(seed), random_bits)
    given = {"rng": None if rng is None else np.random.default_rng(seed), "random_bits": random_bits}
    got = sum_of(x, fmt, axis=1, accumulator=how, **options, **given)
    kind = (type(how).__name__.lower(), *(getattr(how, name) for name in how.__dataclass_fields__))
    rows = [[reference.exact(v) for v in row] for row in x.tolist()]
    wanted = [reference.to_float(r.value) for r in Loops(options, draws).sums(kind, rows, get_format(fmt))]
    np.testing.assert_array_equal(bits64(got, False), bits64(np.array(wanted), False), str((how, options)))


def test_float64_claims_to_be_exact_only_where_every_sum_on_the_way_is():
    """Against all values that can meet: the largest partial sum plus the largest term, in units of the smallest."""
    fmt = get_format("fp16")
    ones, tiny = np.ones((1, 3)), np.full((3, 1), 2.0**-90)
    assert Terms(ones, np.ones((3, 1))).adds_exactly(fmt)
    assert not Terms(ones, tiny).adds_exactly(fmt)  # a sum may be 2^-24, which is 2^66 terms
    assert not Terms(ones, np.ones((3, 1)), np.full((1, 1), 2.0**-50)).adds_exactly(fmt)
    assert not Terms(ones, np.ones((3, 1)), round_product=np.sqrt).adds_exactly(fmt)
    long = Terms(np.ones((1, 1000)), np.full((1000, 1), 2.0**-38))  # up to 3000 (2^-38 + 2^-21)
    assert long.adds_exactly(fmt)
    assert not long.adds_exactly(get_format("e5m11")) or long.count <= 2**11
    for value in (np.inf, np.nan):
        assert not Terms(np.array([[value, 0.0]]), np.ones((2, 1))).adds_exactly(fmt)


def test_a_partial_sum_grows_to_many_times_its_terms_before_a_tiny_term_comes():
    # The terms are at most 1 in size, their sum 298: what float64 can add to that is asked of the sums, not the terms.
    x = np.ones((1, 300))
    x[0, -2:] = 2.0**-43 + 2.0**-52, -(2.0**-44)
    for order in ("fp32", "pairwise:fp32", "kahan:fp32", "e8m30"):
        for rounding in ("toward_positive", "nearest_even"):
            assert_sums_are_those_of_loops(get_accumulator(order), x, "e8m30", rounding=rounding)


def test_products_that_are_rounded_first_are_no_longer_multiples_of_the_operands_unit():
    # In bfloat16 the product (1 + 2^-7)^2 becomes 1 + 2^-6; in fp16 2^-30 becomes 2^-24 toward_positive.
    a = np.array([[1.0 + 2.0**-7, 2.0**-15, 1.0]])
    b = np.array([[1.0 + 2.0**-7], [2.0**-15], [2.0**-20]])
    for rounding in ("nearest_even", "toward_positive"):
        got = matmul(a, b, "fp32", accumulator="fp32", product_format="fp16", rounding=rounding)
        total = None
        for x, y in zip(a[0], b[:, 0], strict=True):
            term = reference.multiply(x, y, get_format("fp16"), rounding=rounding).value
            total = (
                term
                if total is None
                else reference.add(total, term, get_format("fp32"), rounding=rounding).value
            )
        assert got == reference.to_float(total)


# -- the ends of float64 ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("order", EVERY_ORDER)
@pytest.mark.parametrize("fmt", ["fp16", "e4m3", "bf16", "e11m50", "e11m20", "e4m3fnuz", "e2m1"])
def test_nan_and_infinity_among_few_rows_are_summed_as_in_arrays(order, fmt):
    how = get_accumulator(order.format(fmt))
    rows = [
        [1.0, np.nan, 3.0],
        [np.inf, 1.0, -1.0],
        [np.inf, -np.inf, 1.0],
        [-0.0, -0.0, -0.0],
        [0.0, -0.0, np.nan],
    ]
    for row in rows:
        if fmt == "e2m1" and not np.isfinite(row).all():
            with pytest.raises(OverflowPolicyError, match="no code for NaN"):
                sum_of([np.nan, *row], fmt, accumulator=how)
        else:
            assert_sums_are_those_of_loops(how, np.array([row]), "fp32")


def test_a_nan_beside_what_float64_cannot_add_exactly_is_a_nan():
    for order in ("fp32", "kahan:fp32", "pairwise:fp32"):
        assert np.isnan(sum_of([1.0, np.nan, 2.0**-60], "fp32", accumulator=order))
        assert np.isnan(
            sum_of(np.array([[1.0, np.nan], [2.0**-60, 1e30]]), "fp32", axis=0, accumulator=order)[1]
        )


@pytest.mark.parametrize("order", EVERY_ORDER)
@pytest.mark.parametrize("fmt", ["e11m50", "e11m20", "e11m3b1024fn", "e10m30b1"])
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_partial_sums_near_the_top_of_float64_overflow_as_the_mode_says(order, fmt, rounding):
    how, big = get_accumulator(order.replace("fp32", "e11m40").format(fmt)), get_format(fmt).max
    top = np.finfo(np.float64).max
    for row in (
        [2.0**899, 2.0**899, 1.0], [2.0**960, -(2.0**960), 3.0], [big, big / 2, -big], [-big, -big, big],
        [big, big * 2.0**-55, -1.0], [top, 2.0**970, -(2.0**1023)], [-top, -top, 2.0**1023], [2.0**1023] * 3,
    ):  # fmt: skip
        for overflow in (None, "saturate", "nan"):
            assert_sums_are_those_of_loops(
                how, np.array([row]), "e11m40", rounding=rounding, overflow=overflow
            )


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_products_beyond_the_ends_of_float64_are_the_exact_ones(order):
    how = get_accumulator(order.format("e10m10"))
    a = np.array([[2.0**-600, 1.0, 2.0**600, -(2.0**600), 3 * 2.0**-560]])
    b = np.array([[2.0**-600], [2.0**-400], [2.0**600], [2.0**600], [2.0**-560]])
    for rounding in ("nearest_even", "toward_positive", "toward_negative", "to_odd", "toward_zero"):
        for rows in ([0, 1, 4], [0, 1], [4, 1, 0, 0], [2, 3, 1], [2], [1, 3]):
            for bias in (None, [[0.0]], [[-(2.0**-400)]]):
                got = matmul(
                    a[:, rows],
                    b[rows],
                    "e10m10",
                    accumulator=how,
                    rounding=rounding,
                    bias=bias,
                    overflow="saturate",
                )
                terms = [reference.exact(bias[0][0])] if bias else []
                terms += products(a[0, rows].tolist(), b[rows, 0].tolist())
                kind = (
                    type(how).__name__.lower(),
                    *(getattr(how, name) for name in how.__dataclass_fields__),
                )
                options = {"rounding": rounding, "overflow": "saturate"}
                (wanted,) = Loops(options).sums(kind, [terms], get_format("e10m10"))
                assert bits64(got)[0, 0] == bits64(reference.to_float(wanted.value)), (
                    order,
                    rounding,
                    rows,
                    bias,
                )


@pytest.mark.parametrize("name", ["e4m3fnuz", "binary8p3se", "e5m2fnuz"])
@pytest.mark.usefixtures("way")
def test_a_negative_sum_that_vanishes_is_plus_zero_where_there_is_no_minus_zero(name):
    for order in ("{0}", "kahan:{0}", "pairwise:{0}"):
        got = sum_of([-1e-30, -1e-30], "fp16", accumulator=order.format(name))
        assert got == 0 and not np.signbit(got)


def test_zeros_keep_their_sign_in_toward_negative():
    for order in ("fp16", "pairwise:fp16", "chunked:fp16:fp16:2"):
        options = {"accumulator": order, "rounding": "toward_negative"}
        assert not np.signbit(sum_of([0.0, 0.0], "fp16", **options))
        assert np.signbit(sum_of([0.0, -0.0], "fp16", **options))
        assert np.signbit(sum_of([1.0, -1.0], "fp16", **options))


def test_a_policy_that_a_format_cannot_carry_out_is_refused_on_every_way():
    for size in (1, 100):
        for order in ("{0}", "kahan:{0}", "pairwise:{0}", "chunked:fp16:{0}:2"):
            with pytest.raises(OverflowPolicyError, match="no infinity"):
                sum_of(
                    np.ones((size, 2)), "fp16", axis=1, accumulator=order.format("e4m3"), overflow="infinity"
                )


def test_a_chunk_has_64_terms_unless_said_otherwise():
    assert get_accumulator("chunked:fp16:fp32").size == 64


# -- published numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "stop"), {"fp16": 2048, "bf16": 256, "e4m3": 16, "e5m2": 8, "e2m1": 4}.items()
)
def test_counting_stops_where_one_is_half_a_unit(fmt, stop):
    assert sum_of(np.ones(3000), fmt, accumulator=fmt) == stop


HARMONIC = {
    "bf16": (5.0625, 65),
    "fp16": (7.0859375, 513),
    "e4m3": (3.0, 9),
    "e5m2": (2.0, 5),
    "e3m4": (3.5, 16),
}


@pytest.mark.parametrize("fmt", HARMONIC)
def test_the_harmonic_series_stops(fmt):
    limit, term = HARMONIC[fmt]
    series = quantize(1 / np.arange(1.0, 3000.0), fmt)
    assert sum_of(series, fmt, accumulator=fmt) == limit
    assert sum_of(series[: term - 1], fmt, accumulator=fmt) == limit
    assert sum_of(series[: term - 2], fmt, accumulator=fmt) < limit


def test_the_harmonic_series_stops_in_float32_after_two_million_terms():
    # Malone 2013, "To what does the harmonic series converge?"
    series = (1 / np.arange(1.0, 2097160.0)).astype(np.float32)
    start = np.add.accumulate(series[:2097100])[-1]  # NumPy's accumulate is sequential, too
    rest = series[2097100:]
    at = [sum_of(np.append(start, rest[:n]), "fp32", accumulator="fp32") for n in (50, 51, 52, len(rest))]
    assert at[0] == at[-1] or at[1] == at[-1]
    assert f"{at[-1]:.6f}" == "15.403683"
    n = 2097152 - 2097100
    stop = sum_of(np.append(start, rest[: n - 1]), "fp32", accumulator="fp32")
    before = sum_of(np.append(start, rest[: n - 2]), "fp32", accumulator="fp32")
    assert before < stop == at[-1]


def test_a_thousand_cents_are_not_ten():
    cents = np.full(1000, 0.01)
    assert sum_of(quantize(cents, "fp16"), "fp16", accumulator="fp16") == 9.953125
    assert sum_of(quantize(cents, "bf16"), "bf16", accumulator="bf16") == 4.0


def test_order_and_compensation_rescue_a_long_sum():
    x = np.random.default_rng(0).random(16384).astype(np.float32)
    assert math.fsum(x) == pytest.approx(8220.15, abs=0.01)
    found = {
        how: float(sum_of(x, "fp16", accumulator=how))
        for how in ("fp16", "chunked:fp16:fp16:64", "pairwise:fp16", "kahan:fp16", "wide", "exact")
    }
    assert found == {
        "fp16": 2048.0,
        "chunked:fp16:fp16:64": 8232.0,
        "pairwise:fp16": 8224.0,
        "kahan:fp16": 8224.0,
        "wide": 8224.0,
        "exact": 8224.0,
    }


@pytest.mark.parametrize(("fmt", "stop"), {"e6m9": 4096, "fp16": 8192, "bf16": 1024}.items())
def test_uniform_terms_of_mean_and_deviation_one_stick_and_chunks_recover(fmt, stop):
    # Wang et al. 2018, section 2.3 and figure 3: 65,536 terms, 1-6-9 accumulation
    x = 1 + math.sqrt(3) * np.random.default_rng(0).uniform(-1, 1, 65536)
    assert sum_of(x, fmt, accumulator=fmt) == stop
    recovered = float(sum_of(x, "fp32", accumulator=f"chunked:{fmt}:fp32:64"))
    assert recovered == pytest.approx(65536, rel=0.02)


@pytest.mark.parametrize("name", ["fp16", "e4m1b125", "bf16"])
@pytest.mark.parametrize("rounding", ["nearest_even", "toward_zero", "to_odd", "toward_positive"])
def test_pairs_of_terms_whose_sum_leaves_float64_overflow_as_finite_numbers(name, rounding):
    fmt = get_format(name)
    for sign in (1.0, -1.0):
        terms = [sign * 1.7e308] * 2
        total = sum_of(terms, fmt, accumulator=Pairwise(fmt), rounding=rounding)
        wanted = reference.to_float(reference.sum(terms, fmt, rounding=rounding).value)
        assert total == wanted

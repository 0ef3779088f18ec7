"""Exact sums of products, against Fraction."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floatlab import reference
from floatlab.formats import get_format
from floatlab.sums import exact

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def to_odd(x: Fraction) -> float:
    return reference.to_float(reference.round(x, get_format("float64"), "to_odd").value)


def fractions(x: np.ndarray) -> np.ndarray:
    result = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        result[index] = Fraction(float(x[index]))
    return result


def expected(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    sums = fractions(a) @ fractions(b)
    return np.array([to_odd(x) for x in sums.ravel()]).reshape(sums.shape)


def random_floats(rng, shape, lowest, highest, bits=53):
    """Numbers of `bits` bits with exponents spread evenly over a range, some of them zero."""
    mantissas = rng.integers(2 ** (bits - 1), 2**bits, shape).astype(float)
    signs = rng.choice([-1.0, 0.0, 1.0], shape, p=[0.45, 0.1, 0.45])
    return np.ldexp(signs * mantissas, rng.integers(lowest, highest, shape) - bits)


def cancelling(rng, k, spread):
    """A row and a column whose large terms cancel in pairs, in random order, and leave a tiny rest."""
    large = random_floats(rng, k, 0, spread, 24)
    row = np.concatenate([large, -large, random_floats(rng, 3, -140, -100, 24)])
    weights = random_floats(rng, k, -5, 5, 24)
    column = np.concatenate([weights, weights, np.ones(3)])
    order = rng.permutation(len(row))
    return row[None, order], column[order, None]


CASES = {
    "small integers": lambda rng: (rng.integers(-9, 9, (4, 7)) * 1.0, rng.integers(-9, 9, (7, 3)) * 1.0),
    "one term": lambda rng: (random_floats(rng, (3, 1), -5, 5), random_floats(rng, (1, 4), -5, 5)),
    "24 bits": lambda rng: (random_floats(rng, (5, 33), -3, 3, 24), random_floats(rng, (33, 4), -3, 3, 24)),
    "53 bits": lambda rng: (random_floats(rng, (5, 33), -3, 3), random_floats(rng, (33, 4), -3, 3)),
    "all of float32's range": lambda rng: (
        random_floats(rng, (4, 40), -149, 128, 24),
        random_floats(rng, (40, 4), -149, 128, 24),
    ),
    "rows of different size": lambda rng: (
        random_floats(rng, (4, 9), -3, 3) * np.array([[1e-40], [1.0], [0.0], [1e40]]),
        random_floats(rng, (9, 3), -3, 3) * np.array([1e-30, 0.0, 1e30]),
    ),
    "up to the ends of the range": lambda rng: (
        random_floats(rng, (3, 20), -199, 200),
        random_floats(rng, (20, 3), -199, 200),
    ),
    "cancellation": lambda rng: cancelling(rng, 20, 3),
    "cancellation over a wide range": lambda rng: cancelling(rng, 20, 120),
    "float32 subnormals": lambda rng: (
        rng.integers(-9, 9, (3, 8)) * 2.0**-149,
        rng.integers(-9, 9, (8, 3)) * 2.0**-149,
    ),
    "all of float64's range": lambda rng: (
        random_floats(rng, (3, 10), -1021, 1024),
        random_floats(rng, (10, 3), -1021, 1024),
    ),
    "beyond float64": lambda rng: (
        random_floats(rng, (2, 4), 900, 1000),
        random_floats(rng, (4, 2), 900, 1000),
    ),
    "below float64": lambda rng: (
        random_floats(rng, (3, 4), -1000, -900),
        random_floats(rng, (4, 3), -1000, -900),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_product_is_the_exact_one_rounded_to_odd(case):
    rng = np.random.default_rng(len(case))
    for _ in range(4):
        a, b = CASES[case](rng)
        np.testing.assert_array_equal(exact.matmul_to_odd(a, b), expected(a, b))


@pytest.mark.parametrize(
    "case", ["24 bits", "53 bits", "cancellation over a wide range", "all of float32's range"]
)
def test_the_order_of_the_terms_changes_no_bit(case):
    rng = np.random.default_rng(5)
    a, b = CASES[case](rng)
    once = exact.matmul_to_odd(a, b)
    for _ in range(5):
        order = rng.permutation(a.shape[-1])
        assert exact.matmul_to_odd(a[:, order], b[order]).tobytes() == once.tobytes()


def test_stacks_of_matrices_broadcast():
    rng = np.random.default_rng(1)
    a, b = random_floats(rng, (2, 1, 3, 5), -3, 3), random_floats(rng, (4, 5, 2), -3, 3)
    product = exact.matmul_to_odd(a, b)
    assert product.shape == (2, 4, 3, 2)
    for i, j in np.ndindex(2, 4):
        np.testing.assert_array_equal(product[i, j], expected(a[i, 0], b[j]))


def test_many_terms_leave_room_for_the_carries():
    # All partial sums at the largest magnitude that their slices allow, and all of one sign.
    a = np.full((1, 4099), 2.0 - 2.0**-52)
    np.testing.assert_array_equal(exact.matmul_to_odd(a, a.T), expected(a, a.T))
    np.testing.assert_array_equal(exact.matmul_to_odd(-a, a.T), expected(-a, a.T))


@pytest.mark.parametrize("terms", [1, 2, 3, 5, 7, 15, 17, 31, 63])
def test_slices_are_so_short_that_no_sum_of_their_products_is_rounded(terms):
    # Operands of ones in every bit: with slices one bit longer the sums would be odd numbers above 2^53.
    for bits in range(20, 30):
        ones = np.full((1, terms), 1.0 - 2.0**-bits)
        for a, b in ((ones, ones.T), (-ones, ones.T), (ones * (1.0 - 2.0**-24), ones.T)):
            np.testing.assert_array_equal(exact.matmul_to_odd(a, b), expected(a, b))


@pytest.mark.parametrize("exponent", [199, 201, 250, 300, 400, 500, 511, 530, 537, 700, 1000])
def test_operands_at_and_beyond_the_ends_of_the_range_are_exact(exponent):
    rng = np.random.default_rng(exponent)
    x = random_floats(rng, (2, 5), -3, 3)
    for a, b in (
        (x * 2.0**-exponent, x.T * 2.0**-exponent),
        (x * 2.0**exponent, x.T * 2.0 ** -min(exponent, 900)),
        (np.array([[1.0, 2.0**-exponent]]), np.array([[1.0], [2.0**-exponent * (1 + 2.0**-50)]])),
        (np.array([[2.0**exponent, 1.0, -(2.0**exponent)]]), np.array([[1.5], [3.0], [1.5]])),
    ):
        np.testing.assert_array_equal(exact.matmul_to_odd(a, b), expected(a, b))


def test_no_product_of_operands_in_range_and_no_error_of_one_leaves_float64():
    assert np.log2(exact.SMALLEST) * 2 - 106 >= -1022
    assert np.log2(exact.LARGEST) * 2 + 100 < 1024
    x, y = (
        np.array([[1.0, exact.SMALLEST * (1 + 2.0**-52)]]),
        np.array([[1.0, exact.SMALLEST * (1 - 2.0**-53)]]),
    )
    np.testing.assert_array_equal(exact.dots_to_odd(x, y), expected(x, y.T)[0])


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=6))
def test_any_float64_numbers_give_their_exact_sum_of_products(pairs):
    a, b = np.array(pairs).T
    np.testing.assert_array_equal(exact.matmul_to_odd(a[None], b[:, None]), expected(a[None], b[:, None]))


@given(st.lists(st.tuples(*[st.floats(-(2.0**30), 2.0**30, width=32)] * 2), min_size=1, max_size=9))
def test_dot_products_one_by_one_are_exact_too(pairs):
    a, b = np.array(pairs).T
    a, b = a * (abs(a) > 1e-30), b * (abs(b) > 1e-30)
    np.testing.assert_array_equal(exact.dots_to_odd(a[None], b[None]), expected(a[None], b[:, None])[0])


@pytest.mark.parametrize(
    "case", ["24 bits", "53 bits", "cancellation over a wide range", "float32 subnormals"]
)
def test_dot_products_agree_with_the_product_of_slices(case):
    a, b = CASES[case](np.random.default_rng(3))
    product = exact.matmul_to_odd(a, b)
    for j in range(b.shape[1]):
        column = np.broadcast_to(b[:, j], a.shape)
        np.testing.assert_array_equal(exact.dots_to_odd(a, column), product[:, j])


def test_an_addend_is_part_of_the_exact_sum():
    # 2^60 + 1 needs 61 bits; with the addend the large part cancels and the 1 is left.
    row = np.array([[2.0**30, 1.0]])
    assert exact.dots_to_odd(row, row, np.array([-(2.0**60)]))[0] == 1.0


@given(FLOATS.filter(lambda x: abs(x) < 1e300), FLOATS.filter(lambda x: abs(x) < 1e300))
def test_an_addition_rounds_to_odd(x, y):
    total = exact.add_to_odd(np.array([x]), np.array([y]))
    assert total[0] == to_odd(Fraction(x) + Fraction(y))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_an_addition_of_infinities_is_ieee():
    x = np.array([np.inf, np.inf, -np.inf, np.nan, 1.0])
    y = np.array([1.0, -np.inf, -np.inf, 1.0, np.inf])
    np.testing.assert_array_equal(exact.add_to_odd(x, y), [np.inf, np.nan, -np.inf, np.nan, np.inf])


def test_the_range_is_checked_at_both_ends():
    inside = np.array([0.0, -0.0, exact.SMALLEST, exact.LARGEST, -exact.SMALLEST, -exact.LARGEST])
    assert exact.is_in_range(inside)
    for outside in (exact.SMALLEST / 2, exact.LARGEST * 2, 5e-324, np.inf, np.nan):
        assert not exact.is_in_range(np.append(inside, outside))

"""The proof that a float64 product rounds as the exact one, and what happens where there is none."""

import types
from fractions import Fraction

import numpy as np
import pytest
from test_exact import CASES, fractions

from floatlab import backend, reference
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize
from floatlab.sums import certified

FP32 = get_format("float32")


def settled(a, b, addend=None, bits=25, quanta=0.0):
    with np.errstate(over="ignore"):  # beyond float32
        return certified.certified_matmul(a, b, addend, bits, certified.norms(a, b), quanta)


def exact_sums(a, b, addend=None):
    sums = fractions(a) @ fractions(b)
    return sums if addend is None else sums + fractions(addend)


def assert_rounds_alike(got, sums, fmt, modes=("nearest_even", "toward_negative", "to_odd")):
    for index in np.ndindex(got.shape):
        for mode in modes:
            x, y = Fraction(float(got[index])), sums[index]
            assert reference.round(x, fmt, mode).code == reference.round(y, fmt, mode).code, (index, mode)


IN_RANGE = [name for name in CASES if "float64" not in name]


@pytest.mark.parametrize("fmt", ["float32", "float16", "e4m3", "e8m0", "e8m39"])
@pytest.mark.parametrize("case", IN_RANGE)
def test_what_is_settled_rounds_as_the_exact_sum(case, fmt):
    fmt = get_format(fmt)
    a, b = CASES[case](np.random.default_rng(7))
    assert_rounds_alike(settled(a, b, bits=fmt.precision + 1), exact_sums(a, b), fmt)


@pytest.mark.parametrize("case", IN_RANGE)
def test_what_is_settled_for_float32_to_nearest_rounds_as_the_exact_sum(case):
    for seed in range(5):
        a, b = CASES[case](np.random.default_rng(seed))
        got = settled(a, b, bits=certified.NEAREST_FLOAT32)
        assert_rounds_alike(got, exact_sums(a, b), FP32, ["nearest_even"])


@pytest.mark.parametrize("case", ["24 bits", "53 bits", "cancellation", "small integers"])
def test_an_addend_is_settled_with_the_product(case):
    rng = np.random.default_rng(2)
    a, b = CASES[case](rng)
    near = a @ b
    for addend in (
        -near,
        rng.standard_normal(near.shape),
        np.broadcast_to(rng.standard_normal(near.shape[1]), near.shape),
    ):
        assert_rounds_alike(settled(a, b, addend), exact_sums(a, b, addend), FP32)


# -- open elements are found, and computed exactly ------------------------------------------------------


def ties(rows=6, columns=5, terms=40):
    """A product whose exact elements lie on, just above or just below midpoints of float32."""
    rng = np.random.default_rng(0)
    a = rng.integers(1, 2**12, (rows, terms)) * 2.0**-12
    b = rng.integers(1, 2**12, (terms, columns)) * 2.0**-12
    product = fractions(a) @ fractions(b)
    # Two more terms per element cannot be had from rank one, so each column gets a row of its own.
    lift = np.zeros((columns, columns))
    nudge = np.zeros((columns, columns))
    for j in range(columns):
        lift[j, j] = float(2**8 + Fraction(1, 2**16) - product[0, j])  # exact: a few bits
        nudge[j, j] = (j % 3 - 1) * 2.0**-90
    a = np.concatenate([a, np.ones((rows, columns)), np.ones((rows, columns))], axis=1)
    return a, np.concatenate([b, lift, nudge])


@pytest.mark.parametrize("few_terms", [0, 1 << 30], ids=["many", "few"])
@pytest.mark.parametrize("many", [0, 1 << 30], ids=["dots", "slices"])
def test_midpoints_and_their_neighbours_are_told_apart(monkeypatch, few_terms, many):
    monkeypatch.setattr(certified, "_FEW_TERMS", few_terms)
    monkeypatch.setattr(certified, "_MANY", many)
    a, b = ties()
    sums = exact_sums(a, b)
    assert_rounds_alike(settled(a, b), sums, FP32)
    assert_rounds_alike(settled(a, b, bits=certified.NEAREST_FLOAT32), sums, FP32, ["nearest_even"])
    # and float64 alone would not have told them apart
    assert {float(x) == 256 + 2.0**-16 for x in sums[0]} == {True}
    assert len({reference.round(x, FP32).code for x in sums[0]}) == 2


@pytest.mark.parametrize("many", [0, 1 << 30], ids=["dots", "slices"])
def test_stacks_and_blocks_of_open_elements_find_their_place(monkeypatch, many):
    monkeypatch.setattr(certified, "_MANY", many)
    monkeypatch.setattr(certified, "_FEW_TERMS", 0)
    monkeypatch.setattr(certified, "_BLOCK_TERMS", 64)
    a, b = ties()
    stack = np.stack([a, 2 * a, a[::-1]])[:, None]
    other = np.stack([b, b[:, ::-1]])
    got = settled(stack, other)
    for i, j in np.ndindex(3, 2):
        assert_rounds_alike(got[i, j], exact_sums(stack[i, 0], other[j]), FP32)
    addend = np.random.default_rng(0).standard_normal(got.shape)
    got = settled(stack, other, addend)
    assert_rounds_alike(got[2, 1], exact_sums(stack[2, 0], other[1], addend[2, 1]), FP32)


def count_exact_sums(monkeypatch):
    """Count the elements that are computed exactly, one by one or in a product of slices."""
    counts = {"dots": 0, "products": 0}

    def dots(x, y, addend=None):
        counts["dots"] += len(x)
        return original_dots(x, y, addend)

    def product(a, b):
        counts["products"] += 1
        return original_product(a, b)

    original_dots, original_product = certified.dots_to_odd, certified.matmul_to_odd
    monkeypatch.setattr(certified, "dots_to_odd", dots)
    monkeypatch.setattr(certified, "matmul_to_odd", product)
    return counts


def test_few_elements_of_an_ordinary_product_are_open(monkeypatch):
    counts = count_exact_sums(monkeypatch)
    rng = np.random.default_rng(0)
    for _ in range(20):
        settled(*rng.standard_normal((2, 64, 64)).astype(np.float32).astype(float))
    assert counts["dots"] < 20 and counts["products"] == 0  # of 81920


def test_zeros_rows_of_zeros_and_disjoint_supports_cost_no_exact_sum(monkeypatch):
    counts = count_exact_sums(monkeypatch)
    monkeypatch.setattr(certified, "_FEW_TERMS", 0)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float32).astype(float)
    a[::2], b[:, ::3] = 0.0, 0.0
    a[1::4, ::2] = 0.0
    b[1::2, 1] = 0.0
    assert (settled(a, b)[1::4, 1] == 0).all()  # 16 elements; in all, more than half are zero
    assert counts["dots"] < 32 and counts["products"] == 0


def test_what_float64_adds_exactly_costs_no_exact_sum(monkeypatch):
    counts = count_exact_sums(monkeypatch)
    monkeypatch.setattr(certified, "_FEW_TERMS", 0)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-8, 9, (2, 64, 64)) * 2.0**-24  # float16 subnormals: every sum is on the grid
    assert_rounds_alike(settled(a, b, bits=12)[:3], exact_sums(a[:3], b), get_format("fp16"))
    assert counts == {"dots": 0, "products": 0}


def test_known_quanta_spare_all_tests(monkeypatch):
    def refuse(*_):
        raise AssertionError("not needed")

    monkeypatch.setattr(certified, "_open", refuse)
    a = np.array([[1.5, 448.0]])
    assert settled(a, a.T, quanta=2.0**-18) == 1.5**2 + 448.0**2
    with pytest.raises(AssertionError):
        settled(a * 2**20, a.T * 2**20, quanta=2.0**-18)


def test_one_quantum_too_many_is_not_exact(monkeypatch):
    a, b = np.array([[1.0, 1.0]]), np.array([[2.0**53], [1.0]])
    assert_rounds_alike(settled(a, b, quanta=1.0), exact_sums(a, b), FP32)
    monkeypatch.setattr(certified, "_FEW_TERMS", 0)  # look for the quanta, even for one element
    assert_rounds_alike(settled(a, b), exact_sums(a, b), FP32)


def test_an_addend_may_be_finer_than_the_products(monkeypatch):
    monkeypatch.setattr(certified, "_FEW_TERMS", 0)
    a, b = np.array([[1.0]]), np.array([[1.0 + 2.0**-24]])  # a midpoint of float32
    for addend in (2.0**-60, -(2.0**-60)):
        extra = np.array([[addend]])
        assert_rounds_alike(settled(a, b, extra), exact_sums(a, b, extra), FP32)


# -- the bound -------------------------------------------------------------------------------------------


class WorstBLAS(types.SimpleNamespace):
    """NumPy with a matmul that is wrong by a given part of the error that theory allows."""

    def __init__(self, part):
        super().__init__(**{name: getattr(np, name) for name in dir(np) if not name.startswith("__")})
        rng = np.random.default_rng(0)

        def matmul(a, b):
            terms = a.shape[-1]
            allowed = terms * 2.0**-53 / (1 - terms * 2.0**-53) * (abs(a) @ abs(b))
            product = a @ b
            return product + rng.choice([-1.0, 1.0], product.shape) * allowed * part

        self.matmul = matmul


@pytest.fixture(params=[25, certified.NEAREST_FLOAT32], ids=["grid", "midpoints"])
def bits(request):
    return request.param


def wrong_digits(monkeypatch, part, bits, safety=1.01):
    """Return how many roundings to float32 a faulty BLAS changes."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float32).astype(float)
    a[:, 0], a[:, 1], b[1] = 2.0**18, -(2.0**18), b[0]  # large terms that cancel: so the bound is large too
    right = settled(a, b, bits=bits).astype(np.float32)
    np.testing.assert_array_equal(right, certified.matmul_to_odd(a, b).astype(np.float32))
    with monkeypatch.context() as patch:
        blas = WorstBLAS(part)
        patch.setattr(certified, "array_module", lambda x: blas)
        patch.setattr(certified, "_SAFETY", safety)
        return int((right != settled(a, b, bits=bits).astype(np.float32)).sum())


def test_a_blas_that_is_as_wrong_as_it_may_be_changes_no_bit(monkeypatch, bits):
    assert wrong_digits(monkeypatch, 0.99, bits) == 0


def test_a_blas_that_is_more_wrong_than_it_may_be_changes_bits(monkeypatch, bits):
    assert wrong_digits(monkeypatch, 1e3, bits) > 100


def test_a_bound_of_a_quarter_would_let_bits_change(monkeypatch, bits):
    assert wrong_digits(monkeypatch, 0.99, bits, safety=0.25) > 0


def test_half_of_the_bound_is_not_enough_where_norms_and_sums_are_the_same(monkeypatch, bits):
    # 128 terms of one size, for which the bound is as tight as it can be. The sum lies 0.4 of it below a midpoint of
    # float32, and a BLAS may be 0.95 of it too high: half the bound would find both ends above the midpoint.
    bound = 128 * 128 * 2.0**-53
    a, b = np.ones((1, 128)), np.ones((128, 1))
    for side in (-1, 1):
        b[0] = 1.0 + 2.0**-17 + side * 0.4 * bound
        (exact_sum,) = exact_sums(a, b).ravel()
        right = reference.to_float(reference.round(exact_sum, FP32).value)
        near = float(exact_sum) - side * 0.95 * bound
        assert np.float32(near) != right
        monkeypatch.setattr(
            certified, "product_and_roundings", lambda a, b, near=near: (np.array([[near]]), 128)
        )
        assert settled(a, b, bits=bits).astype(np.float32) == right


@pytest.mark.parametrize("few_terms", [0, 1 << 9])
@pytest.mark.parametrize("quanta", [0.0, 1.0])
def test_a_sum_beyond_two_to_the_53_quanta_is_not_believed_to_be_exact(monkeypatch, few_terms, quanta):
    monkeypatch.setattr(certified, "_FEW_TERMS", few_terms)
    one, two = np.array([[1.0]]), np.array([[1.0, 1.0]])
    middle = 2.0**53 + 2.0**29  # a midpoint of float32; one more is the next float64 but one
    for a, b, addend in (
        (one, one, np.array([[middle]])),
        (one, np.array([[middle]]), one),
        (one, -one, np.array([[middle]])),
        (two, np.array([[2.0**52], [2.0**52 + 2.0**29 + 1]]), None),
        (two, np.array([[2.0**52], [2.0**52 + 1]]), None),
        (one, one, np.array([[2.0**53]])),
        (one, np.array([[2.0**53 - 1]]), np.array([[2.0]])),
        (np.ones((1, 4)), np.array([[2.0**51]] * 3 + [[2.0**51 + 1]]), None),
    ):
        assert_rounds_alike(settled(a, b, addend, quanta=quanta), exact_sums(a, b, addend), FP32)


@pytest.mark.parametrize("terms", [2048, 2049, 5000, 20000])
def test_the_bound_counts_the_additions_of_a_chunk_and_those_of_the_chunks(terms):
    chunk = max(128, int(terms**0.5))
    _, roundings = certified.product_and_roundings(np.ones((1, terms)), np.ones((terms, 1)))
    assert roundings == chunk + -(-terms // chunk)


@pytest.mark.parametrize("terms", [1, 2, 255, 2047, 2048, 2049, 5000])
def test_long_rows_in_chunks_add_every_term_once(terms):
    a = np.arange(1.0, terms + 1)[None]
    product, roundings = certified.product_and_roundings(a, np.ones((terms, 1)))
    assert product[0, 0] == terms * (terms + 1) / 2
    assert roundings <= max(terms, 1) and (terms < 2048 or roundings <= 128 + 40)


def test_two_numbers_of_one_cell_have_no_number_of_few_bits_between_them():
    x = np.array([1.25, 1.25, 1.25, 1.5, 0.0, -0.75, 1.75, 1.75, 3 * 2.0**-140, 5.0, 0.0])
    bound = np.array([0.125, 0.25, 0.26, 2.0**-50, 5e-324, 0.125, 0.125, 0.25, 2.0**-191, 0.9, 0.0])
    # With two bits: 1 | 1.5 | 2 | 3 | 4 | 6 ... A lower end may lie on a mark, as 1.25 - 0.25 does, for the
    # exact number is above it; an upper end, as 1.75 + 0.25, is in the next cell.
    expected = [False, True, True, True, True, True, False, True, True, False, False]
    np.testing.assert_array_equal(certified._crossing(x, bound.copy(), 0.0, 2), expected)
    assert certified._crossing(x[[0, 6]], bound[[0, 6]], 0.0, 2) is None


def test_between_two_numbers_that_round_to_one_float32_there_is_no_midpoint():
    half = 2.0**-24  # of the last place at 1
    top, beyond = float(np.finfo(np.float32).max), 2.0**128 - 2.0**103
    cases = [  # number, bound, whether a midpoint may lie between the ends
        (1.0, half / 4, False),  # a float32 is no mark, though it lies on the grid
        (1.0, half * 0.6, True),  # below 1 the midpoint is twice as near
        (1.0 + half, 2.0**-52, True),
        (1.0 + half * 1.01, half * 0.005, False),
        (1.0 + half * 1.01, half * 0.02, True),
        (-1.0 - half * 0.99, half * 0.02, True),
        (0.0, 0.0, False),
        (0.0, 2.0**-160, True),  # -0 and 0 are not the same
        (0.0, 5e-324, True),
        (2.0**-149, 2.0**-152, False),
        (1.5 * 2.0**-149, 2.0**-190, True),  # a midpoint of subnormals
        (2.0**-150, 2.0**-190, True),
        (top, 2.0**102, False),
        (beyond, 2.0**76, True),  # where infinity begins
        (2.0**128, 2.0**76, False),
        (-beyond * 1.5, 2.0**76, False),
    ]
    x, bound, wanted = map(np.array, zip(*cases, strict=True))
    with np.errstate(over="ignore"):
        for i in range(len(x)):
            found = certified._crossing(x[i : i + 1], bound[i : i + 1].copy(), 0.0, certified.NEAREST_FLOAT32)
            assert (found is not None) == wanted[i], cases[i]
        found = certified._crossing(x, bound.copy(), 0.0, certified.NEAREST_FLOAT32)
    np.testing.assert_array_equal(found, wanted)


def test_half_as_many_elements_are_open_where_only_midpoints_are_marks():
    product = np.random.default_rng(0).standard_normal((300, 400))
    left, right = np.full((300, 1), 2.0**-30), np.ones((1, 400))
    every, some = (
        certified._open(product, left, right, 0.0, bits) for bits in (25, certified.NEAREST_FLOAT32)
    )
    assert set(some) < set(every) and 0.4 < len(some) / len(every) < 0.6


def test_open_elements_of_a_product_of_many_blocks_are_all_found(monkeypatch):
    rng = np.random.default_rng(0)
    product = rng.standard_normal((3, 40, 7))
    left, right = 2.0**-30 * rng.random((3, 40, 1)), rng.random((1, 1, 7))
    whole = certified._open(product, left, right, 0.0, 25)
    assert 0 < len(whole) < 100
    for length in (1, 300, 600):
        monkeypatch.setattr(certified, "block_length", lambda size, n=length: n)
        np.testing.assert_array_equal(certified._open(product, left, right, 0.0, 25), whole)
    assert certified._open(product, left, 0.0 * right, 0.0, 25) is None


@pytest.mark.parametrize("terms", [1, 63, 64, 65, 200])
def test_rows_and_columns_without_a_common_place_are_told_from_those_with_one(terms):
    rng = np.random.default_rng(terms)
    a = rng.standard_normal((3, 9, terms)) * (rng.random((3, 9, terms)) < 1 / np.sqrt(terms))
    b = rng.standard_normal((terms, 8)) * (rng.random((terms, 8)) < 1 / np.sqrt(terms))
    b[:, 0], b[-1, 1] = 0.0, np.nextafter(0.0, 1.0)
    counts = (a != 0).astype(int) @ (b != 0).astype(int)
    where = np.nonzero(np.ones(counts.shape))
    np.testing.assert_array_equal(certified._overlap(a, b, counts, where), (counts > 0).ravel())


def test_the_quantum_of_a_row_is_the_lowest_bit_that_occurs():
    x = np.array([[3.0, 2.0**-149], [0.0, -0.0], [-6.0, 2.0**60], [1.0 + 2.0**-52, 4.0]])
    np.testing.assert_array_equal(certified.quantum(x, -1), [2.0**-149, np.inf, 2.0, 2.0**-52])
    np.testing.assert_array_equal(certified.quantum(x.T, 0), [2.0**-149, np.inf, 2.0, 2.0**-52])


def test_numbers_below_the_normal_range_of_float64_have_no_known_quantum():
    assert certified.quantum(np.array([[1.0, 5e-324]]), -1) == 0.0


@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "e2m1", "fp32", "e8m0"])
def test_all_values_of_a_format_are_multiples_of_the_coarse_quantum(name):
    fmt, rng = get_format(name), np.random.default_rng(0)
    for low in (0.0, 1e-3, 0.3):
        x = rng.standard_normal((5, 40)) * rng.choice([0.0, 1.0, 100.0], (5, 40))
        x = quantize(np.where(abs(x) < low, 0.0, x), fmt, overflow="saturate").astype(float)
        for view in (x, x.T, x[:, ::3]):
            coarse = certified.coarse_quantum(view, fmt)
            assert coarse <= certified.quantum(view.reshape(1, -1), -1)[0]
            assert coarse >= fmt.smallest_subnormal
            nearest = min(Fraction(float(v)) for v in abs(view[view != 0]))
            assert coarse == max(
                Fraction(2) ** (int(np.frexp(float(nearest))[1]) - fmt.precision), fmt.smallest_subnormal
            )
    assert certified.coarse_quantum(np.array([0.0, -0.0]), fmt) == np.inf


def test_the_largest_addend_is_found_in_a_bias_and_in_a_matrix():
    bias = np.broadcast_to([1.0, -7.0], (3, 2))
    assert certified.highest(bias) == certified.highest(bias.copy()) == 7.0
    assert certified.highest(np.array([[1.0, 2.0], [-9.0, 0.0]])) == 9.0


def test_norms_are_of_rows_and_of_columns():
    a, b = np.array([[[3.0, 4.0], [0.0, 0.0]]]), np.array([[5.0, 0.0], [12.0, 1.0]])
    rows, columns = certified.norms(a, b)
    np.testing.assert_array_equal(rows, [[5.0, 0.0]])
    np.testing.assert_array_equal(columns, [13.0, 1.0])


def test_only_the_backend_names_cupy():
    assert "cupy" not in vars(certified) and certified.array_module is backend.array_module

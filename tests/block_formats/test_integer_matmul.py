"""Products of integers: against what processors computed, against Python's integers, and zero points taken out."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl
from floatlab.block_formats.integer_matmul import ACCUMULATORS, integer_sums
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError

RNG = np.random.default_rng(3)
VECTORS = Path(__file__).parent.parent / "data" / "cpu_vnni.npz"


def words(x):
    return np.ascontiguousarray(x).view(np.int16)


def test_every_accumulator_is_its_instruction_bit_for_bit():
    """What VPDPBUSD, VPDPBUSDS, VPDPWSSD, VPDPWSSDS, and VPMADDUBSW with VPMADDWD and VPADDD left on an AMD Zen 5."""
    given = np.load(VECTORS)
    a, b, c = given["a"][:, None, :], given["b"][:, :, None], given["c"][:, None, None]
    pairs = words(given["a"])[:, None, :], words(given["b"])[:, :, None]
    for name, operands, accumulator in (
        ("dpbusd", (a, b), "int32"),
        ("dpbusds", (a, b), "int32_saturate"),
        ("dpwssd", pairs, "int32"),
        ("dpwssds", pairs, "int32_saturate"),
        ("maddubs", (a, b), "maddubs"),
    ):
        got = integer_sums(*operands, accumulator, c)
        assert got.dtype == np.int32
        np.testing.assert_array_equal(got[:, 0, 0], given[name])
    assert (given["dpbusd"] != given["dpbusds"]).any() and (given["dpbusd"] != given["maddubs"]).any()


def by_hand(a, b, accumulator, c=0):
    """Return one sum of products on Python's integers."""

    def wrap(n):
        return (n + 2**31) % 2**32 - 2**31

    products = [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    total = int(c)
    if accumulator == "maddubs":
        for i in range(0, len(products), 2):
            total = wrap(total + min(max(sum(products[i : i + 2]), -(2**15)), 2**15 - 1))
    elif accumulator == "int32_saturate":
        step = 4 if a.dtype.itemsize == b.dtype.itemsize == 1 else 2
        for i in range(0, len(products), step):
            total = min(max(total + sum(products[i : i + step]), -(2**31)), 2**31 - 1)
    else:
        total += sum(products)
    return wrap(total) if accumulator == "int32" else total


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("K", [0, 1, 2, 3, 5, 64, 301])
def test_long_sums_are_those_of_the_instruction_repeated(accumulator, K):
    kinds = [(np.uint8, np.int8), (np.int8, np.uint8)]
    if accumulator != "maddubs":
        kinds += [
            (np.int8, np.int8),
            (np.uint8, np.uint8),
            (np.int16, np.int16),
            (np.int16, np.int8),
            (np.uint16,) * 2,
        ]
    for left, right in kinds:
        for ends in (False, True):
            a, b = (
                RNG.integers(
                    np.iinfo(t).max - 3 if ends else np.iinfo(t).min, np.iinfo(t).max, shape, t, endpoint=True
                )
                for t, shape in ((left, (2, 3, K)), (right, (K, 4)))
            )
            c = RNG.integers(-(2**31), 2**31, (2, 3, 4)).astype(np.int32)
            if K < 5:
                c[0] = [2**31 - 1] * 4
            got = integer_sums(a, b, accumulator, c)
            for i, j, k in np.ndindex(2, 3, 4):
                assert got[i, j, k] == by_hand(a[i, j], b[:, k], accumulator, c[i, j, k])


def test_a_sum_beyond_int32_wraps_saturates_or_is_exact():
    a = fl.quantize_int(np.full((1, 3), 32767.0), "int16", scale=1.0)
    b = fl.quantize_int(np.full((3, 1), 32767.0), "int16", scale=1.0)
    exact = 3 * 32767**2
    assert fl.matmul(a, b, "float64", accumulator="exact") == exact
    assert fl.matmul(a, b, "float64") == exact
    assert fl.matmul(a, b, "float64", accumulator="int32") == exact - 2**32
    assert fl.matmul(a, b, "float64", accumulator="int32_saturate") == 2**31 - 1


def test_a_sum_that_wraps_on_the_way_is_right_once_the_zero_points_are_out():
    """Zero points are taken off modulo 2^32 too: what fits in int32 in the end is right, and what does not, wraps."""
    a = fl.quantize_int([[5.0, -3.0, 7.0]], "int16", scale=1.0, zero_point=-32000)
    b = fl.quantize_int([[2.0], [4.0], [-6.0]], "int16", scale=1.0, zero_point=-32001)
    assert (a.codes.astype(int) @ b.codes.astype(int)).item() > 2**31
    for accumulator in ("int32", "exact"):
        assert fl.matmul(a, b, "float64", accumulator=accumulator) == 10 - 12 - 42
    big = fl.quantize_int([[40000.0, 40000.0]], "int16", scale=1.0, zero_point=-20000)
    both = fl.quantize_int([[40000.0], [30000.0]], "int16", scale=1.0, zero_point=-20000)
    exact = 40000 * 70000
    assert fl.matmul(big, both, "float64", accumulator="exact") == exact
    assert fl.matmul(big, both, "float64", accumulator="int32") == exact - 2**32
    assert fl.matmul(big, both, "float64", accumulator="int32_saturate") == 2**31 - 1


def test_pairs_of_bytes_saturate_and_7_bit_weights_do_not():
    a = fl.quantize_int(np.full((1, 4), 255.0), "uint8", scale=1.0)
    b = fl.quantize_int(np.full((4, 1), 127.0), "int8", scale=1.0)
    assert fl.matmul(a, b) == 4 * 255 * 127 and fl.matmul(a, b, accumulator="maddubs") == 2 * 32767
    seven = fl.quantize_int(np.full((4, 1), 64.0), "int7", scale=1.0)
    assert seven.codes.max() == 63
    assert fl.matmul(a, seven, accumulator="maddubs") == fl.matmul(a, seven) == 4 * 255 * 63
    assert fl.matmul(b.T, a.T, accumulator="maddubs") == 2 * 32767
    for wrong in ((b.T, b), (a, a.T), (a, fl.quantize_int(np.ones((4, 1)), "int16"))):
        with pytest.raises(OptionError, match="uint8 and the other to int8"):
            fl.matmul(*wrong, accumulator="maddubs")


# -- what the integers stand for ---------------------------------------------------------------------------------------


def exact_product(a, b):
    """Return the product of what two arrays stand for, in fractions."""

    def numbers(x):
        scale = np.broadcast_to(x.groups.spread(x.scale), x.shape)
        zero = np.broadcast_to(x.groups.spread(x.zero_point), x.shape)
        found = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            found[i] = (int(x.codes[i]) - int(zero[i])) * Fraction(float(scale[i]))
        return found

    return numbers(a) @ numbers(b)


@pytest.mark.parametrize("fmt", ["float32", "float64", "bf16"])
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_a_product_is_the_exact_one_rounded_once(fmt, scheme):
    x, w = RNG.normal(size=(5, 37)) + 0.3, RNG.normal(size=(37, 6))
    for a, b in (
        (fl.quantize_int(x, scheme=scheme), fl.quantize_int(w, scheme=scheme)),
        (
            fl.quantize_int(x, "uint8", scheme="affine"),
            fl.quantize_int(w, granularity="channel", axis=1, scheme=scheme),
        ),
        (fl.quantize_int(x, "int4", granularity="channel", scheme=scheme), fl.quantize_int(w, "int16")),
        (
            fl.quantize_int(x, granularity=64, scheme=scheme),
            fl.quantize_int(w, granularity=37, axis=0, scheme=scheme),
        ),
        (fl.quantize_int(x, "q4.4"), fl.quantize_int(w, "uq2.6", overflow="wrap")),
        (fl.quantize_int(x, scale=0.01, zero_point=-100), fl.quantize_int(w, scale=1e-200, zero_point=127)),
        (fl.quantize_int(x, scale=0.1), fl.quantize_int(w, granularity="channel", axis=1, scheme=scheme)),
    ):
        want = exact_product(a, b)
        for rounding in ("nearest_even", "toward_zero", "toward_positive"):
            got = fl.matmul(a, b, fmt, rounding=rounding)
            np.testing.assert_array_equal(got, fl.quantize(want, fmt, rounding=rounding))
            np.testing.assert_array_equal((a @ b), fl.matmul(a, b))


def test_shapes_are_those_of_a_product_of_matrices():
    def q(*shape, **options):
        return fl.quantize_int(RNG.normal(size=shape), scheme="affine", **options)

    shapes = (
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((4, 2, 3), (3, 5)),
        ((2, 3), (4, 3, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((4, 1, 2, 3), (5, 3, 2)),
    )
    for left, right in shapes:
        a, b = q(*left), q(*right)
        got = fl.matmul(a, b, "float64")
        assert got.shape == np.matmul(np.ones(left), np.ones(right)).shape
        np.testing.assert_allclose(got, a.decode("float64") @ b.decode("float64"), rtol=1e-9, atol=1e-12)
    stack, w = q(4, 2, 3, granularity="channel", axis=0), q(3, 5, granularity="channel", axis=1)
    np.testing.assert_allclose(fl.matmul(stack, w), stack.decode() @ w.decode(), rtol=1e-4, atol=1e-6)
    row, w = q(6, granularity=8), q(6, 2)  # one block, longer than the row
    assert row.scale.shape == (1,)
    np.testing.assert_allclose(fl.matmul(row, w), row.decode() @ w.decode(), rtol=1e-4, atol=1e-6)
    for left, right in (((2, 3), (2, 3)), ((2, 3), (4,)), ((), (3,)), ((3,), ()), ((2, 2, 3), (4, 3, 1))):
        with pytest.raises(ShapeError, match="Got"):
            fl.matmul(q(*left), q(*right))


def test_scales_that_differ_along_the_sum_are_refused():
    x = RNG.normal(size=(4, 8))
    whole = fl.quantize_int(x.T)
    for options in ({"granularity": "channel", "axis": 1}, {"granularity": 4}, {"granularity": 2, "axis": 0}):
        with pytest.raises(ShapeError, match=r"along the axis that is summed.*decode"):
            fl.matmul(fl.quantize_int(x, **options), whole)
    with pytest.raises(ShapeError, match="along the axis that is summed"):
        fl.matmul(fl.quantize_int(x), fl.quantize_int(x.T, granularity="channel"))
    turned = fl.quantize_int(x, granularity="channel").T  # by columns, then
    np.testing.assert_array_equal(fl.matmul(fl.quantize_int(x), turned).shape, (4, 4))


def test_a_product_takes_integers_on_either_side_and_no_longer_ones():
    q = fl.quantize_int(np.eye(3))
    for pair in ((q, np.eye(3)), (np.eye(3), q), (q, fl.array(np.eye(3), "fp16")), (fl.Tensor(np.eye(3)), q)):
        with pytest.raises(DtypeError, match="IntArray on either side"):
            fl.matmul(*pair)
    assert fl.matmul(x=q, y=q).shape == (3, 3)
    with pytest.raises(DtypeError, match="16 bits"):
        fl.matmul(fl.quantize_int(np.eye(3), "q16.16"), q)
    for options, said in (
        ({"accumulator": "int16"}, "int32"),
        ({"roundng": "to_odd"}, "rounding"),
        ({"fmt": "fp33"}, "fp32"),
    ):
        with pytest.raises(FloatlabError, match=said):
            fl.matmul(q, q, **options)


def test_stochastic_rounding_of_a_product_takes_its_integers():
    a, b = fl.quantize_int(np.ones((4, 4))), fl.quantize_int(RNG.normal(size=(4, 4)))
    exact = fl.matmul(a, b, "float64")
    got = fl.matmul(a, b, "bf16", rounding="stochastic", rng=5)
    np.testing.assert_array_equal(got, fl.quantize(exact, "bf16", rounding="stochastic", rng=5))

"""Norms, contractions and products of vectors: exact sums of `fractions`, rounded once by the reference."""

import itertools
import math
from fractions import Fraction

import gmpy2
import numpy as np
import pytest
from support import name_of

import floatlab as fl
from floatlab import reference
from floatlab.array.core import FloatArray
from floatlab.errors import DtypeError, FloatlabError, FormatMismatchError, OptionError, ShapeError
from floatlab.formats import get_format

FORMATS = tuple(get_format(n) for n in ("e4m3", "e5m2fnuz", "fp16", "bf16", "fp32", "fp64"))


def rounded(x, fmt, rounding="nearest_even"):
    number = x if isinstance(x, Fraction) else reference.exact(x)
    return reference.to_float(reference.decode(reference.round(number, fmt, rounding=rounding).code, fmt))


def root(x):
    scaled = (x.numerator << 4800) // x.denominator
    found, rest = gmpy2.isqrt_rem(gmpy2.mpz(scaled))
    exact = rest == 0 and Fraction(scaled, 1 << 4800) == x
    return Fraction(2 * int(found) + (not exact), 1 << 2401)


def numbers(fmt, rng, shape):
    return fl.array(rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 6, shape), fmt, overflow="saturate")


# -- norms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_euclidean_norms_are_roots_of_exact_sums(fmt):
    rng = np.random.default_rng(1)
    for rows, n, rounding in itertools.product(
        (5, 50), (1, 2, 9), ("nearest_even", "toward_negative", "to_odd")
    ):
        x = numbers(fmt, rng, (rows, n))
        wanted = [rounded(root(sum(Fraction(v) ** 2 for v in row)), fmt, rounding) for row in x.tolist()]
        with fl.arithmetic(rounding=rounding):
            np.testing.assert_array_equal(np.linalg.norm(x, axis=1).values, wanted)
            np.testing.assert_array_equal(np.linalg.vector_norm(x, axis=1).values, wanted)


def test_a_norm_does_not_overflow_on_the_way():
    assert fl.norm(fl.array([300.0, 400.0], "fp16")).item() == 500.0
    assert fl.norm(fl.array([3e300, 4e300], "fp64")).item() == 5e300
    assert fl.norm(fl.array([3 * 2.0**-1060, 4 * 2.0**-1060], "fp64")).item() == 5 * 2.0**-1060
    assert fl.norm([3.0, 4.0], "e4m3").item() == 5.0
    _, flags = fl.norm(fl.array([3.0, 4.0], "fp16"), return_flags=True)
    assert not flags.inexact.any()
    _, flags = fl.norm(fl.array([1.0, 1.0], "fp16"), return_flags=True)
    assert flags.inexact.item()


def test_norms_of_infinities_and_nans():
    nan, inf = math.nan, math.inf
    x = fl.array([[inf, -inf, 1.0], [inf, 1.0, 1.0], [nan, inf, 1.0], [0.0, -0.0, 0.0]], "fp16")
    found, flags = fl.norm(x, axis=1, return_flags=True)
    np.testing.assert_array_equal(found.values, [inf, inf, nan, 0.0])
    assert not flags.invalid.any()
    many = np.concatenate([x] * 20)
    np.testing.assert_array_equal(np.linalg.norm(many, axis=1).values, [inf, inf, nan, 0.0] * 20)
    assert np.linalg.norm(fl.array([], "fp16")).item() == 0.0


def test_other_norms():
    values = np.array([[3.0, -4.0, 0.0], [1.0, 2.0, -6.0]])
    x = fl.array(values, "fp32")
    for ord, axis in itertools.product((1, 2, 0, np.inf, -np.inf), (0, 1)):
        found = np.linalg.norm(x, ord, axis)
        np.testing.assert_allclose(found.values, np.linalg.norm(values, ord, axis), 1e-7)
        assert np.linalg.norm(x, ord, axis, keepdims=True).ndim == 2
        assert np.linalg.vector_norm(x, ord=ord, axis=axis).tolist() == found.tolist()
    for ord in (None, "fro", 1, -1, np.inf, -np.inf):
        found = np.linalg.norm(x, ord)
        assert isinstance(found, FloatArray) and found.shape == ()
        np.testing.assert_allclose(found.values, np.linalg.norm(values, ord), 1e-7)
        assert np.linalg.norm(x=x, ord=ord, keepdims=True).shape == (1, 1)
    assert np.linalg.vector_norm(x, ord=1).item() == 16.0 and np.linalg.vector_norm(
        x, keepdims=True
    ).shape == (1, 1)
    assert np.linalg.matrix_norm(x[None, :, :]).shape == (1,)
    for ord in (3, "nuc", 2, -2):
        with pytest.raises(OptionError, match="norm of matrices"):
            np.linalg.norm(x, ord)
    with pytest.raises(OptionError, match="norm of vectors"):
        np.linalg.norm(x, 3, axis=0)
    with pytest.raises(ShapeError, match="axis"):
        np.linalg.norm(x[None], 1)
    with pytest.raises(ShapeError, match="axis"):
        np.linalg.norm(x, axis=4)


def test_a_norm_with_an_order_is_composed_of_rounded_operations():
    x = fl.array(np.random.default_rng(2).standard_normal(30), "fp16")
    with fl.arithmetic(accumulator="fp16"):
        assert np.linalg.norm(x).item() == np.sqrt(np.sum(x * x)).item()
        with pytest.raises(OptionError, match="norm"):
            fl.norm(x, return_flags=True)


# -- contractions ---------------------------------------------------------------------------------------------------

SUBSCRIPTS = {
    "ij,jk->ik": ((3, 4), (4, 2)),
    "ij,jk": ((3, 4), (4, 2)),
    "ij,kj->ki": ((3, 4), (2, 4)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
    "i,j->ij": ((3,), (4,)),
    "i,i": ((5,), (5,)),
    "ij,ij->": ((3, 4), (3, 4)),
    "ij,ij->i": ((3, 4), (3, 4)),
    "ij,k->k": ((2, 3), (4,)),
    "ii,i->i": ((3, 3), (3,)),
    "...ij,...jk->...ik": ((2, 3, 4), (4, 2)),
    "...i,...i": ((2, 3), (3,)),
    "ba,cab->cb": ((2, 3), (4, 3, 2)),
    " ij , jk -> ki ": ((3, 4), (4, 2)),
    "ij,jk->k": ((3, 4), (4, 2)),
    "ii": ((3, 3),),
    "ii->i": ((3, 3),),
    "ij->ji": ((3, 4),),
    "ij->": ((3, 4),),
    "ijk->k": ((2, 3, 4),),
    "...i->i...": ((2, 3, 4),),
    "ba": ((2, 3),),
    "i...": ((2, 3),),
}


@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_contractions_are_those_of_numpy_with_one_rounding(subscripts):
    rng = np.random.default_rng(3)
    fmt = get_format("e4m3")
    xs = [fl.array(rng.integers(-5, 6, shape) / 4, fmt) for shape in SUBSCRIPTS[subscripts]]
    exact = np.einsum(subscripts, *(x.values.astype(float) for x in xs))  # these sums float64 holds
    for found in (np.einsum(subscripts, *xs), fl.einsum(subscripts, *xs)):
        assert isinstance(found, FloatArray) and found.shape == exact.shape
        np.testing.assert_array_equal(found.values, fl.quantize(exact, fmt))
    coded = [fl.from_codes(x.codes, fmt) for x in xs]
    np.testing.assert_array_equal(np.einsum(subscripts, *coded).values, fl.quantize(exact, fmt))


def test_a_contraction_obeys_accumulators_and_contexts():
    ones = fl.array(np.ones((2, 64)), "e4m3")
    assert np.einsum("ij,ij->i", ones, ones).tolist() == [64.0, 64.0]
    with fl.arithmetic(accumulator="e4m3"):
        assert np.einsum("ij,ij->i", ones, ones).tolist() == [16.0, 16.0]
        assert np.einsum("ij->i", ones).tolist() == [16.0, 16.0]
        assert np.tensordot(ones, ones.T, 1).tolist() == [[16.0] * 2] * 2
        assert np.vecdot(ones, ones).tolist() == [16.0, 16.0]
    third = fl.array([[1.0, 0.125]], "e4m3")
    with fl.arithmetic(rounding="toward_zero"):
        assert np.einsum("ij,kj->ik", third, third).item() == 1.0
    assert fl.einsum("ij,kj->ik", third, third, fmt="fp32").item() == 1.015625
    _, flags = fl.einsum("ij,kj->ik", third, third, return_flags=True)
    assert flags.inexact.item()


def test_pure_movement_keeps_payloads_and_copies():
    x = fl.from_codes([[0x7D, 1], [2, 0xFE]], "e5m2")
    assert np.einsum("ij->ji", x).codes.tolist() == [[0x7D, 2], [1, 0xFE]]
    diagonal = np.einsum("ii->i", x)
    assert diagonal.codes.tolist() == [0x7D, 0xFE] and not np.shares_memory(diagonal, x)


def test_contractions_that_are_refused_say_why():
    x = fl.array(np.ones((2, 3)), "fp16")
    cases = (
        (OptionError, "two at a time", ("ij,jk,kl", x, x.T, x)),
        (OptionError, "1 terms for 2", ("ij", x, x)),
        (OptionError, "'ijk' for 2", ("ijk->i", x)),
        (OptionError, "on the right", ("ij->k", x)),
        (OptionError, "no letter", ("i1->i", x)),
        (OptionError, "no string", (x, [0, 1], x, [1, 2])),
        (ShapeError, "one length", ("ij,ik", x, x.T)),
        (ShapeError, "named twice", ("ii", x)),
        (DtypeError, "Round it first", ("ij,ij", x, np.ones((2, 3)))),
        (FormatMismatchError, "astype", ("ij,ij", x, x.astype("bf16"))),
    )
    for error, words, args in cases:
        with pytest.raises(error, match=words):
            np.einsum(*args)
    with pytest.raises(DtypeError, match="dtype"):
        np.einsum("ij->i", x, dtype=float)
    out = fl.array(np.zeros(2), "fp16")
    assert np.einsum("ij->i", x, out=out, optimize=True) is out and out.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("axes", (0, 1, 2, ([1, 0], [0, 1]), ([0], [1]), (-1, 0), (1, 0)))
def test_tensordot_is_that_of_numpy_with_one_rounding(axes):
    rng = np.random.default_rng(4)
    a, b = (fl.array(rng.integers(-5, 6, (3, 3)) / 4, "e4m3") for _ in range(2))
    exact = np.tensordot(a.values.astype(float), b.values.astype(float), axes)
    np.testing.assert_array_equal(np.tensordot(a, b, axes).values, fl.quantize(exact, "e4m3"))
    np.testing.assert_array_equal(np.tensordot(a=a, b=b, axes=axes).values, fl.quantize(exact, "e4m3"))
    np.testing.assert_array_equal(np.linalg.tensordot(a, b, axes=axes).values, fl.quantize(exact, "e4m3"))


def test_tensordot_refuses_axes_that_do_not_fit():
    x = fl.array(np.ones((2, 3)), "fp16")
    for axes in (1, ([0], [1]), ([0, 0], [0, 0]), ([5], [0]), ([0],), 3):
        with pytest.raises(ShapeError, match=r"ax[ei]s"):
            np.tensordot(x, x, axes)


# -- products of vectors --------------------------------------------------------------------------------------------


def test_products_of_vectors_and_matrices_are_exact_sums_rounded_once():
    rng = np.random.default_rng(5)
    fmt = get_format("fp16")
    a, b = numbers(fmt, rng, (4, 3)), numbers(fmt, rng, (4, 3))
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    exact = [sum(Fraction(p) * Fraction(q) for p, q in zip(r, s, strict=True)) for r, s in pairs]
    wanted = [rounded(v, fmt) for v in exact]
    assert np.vecdot(a, b).tolist() == fl.vecdot(a, b).tolist() == np.linalg.vecdot(a, b).tolist() == wanted
    assert np.vecdot(a.T, b.T, axis=0).tolist() == wanted
    if hasattr(np, "matvec"):
        assert np.matvec(a, b[0]).tolist() == (a @ b[0]).tolist()
        assert np.vecmat(b[:, 0], a).tolist() == (b[:, 0] @ a).tolist()
    out = fl.array(np.zeros(4), "fp16")
    assert np.vecdot(a, b, out=out) is out and out.tolist() == wanted
    with pytest.raises(ShapeError):
        np.vecdot(a, b[:, :2])
    with pytest.raises(ShapeError, match="axis"):
        np.vecdot(a, b, axis=2)
    with pytest.raises(DtypeError, match="dtype"):
        np.vecdot(a, b, dtype=float)


def test_vector_products_have_one_rounding():
    rng = np.random.default_rng(6)
    fmt = get_format("e4m3")
    a, b = numbers(fmt, rng, (30, 3)), numbers(fmt, rng, (30, 3))
    found = np.cross(a, b)
    for row, x, y in zip(found.tolist(), a.tolist(), b.tolist(), strict=True):
        x, y = map(Fraction, x), map(Fraction, y)
        (x0, x1, x2), (y0, y1, y2) = x, y
        exact = (x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0)
        np.testing.assert_array_equal(row, [rounded(v, fmt) for v in exact])
    np.testing.assert_array_equal(np.cross(a.T, b.T, axis=0).values, found.values.T)
    np.testing.assert_array_equal(np.linalg.cross(a, b).values, found.values)
    with pytest.raises(ShapeError, match="length 3"):
        np.cross(a[:, :2], b[:, :2])


def test_kronecker_products_round_each_element():
    a, b = fl.array([[1.0, 1.125], [3.0, -0.0]], "e4m3"), fl.array([1.125, 7.0, 448.0], "e4m3")
    exact = np.kron(a.values.astype(float), b.values.astype(float))
    np.testing.assert_array_equal(np.kron(a, b).values, fl.quantize(exact, "e4m3"))
    np.testing.assert_array_equal(np.kron(b, a).values, fl.quantize(np.kron(b.values, a.values), "e4m3"))
    assert np.kron(a, 2).tolist() == (a * 2).tolist()
    with pytest.raises(FloatlabError):
        np.kron(a, b.astype("fp16"))


def test_the_names_of_linalg_are_those_of_the_functions():
    x = fl.array([[1.0, 2.0], [3.0, 4.0]], "fp16")
    assert np.linalg.trace(x).item() == 5.0 and np.linalg.diagonal(x).tolist() == [1.0, 4.0]
    assert np.linalg.matrix_transpose(x).tolist() == x.T.tolist()
    assert np.linalg.matmul(x, x).tolist() == (x @ x).tolist()
    assert np.linalg.outer(x[0], x[1]).tolist() == [[3.0, 4.0], [6.0, 8.0]]


@pytest.mark.parametrize("call", [np.dot, lambda a, b, out: a.dot(b, out=out), np.matmul])
def test_a_product_is_written_to_out(call):
    a = fl.array([[1.0, 2.0], [3.0, 4.0]], "fp16")
    out = fl.array(np.zeros((2, 2)), "fp16")
    assert call(a, a, out=out) is out
    assert out.tolist() == [[7.0, 10.0], [15.0, 22.0]]
    with pytest.raises(ShapeError):
        call(a, a, out=fl.array(np.zeros(2), "fp16"))
    with pytest.raises(DtypeError):
        call(a, a, out=np.zeros((2, 2)))

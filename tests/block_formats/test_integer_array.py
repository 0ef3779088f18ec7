"""Arrays of integers: what they stand for, how they look, and that they are not for arithmetic."""

import operator
import pickle
from fractions import Fraction

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FloatlabError, ShapeError

RNG = np.random.default_rng(8)
X = RNG.normal(size=(6, 10)).astype(np.float32)


@pytest.mark.parametrize("rounding", ["nearest_even", "toward_zero", "toward_positive"])
@pytest.mark.parametrize("fmt", ["float32", "float64", "bf16", "e4m3"])
def test_a_number_is_the_exact_product_rounded_once(fmt, rounding):
    for options in (
        {},
        {"granularity": "channel", "scheme": "affine"},
        {"granularity": 4, "axis": 1},
        {"scale": 0.1},
    ):
        q = fl.quantize_int(X, **options)
        scale = np.broadcast_to(q.groups.spread(q.scale), q.shape)
        zero = np.broadcast_to(q.groups.spread(q.zero_point), q.shape)
        exact = np.empty(q.shape, object)
        for i in np.ndindex(q.shape):
            exact[i] = (int(q.codes[i]) - int(zero[i])) * Fraction(float(scale[i]))
        np.testing.assert_array_equal(
            q.decode(fmt, rounding=rounding), fl.quantize(exact, fmt, rounding=rounding)
        )


def test_what_is_decoded_lies_within_half_a_step():
    for options in ({}, {"scheme": "affine"}, {"granularity": 5}):
        q = fl.quantize_int(X, **options)
        step = q.groups.spread(q.scale).astype(np.float64)
        assert (np.abs(q.decode("float64") - X) <= step * (0.5 + 1e-5)).all()


def test_wide_fixed_point_is_decoded_to_float64():
    assert fl.quantize_int([1 / 3], "q1.31").decode().dtype == np.float64
    assert fl.quantize_int([1 / 3], "q8.8").decode().dtype == np.float32


def test_codes_of_the_largest_unsigned_format_are_not_cut():
    q = fl.quantize_int([2.0**32 - 1, 1.0], "uint32", scale=1.0, zero_point=2**32 - 1)
    assert q.codes.tolist() == [2**32 - 1, 2**32 - 1] and q.decode("float64").tolist() == [0.0, 0.0]
    q = fl.quantize_int([2.0**32 - 1, 1.0], "uint32", scale=1.0)
    assert q.decode("float64").tolist() == [2.0**32 - 1, 1.0]


def test_transposing_takes_the_scales_along():
    x = RNG.normal(size=(2, 3, 8))
    for options in (
        {},
        {"granularity": "channel", "axis": 1, "scheme": "affine"},
        {"granularity": 3, "axis": 2},
    ):
        q = fl.quantize_int(x, **options)
        np.testing.assert_array_equal(q.T.decode(), q.decode().T)
        for order in ((0, 2, 1), (2, 0, 1), (-1, 0, 1)):
            turned = q.transpose(*order)
            np.testing.assert_array_equal(turned.decode(), q.decode().transpose(order))
            np.testing.assert_array_equal(q.transpose(order).codes, turned.codes)
            again = fl.quantize_int(
                x.transpose(order), **(options | ({"axis": turned.axis} if options else {}))
            )
            np.testing.assert_array_equal(again.codes, turned.codes)
    for bad in ((0, 1), (0, 0, 1), (0, 1, 3), ("a",), (0.5, 1, 2)):
        with pytest.raises(ShapeError, match="each of the 3 axes once"):
            q.transpose(*bad)


def test_memory_counts_packed_codes_scales_and_zero_points():
    x = np.ones((4, 64), np.float32)
    assert fl.quantize_int(x).nbytes == 256 + 4
    q = fl.quantize_int(x, "int4", granularity=32)
    assert q.nbytes == 128 + 8 * 4 and q.bits_per_value == 5.0
    assert fl.quantize_int(x, scheme="affine", granularity="channel").nbytes == 256 + 4 * 4 + 4
    assert fl.quantize_int(x, "q8.8").bits_per_value == 16.0
    assert fl.quantize_int(np.zeros(0)).bits_per_value == 8.0
    assert (q.shape, q.ndim, q.size, q.axis) == ((4, 64), 2, 256, 1)


@pytest.mark.parametrize(
    "what", ["add", "sub", "mul", "truediv", "pow", "lt", "ge", "eq", "ne", "floordiv", "mod"]
)
def test_arithmetic_is_refused_with_the_way_out(what):
    q = fl.quantize_int(X)
    for pair in ((q, q), (q, 1.0), (1.0, q), (q, X), (X, q)):
        with pytest.raises(DtypeError, match=r"Use x\.decode\(\)"):
            getattr(operator, what)(*pair)


@pytest.mark.parametrize(
    "call",
    [
        lambda q: q[0],
        lambda q: len(q),
        lambda q: list(q),
        lambda q: bool(q),
        lambda q: float(q),
        lambda q: -q,
        lambda q: divmod(q, 2),
        lambda q: round(q),
        lambda q: q & q,
        lambda q: 1 in q,
        lambda q: [10, 20][q],
        lambda q: complex(q),
        lambda q: np.asarray(q),
        lambda q: np.exp(q),
        lambda q: np.concatenate([q, q]),
        lambda q: fl.exp(q, "fp16"),
        lambda q: fl.quantize(q, "fp16"),
        lambda q: fl.sum(q, "fp16"),
        lambda q: fl.array(q, "fp16"),
        lambda q: fl.quantize_int(q),
        lambda q: fl.hadamard(q),
        lambda q: fl.add(1.0, q, "fp16"),
        lambda q: fl.add(x=1.0, y=q, fmt="fp16"),
    ],
)
def test_an_array_of_integers_is_no_array_of_numbers(call):
    with pytest.raises(FloatlabError, match="IntArray"):
        call(fl.quantize_int(X))


def test_an_array_shows_what_it_is_made_of():
    q = fl.quantize_int([1.0, -2.0], scale=0.5)
    assert repr(q) == "IntArray([ 2, -4], format=int8, scale=0.5)"
    assert repr(fl.quantize_int([1.0], scale=0.5, zero_point=3)).endswith("scale=0.5, zero_point=3)")
    assert "3 of them" in repr(fl.quantize_int(np.eye(3), granularity="channel", scheme="affine"))
    assert len(repr(fl.quantize_int(np.zeros((1000, 1000))))) < 400
    shown = fl.quantize_int(X, granularity=4)._repr_html_()
    assert "blocks of 4" in shown and "6 × 10" in shown
    fl.quantize_int(1.0)._repr_html_(), fl.quantize_int(np.zeros((0, 2)), granularity=2)._repr_html_()


def test_an_array_is_pickled_and_cannot_be_changed():
    q = fl.quantize_int(X, granularity=4)
    again = pickle.loads(pickle.dumps(q))
    np.testing.assert_array_equal(again.decode(), q.decode())
    with pytest.raises(AttributeError):
        q.scale = 1.0
    assert isinstance(q, fl.IntArray)

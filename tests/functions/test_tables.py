"""The tables hold their functions to twice float64's precision, against MPFR."""

import numpy as np
import pytest

from floatlab.functions import tables

gmpy2 = pytest.importorskip("gmpy2")
mpfr = gmpy2.mpfr
PRECISE = gmpy2.context(precision=250)


def worst(function, points, *parts) -> float:
    """Return the largest error of the sum of the parts, relative to the function or to 1, whichever is smaller."""
    with gmpy2.context(PRECISE):
        errors = []
        for point, *values in zip(points, *(part.tolist() for part in parts), strict=True):
            exact = function(point)
            errors.append(abs(float((sum(map(mpfr, values)) - exact) / (exact or 1))))
        return max(errors)


def test_the_table_of_exp():
    bits, missing, scale, high, low = tables.exp_table()
    powers = (bits + (np.arange(2048) << 41)).view(np.float64)
    assert worst(lambda j: gmpy2.exp2(mpfr(j) / 2048), range(2048), powers, missing * powers) < 2**-100
    assert worst(lambda j: gmpy2.log(mpfr(2)) / 2048, [0], np.array([high]), np.array([low])) < 2**-80
    assert scale == pytest.approx(2954.639443740597, rel=1e-16)
    assert high.as_integer_ratio()[0].bit_length() <= 30


def test_the_table_of_log():
    points, high, low, log2_high, log2_low = tables.log_table()
    assert worst(lambda c: gmpy2.log(mpfr(c)), points.tolist(), high, low) < 2**-80
    at_one = points.tolist().index(1.0)
    assert high[at_one] == low[at_one] == 0
    assert np.all(high * 2**42 == np.rint(high * 2**42))  # so that the sum with k log 2 is exact
    assert (log2_high * 2**42).is_integer()
    assert worst(lambda _: gmpy2.log(mpfr(2)), [0], np.array([log2_high]), np.array([log2_low])) < 2**-90


def test_the_table_of_tanh():
    high, low = tables.tanh_table()
    end, steps = tables.TANH_END, tables.TANH_STEPS
    points = [j / steps for j in range(-end * steps, end * steps + 1)]
    assert worst(lambda c: gmpy2.tanh(mpfr(c)), points, high, low) < 2**-100


def test_the_table_of_the_sigmoid():
    high, low, slope = tables.sigmoid_table()
    end, steps = tables.SIGMOID_END, tables.SIGMOID_STEPS
    points = [j / steps for j in range(-end * steps, end * steps + 1)]
    assert worst(lambda c: 1 / (1 + gmpy2.exp(-mpfr(c))), points, high, low) < 2**-100
    assert worst(lambda c: 1 / (2 + 2 * gmpy2.cosh(mpfr(c))), points, slope) < 2**-52


def test_the_table_of_the_sine():
    high, low, cosine, angle = tables.sin_table()
    n = tables.TURN

    def turn(j: int):
        return 2 * gmpy2.const_pi() * j / n

    def sine(j: int):
        return mpfr(0) if j % (n // 2) == 0 else gmpy2.sin(turn(j))

    def cos(j: int):
        return mpfr(0) if j % n in (n // 4, 3 * n // 4) else gmpy2.cos(turn(j))

    assert worst(sine, range(n), high, low) < 2**-100
    assert worst(cos, range(n), cosine) < 2**-52
    assert worst(lambda _: turn(1), [0], *(np.array([part]) for part in angle)) < 2**-130
    for part in angle[:3]:
        assert part.as_integer_ratio()[0].bit_length() <= 27


def test_the_table_of_erf():
    high, low, coefficients = tables.erf_table()
    points = [j / tables.ERF_STEPS for j in range(tables.ERF_END * tables.ERF_STEPS + 1)]
    assert worst(lambda c: gmpy2.erf(mpfr(c)), points, high, low) < 2**-100
    density = lambda c: 2 / gmpy2.sqrt(gmpy2.const_pi()) * gmpy2.exp(-(mpfr(c) ** 2))  # noqa: E731
    assert worst(density, points, coefficients[0]) < 2**-52
    assert worst(lambda c: -mpfr(c) * density(c), points, coefficients[1]) < 2**-52


def test_the_table_of_mills_ratio():
    coefficients = tables.mills_table()
    steps = tables.MILLS_STEPS
    points = [j / steps for j in range(tables.MILLS_FIRST * steps, tables.MILLS_LAST * steps + 1)]

    def ratio(t: float):
        return gmpy2.exp(mpfr(t) ** 2 / 2) * gmpy2.erfc(mpfr(t) / gmpy2.sqrt(mpfr(2))) / 2

    assert worst(ratio, points, coefficients[0]) < 2**-52
    slope = lambda t: t * ratio(t) - 1 / gmpy2.sqrt(2 * gmpy2.const_pi())  # noqa: E731
    assert worst(slope, points, coefficients[1]) < 2**-52


def test_a_table_cannot_be_written():
    for table in (tables.tanh_table()[0], tables.log_table()[0], tables.erf_table()[2][0]):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0.0

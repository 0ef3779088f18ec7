"""Float64 functions with the same bits on every CPU: their errors against MPFR, special values, layouts.

That the bits are the same on every CPU is tested in tests/functions/test_functions.py, in processes with fewer CPU
features.
"""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

from floatlab.functions import float64 as wide

gmpy2 = pytest.importorskip("gmpy2")

PRECISE = gmpy2.context(precision=120, emin=-10000, emax=10000)
HALF_TURN = math.pi / 2
N = 1500


def tiny(rng: np.random.Generator, smallest: int) -> np.ndarray:
    return rng.uniform(-1, 1, N) * 10 ** rng.uniform(smallest, 0, N)


def beside_pi(rng: np.random.Generator) -> np.ndarray:
    return np.rint(rng.uniform(0, 80000, N)) * HALF_TURN


# function: the same in MPFR, the largest error in ulp that its docstring admits, and where to look
CLAIMS = {
    "exp64": (
        gmpy2.exp,
        1,
        [lambda r: r.uniform(-745, 709.7, N), lambda r: r.normal(0, 1, N), lambda r: tiny(r, -18)],
    ),
    "expm1_64": (
        gmpy2.expm1,
        1.5,
        [lambda r: r.uniform(-50, 709.7, N), lambda r: tiny(r, -300), lambda r: r.uniform(-0.001, 0.001, N)],
    ),
    "log64": (
        gmpy2.log,
        1.5,
        [
            lambda r: np.exp(r.uniform(-740, 709, N)),
            lambda r: 1 + tiny(r, -15),
            lambda r: r.uniform(0.998, 1.002, N),
        ],
    ),
    "log1p64": (
        gmpy2.log1p,
        2,
        [lambda r: np.exp(r.uniform(-740, 709, N)), lambda r: tiny(r, -300), lambda r: r.uniform(-1, 2, N)],
    ),
    "tanh64": (
        gmpy2.tanh,
        1,
        [lambda r: r.uniform(-20, 20, N), lambda r: tiny(r, -300), lambda r: r.uniform(-0.02, 0.02, N)],
    ),
    "sigmoid64": (
        lambda x: 1 / (1 + gmpy2.exp(-x)),
        1,
        [lambda r: r.uniform(-745, 40, N), lambda r: r.normal(0, 3, N), lambda r: tiny(r, -18)],
    ),
    "sin64": (
        gmpy2.sin,
        2,
        [
            lambda r: r.uniform(-7, 7, N),
            lambda r: r.uniform(-(2**17), 2**17, N),
            lambda r: tiny(r, -300),
            lambda r: r.uniform(-0.01, 0.01, N),
            beside_pi,
            lambda r: 10 ** r.uniform(5, 308, 100),
            lambda r: 2 ** r.uniform(17, 27, 200),
        ],
    ),
    "cos64": (
        gmpy2.cos,
        2,
        [
            lambda r: r.uniform(-7, 7, N),
            lambda r: r.uniform(-(2**17), 2**17, N),
            beside_pi,
            lambda r: 10 ** r.uniform(5, 308, 100),
            lambda r: 2 ** r.uniform(17, 27, 200),
        ],
    ),
    "erf64": (
        gmpy2.erf,
        2,
        [lambda r: r.uniform(-6, 6, N), lambda r: tiny(r, -300), lambda r: r.uniform(-0.01, 0.01, N)],
    ),
    "softplus64": (
        lambda x: gmpy2.log1p(gmpy2.exp(x)),
        2.5,
        [lambda r: r.uniform(-745, 50, N), lambda r: r.normal(0, 3, N)],
    ),
    "gelu64": (
        lambda x: x / 2 * gmpy2.erfc(-x / gmpy2.sqrt(gmpy2.mpfr(2))),
        4,
        [lambda r: r.uniform(-38.6, 9, N), lambda r: r.normal(0, 1, N), lambda r: tiny(r, -300)],
    ),
}


def ulps(function, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the errors of y in units of the last place of the exact results."""
    found = []
    with gmpy2.context(PRECISE):
        for argument, result in zip(x.tolist(), y.tolist(), strict=True):
            exact = function(gmpy2.mpfr(argument))
            place = max(gmpy2.frexp(exact)[0], -1021) - 53 if exact else -1074
            error = result - exact
            found.append(
                abs(float(gmpy2.div_2exp(error, place) if place > 0 else gmpy2.mul_2exp(error, -place)))
            )
    return np.array(found)


def test_every_function_has_a_claim():
    assert set(CLAIMS) == set(wide.__all__)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_error_is_below_what_the_docstring_says(name):
    function, claim, places = CLAIMS[name]
    rng = np.random.default_rng(2)
    for place in places:
        x = place(rng)
        assert ulps(function, x, getattr(wide, name)(x)).max() < claim


# Where a function changes its way of computing, or its result becomes subnormal.
BOUNDARIES = {
    "exp64": (-745.1, -708.3964, -708, 0, 709, 709.7827),
    "expm1_64": (-50, -37, -(2.0**-13), 0, 2.0**-13, 708, 709, 709.7827),
    "log64": (2.0**-1022, 0.5, 0.7, 1, 1.4, 2),
    "log1p64": (-1, -0.5, -0.3, 0, 0.4, 1, 2.0**53, 2.0**1000),
    "tanh64": (-20, -19.06, -(2.0**-8), 0, 2.0**-8, 19.06, 20),
    "sigmoid64": (-745.1, -708.3964, -40, -36.7, 0, 36.7, 40),
    "sin64": (-(2**17), -math.pi, 0, math.pi / 2048, math.pi, 2 * math.pi, 2**17),
    "cos64": (-HALF_TURN, 0, HALF_TURN, 3 * HALF_TURN, 2**17),
    "erf64": (-6, -5.92, -(2.0**-9), 0, 2.0**-9, 5.92, 6),
    "softplus64": (-745.1, -708.3964, -40, -36.7, 0, 36.7, 40),
    "gelu64": (-38.56, -37.62, -37.5, -8.3, -1, 0, 8.3, 8.4853),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_error_is_as_small_on_both_sides_of_every_boundary(name):
    """At every distance from it: the neighbours, and what lies 1e-12, 1e-9, ... 0.3 of it away."""
    function, claim, _ = CLAIMS[name]
    rng = np.random.default_rng(5)
    for boundary in BOUNDARIES[name]:
        distance = rng.uniform(-1, 1, 400) * 10 ** rng.uniform(-16, -0.5, 400)
        x = boundary + distance * max(abs(boundary), 1e-3)
        if name in ("exp64", "expm1_64"):
            x = x[x < 709.782712893384]  # beyond it lies infinity
        if name in ("log64", "log1p64"):
            x = x[x > (0 if name == "log64" else -1)]
        assert ulps(function, x, getattr(wide, name)(x)).max() < claim, boundary


def test_gelu_keeps_its_accuracy_where_the_exponential_in_it_is_subnormal():
    """x exp(-x^2 / 2) is larger than exp(-x^2 / 2): below -37.6 only the second one is subnormal."""
    function, claim, _ = CLAIMS["gelu64"]
    x = np.linspace(-38.6, -37.3, 4001)
    assert ulps(function, x, wide.gelu64(x)).max() < claim
    assert wide.gelu64(-38.5) == -11 * 2.0**-1074
    nearest = float.fromhex("-0x1.dc13e1ff037f3p-1022")
    assert abs(wide.gelu64(-37.59937154595912) - nearest) <= 4 * 2.0**-1074


inf, nan, big, least = math.inf, math.nan, np.finfo(float).max, 5e-324
SPECIAL = {
    "exp64": [
        (0.0, 1.0),
        (-0.0, 1.0),
        (inf, inf),
        (-inf, 0.0),
        (710.0, inf),
        (-746.0, 0.0),
        (-745.0, least),
        (nan, nan),
    ],
    "expm1_64": [
        (0.0, 0.0),
        (-0.0, -0.0),
        (inf, inf),
        (-inf, -1.0),
        (710.0, inf),
        (-800.0, -1.0),
        (least, least),
        (nan, nan),
    ],
    "log64": [(1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-1.0, nan), (-inf, nan), (nan, nan)],
    "log1p64": [
        (0.0, 0.0),
        (-0.0, -0.0),
        (-1.0, -inf),
        (inf, inf),
        (-1.5, nan),
        (-inf, nan),
        (least, least),
        (nan, nan),
    ],
    "tanh64": [(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (25.0, 1.0), (least, least), (nan, nan)],
    "sigmoid64": [(0.0, 0.5), (-0.0, 0.5), (inf, 1.0), (-inf, 0.0), (50.0, 1.0), (-745.0, least), (nan, nan)],
    "sin64": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (least, least), (nan, nan)],
    "cos64": [(0.0, 1.0), (-0.0, 1.0), (inf, nan), (-inf, nan), (least, 1.0), (nan, nan)],
    "erf64": [(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (7.0, 1.0), (-big, -1.0), (nan, nan)],
    "softplus64": [(inf, inf), (-inf, 0.0), (50.0, 50.0), (big, big), (-745.0, least), (nan, nan)],
    "gelu64": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -0.0), (big, big), (-50.0, -0.0), (nan, nan)],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_special_values(name):
    function = getattr(wide, name)
    for x, y in SPECIAL[name]:
        alone = function(x)
        among = function(np.array([0.5, x, 1.5]))[1]  # special and ordinary numbers in one block
        for got in (alone, among):
            assert np.array_equal(got, y, equal_nan=True), (x, y, got)
            if not math.isnan(y):
                assert np.signbit(got) == np.signbit(y), (x, y, got)


@pytest.mark.parametrize("name", CLAIMS)
def test_special_values_leave_their_neighbours_alone(name):
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=300))
    mixed = np.concatenate([x, [nan, inf, -inf, 0.0, -0.0, 1e300, -1e300, 1e-310, 720.0, -720.0]])
    assert np.array_equal(getattr(wide, name)(mixed)[:300], getattr(wide, name)(x))


@pytest.mark.parametrize("name", CLAIMS)
def test_an_element_does_not_depend_on_its_place(name):
    """Blocks, strides and shapes change nothing, nor does writing over the argument."""
    rng = np.random.default_rng(0)
    function = getattr(wide, name)
    x = np.abs(rng.normal(size=(3, 7001)))  # 21003 elements: more than two blocks
    y = function(x)
    assert y.shape == x.shape
    assert y.dtype == np.float64
    assert np.array_equal(y[1, 5000:5010], [float(function(v)) for v in x[1, 5000:5010]])
    assert np.array_equal(function(x.T), y.T)
    assert np.array_equal(function(x[:, ::3]), y[:, ::3])
    assert np.array_equal(function(x.astype(">f8")), y)
    out = np.zeros((7001, 3)).T
    assert function(x, out) is out
    assert np.array_equal(out, y)
    assert function(x, x) is x
    assert np.array_equal(x, y)


@pytest.mark.parametrize("name", CLAIMS)
def test_no_size_is_too_small(name):
    function = getattr(wide, name)
    assert function(np.empty((0, 3))).shape == (0, 3)
    assert function(0.5).shape == ()
    assert function([1, 2]).dtype == np.float64


@pytest.mark.parametrize("name", CLAIMS)
def test_nothing_is_said_about_exceptions(name):
    with np.errstate(all="raise"):
        getattr(wide, name)(
            np.array([nan, inf, -inf, 1e300, -1e300, 1e-310, 0.0, -1.0, 720.0, -720.0, -740.0])
        )


def test_symmetric_functions_are_symmetric():
    x = np.random.default_rng(0).normal(0, 5, 5000)
    for name in ("tanh64", "sin64", "erf64"):
        function = getattr(wide, name)
        assert np.array_equal(function(-x), -function(x))
    assert np.array_equal(wide.cos64(-x), wide.cos64(x))


@pytest.mark.parametrize(
    "name", ["exp64", "expm1_64", "log64", "log1p64", "tanh64", "sigmoid64", "erf64", "softplus64"]
)
def test_neighbours_stay_in_order_but_for_the_last_place(name):
    """A table with one wrong entry would make a step; across the ends of its intervals nothing may jump back."""
    x = np.linspace(0.001, 5.9, 200_001)
    y = getattr(wide, name)(x)
    assert np.diff(y).min() >= -np.spacing(np.abs(y).max())


def test_only_operations_that_ieee_754_fixes_are_used():
    """No transcendental function of NumPy, and nothing that could fuse or reorder: dot, sum, einsum."""
    allowed = {
        "abs",
        "add",
        "asarray",
        "bitwise_and",
        "clip",
        "copysign",
        "copyto",
        "divide",
        "empty",
        "empty_like",
    }
    allowed |= {
        "errstate",
        "flatnonzero",
        "fmax",
        "isfinite",
        "left_shift",
        "minimum",
        "multiply",
        "negative",
    }
    allowed |= {"right_shift", "subtract", "where", "array", "float64", "int64", "inf", "nan", "pi"}
    allowed |= {"concatenate", "ndarray"}  # of tables, for a device
    files = sorted(Path(wide.__file__).parent.glob("*.py"))
    assert len(files) > 1
    used = {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert used <= allowed


@pytest.mark.parametrize("name", wide.__all__)
def test_a_result_does_not_depend_on_its_neighbours(name):
    function = getattr(wide, name)
    x = np.concatenate(
        [np.linspace(-745.2, -660.0, 997), np.linspace(-45.0, 45.0, 500), np.linspace(700.0, 709.7, 300)]
    )
    alone = np.array([function(np.array([one]))[0] for one in x])
    assert np.array_equal(function(x), alone, equal_nan=True)
    assert np.array_equal(
        function(np.concatenate([x, [-1e300, np.nan, 1e300]]))[: x.size], alone, equal_nan=True
    )

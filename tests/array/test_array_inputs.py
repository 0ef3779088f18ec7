"""Inputs of all kinds to the functions that users of NumPy know: the right value, or an error of ours."""

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FloatlabError

BASE = np.array([[1.0, 2.0], [3.0, -0.5]])


class Subclass(np.ndarray):
    pass


def read_only():
    x = BASE.copy()
    x.flags.writeable = False
    return x


SAME = {  # kinds of the same numbers
    "read-only": read_only(),
    "non-contiguous": np.repeat(np.repeat(BASE, 2, 0), 3, 1)[::2, ::3],
    "byte-swapped": BASE.astype(">f8"),
    "subclass": BASE.view(Subclass),
    "float16": BASE.astype(np.float16),
    "long double": BASE.astype(np.longdouble),
    "list": BASE.tolist(),
    "FloatArray": fl.array(BASE, "fp16"),
    "codes": fl.from_codes(fl.encode(BASE, "fp16"), "fp16"),
}
STRANGE = {
    "nan": np.array([[np.nan, np.inf], [-0.0, 1]]),
    "empty": np.zeros((0, 2)),
    "no columns": np.zeros((2, 0)),
    "zero-dimensional": np.array(1.5),
    "masked": np.ma.array(BASE, mask=[[1, 0], [0, 0]]),
    "object": np.array([[object(), 1], [2, 3]]),
    "complex": BASE + 1j,
    "string": "1.5",
    "strings": np.array([["a", "b"]]),
    "bool": BASE > 0,
    "ragged": [[1], [1, 2]],
    "none": None,
    "dict": {},
    "large integers": [[2**70, 1], [1, 2]],
    "empty FloatArray": fl.array(np.zeros((0, 2)), "fp16"),
    "FloatArray of no dimension": fl.array(1.5, "fp16"),
}

NUMERIC = {
    **{
        name: lambda x, n=name: getattr(fl, n)(x, "fp16")
        for name in ("std", "var", "median", "average", "nansum", "nanmean", "norm")
    },
    **{
        f"{name} of rows": lambda x, n=name: getattr(fl, n)(x, "fp16", axis=1)
        for name in ("std", "var", "median", "average", "nansum", "nanmean", "norm")
    },
    **{
        name: lambda x, n=name: getattr(fl, n)(x, 2.0, "fp16")
        for name in ("floor_divide", "fmod", "remainder")
    },
    **{
        f"{name} by it": lambda x, n=name: getattr(fl, n)(2.0, x, "fp16")
        for name in ("floor_divide", "fmod", "remainder")
    },
    "ldexp": lambda x: fl.ldexp(x, 1, "fp16"),
    "quantile": lambda x: fl.quantile(x, 0.3, "fp16"),
    "weights": lambda x: fl.average(BASE, "fp16", weights=x),
    "linspace": lambda x: fl.linspace(x, 2.0, 4, "fp16"),
    "einsum": lambda x: fl.einsum("ij,jk->ik", x, BASE, fmt="fp16"),
    "einsum of one": lambda x: fl.einsum("ij->j", x, fmt="fp16"),
    "einsum of a diagonal": lambda x: fl.einsum("ii->i", x, fmt="fp16"),
    "tensordot": lambda x: fl.tensordot(x, BASE, "fp16", axes=1),
    "vecdot": lambda x: fl.vecdot(x, BASE, "fp16"),
    "1-norm": lambda x: fl.norm(x, "fp16", ord=1, axis=0),
    "norm of a matrix": lambda x: fl.norm(x, "fp16", ord=np.inf),
    "ulp_distance": lambda x: fl.testing.ulp_distance(x, BASE, "fp16"),
}
A = fl.array(BASE, "fp16")
OPTIONS = {
    **{
        f"axis of {name}": lambda x, n=name: getattr(fl, n)(A, axis=x)
        for name in ("std", "var", "median", "average", "nansum", "nanmean", "norm")
    },
    "exponents": lambda x: fl.ldexp(A, x),
    "quantiles": lambda x: fl.quantile([1.0, 2.0], x, "fp16"),
    "num": lambda x: fl.linspace(0.0, 1.0, x, "fp16"),
    "subscripts": lambda x: fl.einsum(x, BASE, fmt="fp16"),
    "axes": lambda x: fl.tensordot(BASE, BASE, "fp16", axes=x),
    "ord": lambda x: np.linalg.norm(A, x),
    "ddof": lambda x: np.var(A, ddof=x),
    "decimals": lambda x: np.round(A, x),
    "max_ulp": lambda x: fl.testing.assert_ulp(A, A, x),
    "append": lambda x: np.append(A, x),
    "insert": lambda x: np.insert(A, 0, x, 0),
    "places to insert": lambda x: np.insert(A, x, 1.0),
    "pad_width": lambda x: np.pad(A, x),
    "constant_values": lambda x: np.pad(A, 1, constant_values=x),
    "put": lambda x: np.put(A.copy(), [0], x),
    "mask": lambda x: np.place(A.copy(), x, 1.0),
    "heaviside": lambda x: np.heaviside(A, x),
    "kron": lambda x: np.kron(A, x),
    "union1d": lambda x: np.union1d(A, x),
    "block": lambda x: np.block([A, x]),
    "k": lambda x: np.tril(A, x),
    "fill_diagonal": lambda x: np.fill_diagonal(A.copy(), x),
    "select": lambda x: np.select([x], [A]),
    "cross": lambda x: np.cross(A, x),
    "divmod": lambda x: divmod(A, x),
}


@pytest.mark.parametrize("name", NUMERIC)
def test_the_same_numbers_give_the_same_result_whatever_holds_them(name):
    wanted = np.asarray(NUMERIC[name](BASE))
    for kind, x in SAME.items():
        found = NUMERIC[name](x)
        np.testing.assert_array_equal(np.asarray(found), wanted, err_msg=kind)


@pytest.mark.parametrize("name", NUMERIC)
def test_what_holds_no_numbers_is_refused(name):
    for kind in ("masked", "object", "complex", "strings", "ragged", "none", "dict"):
        if (name, kind) == ("weights", "none"):
            continue
        with pytest.raises(FloatlabError) as caught:
            NUMERIC[name](STRANGE[kind])
        assert len(str(caught.value)) > 30, kind
    with pytest.raises(DtypeError, match=r"[Mm]asked"):
        NUMERIC[name](STRANGE["masked"])


@pytest.mark.parametrize("name", (*NUMERIC, *OPTIONS))
def test_no_input_ends_in_an_error_from_inside(name):
    function = NUMERIC.get(name) or OPTIONS[name]
    for x in (*SAME.values(), *STRANGE.values()):
        try:
            function(x)
        except FloatlabError as error:
            assert "Got" in str(error)


def test_a_seed_stands_for_one_generator():
    x = fl.array(np.linspace(-3, 3, 40).reshape(4, 10), "fp16")
    for function in (
        lambda rng: fl.fmod(x, 0.7, "e4m3", rounding="stochastic", rng=rng),
        lambda rng: fl.var(x, "e4m3", axis=1, rounding="stochastic", rng=rng),
        lambda rng: fl.std(x, axis=0, accumulator="fp16", rounding="stochastic", rng=rng),
        lambda rng: fl.norm(x, axis=1, rounding="stochastic", rng=rng),
        lambda rng: fl.nanmean(x, "e4m3", axis=1, rounding="stochastic", rng=rng),
    ):
        np.testing.assert_array_equal(function(7).values, function(np.random.default_rng(7)).values)

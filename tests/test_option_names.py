"""A misspelt option names itself and the nearest right one, at every public door, whatever the size of the array.

The walk below goes through `floatlab.__all__`, the public rooms, and the methods of the public classes. What it finds
and cannot call fails the first test: a new public name demands its case here.

A call with ``roundng=`` must fail. Python's own "unexpected keyword argument" is enough where there is no rounding to
choose; whoever takes ``rounding=`` suggests it.
"""

import inspect
import warnings
from dataclasses import replace
from random import Random

import numpy as np
import pytest

import floatlab as fl
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.errors import FloatlabError
from floatlab.rounding.options import RoundingOptions
from floatlab.verify.fuzz.case import difference
from floatlab.verify.fuzz.checks import CHECKS

SIZES = (0, 10, 8191, 8192, 100_000)
MISSPELT = {"roundng": "toward_positive"}

# Keyword arguments that are the names of the caller's own things: the parts of a file, the inputs of a layer.
NAMES_OF_THE_CALLER = {
    "amp.PolicyModule.forward",
    "autograd.Function.apply",
    "autograd.Function.forward",
    "nn.Module.forward",
    "nn.ModuleDict.forward",
    "nn.ModuleList.forward",
    "nn.ParameterList.forward",
    "optim.load_state",
    "optim.save_state",
    # What these return is handed to functions that look at the names.
    "Arithmetic.of_operation",
    "Arithmetic.of_product",
    "Arithmetic.of_reduction",
    "autograd.Arithmetic.of_operation",
    "autograd.Arithmetic.of_product",
    "autograd.Arithmetic.of_reduction",
}


def _weights():
    return [fl.nn.Parameter(np.ones(3))]


def watched():
    with fl.telemetry.watch() as log:
        return log


def step(**options):
    return fl.amp.GradScaler(enabled=False).step(fl.optim.SGD(_weights()), **options)


# What the arguments with these names are, for an array of numbers x.
ARGUMENTS = {
    **dict.fromkeys(("x", "y", "a", "b", "c"), lambda x: x),
    "fmt": lambda x: "float16",
    "q": lambda x: 0.5,
    "n": lambda x: 2,
    "params": lambda x: _weights(),
    "defaults": lambda x: {},
}
# Callables whose signature does not say how they are called.
CALLS = {
    "Arithmetic": lambda x, **options: fl.Arithmetic(**options),
    "MatrixUnit": lambda x, **options: fl.MatrixUnit("mine", fraction_bits=25, block=16, **options),
    "arithmetic": lambda x, **options: fl.arithmetic(**options).__enter__(),
    "autograd.Arithmetic": lambda x, **options: fl.autograd.Arithmetic(**options),
    "autograd.arithmetic": lambda x, **options: fl.autograd.arithmetic(**options).__enter__(),
    "autograd.apply": lambda x, **options: fl.autograd.apply("exp", fl.Tensor(x), **options),
    "einsum": lambda x, **options: fl.einsum("i,i->", x, x, fmt="float16", **options),
    "tensordot": lambda x, **options: fl.tensordot(x, x, "float16", axes=1, **options),
    "explain": lambda x, **options: fl.explain(0.1, "float16", **options),
    "nn.Identity": lambda x, **options: fl.nn.Identity(**options),
    "nn.ReLU": lambda x, **options: fl.nn.ReLU(**options),
    "nn.Sigmoid": lambda x, **options: fl.nn.Sigmoid(**options),
    "nn.Tanh": lambda x, **options: fl.nn.Tanh(**options),
    "FloatArray.astype": lambda x, **options: fl.array(x, "fp16").astype("bf16", **options),
    "FloatArray.dot": lambda x, **options: fl.array(x, "fp16").dot(fl.array(x, "fp16"), **options),
    "Tensor.to": lambda x, **options: fl.Tensor(x).to("fp16", **options),
    "autograd.Tensor.to": lambda x, **options: fl.Tensor(x).to("fp32", **options),  # which it has already
    "telemetry.Log.total": lambda x, **options: watched().total(**options),
    "nn.Parameter.to": lambda x, **options: fl.nn.Parameter(x).to("fp16", **options),
    "amp.GradScaler.preset": lambda x, **options: fl.amp.GradScaler.preset("torch", **options),
    "amp.GradScaler.step": lambda x, **options: fl.amp.GradScaler(enabled=False).step(
        fl.optim.SGD(_weights()), **options
    ),
}
INSTANCES = {"FloatArray": lambda x: fl.array(x, "float16"), "IntArray": lambda x: fl.quantize_int(x)}


def public(room=fl, prefix=""):
    """Return the public callables by name: functions, classes, and the methods of these."""
    found = {}
    for name in room.__all__:
        member = getattr(room, name)
        if inspect.ismodule(member):
            found |= public(member, f"{prefix}{name}.")
        elif callable(member):
            found[prefix + name] = member
            if inspect.isclass(member):
                methods = inspect.getmembers(member, callable)
                found |= {f"{prefix}{name}.{k}": v for k, v in methods if not k.startswith("_")}
    return found


def takes_options(function):
    """Whether a keyword argument may arrive that the signature does not name, or one that says how to round."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # built-in exceptions, and aliases of types
        return False
    return any(p.kind is p.VAR_KEYWORD or p.name == "rounding" for p in parameters)


PUBLIC = public()
DOORS = sorted(name for name in PUBLIC if takes_options(PUBLIC[name]) and name not in NAMES_OF_THE_CALLER)


def required(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]


def call(name, x, **options):
    """Call a public function by name with an array of numbers."""
    if name in CALLS:
        return CALLS[name](x, **options)
    owner, _, method = name.rpartition(".")
    if owner in INSTANCES:
        return getattr(INSTANCES[owner](x), method)(**options)
    arguments = []
    for parameter in required(PUBLIC[name]):
        if parameter.name in ARGUMENTS:
            arguments.append(ARGUMENTS[parameter.name](x))
        elif parameter.default is parameter.empty:
            pytest.fail(
                f"{name} is public and takes options, and nobody knows how to call it. Add it to CALLS."
            )
    return PUBLIC[name](*arguments, **options)


def outcome(name, x, **options):
    """Return what a call raises, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NaN of nothing
        try:
            call(name, x, **options)
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DOORS)
def test_a_misspelt_option_names_itself_and_the_nearest_right_one(name, size):
    x = np.full(size, 1.06)
    error = outcome(name, x, **MISSPELT)
    assert error is not None, f"{name} takes roundng= in silence"
    assert "roundng" in str(error), error
    if isinstance(error, FloatlabError) and "rounding" in str(error):
        assert "Got 'roundng'. Use \"rounding\"." in str(error)
    else:  # then there is no rounding to choose
        assert isinstance(error, TypeError | FloatlabError), error
        refused = outcome(name, x, rounding="toward_positive")
        assert refused is not None, f"{name} takes rounding=, and says of roundng= no more than: {error}"
        assert "rounding" in str(refused), refused


def test_the_walk_finds_the_doors():
    """So that a mistake in the walk does not make the test above pass for nothing."""
    assert len(DOORS) > 90
    for name in ("quantize", "encode", "add", "exp", "power", "sum", "matmul", "median", "array", "explain"):
        assert name in DOORS
    assert {"FloatArray.sum", "FloatArray.astype", "optim.SGD", "autograd.arithmetic", "Tensor.to"} <= set(
        DOORS
    )


@pytest.mark.parametrize("name", [name for name in DOORS if "." not in name])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [("overflows", "overflow"), ("subnormal", "subnormals"), ("random_bit", "random_bits")],
)
def test_every_option_of_rounding_is_suggested(name, wrong, right):
    if (name, right) == ("quantize_int", "subnormals"):  # of which integers have none
        return
    if name == "MatrixUnit":  # which has but a mode, for its sums
        return
    error = outcome(name, np.ones(10), **{wrong: None})
    assert isinstance(error, FloatlabError)
    assert f"Got '{wrong}'. Use \"{right}\"." in str(error)


@pytest.mark.parametrize(
    "name", [name for name in DOORS if "." not in name and name not in ("explain", "MatrixUnit")]
)
def test_a_misspelt_option_beside_right_ones_is_found_too(name):
    error = outcome(name, np.ones(10), rounding="toward_zero", rngs=None)
    assert isinstance(error, FloatlabError)
    assert "Got 'rngs'. Use \"rng\"." in str(error)


def test_an_option_of_rounding_is_an_option_and_no_more_than_that():
    assert list(RoundingOptions.__annotations__) == [
        "rounding", "overflow", "subnormals", "flush_inputs", "rng", "random_bits", "random_integers",
    ]  # fmt: skip


# -- results in which nothing is rounded, and which so might never ask for the options -------------------------


ONES = fl.array(np.ones((3, 3)), "fp16")
NOTHING_TO_ROUND = {
    "a view of the indices": lambda **options: fl.einsum("ij->ji", ONES, **options),
    "a copy in the same format": lambda **options: fl.array(ONES, "fp16", **options),
    "partial sums of nothing": lambda **options: fl.cumsum([], "fp16", **options),
    "a product of nothing": lambda **options: fl.prod([], "fp16", **options),
    "a sum of nothing": lambda **options: fl.sum([], "fp16", **options),
    "the spread of no row": lambda **options: fl.var(np.ones((0, 3)), "fp16", axis=1, **options),
    "the middle of no row": lambda **options: fl.median(np.ones((0, 3)), "fp16", axis=1, **options),
    "the largest magnitude": lambda **options: fl.norm(ONES, ord=np.inf, axis=0, **options),
    "many rows at once": lambda **options: fl.var(np.ones((100, 3)), "fp16", axis=1, **options),
    "an average": lambda **options: fl.average(ONES, weights=np.ones((3, 3)), **options),
    "a power that is a square": lambda **options: fl.power(ONES, 2, **options),
    "a remainder of nothing": lambda **options: fl.fmod([], [], "fp16", **options),
}


@pytest.mark.parametrize("what", NOTHING_TO_ROUND)
def test_an_option_is_looked_at_where_nothing_is_rounded(what):
    with pytest.raises(FloatlabError, match=r"Got .roundng.\. Use .rounding"):
        NOTHING_TO_ROUND[what](**MISSPELT)
    NOTHING_TO_ROUND[what](rounding="toward_zero")


@pytest.mark.parametrize(
    "name", ["sum", "mean", "var", "std", "median", "norm", "average", "nansum", "nanmean"]
)
def test_a_reduction_does_not_flush_in_silence(name):
    reduce, x = getattr(fl, name), fl.array([2.0**-24, 1.0], "fp16")
    with pytest.raises(FloatlabError, match="flush_inputs"):
        reduce(x, flush_inputs=True)
    for unknown, right in (("axes", "axis"), ("keepdim", "keepdims"), ("acumulator", "accumulator")):
        with pytest.raises(FloatlabError, match=f"Got '{unknown}'. Use \"{right}\""):
            reduce(x, **{unknown: 0})


@pytest.mark.parametrize("name", ["array", "cumsum", "cumprod", "prod"])
def test_flags_are_not_returned_where_there_are_none(name):
    with pytest.raises(FloatlabError, match="Got 'return_flags'"):
        getattr(fl, name)([1.0, 2.0], "fp16", return_flags=True)


def test_random_calls_misspell_options_and_would_have_found_this():
    check, draw = CHECKS["misspelt"], Random(0)
    cases = [check.draw(draw) for _ in range(100)]
    assert len({case.what for case in cases}) > 60
    assert {case.length for case in cases} >= {0, 8191, 8192}
    assert [found for case in cases if (found := difference(case, check))] == []
    silent = replace(check, text=lambda case: f"fl.array({case.operand()}, 'fp16')")
    assert difference(cases[0], silent) is not None


# -- NumPy's functions, which have no options of rounding --------------------------------------------------------


NUMPY_CALLS = {
    np.einsum: lambda x, **options: np.einsum("i,i->", x, x, **options),
    np.pad: lambda x, **options: np.pad(x, 1, **options),
}


def arity(function):
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        return len([p for p in required(function) if p.default is p.empty])
    except ValueError:  # written in C
        return 2


@pytest.mark.parametrize(
    "function", sorted({*FUNCTIONS, *UFUNCS}, key=lambda f: (f.__name__, str(f))), ids=lambda f: f.__name__
)
def test_a_function_of_numpy_names_the_option_that_it_does_not_know(function):
    x = fl.array(np.ones(3), "fp16")
    with pytest.raises((TypeError, ValueError, FloatlabError), match="roundng"):
        if function in NUMPY_CALLS:
            NUMPY_CALLS[function](x, **MISSPELT)
        else:
            function(*[x] * arity(function), **MISSPELT)

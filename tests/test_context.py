"""One context for arrays and tensors: the same bits from both, and a backward pass that follows its forward."""

from __future__ import annotations

import asyncio
import copy
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import DETERMINISTIC, POLICIES, STOCHASTIC

import floatlab as fl
from floatlab import amp, nn, optim, reference
from floatlab.autograd import Function, Tensor
from floatlab.context import DEFAULT, Arithmetic, current, using
from floatlab.errors import FloatlabError, OptionError, OverflowPolicyError, ShapeError
from floatlab.operations.operate import operate

MODES = (*DETERMINISTIC, *STOCHASTIC)
FORMATS = ("fp16", "bf16", "fp32", "e4m3", "e5m2fnuz", "e6m9", "e9m40", "binary8p3se")
ACCUMULATORS = ("wide", "exact", "fp16", "e4m3", "pairwise:bf16", "kahan:fp16", "chunked:fp16:fp32:4")


def numbers(fmt, count, seed, ordinary=False):
    """Values of a format: ordinary numbers, ends of the range, subnormals, and neighbours of powers of two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    if not ordinary:
        low, high = fmt.emin - fmt.mantissa_bits, fmt.emax
        near = np.ldexp(
            rng.choice([1, 1 + fmt.eps, 2 - fmt.eps, -1.5], count), rng.integers(low, high + 1, count)
        )
        ends = [0.0, fmt.max, -fmt.max, fmt.smallest_normal, fmt.smallest_subnormal, 1.0]
        x = np.where(
            rng.random(count) < 0.5, x, np.where(rng.random(count) < 0.8, near, rng.choice(ends, count))
        )
    return fl.quantize(x, fmt, overflow="saturate")


def same(a, b):
    """Compare bits, any NaN with any NaN."""
    a, b = np.asarray(a), np.asarray(b)
    zeros = np.array_equal(np.signbit(a) & (a == 0), np.signbit(b) & (b == 0))
    return a.shape == b.shape and a.dtype == b.dtype and zeros and np.array_equal(a, b, equal_nan=True)


# Each is written once and run with FloatArrays and with Tensors.
OPERATORS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "pow": lambda a, b: abs(a) ** b,
    "square": lambda a, b: a**2,
    "reciprocal": lambda a, b: a**-1,
    "cube": lambda a, b: a**3,
    "number first": lambda a, b: 2 - a,
    "number last": lambda a, b: a / 4,
    "matmul": lambda a, b: a.reshape(4, 6) @ b.reshape(6, 4),
    "vector": lambda a, b: a @ b,
    "sum": lambda a, b: a.sum(),
    "sum of rows": lambda a, b: a.reshape(4, 6).sum(axis=1),
    "mean": lambda a, b: a.mean(),
    "mean of columns": lambda a, b: b.reshape(4, 6).mean(axis=0, keepdims=True),
    "max": lambda a, b: abs(a).max(),
    "chain": lambda a, b: (a * b + a) / (b - 2) * (a - b).sum(),
}
# What the two call by different names.
PAIRS = {
    "sqrt": (lambda a, b: np.sqrt(abs(a)), lambda a, b: abs(a).sqrt()),
    "sqrt of a negative number": (lambda a, b: np.sqrt(a), lambda a, b: a.sqrt()),
    "exp": (lambda a, b: np.exp(a), lambda a, b: a.exp()),
    "log": (lambda a, b: np.log(a), lambda a, b: a.log()),
    "tanh": (lambda a, b: np.tanh(a), lambda a, b: a.tanh()),
    "sigmoid": (lambda a, b: fl.sigmoid(a), lambda a, b: a.sigmoid()),
    "gelu": (lambda a, b: fl.gelu(a), lambda a, b: nn.functional.gelu(a)),
    "softplus": (lambda a, b: fl.softplus(a), lambda a, b: nn.functional.softplus(a)),
    "to bf16": (lambda a, b: a.astype("bf16"), lambda a, b: a.to("bf16")),
    "to e4m3": (lambda a, b: a.astype("e4m3"), lambda a, b: a.to("e4m3")),
    "to fp32": (lambda a, b: a.astype("fp32"), lambda a, b: a.to("fp32")),
    "to fp64": (lambda a, b: a.astype("fp64"), lambda a, b: a.to("fp64")),
    "linear": (lambda a, b: fl.matmul(a.reshape(4, 6), b.reshape(4, 6).T), lambda a, b: nn.functional.linear(
        a.reshape(4, 6), b.reshape(4, 6)
    )),
    "pad": (lambda a, b: np.pad(a, 2, constant_values=1e9), lambda a, b: nn.functional.pad(a, (2, 2), value=1e9)),
    "where": (lambda a, b: np.where(a.values > 0, a, 1e9), lambda a, b: fl.autograd.where(a > 0, a, 1e9)),
    "masked_fill": (
        lambda a, b: np.where(a.values > 0, 0.3, a),
        lambda a, b: a.masked_fill(a.data > 0, 0.3),
    ),
    "maximum": (lambda a, b: np.maximum(a, b), lambda a, b: a.maximum(b)),
    "number maximum": (lambda a, b: np.maximum(a, 1e9), lambda a, b: a.maximum(1e9)),
}  # fmt: skip
OPERATIONS = {name: (both, both) for name, both in OPERATORS.items()} | PAIRS


def outcome(compute, make, fmt, x, y):
    """Return what comes out: the values, or the class of the error."""
    try:
        out = compute(make(x, fmt), make(y, fmt))
    except FloatlabError as error:
        return type(error)
    return out.values if isinstance(out, fl.FloatArray) else out.data


def agree(name, fmt, options, seed):
    """Compute with both in a context of its own each; return both outcomes, and whether they are the same."""
    fmt = fl.get_format(fmt)
    x, y = numbers(fmt, 24, seed, seed % 3 == 0), numbers(fmt, 24, seed + 1, seed % 2 == 0)
    results = []
    for compute, make in zip(OPERATIONS[name], (fl.array, lambda v, f: Tensor(v, format=f)), strict=True):
        with fl.arithmetic(**copy.deepcopy(options)), np.errstate(all="ignore"):
            results.append(outcome(compute, make, fmt, x, y))
    a, b = results
    if isinstance(a, type) or isinstance(b, type):
        return a, b, a is b
    return a, b, same(a, b)


def options_of(rounding, overflow, subnormals, flush_inputs, accumulator):
    given_ = {
        "rounding": rounding,
        "overflow": overflow,
        "subnormals": subnormals,
        "flush_inputs": flush_inputs,
        "accumulator": accumulator,
    }
    return given_ | {"rng": 7, "random_bits": 11} if rounding in STOCHASTIC else given_


# -- the same bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("rounding", MODES)
def test_arrays_and_tensors_give_the_same_bits_in_every_mode(rounding, name):
    for seed, fmt in enumerate(FORMATS):
        for flags in ((None, "gradual", False), ("saturate", "flush", False), (None, "gradual", True)):
            options = options_of(rounding, *flags, "wide")
            a, b, equal = agree(name, fmt, options, seed)
            assert equal, (fmt, options, a, b)


@pytest.mark.parametrize(
    "name", ["matmul", "vector", "sum", "sum of rows", "mean", "mean of columns", "linear"]
)
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_arrays_and_tensors_add_up_alike_with_every_accumulator(accumulator, name):
    for seed, rounding in enumerate(MODES):
        options = options_of(rounding, None, "gradual", False, accumulator)
        a, b, equal = agree(name, FORMATS[seed % 4], options, seed)
        assert equal, (options, a, b)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.sampled_from(FORMATS),
    st.sampled_from(MODES),
    st.sampled_from(POLICIES),
    st.sampled_from(["gradual", "flush"]),
    st.booleans(),
    st.sampled_from(ACCUMULATORS),
    st.integers(0, 10**6),
)
def test_the_same_bits_or_the_same_error_whatever_is_asked_for(
    name, fmt, mode, overflow, tiny, flush, how, seed
):
    a, b, equal = agree(name, fmt, options_of(mode, overflow, tiny, flush, how), seed)
    assert equal, (a, b)


@pytest.mark.parametrize("rounding", [m for m in MODES if m != "nearest_even"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "square", "matmul", "sum", "mean", "sqrt"])
def test_float64_obeys_although_no_result_is_wider(name, rounding):
    for seed in range(3):
        a, b, equal = agree(name, "fp64", options_of(rounding, None, "gradual", False, "wide"), 3 * seed)
        assert equal, (a, b)


@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_a_tensors_sum_is_that_of_the_oracle(rounding):
    fmt = fl.get_format("bf16")
    x, y = numbers(fmt, 40, 1), numbers(fmt, 40, 2)
    with fl.arithmetic(rounding=rounding):
        out = (Tensor(x, format=fmt) + Tensor(y, format=fmt)).data
    wanted = [
        reference.to_float(reference.add(float(a), float(b), fmt, rounding=rounding).value)
        for a, b in zip(x, y, strict=True)
    ]
    assert same(out, np.array(wanted, out.dtype))


def test_a_sum_that_float32_hides_is_rounded_toward_zero_all_the_same():
    one, tiny = (Tensor([x], format="bf16") for x in (1.0, -(2.0**-100)))
    with fl.arithmetic(rounding="toward_zero"):
        assert (one + tiny).item() == 1 - 2.0**-8  # in float32, and in float64, the sum is 1


def test_terms_that_cancel_leave_a_negative_zero_toward_negative():
    x = Tensor([1.0, -1.0], format="fp16")
    with fl.arithmetic(rounding="toward_negative"):
        assert np.signbit((x + -x).data).all() and np.signbit(x.sum().data)
    assert not np.signbit((x + -x).data).any()


def test_a_wide_cast_flushes_and_saturates_too():
    x = Tensor([2.0**-130, np.inf], format="bf16")
    with fl.arithmetic(subnormals="flush", overflow="saturate"):
        assert x.to("fp32").tolist() == [0.0, float(np.finfo(np.float32).max)]
    assert x.to("fp32").tolist() == [2.0**-130, np.inf]
    assert x.to("fp32", subnormals="flush").tolist() == [0.0, np.inf]
    with fl.arithmetic(rounding="toward_zero"):
        assert (
            Tensor([1.06]).to("e4m3", rounding="toward_positive").item() == 1.125
        )  # what is said here counts


def test_a_cast_to_the_own_format_does_what_was_asked_for():
    x = Tensor([2.0**-24, np.inf], format="fp16")
    assert x.to("fp16") is x
    assert x.to("fp16", subnormals="flush").tolist() == [0.0, np.inf]
    with fl.arithmetic(overflow="saturate"):
        assert x.to("fp16").tolist() == fl.array(x.data, "fp16").tolist() == [2.0**-24, 65504.0]


def test_numbers_that_are_filled_in_are_rounded_to_nearest_in_every_mode():
    x = Tensor([1.0, -1.0], format="e4m3")
    with fl.arithmetic(rounding="toward_zero", overflow="saturate"):
        assert x.masked_fill(np.array([True, False]), 1.07).tolist() == [1.125, -1.0]
        assert x.maximum(1000.0).tolist() == [448.0, 448.0]


def test_tensors_are_made_and_filled_as_the_context_says():
    with fl.arithmetic(rounding="toward_positive"):
        assert Tensor([1.01], format="e4m3").item() == fl.array([1.01], "e4m3").item() == 1.125
        x = Tensor([1.0], format="e4m3")
        assert x.fill_(1.01).item() == 1.125 and x.copy_([2.01]).item() == 2.25
        x.data = [1.01]  # as when weights are loaded
        assert x.item() == 1.0


# -- one context -------------------------------------------------------------------------------------


def test_there_is_one_context_and_one_arithmetic():
    assert fl.arithmetic is fl.autograd.arithmetic
    assert fl.Arithmetic is fl.autograd.Arithmetic is Arithmetic
    names = ["rounding", "overflow", "subnormals", "flush_inputs", "accumulator", "unit"]
    names += ["rng", "random_bits"]
    assert list(Arithmetic.__dataclass_fields__) == names
    assert current() is DEFAULT and Arithmetic() == DEFAULT
    with fl.autograd.accumulator("fp16") as rules:
        assert current() is rules and rules.accumulator == "fp16"
        assert fl.array(np.ones(3000), "fp16").sum().item() == 2048


def test_nested_contexts_inherit_what_they_do_not_set():
    with fl.arithmetic(rounding="toward_zero", accumulator="fp16", rng=3):
        outer = current()
        with fl.arithmetic(subnormals="flush"), fl.autograd.accumulator("exact"):
            inner = current()
            assert (inner.rounding, inner.subnormals, inner.accumulator) == ("toward_zero", "flush", "exact")
            assert inner.rng is outer.rng
            with fl.arithmetic(rounding="nearest_even", overflow=None):
                assert (current().rounding, current().subnormals) == ("nearest_even", "flush")
        assert current() is outer
        with pytest.raises(ZeroDivisionError), fl.arithmetic(rounding="to_odd"):
            _ = 1 / 0
        assert current() is outer
    assert current() is DEFAULT


@pytest.mark.parametrize(
    ("option", "meant"),
    [("roundng", "rounding"), ("overflw", "overflow"), ("subnormal", "subnormals"), ("flush_input", "flush_inputs"),
     ("acumulator", "accumulator"), ("rgn", "rng"), ("random_bit", "random_bits")],
)  # fmt: skip
def test_a_misspelt_option_names_itself_and_the_right_one(option, meant):
    for context in (fl.arithmetic, fl.autograd.arithmetic):
        with pytest.raises(OptionError, match=rf"Got '{option}'. Use \"{meant}\""), context(**{option: 1}):
            pass
    assert current() is DEFAULT


@pytest.mark.parametrize(
    ("option", "value", "error", "meant"),
    [
        ("rounding", "toward_zer", OptionError, "toward_zero"),
        ("overflow", "saturat", OverflowPolicyError, "saturate"),
        ("subnormals", "flushed", OptionError, "flush"),
        ("flush_inputs", "yes", OptionError, "True or False"),
        ("accumulator", "pairwis:fp16", FloatlabError, "pairwise"),
        ("rng", -1, OptionError, "seed"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_computed(option, value, error, meant):
    with pytest.raises(error, match=meant), fl.arithmetic(**{option: value}):
        pytest.fail("the block was entered")
    with pytest.raises(error, match=meant):
        Arithmetic(**{option: value})


def test_a_cast_refuses_an_option_that_nobody_knows():
    x = Tensor([1.0], format="bf16")
    for target in ("e4m3", "fp32", "bf16"):
        with pytest.raises(OptionError, match=r"Got 'roundng'. Use \"rounding\""):
            x.to(target, roundng="toward_zero")


def test_a_context_stays_in_its_thread():
    x, found = Tensor([1.0], format="e4m3"), {}

    def compute(rounding, barrier):
        with fl.arithmetic(rounding=rounding):
            barrier.wait()
            found[rounding] = (x / 3).item()
            barrier.wait()

    barrier = threading.Barrier(2)
    threads = [
        threading.Thread(target=compute, args=(m, barrier)) for m in ("toward_zero", "toward_positive")
    ]
    with fl.arithmetic(rounding="toward_positive"):
        fresh = threading.Thread(target=lambda: found.update(none=(x / 3).item()))
        for thread in (*threads, fresh):
            thread.start()
        for thread in (*threads, fresh):
            thread.join()
    assert found == {"toward_zero": 0.3125, "toward_positive": 0.34375, "none": 0.34375}
    assert current() is DEFAULT


def test_a_context_stays_in_its_task():
    async def compute(rounding):
        with fl.arithmetic(rounding=rounding):
            await asyncio.sleep(0)
            return (Tensor([1.0], format="e4m3") / 3).item()

    async def both():
        return await asyncio.gather(compute("toward_zero"), compute("toward_positive"))

    assert asyncio.run(both()) == [0.3125, 0.34375]


def test_a_generator_function_ends_its_context_with_its_block():
    def third():
        with fl.arithmetic(rounding="toward_zero"):
            yield (Tensor([1.0], format="e4m3") / 3).item()
        yield (Tensor([1.0], format="e4m3") / 3).item()

    assert list(third()) == [0.3125, 0.34375]
    stopped = third()
    next(stopped)
    stopped.close()
    assert current() is DEFAULT


def test_arrays_and_tensors_draw_from_one_generator():
    x = np.full(64, 1.0)
    with fl.arithmetic(rounding="stochastic", rng=5):
        first = (fl.array(x, "e4m3") / 3).values
        second = (Tensor(x, format="e4m3") / 3).data
    rng = np.random.default_rng(5)
    fl.quantize(x, "e4m3", rounding="stochastic", rng=rng)
    assert same(first, operate("divide", (x, 3.0), "e4m3", rounding="stochastic", rng=rng))
    fl.quantize(x, "e4m3", rounding="stochastic", rng=rng)
    assert same(second, operate("divide", (x, 3.0), "e4m3", rounding="stochastic", rng=rng))


def test_a_seed_given_to_arithmetic_is_one_generator():
    rules = Arithmetic(rounding="stochastic", rng=3)
    x = Tensor(np.ones(1000), format="e4m3")
    with using(rules):
        assert not np.array_equal((x / 3).data, (x / 3).data)


# -- the backward pass -------------------------------------------------------------------------------


def gradients(run, context, inside):
    """Return the gradients of a small network whose forward pass ran in a context, its backward pass in it or not."""
    rng = np.random.default_rng(0)
    leaves = [
        Tensor(rng.normal(size=shape), format="fp16", requires_grad=True)
        for shape in ((5, 7), (7, 3), (3,), (5, 3))
    ]
    if inside:
        with fl.arithmetic(**context):
            run(*leaves).backward()
    else:
        with fl.arithmetic(**context):
            out = run(*leaves)
        out.backward()
    return [leaf.grad.data for leaf in leaves]


def network(x, w, b, t):
    h = (x @ w + b).tanh() * b / (t * t + 2) - x.sum(axis=1, keepdims=True)
    return nn.functional.mse_loss((h.exp() * h + h**2).sum(axis=0), t.mean(axis=0)) + h.mean()


CONTEXTS = [
    *({"rounding": mode, "rng": 11} for mode in MODES),
    {"accumulator": "e5m2"},
    {"overflow": "saturate"},
    {"subnormals": "flush"},
    {"rounding": "toward_zero", "accumulator": "fp16", "subnormals": "flush"},
]


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda c: " ".join(str(v) for v in c.values()))
def test_backward_follows_its_forward_wherever_it_runs(context):
    inside = gradients(network, context, inside=True)
    outside = gradients(network, context, inside=False)
    assert all(same(a, b) for a, b in zip(inside, outside, strict=True))
    if context.get("rounding", "nearest_even").startswith(("toward", "to_odd", "stoch")):
        plain = gradients(network, {}, inside=True)
        assert not all(same(a, b) for a, b in zip(inside, plain, strict=True))


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda c: " ".join(str(v) for v in c.values()))
def test_a_context_around_backward_alone_changes_nothing(context):
    plain = gradients(network, {}, inside=True)
    rng = np.random.default_rng(0)
    leaves = [
        Tensor(rng.normal(size=shape), format="fp16", requires_grad=True)
        for shape in ((5, 7), (7, 3), (3,), (5, 3))
    ]
    out = network(*leaves)
    with fl.arithmetic(**context):
        out.backward()
    assert all(same(a, leaf.grad.data) for a, leaf in zip(plain, leaves, strict=True))


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize("fmt", ["bf16", "fp32", "fp64"])
def test_a_gradient_is_rounded_as_the_forward_pass_was(rounding, fmt):
    fmt = fl.get_format(fmt)
    g, y = numbers(fmt, 30, 4, ordinary=True), numbers(fmt, 30, 5, ordinary=True)
    x = Tensor(np.ones(30), format=fmt, requires_grad=True)
    with fl.arithmetic(rounding=rounding):
        out = x * Tensor(y, format=fmt)
    out.backward(g)
    wanted = [
        reference.to_float(reference.multiply(float(a), float(b), fmt, rounding=rounding).value)
        for a, b in zip(g, y, strict=True)
    ]
    assert same(x.grad.data, np.array(wanted, x.grad.data.dtype))


def test_the_shares_of_a_gradient_add_up_as_the_forward_pass_was():
    # 1 + 2^-11 is a tie, which goes to 1; toward_positive it goes up.
    for rounding, wanted in (("nearest_even", 1.0), ("toward_positive", 1 + 2.0**-10)):
        x = Tensor([1.0], format="fp16", requires_grad=True)
        with fl.arithmetic(rounding=rounding):
            out = x * 1.0 + x * 2.0**-11
        out.backward(np.ones(1))
        assert x.grad.item() == wanted
    y = Tensor([1.0], format="fp16", requires_grad=True)
    with fl.arithmetic(rounding="toward_positive"):
        z = y * 1.0
        out = z * 1.0 + z * 2.0**-11
    out.backward(np.ones(1))
    assert y.grad.item() == 1 + 2.0**-10


def test_the_backward_of_a_custom_function_follows_its_forward():
    class Third(Function):
        @staticmethod
        def forward(ctx, x):
            return x / 3

        @staticmethod
        def backward(ctx, gradient):
            return gradient / 3

    x = Tensor([1.0], format="e4m3", requires_grad=True)
    with fl.arithmetic(rounding="toward_zero"):
        out = Third.apply(x)
    out.backward(np.ones(1))
    assert out.item() == x.grad.item() == 0.3125
    x.grad = None
    out = Third.apply(x)
    with fl.arithmetic(rounding="toward_zero"):
        out.backward(np.ones(1))
    assert out.item() == x.grad.item() == 0.34375


def test_flushed_operands_are_what_the_derivatives_read():
    tiny = 2.0**-16
    x = Tensor([2.0], format="fp16", requires_grad=True)
    with fl.arithmetic(flush_inputs=True):
        out = x * Tensor([tiny], format="fp16")
    out.backward(np.array([1024.0]))
    assert out.item() == x.grad.item() == 0
    y = Tensor([2.0], format="fp16", requires_grad=True)
    with fl.arithmetic(flush_inputs=True):
        out = y * 1024.0
    out.backward(np.array([tiny]))  # a gradient is an operand of the derivative
    assert y.grad.item() == 0
    with fl.arithmetic(flush_inputs=True), pytest.raises(OptionError, match="flush_inputs"):
        y.sum()
    with fl.arithmetic(flush_inputs=True), pytest.raises(OptionError, match="flush_inputs"):
        y @ y


def test_watching_draws_no_random_number():
    def run():
        x = Tensor(np.linspace(1, 2, 24).reshape(4, 6), format="fp16", requires_grad=True)
        with fl.arithmetic(rounding="stochastic", rng=9):
            out = ((x @ Tensor(np.ones((6, 2)) / 3, format="fp16")).exp() / 3).mean()
            out.backward()
        return out.data, x.grad.data

    plain, seen = run(), []
    token = fl.autograd.observers.set((seen.append,))
    try:
        watched = run()
    finally:
        fl.autograd.observers.reset(token)
    assert seen and all(same(a, b) for a, b in zip(plain, watched, strict=True))


def test_shapes_that_do_not_fit_are_refused_in_a_context_too():
    with fl.arithmetic(rounding="toward_zero"), pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        Tensor([1.0, 2.0]) + Tensor([1.0, 2.0, 3.0])


# -- what is around a training step --------------------------------------------------------------------


def step(context, around_optimizer):
    model = nn.Sequential(nn.Linear(6, 5, rng=0), nn.Tanh(), nn.Linear(5, 3, rng=1)).to("bf16")
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = Tensor(np.random.default_rng(2).normal(size=(4, 6)), format="bf16")
    with fl.arithmetic(**context):
        loss = nn.functional.cross_entropy(model(x), np.array([0, 1, 2, 0]))
        loss.backward()
        if around_optimizer:
            optimizer.step()
    if not around_optimizer:
        optimizer.step()
    return loss.item(), {name: t.data for name, t in model.state_dict().items()}


def test_a_training_step_obeys_the_context_and_its_optimizer_does_not():
    context = {"rounding": "toward_zero", "accumulator": "fp16", "subnormals": "flush"}
    loss, weights = step(context, around_optimizer=True)
    assert loss != step({}, around_optimizer=True)[0]
    again, same_weights = step(context, around_optimizer=False)
    assert loss == again and all(same(weights[name], same_weights[name]) for name in weights)


def test_autocast_casts_a_weight_anew_in_another_context():
    layer = nn.Linear(1, 1, bias=False, rng=0)
    layer.load_state_dict({"weight": [[1.06]]})
    x, found = Tensor([[1.0]], format="e4m3"), []
    with amp.autocast("e4m3"):
        for rounding in ("toward_positive", "nearest_even", "toward_positive", "toward_zero"):
            with fl.arithmetic(rounding=rounding):
                found.append(layer(x).item())
    assert found == [1.125, 1.0, 1.125, 1.0]


def test_a_saved_state_is_loaded_as_it_was_saved():
    layer = nn.Linear(2, 1, bias=False, rng=0)
    layer.load_state_dict({"weight": [[2.0**-140, 1.0]]})
    other = nn.Linear(2, 1, bias=False, rng=1)
    with fl.arithmetic(subnormals="flush", rounding="stochastic"):
        state = layer.state_dict()
        other.load_state_dict(state)
    assert other.weight.data.tolist() == [[2.0**-140, 1.0]]


def test_the_mean_of_the_exact_accumulator_is_exact_in_float64():
    x = [2.0**80, 1.0, -(2.0**80)]
    with fl.arithmetic(accumulator="exact"):
        assert (
            Tensor(x, format="fp64").mean().item()
            == fl.array(x, "fp64").mean().item()
            == float(Fraction(1, 3))
        )

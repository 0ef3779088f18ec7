"""The kernels' arithmetic: one rounding of the exact result, whatever the format and whoever asks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floatlab import reference
from floatlab.autograd import Tensor, accumulator, apply, arithmetic
from floatlab.autograd.rounding import is_narrow, is_subset, tree_sum, zero_where
from floatlab.errors import OptionError, OverflowPolicyError
from floatlab.formats import formats, get_format

FORMATS = [
    "fp32",
    "tf32",
    "fp16",
    "bf16",
    "e5m2",
    "e4m3",
    "e5m2fnuz",
    "e6m9",
    "e8m15",
    "e9m40",
    "binary8p3se",
]
OPERATIONS = {
    "add": reference.add,
    "sub": reference.subtract,
    "mul": reference.multiply,
    "div": reference.divide,
}


def edge_values(fmt, count, seed=0):
    """Values spread over all exponents of a format, its extremes, and neighbours of powers of two."""
    rng = np.random.default_rng(seed)
    low, high = fmt.emin - fmt.mantissa_bits, fmt.emax
    exponents = rng.integers(low, high + 1, count)
    wide = np.ldexp(rng.choice([1, 1 + fmt.eps, 2 - fmt.eps, 1.5, rng.uniform(1, 2)], count), exponents)
    wide *= rng.choice([-1.0, 1.0], count)
    tiny = fmt.smallest_subnormal
    special = [0.0, 1.0, fmt.max, -fmt.max, fmt.smallest_normal, tiny, -tiny]
    return Tensor(np.concatenate((wide, special)), format=fmt).data


def same(a, b):
    """Compare values, zeros with their signs, and any NaN with any NaN."""
    zeros = np.array_equal(np.signbit(a) & (a == 0), np.signbit(b) & (b == 0))
    return zeros and np.array_equal(a, b, equal_nan=True)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("op", OPERATIONS)
def test_arithmetic_on_tensors_is_the_exact_result_rounded_once(name, op):
    fmt = get_format(name)
    a, b = edge_values(fmt, 150, 1), edge_values(fmt, 150, 2)
    a, b = (x.reshape(-1) for x in np.meshgrid(a[::8], np.concatenate((b[::8], b[-7:]))))
    out = apply(op, Tensor(a, format=fmt), Tensor(b, format=fmt)).data
    expected = [
        reference.to_float(OPERATIONS[op](float(x), float(y), fmt).value) for x, y in zip(a, b, strict=True)
    ]
    assert same(out, np.array(expected))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("number_first", [False, True])
def test_a_python_number_takes_part_with_its_exact_value(name, op, number_first):
    fmt = get_format(name)
    values = edge_values(fmt, 60, 3)
    # thirds and tenths; a midpoint and a hair; powers of two; and whole numbers that need more than 11 bits
    tie = 1 + fmt.eps / 2
    for number in (
        1 / 3,
        0.1,
        tie,
        np.nextafter(tie, 2),
        np.nextafter(tie, 0),
        2.0**-20,
        65536,
        4097,
        1e-7,
        -3,
    ):
        tensor = Tensor(values, format=fmt)
        out = (apply(op, number, tensor) if number_first else apply(op, tensor, number)).data
        number = float(number)
        expected = [
            OPERATIONS[op](*((number, float(x)) if number_first else (float(x), number)), fmt).value
            for x in values
        ]
        assert same(out, np.array([reference.to_float(v) for v in expected]))


def test_a_number_a_hair_above_a_tie_is_not_taken_for_the_tie():
    hair = 2.0**-11 + 2.0**-60  # 1 + hair in float64 is 1 + 2^-11, fp16's tie, which goes to 1
    assert (Tensor(1.0, format="fp16") + hair).item() == 1 + 2.0**-10


@pytest.mark.parametrize("name", ["fp16", "bf16", "tf32", "fp32", "e4m3", "e8m15"])
def test_the_square_root_is_rounded_once(name):
    fmt = get_format(name)
    x = np.abs(edge_values(fmt, 300))
    out = Tensor(x, format=fmt).sqrt().data
    assert same(out, np.array([reference.to_float(reference.sqrt(float(v), fmt).value) for v in x]))


def test_bfloat16_products_below_float32_round_once():
    # 2^-134 + 2^-150 is just above the tie between 0 and bfloat16's smallest value; in float32 it is the tie.
    a, b = 1 + 2.0**-7, 2.0**-66
    x = Tensor([a * 2.0**-67], format="bf16")
    exact = Fraction(a) * Fraction(2) ** -67 * Fraction(b)
    assert exact > Fraction(2) ** -134
    assert (x * Tensor([b], format="bf16")).item() == 2.0**-133


def test_linear_rounds_product_and_bias_together():
    # 2048 + 1 + 1: rounding after the product gives 2048, and then 2048 again; at once it is 2050
    x, w = Tensor([[1.0, 1.0]], format="fp16"), Tensor([[2048.0, 1.0]], format="fp16")
    assert apply("linear", x, w, Tensor([1.0], format="fp16")).item() == 2050


def test_a_broadcast_gradient_is_summed_wide_and_rounded_once():
    bias = Tensor([0.0], requires_grad=True, format="fp16")
    (bias + Tensor(np.zeros(3), format="fp16")).backward(np.array([2048.0, 1.0, 1.0]))
    assert bias.grad.item() == 2050


def test_a_broadcast_product_is_summed_before_it_is_rounded():
    scale = Tensor(1.0, requires_grad=True, format="fp16")
    x = Tensor([1 + 2.0**-10] * 4, format="fp16")
    (scale * x).backward(np.array([1 + 2.0**-10] * 4))
    assert scale.grad.item() == reference.to_float(
        reference.round(4 * Fraction(1 + 2.0**-10) ** 2, get_format("fp16")).value
    )


def test_an_element_that_was_taken_twice_gets_the_sum_rounded_once():
    x = Tensor([1.0, 2.0], requires_grad=True, format="fp16")
    x[np.array([1, 1, 1])].backward(np.array([2048.0, 1.0, 1.0]))
    assert x.grad.tolist() == [0.0, 2050.0]


def test_gradients_of_several_uses_add_up_in_the_gradient_format():
    x = Tensor([1.0], requires_grad=True, format="fp16")
    (x * 2048 + x + x).sum().backward()
    assert x.grad.item() == 2050  # the deepest use first: 1 + 1, and then 2048


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "e5m2"])
def test_mean_variance_and_losses_round_once_from_a_wide_result(name):
    fmt = get_format(name)
    x = Tensor(np.random.default_rng(0).normal(size=(5, 7)), format=fmt)
    exact = [Fraction(float(v)) for v in x.data.reshape(-1)]
    mean = sum(exact) / 35
    assert x.mean().item() == reference.to_float(reference.round(mean, fmt).value)
    variance = sum((v - mean) ** 2 for v in exact) / 34
    assert x.var().item() == reference.to_float(reference.round(variance, fmt).value)
    loss = apply("mse", x, Tensor(np.zeros((5, 7)), format=fmt))
    assert loss.item() == reference.to_float(reference.round(sum(v * v for v in exact) / 35, fmt).value)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_tree_sum_is_near_the_exact_sum(n, seed):
    x = np.random.default_rng(seed).normal(size=(n, 3))
    exact = [sum(Fraction(v) for v in x[:, j]) for j in range(3)]
    error = [abs(Fraction(v) - e) for v, e in zip(tree_sum(x, 0)[0], exact, strict=True)]
    assert all(e <= Fraction(abs(x[:, j]).sum()) * 6 / 2**53 for j, e in enumerate(error))


def test_the_tree_sum_takes_any_axes_and_none_at_all():
    x = np.arange(24.0).reshape(2, 3, 4)
    for axes in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
        for keepdims in (False, True):
            expected = x.sum(axis=axes, keepdims=keepdims)
            assert np.array_equal(tree_sum(x, axes, keepdims), expected)
    assert tree_sum(np.zeros((0, 2)), 0).tolist() == [[0.0, 0.0]]


# -- what a caller may choose ------------------------------------------------------------------------


def test_a_narrow_accumulator_shows_in_sums_products_and_their_gradients():
    ones = Tensor(np.ones(4096), requires_grad=True, format="fp16")
    assert ones.sum().item() == 4096
    with accumulator("fp16"):
        assert ones.sum().item() == 2048
        assert (Tensor(np.ones((1, 4096)), format="fp16") @ ones).item() == 2048
    bias = Tensor([0.0], requires_grad=True, format="fp16")
    with accumulator("fp16"):
        out = bias + Tensor(np.zeros(4096), format="fp16")
    out.backward(np.ones(4096))  # outside the block: the node remembers its accumulator
    assert bias.grad.item() == 2048


def test_overflow_and_subnormals_can_be_chosen():
    x = Tensor([60000.0], format="fp16")
    assert (x + x).item() == np.inf
    tiny = Tensor([2.0**-14], format="fp16")
    assert (tiny * 0.5).item() == 2.0**-15
    with arithmetic(overflow="saturate", subnormals="flush"):
        assert (x + x).item() == 65504
        assert (tiny * 0.5).item() == 0
        assert (Tensor([2.0**-126]) * 0.5).item() == 0
        with arithmetic(overflow=None):
            assert (x + x).item() == np.inf


def test_a_misspelt_choice_suggests_the_right_one():
    with pytest.raises(OverflowPolicyError, match="saturate"), arithmetic(overflow="saturat"):
        pass
    with pytest.raises(OptionError, match="flush"), arithmetic(subnormals="flushed"):
        pass
    with pytest.raises(OptionError, match="pairwise"), accumulator("pairwis:fp16"):
        pass


def test_the_exact_accumulator_and_the_wide_one_are_the_same_here():
    x = Tensor(np.random.default_rng(0).normal(size=(7, 5)), format="bf16")
    results = []
    for kind in ("wide", "exact"):
        with accumulator(kind):
            results.append((x.sum(0).tolist(), x.mean(1).tolist(), (x.T @ x).tolist()))
    assert results[0] == results[1]


# -- facts about formats -----------------------------------------------------------------------------


def test_subsets_are_what_the_values_say():
    from floatlab.codes.decode import decode

    small = [f for f in formats() if f.bits <= 8]
    values = {f.name: decode(np.arange(2**f.bits, dtype=f.code_dtype), f) for f in small}
    for a in small:
        for b in small:
            x, y = values[a.name], values[b.name]
            held = all(np.any((y == v) & (np.signbit(y) == np.signbit(v))) for v in x[~np.isnan(x)])
            held = held and (b.has_nan or not a.has_nan)
            assert is_subset(a, b) <= held, (a.name, b.name)
    half, single = get_format("fp16"), get_format("fp32")
    assert is_subset(half, single) and not is_subset(single, half)
    assert is_subset(get_format("bf16"), single) and not is_subset(get_format("bf16"), half)


def test_float32_is_wide_enough_only_for_narrow_formats_of_small_range():
    assert is_narrow(get_format("fp16")) and is_narrow(get_format("e4m3"))
    assert not is_narrow(get_format("bf16")) and not is_narrow(get_format("tf32"))
    assert not is_narrow(get_format("fp32")) and not is_narrow(get_format("e5m11"))


# -- bit for bit against PyTorch ---------------------------------------------------------------------


def torch_values(torch, name, count, seed):
    rng = np.random.default_rng(seed)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[name]
    codes = torch.tensor(rng.integers(0, 2**16, count).astype(np.uint16).view(np.int16))
    return codes.view(dtype)


def same_bits(ours, theirs):
    """Compare values, zeros with their signs, and any NaN with any NaN."""
    return same(ours, theirs.float().numpy())


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_arithmetic_equals_pytorch_bit_for_bit_on_a_million_codes(name):
    torch = pytest.importorskip("torch")
    a, b = torch_values(torch, name, 1_000_000, 1), torch_values(torch, name, 1_000_000, 2)
    x, y = (Tensor(t.float().numpy(), format=name) for t in (a, b))
    pairs = {
        "add": (x + y, a + b),
        "sub": (x - y, a - b),
        "mul": (x * y, a * b),
        "div": (x / y, a / b),
        "sqrt": (x.sqrt(), a.sqrt()),
        "relu": (x.relu(), a.relu()),
        "neg": (-x, -a),
        "abs": (abs(x), abs(a)),
    }
    for op, (ours, theirs) in pairs.items():
        assert same_bits(ours.data, theirs), op


@pytest.mark.parametrize("name", ["fp16", "bf16"])
@pytest.mark.parametrize("op", ["exp", "log", "tanh", "sigmoid"])
def test_functions_differ_from_pytorch_in_few_places_and_by_one_rounding(name, op, record_property):
    torch = pytest.importorskip("torch")
    codes = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    x = codes.view({"fp16": torch.float16, "bf16": torch.bfloat16}[name])
    ours = getattr(Tensor(x.float().numpy(), format=name), op)().data
    theirs = getattr(x, op)()
    other = theirs.float().numpy()
    differs = (ours != other) & ~(np.isnan(ours) & np.isnan(other))
    record_property("share_that_differs", float(differs.mean()))
    assert differs.mean() < 2e-3
    # Where they differ they are neighbours; but PyTorch's own bfloat16 sigmoid is off where it underflows.
    apart = torch.tensor(ours).to(theirs.dtype).view(torch.int16).int() - theirs.view(torch.int16).int()
    normal = np.abs(ours) >= get_format(name).smallest_normal
    assert apart.abs().numpy()[differs & normal].max(initial=0) <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_where_keeps_every_other_bit(dtype):
    special = np.array([1.5, -0.0, np.inf, -np.inf, np.nan, -np.nan, 5e-324, 1e-45, -3.0], dtype)
    for x in (special, special[::-2], np.tile(special, (4, 1)).T, np.asarray(dtype(-2.0))):
        for mask in (np.zeros(x.shape, bool), np.ones(x.shape, bool), np.asarray(x < 0), np.isnan(x)):
            got = zero_where(mask, x)
            assert got.dtype == dtype
            assert got.tobytes() == np.where(mask, dtype(0.0), x).tobytes()


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16", "e5m2", "tf32"])
@pytest.mark.parametrize("spread", [3, 20, 60, 140])
def test_sums_equal_those_of_the_exact_accumulator(name, spread):
    fmt = get_format(name)
    rng = np.random.default_rng(spread)
    for _ in range(20):
        x = np.ldexp(rng.normal(size=(12, 3)), rng.integers(-spread, spread // 2, (12, 3)))
        x[rng.random(x.shape) < 0.2] = 0
        with np.errstate(all="ignore"):
            x = Tensor(x, format=fmt)
            expected = [reference.sum([float(v) for v in column], fmt).value for column in x.data.T]
        assert same(x.sum(axis=0).data, np.array([reference.to_float(v) for v in expected]))


def test_a_sum_with_a_subnormal_term_is_exact():
    terms = [1.0, 2.0**-149, -1.0, 2.0**-24, 2.0**-140]
    assert Tensor(terms).sum().item() == reference.to_float(reference.sum(terms, get_format("fp32")).value)
    assert Tensor([2.0**24, 1.0, 2.0**-30]).sum().item() == 2.0**24 + 2
    assert Tensor([np.inf, 1.0, -np.inf]).sum().item() != 0 and Tensor([np.inf, 1.0]).sum().item() == np.inf


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([2.0**34, 1 + 2.0**-23, -(2.0**34)], 1 + 2.0**-23),  # 58 bits from end to end: float64 loses one
        ([2.0**30, 2.0**-24, -(2.0**30)], 2.0**-24),
        ([2.0**-96, 2.0**-149, -(2.0**-96)], 2.0**-149),  # the last one is subnormal in float32
        ([2.0**-80, 3 * 2.0**-149, -(2.0**-80)], 3 * 2.0**-149),
        ([2.0**-97, 2.0**-149], 2.0**-97),
        # 53 bits from end to end, but the sum of four has two more
        ([2.0**30 - 2.0**6] * 4 + [1 + 2.0**-23] + [2.0**6 - 2.0**30] * 4, 1 + 2.0**-23),
    ],
)
def test_a_sum_wider_than_float64_is_exact(values, total):
    for order in (values, values[::-1]):
        x = Tensor(np.float32(order), requires_grad=True)
        assert x.sum().item() == np.float32(total)
        assert Tensor(np.float32([order] * 2).T).sum(0).tolist() == [np.float32(total)] * 2


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=6), st.data())
def test_sums_of_float32_of_any_exponents_are_the_exact_sum_rounded_once(mantissas, data):
    exponents = data.draw(st.lists(st.integers(-149, 100), min_size=len(mantissas), max_size=len(mantissas)))
    x = np.float32([np.ldexp(float(m), e) for m, e in zip(mantissas, exponents, strict=True)])
    x = np.concatenate([x, -x[::-1], x[:1]])  # all but the first cancel, if every bit is kept
    assert Tensor(x).sum().item() == x[0]

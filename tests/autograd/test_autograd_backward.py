"""The backward pass: what it adds up, what it refuses, and which bits it promises."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floatlab.autograd import Tensor, apply, arithmetic, no_grad
from floatlab.autograd.operation import Op, moved, wide
from floatlab.autograd.ops.table import TABLE
from floatlab.errors import AutogradError, FormatMismatchError, ShapeError
from floatlab.formats import get_format


def leaf(*values, **options):
    return Tensor(list(values), requires_grad=True, **options)


def test_gradients_add_up_over_uses_and_over_backward_passes():
    x = leaf(1.0, 2.0)
    (x * x + 3 * x).sum().backward()
    assert x.grad.tolist() == [5, 7]
    (x * 1).sum().backward()
    assert x.grad.tolist() == [6, 8]
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_only_what_asks_for_a_gradient_gets_one():
    x, fixed = leaf(1.0), Tensor([2.0])
    out = x * fixed
    out.sum().backward()
    assert fixed.grad is None and out.grad is None and not x.grad.requires_grad


def test_gradients_of_two_leaves_share_no_memory():
    x, y, z = leaf(1.0), leaf(1.0), leaf(1.0)
    seed = np.ones(1, np.float32)
    (x + y + z.reshape(1)).backward(seed)
    x.grad.data[...] = 7
    y.grad.data[...] = 8
    assert (x.grad.item(), y.grad.item(), z.grad.item(), seed[0]) == (7, 8, 1, 1)


def test_a_leaf_can_be_its_own_backward():
    x = leaf(1.0, 2.0)
    x.backward(np.array([3.0, 4.0]))
    assert x.grad.tolist() == [3, 4]


def test_the_gradient_of_a_tensor_within_can_be_kept():
    x = leaf(3.0)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [12] and x.grad.tolist() == [24]


def test_a_deep_chain_needs_no_deep_stack():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward(np.ones(1))
    assert x.grad.item() == 1


def test_a_graph_dies_with_its_output_and_has_no_cycles():
    x = leaf(1.0)
    y = (x * x).tanh()
    node = weakref.ref(y)
    gc.disable()
    try:
        del y
        assert node() is None
    finally:
        gc.enable()


# -- what it refuses ---------------------------------------------------------------------------------


def test_backward_from_several_numbers_needs_a_gradient():
    with pytest.raises(AutogradError, match=r"'scores'.*\(2,\).*sum\(\)"):
        leaf(1.0, 2.0, name="scores").backward()
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        leaf(1.0, 2.0).backward(np.ones(3))


def test_backward_needs_something_that_asks_for_a_gradient():
    with pytest.raises(AutogradError, match="requires_grad"):
        Tensor(1.0).backward()
    with no_grad():
        out = leaf(1.0).sum()
    with pytest.raises(AutogradError, match="no_grad"):
        out.backward()


def test_a_second_backward_says_that_the_graph_was_freed():
    x = leaf(2.0)
    out = (x * x).sum()
    out.backward(retain_graph=True)
    out.backward()
    assert x.grad.item() == 8
    with pytest.raises(AutogradError, match="retain_graph"):
        out.backward()
    shared = x * 3
    (shared * 1).sum().backward()
    with pytest.raises(AutogradError, match="'mul'"):
        (shared * 2).sum().backward()


def test_a_refused_backward_leaves_no_gradient_behind():
    x, w = leaf(1.0), leaf(2.0)
    out = (x * w).sum() + w.exp().sum()
    with no_grad():
        x.add_(1)
    with pytest.raises(AutogradError):
        out.backward()
    assert x.grad is None and w.grad is None


def test_a_changed_value_is_found_only_if_the_graph_needs_it():
    x, w = leaf(1.0, name="input"), leaf(2.0, name="weight")
    total, product = x + w, x * w
    with no_grad():
        w.mul_(2)
    total.sum().backward()
    with pytest.raises(AutogradError, match=r"'mul' needs weight"):
        product.sum().backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(1),
        lambda x: x.copy_([5.0]),
        lambda x: x.zero_(),
        lambda x: setattr(x, "data", [5.0]),
        lambda x: x.detach().mul_(3),
        lambda x: x.reshape(1, 1).fill_(3),
        lambda x: (x.data.fill(9), x.mark_changed()),
    ],
)
def test_every_way_to_change_a_value_is_found(change):
    x = leaf(2.0)
    out = (x * x).sum()
    with no_grad():
        change(x)
    with pytest.raises(AutogradError, match="changed in place"):
        out.backward()


def test_a_changed_output_is_found_where_the_derivative_reads_it():
    x = leaf(2.0)
    y = x.exp()
    out = y.sum()
    with no_grad():
        y.mul_(2)
    with pytest.raises(AutogradError, match=r"'exp' needs the output"):
        out.backward()


def test_a_missing_derivative_fails_with_the_name_of_the_operation(monkeypatch):
    monkeypatch.setitem(TABLE, "odd", Op("odd", moved(lambda n, x, y: x), (moved(lambda n, g: g), None), "x"))
    x, y = leaf(1.0), leaf(1.0, name="second")
    apply("odd", x, y.detach()).sum().backward()
    assert x.grad.item() == 1
    with pytest.raises(AutogradError, match=r"'odd' has no derivative.*input 1.*'second'"):
        apply("odd", x, y).sum().backward()


def test_a_derivative_that_reads_what_is_not_kept_fails_by_name(monkeypatch):
    square = Op("square", wide(lambda n, x: x * x), (wide(lambda n, g: 2 * g * n.a),), "x * x")
    monkeypatch.setitem(TABLE, "square", square)
    with pytest.raises(AutogradError, match=r"'square' reads input 0"):
        apply("square", leaf(1.0)).sum().backward()


def test_a_gradient_of_another_format_is_not_added_to():
    x = leaf(1.0)
    x.grad = Tensor([1.0], format="fp16")
    with pytest.raises(FormatMismatchError, match="float16"):
        x.sum().backward()


# -- which bits it promises --------------------------------------------------------------------------


def test_uses_at_one_depth_add_up_in_the_same_order_every_time():
    x = leaf(1.0, format="fp16")
    totals = set()
    held = []
    for n in range(40):
        held.append([object() for _ in range(n)])  # so that the nodes lie elsewhere in memory
        x.grad = None
        ((x * 2048 + 0) + 0 + (x * 1 + (x * 1 + 0))).sum().backward()
        totals.add(x.grad.item())
    assert len(totals) == 1


RANGES = {"fp32": 6, "bf16": 6, "tf32": 6, "fp16": 2, "e6m5": 4}


@st.composite
def networks(draw):
    """Return the sizes of a small network, its format, activations, and a seed."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    kinds = draw(
        st.lists(st.sampled_from(["relu", "tanh", "sigmoid", "gelu", "none"]), min_size=3, max_size=3)
    )
    return sizes, draw(st.sampled_from(sorted(RANGES))), kinds, draw(st.integers(0, 2**31))


def gradients(net, scale):
    """Return the unscaled gradients of a network's weights, and whether all were far from the range's ends."""
    sizes, name, kinds, seed = net
    rng = np.random.default_rng(seed)
    fmt = get_format(name)
    weights = [
        Tensor(rng.uniform(0.5, 1.5, (n, m)) * rng.choice([-1, 1], (n, m)), requires_grad=True)
        for m, n in itertools.pairwise(sizes)
    ]
    safe = []

    def watch(event):
        if event.phase == "backward":
            values = np.abs(event.after[event.after != 0])
            before = np.zeros(0) if event.before is None else np.abs(event.before[event.before != 0])
            for v in (values, before):
                safe.append(v.size == 0 or (fmt.smallest_normal <= v.min() and v.max() <= fmt.max / 2))

    from floatlab.autograd import observers

    x = Tensor(rng.uniform(0.5, 1.5, (3, sizes[0])), format=fmt)
    for weight, kind in zip(weights, kinds, strict=False):
        x = apply("linear", x, weight.to(fmt))
        if kind != "none":
            x = apply(kind, x)
    loss = apply("mse", x.float(), Tensor(np.zeros(x.shape)))
    token = observers.set((watch,))
    (loss * scale).backward()
    observers.reset(token)
    return [w.grad.data / np.float32(scale) for w in weights], all(safe)


@settings(max_examples=60)
@given(networks(), st.integers(-4, 8))
def test_a_power_of_two_loss_scale_changes_no_bit_of_the_unscaled_gradients(net, exponent):
    plain, safe = gradients(net, 1.0)
    scaled, also_safe = gradients(net, 2.0**exponent)
    if safe and also_safe:
        assert all(np.array_equal(a, b) for a, b in zip(plain, scaled, strict=True))


def test_the_loss_scale_property_is_not_vacuous():
    """Most of the networks drawn above stay in range, and leaving it does change bits."""
    nets = [([4, 5, 3], name, ["tanh", "relu", "none"], seed) for name in RANGES for seed in range(5)]
    assert np.mean([gradients(net, 2.0)[1] for net in nets]) > 0.6
    net = ([4, 5, 3], "fp16", ["tanh", "relu", "none"], 0)
    lost = gradients(net, 2.0**-20)[0]
    assert not all(np.array_equal(a, b) for a, b in zip(lost, gradients(net, 1.0)[0], strict=True))


def test_backward_follows_the_arithmetic_of_its_forward():
    x = Tensor([2.0**-10], requires_grad=True, format="fp16")
    with arithmetic(subnormals="flush"):
        out = x * 2.0**-10
    out.backward(np.ones(1))
    assert out.item() == 0 and x.grad.item() == 2.0**-10
    with arithmetic(overflow="saturate"):
        out = x * 60000
    out.backward(np.array([60000.0]))
    assert x.grad.item() == 65504


def test_a_float32_gradient_of_a_float16_loss_passes_through_float16():
    weight = leaf(1.0)
    (weight.to("fp16") * 2.0**-20).float().backward(np.array([2.0**-6]))
    assert weight.grad.item() == 0  # 2^-26 is no float16
    weight.grad = None
    ((weight.to("fp16") * 2.0**-20).float() * 2.0**10).backward(np.array([2.0**-6]))
    assert weight.grad.item() == 2.0**-16


def test_gradients_that_are_kept_along_the_way_share_no_memory():
    x = leaf(1.0, 2.0)
    y = x * 1.0
    z = y.reshape(2)
    t = z.reshape(2, 1)
    for tensor in (y, z, t):
        tensor.retain_grad()
    t.sum().backward()
    kept = [x.grad.data, y.grad.data, z.grad.data, t.grad.data]
    for a, b in itertools.combinations(kept, 2):
        assert not np.shares_memory(a, b)
    t.grad.data[...] = 7.0
    assert y.grad.tolist() == z.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("fmt", "first", "second", "total"),
    [
        ("fp16", 2048.0, 1.0, 2048.0),  # 2049 is no float16: a tie goes to the even one
        ("fp16", 2048.0, 3.0, 2052.0),
        ("bf16", 256.0, 1.0, 256.0),
        ("e4m3", 16.0, 1.0, 16.0),
        ("e5m2", 8.0, 3.0, 12.0),
        ("fp16", 65504.0, 16.0, np.inf),
    ],
)
def test_a_gradient_that_is_added_to_is_a_value_of_its_format(fmt, first, second, total):
    w = leaf(1.0, format=fmt)
    (w * first).sum().backward()
    (w * second).sum().backward()
    assert w.grad.data[0] == total

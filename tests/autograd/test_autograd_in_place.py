"""What changes in place: the tensor itself, rounded once, and the graph as PyTorch's does."""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from floatlab import data, nn, optim, reference
from floatlab.autograd import Tensor, no_grad
from floatlab.context import arithmetic
from floatlab.errors import AutogradError, DtypeError, FormatMismatchError, ShapeError
from floatlab.formats import get_format
from floatlab.nn import Parameter

# -- without a graph: the values are written over the old ones --------------------------------------


def test_the_loop_that_everybody_writes_changes_the_weight() -> None:
    p = Parameter([1.0, 2.0])
    same, memory = p, p.array
    (p * p).sum().backward()
    with no_grad():
        p -= 0.25 * p.grad
    assert p is same and p.array is memory and p.tolist() == [0.5, 1.0]
    assert type(p) is Parameter and p.requires_grad and p.is_leaf


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e4m3", "fp64"])
def test_in_place_operators_round_as_the_operators_do(fmt: str) -> None:
    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.uniform(0.5, 2.0, (5, 4)), format=fmt) for _ in range(2))
    for other in (b, b[0], 3, 0.1):
        expected = [a + other, a - other, a * other, a / other, a**other]
        x, y, z, v, w = found = [Tensor(a, format=fmt) for _ in range(5)]
        x += other
        y -= other
        z *= other
        v /= other
        w **= other
        assert [t.tolist() for t in found] == [t.tolist() for t in expected]
        assert all(t.is_leaf and not t.requires_grad for t in found)


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e5m2"])
def test_a_scaled_addition_is_rounded_once(fmt: str) -> None:
    """The oracle adds the exact product, a fraction, and rounds by integers."""
    rng = np.random.default_rng(1)
    a, b = (Tensor(rng.normal(size=200), format=fmt) for _ in range(2))
    format_ = get_format(fmt)
    for method, sign in (("add_", 1), ("sub_", -1)):
        x = Tensor(a, format=fmt)
        assert getattr(x, method)(b, alpha=0.1) is x
        exact = [
            Fraction(p) + sign * Fraction(0.1) * Fraction(q)
            for p, q in zip(a.tolist(), b.tolist(), strict=True)
        ]
        assert x.tolist() == [reference.round(e, format_).value for e in exact]
    assert Tensor([1.0]).add_(2.0, alpha=3).item() == 7  # a number as the other operand


def test_p_minus_lr_times_grad_trains_the_digits_as_sgd_does() -> None:
    """A rate that is a power of two makes the product exact, so that both round once: the same bits."""
    digits = data.digits()

    def train(update: str) -> str:
        model = nn.Sequential(nn.Linear(64, 32, rng=0), nn.ReLU(), nn.Linear(32, 10, rng=1))
        sgd = optim.SGD(model.parameters(), lr=2.0**-3)
        for start in range(0, 1280, 64):
            images = Tensor(digits.train_images[start : start + 64].reshape(64, 64))
            model.zero_grad()
            nn.functional.cross_entropy(model(images), digits.train_labels[start : start + 64]).backward()
            if update == "sgd":
                sgd.step()
                continue
            with no_grad():
                for p in model.parameters():
                    if update == "-=":
                        p -= 2.0**-3 * p.grad
                    elif update == "sub_":
                        p.sub_(p.grad, alpha=2.0**-3)
                    else:
                        p.data += -(2.0**-3) * p.grad
        return hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()

    assert len({train(update) for update in ("sgd", "-=", "sub_", "data")}) == 1


def test_a_leaf_that_asks_for_a_gradient_is_refused_outside_no_grad() -> None:
    p = Parameter([1.0, 2.0])
    row = p[0]
    changes = [
        lambda: p.add_(1),
        lambda: p.__isub__(1),
        lambda: p.zero_(),
        lambda: p.fill_(1),
        lambda: p.copy_([1, 2]),
        lambda: p.clamp_(0, 1),
        lambda: p.__setitem__(0, 1.0),
        lambda: row.add_(1),
        lambda: row.fill_(1),
    ]
    for change in changes:
        with pytest.raises(AutogradError, match="Wrap the change in no_grad"):
            change()
    assert p.tolist() == [1, 2] and p._version == [0]


def test_an_item_is_written_and_counted() -> None:
    x = Tensor(np.zeros((3, 4)), format="e4m3")
    x[1] = 1.06  # rounded to nearest
    x[0, ::2] = [2, 3]
    x[x.data == 0] = -1.0
    x[np.array([2, 2]), 3] = np.array([5.0, 6.0])  # the last stays
    assert x.tolist() == [[2, -1, 3, -1], [1.0, 1.0, 1.0, 1.0], [-1, -1, -1, 6]]
    assert x._version == [4]
    x[2] = Tensor([1.0625, 0.0, 448.0, 1.0])  # another format: rounded
    assert x.tolist()[2] == [1.0, 0.0, 448.0, 1.0]
    with arithmetic(rounding="toward_positive"):
        x[0, 0] = 1.01
    assert x.data[0, 0] == 1.125


def test_a_backward_that_needs_an_overwritten_value_is_refused() -> None:
    for change in (
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x.__iadd__(1),
        lambda x: x.mul_(2),
        lambda x: x.clamp_(0, 1),
        lambda x: x[:1].zero_(),  # through a view
        lambda x: x.detach().fill_(1),
        lambda x: x.reshape(-1).__setitem__(0, 5.0),
    ):
        w, x = Parameter([1.0, 2.0]), Tensor([3.0, 4.0], name="x")
        loss = (w * x).sum()
        change(x)
        with pytest.raises(AutogradError, match="needs x, which was changed in place"):
            loss.backward()
    w = Parameter([1.0, 2.0])
    loss = (w * w).sum()
    with no_grad():
        w -= 1
    with pytest.raises(AutogradError, match="changed in place"):
        loss.backward()


def test_a_value_that_no_derivative_needs_may_change() -> None:
    w = Parameter([1.0, 2.0])
    loss = (w + 1).sum()
    with no_grad():
        w[0] = 7.0
    loss.backward()
    assert w.grad.tolist() == [1, 1]


def test_data_plus_equals_a_tensor_changes_the_weight() -> None:
    p = Parameter([1.0, 2.0])
    before = p._version[0]
    p.data += Tensor([1.0, 1.0]) * 0.5
    p.data -= Tensor([0.25, 0.25])
    p.data *= Tensor([2.0, 2.0])
    assert p.tolist() == [2.5, 4.5] and p.is_leaf and p._version[0] > before
    half = Parameter([1.0], format="fp16")
    half.data += Tensor([2.0**-11], format="fp16")
    assert half.item() == 1  # a tie, rounded to the format
    p.data[0] += 2.0**-20
    with pytest.raises(FormatMismatchError, match="float16"):
        p.data += Tensor([1.0, 1.0], format="fp16")
    p.data[0] -= 2.0**-20
    p.data += np.ones(2)  # two arrays are NumPy's business
    assert p.tolist() == [3.5, 5.5]
    with pytest.raises(FormatMismatchError, match=r"Tensor\(array"):
        np.ones(2) * p
    assert (np.float64(2.0) * p).tolist() == [7, 11] and (np.array(2.0) > p).tolist() == [False, False]
    with pytest.raises(DtypeError, match=r"numpy.spacing of a tensor"):
        np.spacing(p)
    assert np.exp(p * 0).requires_grad
    with pytest.raises(ShapeError, match=r"keeps the shape. Got \(2, 2\) for an array of shape \(2,\)"):
        p.data += Tensor(np.ones((2, 2)))


# -- with a graph ------------------------------------------------------------------------------------


def test_a_sum_that_is_gathered_in_a_loop_keeps_every_gradient() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    total = Tensor(0.0)
    for k in range(1, 4):
        total += (k * x).sum()
    total.backward()
    assert total.item() == 18 and x.grad.tolist() == [6, 6]


def test_what_used_the_tensor_before_keeps_its_way_back() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    before = y.sum()
    y *= 3
    after = y.sum()
    (before + after).backward()
    assert x.grad.tolist() == [2 + 6] * 2


def test_a_constant_that_becomes_part_of_the_graph_stays_one_for_what_used_it_before() -> None:
    w = Tensor([2.0], requires_grad=True)
    y = Tensor([5.0])
    before = (w + y).sum()  # y asks for nothing here
    y += w
    (before + y.sum()).backward()
    assert w.grad.item() == 2


def test_a_tensor_times_itself_in_place() -> None:
    x = Tensor([3.0, 4.0], requires_grad=True)
    y = x * 1
    y *= y
    y.sum().backward()
    assert y.tolist() == [9, 16] and x.grad.tolist() == [6, 8]


def test_the_gradient_goes_to_what_was_written_and_not_to_what_was_there() -> None:
    x, w = Tensor(np.ones((2, 3)), requires_grad=True), Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    y[0] = w * w
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [2, 2, 2]] and w.grad.tolist() == [2, 4, 6]


def test_rows_written_into_a_buffer_give_their_gradients() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    out = Tensor(np.zeros((3, 2)))
    for t in range(3):
        out[t] = w * (t + 1)
    (out * Tensor([[1.0], [10.0], [100.0]])).sum().backward()
    assert w.grad.tolist() == [321, 321]


def test_a_view_and_its_base_change_together_in_the_graph() -> None:
    x, w = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), Tensor([5.0, 6.0], requires_grad=True)
    y = x * 1
    row, turned = y[0], y.T
    row *= w  # y and its transposed one learn of it
    assert y.tolist() == [[5, 12], [3, 4]] and turned.tolist() == [[5, 3], [12, 4]]
    (turned * Tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [[5, 600], [10, 1000]] and w.grad.tolist() == [1, 200]
    x.grad = w.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [[5, 6], [1, 1]] and w.grad.tolist() == [1, 2]


def test_a_view_of_a_constant_buffer_learns_of_the_graph_too() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    buffer = Tensor(np.zeros((2, 2)))
    row, corner = buffer[0], buffer[0][1]
    buffer[0] += w
    assert row.requires_grad and corner.requires_grad
    (row.sum() + 10 * corner).backward()
    assert w.grad.tolist() == [1, 11]


def test_a_view_that_was_taken_under_no_grad_is_not_changed_in_the_graph() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    buffer = Tensor(np.zeros((2, 2)))
    with no_grad():
        row = buffer[0]
    row += 1.0  # a constant
    with pytest.raises(AutogradError, match="taken under no_grad"):
        row += w


def test_a_value_that_was_written_over_is_missed_where_a_derivative_needs_it() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    z = y * y
    y += 1
    with pytest.raises(AutogradError, match="changed in place"):
        z.sum().backward()


def test_the_last_of_two_values_for_one_place_gets_its_gradient() -> None:
    v = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = Tensor([0.0, 0.0])
    y[np.array([1, 0, 1])] = v
    assert y.tolist() == [2, 3]
    (y * Tensor([10.0, 100.0])).sum().backward()
    assert v.grad.tolist() == [0, 10, 100]


def test_one_value_for_many_places_gets_the_sum() -> None:
    v = Tensor(2.0, requires_grad=True)
    y = Tensor(np.zeros((2, 3)))
    y[:, 1:] = v
    y.sum().backward()
    assert y.tolist() == [[0, 2, 2], [0, 2, 2]] and v.grad.item() == 4


def test_a_copy_and_a_filling_are_events_of_the_graph() -> None:
    x, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    y = x * 2
    y.copy_(w)
    (y * y).sum().backward()
    assert w.grad.tolist() == [6, 8] and x.grad.tolist() == [0, 0]
    y = x * 2
    y[:1].fill_(7)
    x.grad = None
    y.sum().backward()
    assert y.tolist() == [7, 4] and x.grad.tolist() == [0, 2]


def test_a_kept_gradient_is_that_of_the_changed_tensor() -> None:
    x = Tensor([1.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    y *= 3
    (5 * y).sum().backward()
    assert y.grad.item() == 5 and x.grad.item() == 30


def test_many_views_leave_no_trace() -> None:
    x = Tensor(np.zeros((4, 4)))
    for _ in range(1000):
        x[0]
    assert len(x._views) <= 64


# -- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [1.0, np.ones(2), [1.0, 1.0], "one"])
def test_a_gradient_is_a_tensor(wrong: Any) -> None:
    p = Parameter([1.0, 2.0])
    with pytest.raises(DtypeError, match=r"A gradient is a tensor, or None\. Got .* Use Tensor"):
        p.grad = wrong
    assert p.grad is None


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 2)])
def test_a_gradient_of_another_shape_is_refused_where_it_is_assigned(shape: tuple[int, ...]) -> None:
    p = Parameter([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"A gradient has the shape of its tensor"):
        p.grad = Tensor(np.ones(shape))
    p.grad = Tensor([1.0, 1.0])
    p.grad = None


def test_what_does_not_fit_is_told_and_changes_nothing() -> None:
    x = Tensor([1.0, 2.0])
    for change in (
        lambda: x.add_(Tensor(np.ones((2, 2)))),
        lambda: x.__setitem__(5, 1.0),
        lambda: x.__setitem__(0, [1.0, 2.0]),
        lambda: x.__setitem__("a", 1.0),
        lambda: x.__setitem__(slice(None), np.ones(3)),
        lambda: x.__setitem__(Tensor([0.0]), 1.0),
    ):
        with pytest.raises(ShapeError):
            change()
    with pytest.raises(DtypeError):
        x[0] = "text"
    with pytest.raises(FormatMismatchError):
        x += Tensor([1.0, 1.0], format="fp16")
    assert x.tolist() == [1, 2]


# -- beside PyTorch ------------------------------------------------------------------------------------


def program(leaf: Any, constant: Any, seed: int) -> list[Any]:
    """Run a random program of changes to tensors and their views; return the values and the gradients."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    x, w = (leaf(rng.normal(size=(3, 4)).astype(np.float32)) for _ in range(2))
    v = leaf(rng.normal(size=4).astype(np.float32))
    tensors, views = [x * 1.0, w * 2.0, x + w, constant(np.zeros((3, 4), np.float32))], []
    for _ in range(draw.randint(2, 8)):
        t, other = draw.choice(tensors), draw.choice(tensors)
        row, column, what = draw.randrange(3), draw.randrange(4), draw.randrange(12)
        if what == 0:
            t += other
        elif what == 1:
            t *= w
        elif what == 2:
            t[row] = v
        elif what == 3:
            t[row] *= v
        elif what == 4:
            t[:, column] = other[:, (column + 1) % 4]
        elif what == 5:
            views.append(t[row])
        elif what == 6:
            views.append(t.reshape(-1)[:4])
        elif what == 7:
            tensors.append(t.T.T)
        elif what == 8:
            t[t.detach() > 0.5] = 0.25
        elif what == 9:
            tensors.append(t * other)
        elif what == 10 and views:
            draw.choice(views).mul_(v)
        elif what == 11 and views:
            draw.choice(views).add_(v, alpha=0.5)
    loss = (tensors[0] * 0.0).sum()
    for weight, t in enumerate([*tensors, *views], 1):
        loss = loss + (t * weight).sum()
    loss.backward()
    return [t.detach() for t in (*tensors, *views)] + [t.grad for t in (x, w, v)]


def test_random_programs_of_changes_give_pytorchs_values_and_gradients_or_an_error() -> None:
    """Where only one of the two refuses, it is for a value that PyTorch does not keep, or an oddity of its views."""
    torch = pytest.importorskip("torch")
    agreed = 0
    for seed in range(150):
        found = []
        for leaf, constant in (
            (lambda a: torch.tensor(a, requires_grad=True), torch.tensor),
            (lambda a: Tensor(a, requires_grad=True), Tensor),
        ):
            try:
                found.append(program(leaf, constant, seed))
            except (AutogradError, RuntimeError):
                break
        if len(found) < 2:
            continue
        agreed += 1
        for theirs, ours in zip(*found, strict=True):
            assert (theirs is None) == (ours is None), seed
            if ours is not None:
                np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-4, atol=1e-4, err_msg=str(seed))
    assert agreed > 75


@pytest.mark.parametrize("name", ["max", "min", "clamp", "relu", "neg", "abs", "sum", "clone"])
def test_a_single_number_that_was_computed_is_changed_in_place(name):
    x = Tensor([2.0] if name in ("max", "min", "sum") else 2.0)
    y = x.clamp(min=0.5) if name == "clamp" else getattr(x, name)()
    expected = y.item() + 1.0
    assert type(y.array) is np.ndarray and y.shape == ()
    y += 1.0
    assert y.item() == expected
    y.data.mul_(2.0)
    assert y.item() == 2 * expected

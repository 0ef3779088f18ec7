"""The operations behind layers and losses: central differences, PyTorch, one rounding, and extreme numbers.

What tests/autograd/test_autograd_ops.py asks of its operations is asked of these. Losses at extreme numbers are held
against Python's decimals with 60 digits, which share no code with them.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from test_autograd_ops import Case, case
from torch_answers import answers

from floatlab import nn
from floatlab.autograd import Tensor, apply, gradcheck
from floatlab.autograd.ops.table import TABLE
from floatlab.errors import DataError, ShapeError

F = nn.functional
LABELS = np.array([[2, 0, 1], [1, 1, -100]])
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.25])
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, False]])


def _conv(t: Any, x: Any, w: Any, b: Any = None, *, padding: Any = 0, **options: Any) -> Any:
    if isinstance(padding, tuple) and isinstance(padding[0], tuple):  # before and behind differ
        (top, bottom), (left, right) = padding
        x, padding = t.nn.functional.pad(x, (left, right, top, bottom)), 0
    return t.nn.functional.conv2d(x, w, b, padding=padding, **options)


def _cross_entropy(t: Any, x: Any, *, labels: Any, weight: Any = None, **options: Any) -> Any:
    weight = None if weight is None else t.tensor(weight, dtype=x.dtype)
    return t.nn.functional.cross_entropy(x, t.tensor(labels), weight, **options)


def _soft(t: Any, x: Any, target: Any, *, weight: Any = None, **options: Any) -> Any:
    weight = None if weight is None else t.tensor(weight, dtype=x.dtype)
    return t.nn.functional.cross_entropy(x, target, weight, **options)


def _interpolate(t: Any, x: Any, *, size: Any, scales: Any, mode: str, align_corners: bool) -> Any:
    corners = {"align_corners": align_corners} if mode == "bilinear" else {}
    how = {"size": size} if scales[0] is None else {"scale_factor": scales}
    return t.nn.functional.interpolate(x, mode=mode, **how, **corners)


def _plain(name: str) -> Any:
    return lambda t, *xs, **options: getattr(t.nn.functional, name)(*xs, **options)


def _mean_kl(t: Any, x: Any, target: Any) -> Any:  # PyTorch warns of this reduction
    return t.nn.functional.kl_div(x, target, reduction="none").mean()


CASES: list[Case] = [
    case("silu", (3, 4), torch=_plain("silu")),
    case("mish", (3, 4), torch=_plain("mish")),
    case("softsign", (3, 4), torch=_plain("softsign")),
    case("logsigmoid", (3, 4), torch=_plain("logsigmoid")),
    case("elu", (3, 4), torch=_plain("elu")),
    case("elu", (3, 4), alpha=0.7, torch=_plain("elu")),
    case(
        "elu",
        (2, 4),
        alpha=1.6732632423543772,
        scale=1.0507009873554805,
        torch=lambda t, x, alpha, scale: t.selu(x),
    ),
    case("hardtanh", (3, 4), torch=_plain("hardtanh")),
    case(
        "hardtanh",
        (3, 4),
        low=-0.5,
        high=1.5,
        torch=lambda t, x, low, high: t.nn.functional.hardtanh(x, low, high),
    ),
    case("hardsigmoid", (3, 4), low=-5.0, high=5.0, torch=_plain("hardsigmoid")),
    case("hardswish", (3, 4), low=-5.0, high=5.0, torch=_plain("hardswish")),
    case("prelu", (3, 4), (1,), torch=_plain("prelu")),
    case("prelu", (2, 3, 2), (3, 1), torch=lambda t, x, w: t.nn.functional.prelu(x, w.reshape(-1))),
    case(
        "softmax",
        (3, 4),
        mask=MASK,
        torch=lambda t, x, mask: x.masked_fill(~t.tensor(mask), -math.inf).softmax(-1),
    ),
    case("cross_entropy", (2, 3, 3), labels=LABELS[:, :3], torch=_cross_entropy),
    case("cross_entropy", (2, 3, 3), labels=LABELS, weight=CLASS_WEIGHTS, torch=_cross_entropy),
    case(
        "cross_entropy",
        (2, 3, 3),
        labels=LABELS,
        weight=CLASS_WEIGHTS,
        label_smoothing=0.2,
        torch=_cross_entropy,
    ),
    case(
        "cross_entropy", (2, 3, 3), labels=LABELS, reduction="none", label_smoothing=0.2, torch=_cross_entropy
    ),
    case(
        "cross_entropy", (2, 3, 3), labels=LABELS, weight=CLASS_WEIGHTS, reduction="sum", torch=_cross_entropy
    ),
    case("cross_entropy", (3,), labels=np.array(2), torch=_cross_entropy),
    case(
        "nll",
        (2, 3, 3),
        labels=LABELS,
        weight=CLASS_WEIGHTS,
        torch=lambda t, x, labels, weight: t.nn.functional.nll_loss(
            x, t.tensor(labels), t.tensor(weight, dtype=x.dtype)
        ),
    ),
    case(
        "nll",
        (2, 3, 3),
        labels=LABELS,
        reduction="none",
        torch=lambda t, x, labels, reduction: t.nn.functional.nll_loss(
            x, t.tensor(labels), reduction=reduction
        ),
    ),
    case("soft_cross_entropy", (4, 3), (4, 3), low=0.1, torch=_soft),
    case(
        "soft_cross_entropy",
        (2, 3, 4),
        (2, 3, 4),
        low=0.1,
        weight=CLASS_WEIGHTS,
        label_smoothing=0.1,
        torch=_soft,
    ),
    case("soft_cross_entropy", (4, 3), (4, 3), low=0.1, reduction="none", torch=_soft),
    case("l1", (3, 4), (3, 4), torch=_plain("l1_loss")),
    case("smooth_l1", (3, 4), (3, 4), torch=_plain("smooth_l1_loss")),
    case("smooth_l1", (3, 4), (3, 4), beta=0.3, reduction="none", torch=_plain("smooth_l1_loss")),
    case("smooth_l1", (3, 4), (3, 4), beta=0.0, torch=_plain("smooth_l1_loss")),
    case("huber", (3, 4), (3, 4), delta=0.7, reduction="sum", torch=_plain("huber_loss")),
    case("bce", (3, 4), (3, 4), low=0.1, high=0.9, torch=_plain("binary_cross_entropy")),
    case(
        "bce_with_logits",
        (3, 4),
        (3, 4),
        weight=np.full((3, 4), 0.3),
        pos_weight=np.array([1.0, 2.0, 3.0, 0.5]),
        torch=lambda t, x, y, weight, pos_weight: t.nn.functional.binary_cross_entropy_with_logits(
            x, y, t.tensor(weight, dtype=x.dtype), pos_weight=t.tensor(pos_weight, dtype=x.dtype)
        ),
    ),
    case("kl_div", (3, 4), (3, 4), low=0.1, reduction="sum", torch=_plain("kl_div")),
    case("kl_div", (3, 4), (3, 4), low=0.1, torch=_mean_kl),
    case("kl_div", (3, 4), (3, 4), reduction="batchmean", log_target=True, torch=_plain("kl_div")),
    case("conv2d", (2, 2, 7, 8), (3, 2, 3, 2), (3,), dilation=(2, 3), stride=(1, 2), padding=1, torch=_conv),
    case("conv2d", (2, 4, 5, 6), (6, 2, 3, 2), (6,), groups=2, padding=1, torch=_conv),
    case("conv2d", (2, 3, 5, 6), (3, 1, 3, 3), groups=3, stride=2, dilation=2, padding=2, torch=_conv),
    case("conv2d", (2, 2, 5, 6), (3, 2, 2, 4), padding=((0, 1), (1, 2)), torch=_conv),
    case("conv_transpose2d", (2, 3, 4, 5), (3, 2, 3, 2), (2,), torch=_plain("conv_transpose2d")),
    case(
        "conv_transpose2d",
        (2, 3, 4, 3),
        (3, 2, 3, 2),
        (2,),
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(1, 2),
        torch=_plain("conv_transpose2d"),
    ),
    case(
        "conv_transpose2d",
        (2, 4, 4, 3),
        (4, 3, 2, 2),
        stride=2,
        dilation=(2, 1),
        groups=2,
        torch=_plain("conv_transpose2d"),
    ),
    case(
        "adaptive_avg_pool2d",
        (2, 3, 5, 7),
        size=(3, 2),
        torch=lambda t, x, size: t.nn.functional.adaptive_avg_pool2d(x, size),
    ),
    case(
        "adaptive_avg_pool2d",
        (2, 3, 2, 3),
        size=(3, 4),
        torch=lambda t, x, size: t.nn.functional.adaptive_avg_pool2d(x, size),
    ),
    *(
        case(
            "interpolate",
            (2, 2, 3, 5),
            size=size,
            scales=scales,
            mode=mode,
            align_corners=corners,
            torch=_interpolate,
        )
        for mode, corners, size, scales in [
            ("nearest", False, (5, 3), (None, None)),
            ("nearest", False, (6, 10), (2.0, 2.0)),
            ("bilinear", False, (6, 4), (None, None)),
            ("bilinear", True, (7, 9), (None, None)),
            ("bilinear", False, (4, 8), (1.5, 1.7)),
        ]
    ),
    case(
        "group_norm",
        (3, 4, 5),
        (4,),
        (4,),
        groups=2,
        torch=lambda t, x, w, b, groups: t.nn.functional.group_norm(x, groups, w, b),
    ),
    case(
        "group_norm",
        (3, 4, 2, 3),
        groups=4,
        eps=1e-3,
        torch=lambda t, x, groups, eps: t.nn.functional.group_norm(x, groups, eps=eps),
    ),
    case(
        "rms_norm",
        (3, 5),
        (5,),
        eps=1e-5,
        torch=lambda t, x, w, eps: t.nn.functional.rms_norm(x, x.shape[-1:], w, eps),
    ),
    case(
        "rms_norm",
        (2, 3, 4),
        axes=2,
        eps=1e-3,
        torch=lambda t, x, axes, eps: t.nn.functional.rms_norm(x, x.shape[-axes:], eps=eps),
    ),
]
# `case` takes low and high for the numbers that are drawn; hardtanh's bounds have these names, too.
CASES = [
    Case("hardtanh", ((3, 4),), {"low": -0.5, "high": 1.5}, c.torch)
    if c.op == "hardtanh" and c.low == -0.5
    else c
    for c in CASES
]
IDS = [f"{position} {c.op}" for position, c in enumerate(CASES)]
each = pytest.mark.parametrize("c", CASES, ids=IDS)


@each
def test_derivatives_agree_with_central_differences(c: Case) -> None:
    tensors = [Tensor(x, requires_grad=True, format="fp64") for x in c.draw()]
    assert gradcheck(c.run, tensors, tolerance=2e-7) is not None


@each
def test_float32_values_and_gradients_agree_with_pytorch(c: Case) -> None:
    name = IDS[next(i for i, other in enumerate(CASES) if other is c)]
    arrays = [x.astype(np.float32) for x in c.draw()]
    ours = [Tensor(x, requires_grad=True) for x in arrays]
    out = c.run(*ours)
    start = np.random.default_rng(0).uniform(0.5, 1.5, out.shape).astype(np.float32)

    def ask(torch: Any) -> Any:
        theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
        reference = c.torch(torch, *theirs, **c.params)
        reference.backward(torch.tensor(start))
        return [reference, *(b.grad for b in theirs)]

    reference, *expected = answers(f"nn op {name}", ask, *arrays, start)
    assert out.shape == reference.shape
    np.testing.assert_allclose(out.data, reference, rtol=1e-5, atol=1e-6)
    out.backward(start)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a.grad.data, b, rtol=1e-5, atol=1e-5)


@each
@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e5m2"])
def test_every_output_and_gradient_is_the_wide_one_rounded_once(c: Case, fmt: str) -> None:
    narrow = [Tensor(x, requires_grad=True, format=fmt) for x in c.draw()]
    wide = [Tensor(x.data, requires_grad=True, format="fp64") for x in narrow]
    out, expected = c.run(*narrow), c.run(*wide)
    assert np.array_equal(out.data, Tensor(expected.data, format=fmt).data)
    if TABLE[c.op].keeps_output:
        return  # the derivative starts from the rounded output, as PyTorch's does
    start = Tensor(np.random.default_rng(0).uniform(0.5, 1.5, out.shape), format=fmt).data
    out.backward(start)
    expected.backward(start)
    for a, b in zip(narrow, wide, strict=True):
        assert np.array_equal(a.grad.data, Tensor(b.grad.data, format=fmt).data)


@each
def test_hybrid_gradients_are_rounded_once_to_the_gradient_format(c: Case) -> None:
    narrow = [Tensor(x, requires_grad=True, format="e4m3", gradient_format="e5m2") for x in c.draw()]
    wide = [Tensor(x.data, requires_grad=True, format="fp64") for x in narrow]
    out, expected = c.run(*narrow), c.run(*wide)
    assert (out.format.name, out.gradient_format.name) == ("float8_e4m3fn", "float8_e5m2")
    start = Tensor(np.random.default_rng(0).uniform(300, 1000, out.shape), format="e5m2").data
    out.backward(start)
    expected.backward(start)
    for a, b in zip(narrow, wide, strict=True):
        assert a.grad.format.name == "float8_e5m2"
        if not TABLE[c.op].keeps_output:
            assert np.array_equal(a.grad.data, Tensor(b.grad.data, format="e5m2").data)


# -- extreme numbers, against 60 digits --------------------------------------------------------------


def softplus(x: Decimal) -> Decimal:
    return (1 + x.exp()).ln()


def decimals(*numbers: float) -> list[Decimal]:
    return [Decimal(float(n)) for n in numbers]


def is_rounded_once(found: float, exact: Decimal, what: str) -> None:
    """Whether a float32 is the exact value rounded, or a neighbour where float64's error can decide."""
    nearest = np.float32(float(exact))
    assert abs(float(found) - float(exact)) <= abs(float(exact)) * 2.0**-23.999 + 2.0**-150, (
        what,
        found,
        exact,
    )
    assert found == nearest or abs(float(found) - float(nearest)) <= np.spacing(abs(nearest)), what


EXTREME = (0.0, 0.5, 1.0, 5.0, 17.0, 20.0, 36.0, 37.0, 50.0, 88.0, 100.0)
LOGITS = sorted({x * sign for x in EXTREME for sign in (1.0, -1.0)})


@pytest.mark.parametrize("target", [0.0, 1.0, 0.25, 1 - 2.0**-20])
@pytest.mark.parametrize("x", LOGITS)
def test_binary_cross_entropy_of_logits_keeps_its_digits_however_sure_it_is(x: float, target: float) -> None:
    a = Tensor([x], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(a, [target])
    loss.backward()
    with localcontext(prec=60):
        d, t = decimals(x, np.float32(target))
        value = (1 - t) * softplus(d) + t * softplus(-d)
        slope = 1 / (1 + (-d).exp()) - t
        is_rounded_once(loss.item(), value, "value")
        if abs(slope) > Decimal("1e-3") or target in (0.0, 1.0):
            is_rounded_once(a.grad.item(), slope, "slope")


def test_a_sure_and_right_answer_still_has_a_loss_and_a_gradient() -> None:
    for x, loss, slope in [
        (36.0, 2.319522830243569e-16, -2.319522830243569e-16),
        (37.0, 8.533047625744066e-17, -8.533047625744066e-17),
    ]:
        a = Tensor([x], requires_grad=True)
        y = F.binary_cross_entropy_with_logits(a, [1.0])
        y.backward()
        assert y.item() == np.float32(loss) and a.grad.item() == np.float32(slope)
        b = Tensor([[x, 0.0]], requires_grad=True)
        z = F.cross_entropy(b, [0])
        z.backward()
        assert z.item() == np.float32(loss) and b.grad.tolist() == [[np.float32(slope), np.float32(-slope)]]


@pytest.mark.parametrize(
    ("x", "target", "loss", "slope"),
    [
        (np.inf, 1.0, 0.0, 0.0),
        (-np.inf, 0.0, 0.0, 0.0),
        (np.inf, 0.0, np.inf, 1.0),
        (-np.inf, 1.0, np.inf, -1.0),
    ],
)
def test_an_infinite_logit_has_the_limit_of_the_loss(
    x: float, target: float, loss: float, slope: float
) -> None:
    a = Tensor([x], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(a, [target])
    y.backward()
    assert (y.item(), a.grad.item()) == (loss, slope)


def test_a_nan_stays_one_in_every_loss() -> None:
    for name in (
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "kl_div",
        "binary_cross_entropy_with_logits",
    ):
        for target in (0.0, 1.0, 0.5):
            a = Tensor([np.nan], requires_grad=True)
            y = getattr(F, name)(a, [target])
            assert math.isnan(y.item()) or (name == "kl_div" and target == 0.0), name
    assert math.isnan(F.binary_cross_entropy(Tensor([np.nan]), [1.0]).item())
    for labels in ([0], [1]):
        assert math.isnan(F.cross_entropy(Tensor([[np.nan, 0.0]]), labels).item())
    assert math.isnan(F.cross_entropy(Tensor([[np.nan]]), [0]).item())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gap", [0.0, 1.0, 17.0, 36.0, 40.0, 80.0])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_cross_entropy_keeps_its_digits_however_sure_it_is(label: int, gap: float, smoothing: float) -> None:
    x = np.float32([[gap, 0.0, -0.5 * gap]])
    a = Tensor(x, requires_grad=True)
    y = F.cross_entropy(a, [label], label_smoothing=smoothing)
    y.backward()
    with localcontext(prec=60):
        scores = decimals(*x[0])
        powers = [s.exp() for s in scores]
        total, eps = sum(powers), Decimal(smoothing)
        target = [eps / 3 + (1 - eps) * (c == label) for c in range(3)]
        is_rounded_once(
            y.item(), sum(t * (total.ln() - s) for t, s in zip(target, scores, strict=True)), "value"
        )
        for c in range(3):
            slope = powers[c] / total - target[c]
            if smoothing == 0.0 or abs(slope) > Decimal("1e-3"):
                is_rounded_once(a.grad.data[0, c], slope, f"slope {c}")


@pytest.mark.parametrize("gap", [0.0, 1.0, 17.0, 36.0, 40.0, 80.0])
def test_log_softmax_keeps_the_digits_of_the_largest_share(gap: float) -> None:
    a = Tensor([[gap, 0.0]], requires_grad=True)
    y = a.log_softmax(-1)
    y[0, 0].backward()
    with localcontext(prec=60):
        d = Decimal(gap)
        is_rounded_once(y.data[0, 0], -softplus(-d), "value")
        is_rounded_once(y.data[0, 1], -softplus(d), "value")
        # PyTorch's rule: the gradient starts from the rounded output
        kept = Decimal(float(y.data[0, 0])).exp()
        assert abs(Decimal(float(a.grad.data[0, 0])) - (1 - kept)) <= abs(1 - kept) * Decimal(2.0**-23)


def test_soft_targets_keep_the_digits_of_the_largest_share() -> None:
    a = Tensor([[40.0, 0.0]], requires_grad=True)
    y = F.cross_entropy(a, [[1.0, 0.0]])
    y.backward()
    expected = np.float32(math.exp(-40.0))
    assert y.item() == expected and a.grad.tolist() == [[-expected, expected]]


def test_a_target_of_zero_counts_nothing_even_where_the_probability_is_zero() -> None:
    assert F.cross_entropy(Tensor([[0.0, -np.inf]]), [[1.0, 0.0]]).item() == 0.0
    assert F.kl_div(Tensor([[0.0, -np.inf]]), [[1.0, 0.0]], reduction="sum").item() == 0.0


def test_the_logarithms_of_binary_cross_entropy_are_at_least_minus_100_as_in_pytorch() -> None:
    p = Tensor([0.0, 1.0, 0.0, 1.0, 1e-30], requires_grad=True)
    y = F.binary_cross_entropy(p, [1.0, 0.0, 0.0, 1.0, 1.0], reduction="none")
    y.backward(np.ones(5, np.float32))

    def ask(torch: Any) -> Any:
        q = torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-30], requires_grad=True)
        z = torch.nn.functional.binary_cross_entropy(
            q, torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0]), reduction="none"
        )
        z.backward(torch.ones(5))
        return [z, q.grad]

    value, gradient = answers("bce at its ends", ask)
    np.testing.assert_allclose(y.data, value, rtol=1e-6)
    np.testing.assert_allclose(p.grad.data, gradient, rtol=1e-6)
    with pytest.raises(DataError, match="from 0 to 1"):
        F.binary_cross_entropy(Tensor([1.5]), [1.0])


# -- infinities and kinks of the activations ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "at_minus", "at_plus", "slopes"),
    [
        ("silu", 0.0, np.inf, (0.0, 1.0)),
        ("mish", 0.0, np.inf, (0.0, 1.0)),
        ("softsign", -1.0, 1.0, (0.0, 0.0)),
        ("logsigmoid", -np.inf, 0.0, (1.0, 0.0)),
        ("elu", -1.0, np.inf, (0.0, 1.0)),
        ("hardtanh", -1.0, 1.0, (0.0, 0.0)),
        ("hardsigmoid", 0.0, 1.0, (0.0, 0.0)),
        ("hardswish", 0.0, np.inf, (0.0, 1.0)),
    ],
)
def test_an_infinity_gives_the_limit_and_its_slope(
    name: str, at_minus: float, at_plus: float, slopes: Any
) -> None:
    x = Tensor([-np.inf, np.inf, np.nan], requires_grad=True)
    y = apply(name, x)
    y.backward(np.ones(3, np.float32))
    assert np.array_equal(y.data, [at_minus, at_plus, np.nan], equal_nan=True)
    assert x.grad.tolist()[:2] == list(slopes)


KINKS = {
    "elu": [0.0, -0.0],
    "hardtanh": [-1.0, 1.0, 0.0],
    "hardsigmoid": [-3.0, 3.0, 0.0],
    "hardswish": [-3.0, 3.0, 0.0],
    "relu6": [0.0, 6.0],
    "softsign": [0.0],
}


@pytest.mark.parametrize("name", KINKS)
def test_values_and_slopes_at_a_kink_are_pytorchs(name: str) -> None:
    x = np.float32(KINKS[name])
    a = Tensor(x, requires_grad=True)
    y = getattr(F, name)(a)
    y.sum().backward()

    def ask(torch: Any) -> Any:
        b = torch.tensor(x, requires_grad=True)
        z = getattr(torch.nn.functional, name)(b)
        z.sum().backward()
        return [z, b.grad]

    for found, expected in zip((y, a.grad), answers(f"kink {name}", ask, x), strict=True):
        np.testing.assert_allclose(found.data, expected, rtol=1e-6)


# -- what has no infinity ----------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e5m2", "e4m3", "e2m1"])
def test_a_masked_place_has_a_share_of_zero_in_every_format(fmt: str) -> None:
    x = Tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]], format=fmt, requires_grad=True)
    y = apply("softmax", x, axis=-1, mask=np.array([[True, True, False], [False, False, False]]))
    y.backward(np.ones((2, 3), np.float32))
    wide = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()
    assert y.tolist() == [[*Tensor(wide, format=fmt).tolist(), 0.0], [0.0, 0.0, 0.0]]
    assert x.grad.data[0, 2] == 0.0 and not x.grad.data[1].any()


def test_a_mask_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="mask that broadcasts"):
        apply("softmax", Tensor([[1.0, 2.0]]), mask=np.array([True, False, True]))


def test_one_hundred_and_one_classes_of_which_one_is_sure_add_up_without_the_first() -> None:
    x = np.zeros((1, 101), np.float32)
    x[0, 7] = 60.0
    a = Tensor(x, requires_grad=True)
    F.cross_entropy(a, [7]).backward()
    assert a.grad.data[0, 7] == np.float32(-100 * math.exp(-60.0))
    assert a.grad.data[0, 0] == np.float32(math.exp(-60.0))

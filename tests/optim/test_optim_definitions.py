"""SGD, Adam and AdamW in fractions: each assignment of the definition rounded once, and nothing else rounded."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from floatlab import optim, reference
from floatlab.autograd import Tensor
from floatlab.formats import FloatFormat, get_format


def r(x: Fraction, fmt: FloatFormat) -> Fraction:
    """Round once, by the reference, which knows nothing of NumPy."""
    value = reference.round(x, fmt, "nearest_even").value
    return value if isinstance(value, Fraction) else Fraction(reference.to_float(value))


def root(x: Fraction, fmt: FloatFormat) -> Fraction:
    return Fraction(reference.to_float(reference.sqrt(float(x), fmt).value))


def sgd(fmt: FloatFormat, w: Fraction, gradients: list[Fraction], o: dict[str, Any]) -> Fraction:
    lr, momentum = Fraction(o["lr"]), Fraction(o.get("momentum", 0.0))
    decay, damping = Fraction(o.get("weight_decay", 0.0)), Fraction(1.0 - o.get("dampening", 0.0))
    v = None
    for g in gradients:
        if decay:
            g = r(g + decay * w, fmt)
        if momentum:
            v = g if v is None else r(r(momentum * v, fmt) + damping * g, fmt)
            g = r(g + momentum * v, fmt) if o.get("nesterov") else v
        w = r(w - lr * g, fmt)
    return w


def adam(fmt: FloatFormat, w: Fraction, gradients: list[Fraction], o: dict[str, Any]) -> Fraction:
    beta1, beta2 = o.get("betas", (0.9, 0.999))
    lr, decay = o.get("lr", 1e-3), o.get("weight_decay", 1e-2 if o["decoupled"] else 0.0)
    m = v = Fraction(0)
    for t, g in enumerate(gradients, 1):
        if o["decoupled"]:
            w = r(w * Fraction(1.0 - lr * decay), fmt)
        elif decay:
            g = r(g + Fraction(decay) * w, fmt)
        m = r(m + Fraction(1.0 - beta1) * (g - m), fmt)
        v = r(r(Fraction(beta2) * v, fmt) + Fraction(1.0 - beta2) * g * g, fmt)
        first, second = (1.0 - float(Fraction(beta) ** t) for beta in (beta1, beta2))
        size = r(root(v, fmt) / Fraction(math.sqrt(second)), fmt)
        size = r(size + Fraction(o.get("eps", 1e-8)), fmt)
        w = r(w + Fraction(-lr / first) * m / size, fmt)
    return w


CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    ("SGD", {"lr": 0.3, "momentum": 0.7, "dampening": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": (0.2, 0.95), "eps": 1e-3}),
]


@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{o}" for n, o in CASES])
def test_every_assignment_is_rounded_once(name: str, options: dict[str, Any], fmt: str) -> None:
    form, rng, count, steps = get_format(fmt), np.random.default_rng(1), 40, 5
    values = [Tensor(rng.normal(size=count), format=fmt).data for _ in range(steps + 1)]
    for array in values:  # some short numbers, whose products with decimals are all but ties
        array[::3] = np.round(array[::3] * 1e5) * 10.0
    w = Tensor(values[0], requires_grad=True, format=fmt)
    optimizer = getattr(optim, name)([w], **options)
    for gradient in values[1:]:
        w.grad = Tensor(gradient, format=fmt)
        optimizer.step()
    rule = sgd if name == "SGD" else adam
    for i in range(count):
        start, *gradients = (Fraction(float(array[i])) for array in values)
        expected = rule(form, start, gradients, {**options, "decoupled": name == "AdamW"})
        assert Fraction(float(w.data[i])) == expected


@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
def test_a_step_is_the_fused_update(fmt: str) -> None:
    form, rng = get_format(fmt), np.random.default_rng(0)
    start, gradient = (Tensor(rng.normal(size=2000), format=fmt).data for _ in range(2))
    w = Tensor(start, requires_grad=True, format=fmt)
    w.grad = Tensor(gradient, format=fmt)
    optim.SGD([w], lr=0.1).step()
    for a, g, found in zip(start, gradient, w.data, strict=True):
        fused = r(Fraction(float(a)) - Fraction(0.1) * Fraction(float(g)), form)
        assert Fraction(float(found)) == fused
    twice = start - (form.value_dtype.type(0.1) * gradient)
    assert 0.05 < (twice != w.data).mean() < 0.2  # which the test would see

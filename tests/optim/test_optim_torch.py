"""Every optimizer beside PyTorch's: 50 steps in fp32 to 1e-5; schedules and clipping as well."""

from typing import Any

import numpy as np
import pytest
from torch_answers import answers, values

from floatlab import optim
from floatlab.autograd import Tensor

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "betas": (0.3, 0.95)}),  # lerp by more than a half takes the other branch
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.2, "eps": 1e-3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True, "weight_decay": 0.1, "betas": (0.8, 0.6)}),
    ("AdamW", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "maximize": True}),
    ("NAdam", {"maximize": True}),
    ("RMSprop", {"maximize": True}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {"maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.01, "betas": (0.9, 0.5)}),  # which is never long enough
    ("Adamax", {}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5, "eps": 1e-3}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1}),
]


def gradients(step: int, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    rng = np.random.default_rng(step)
    return [(rng.normal(size=s) * 10.0 ** rng.integers(-3, 2)).astype(np.float32) for s in shapes]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{o}" for n, o in CASES])
def test_fifty_steps_follow_torch(name: str, options: dict[str, Any]) -> None:
    shapes = [(4, 3), (5,), ()]
    starts = gradients(1000, shapes)
    steps = [gradients(step, shapes) for step in range(50)]

    def run(weights: list[Any], optimizer: Any, tensor: Any) -> list[np.ndarray]:
        seen = []
        for step, drawn in enumerate(steps):
            for p, g in zip(weights, drawn, strict=True):
                p.grad = tensor(g)
            optimizer.step()
            if step in (0, 1, 4, 49):
                seen += [values(p.data) for p in weights]
        return seen

    def ask(torch: Any) -> Any:
        theirs = [torch.tensor(s, requires_grad=True) for s in starts]
        return run(theirs, getattr(torch.optim, name)(theirs, foreach=False, **options), torch.tensor)

    ours = [Tensor(s, requires_grad=True) for s in starts]
    found = run(ours, getattr(optim, name)(ours, **options), Tensor)
    expected = answers(f"{name} {options}", ask, *starts, *(g for drawn in steps for g in drawn))
    for p, q in zip(found, expected, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-5)


def test_lion_follows_its_paper() -> None:
    # Program 1 of Chen et al. 2023: c = b1 m + (1 - b1) g; w -= lr (sign(c) + decay w); m = b2 m + (1 - b2) g.
    for name, options in [
        ("Lion", {"lr": 0.01}),
        ("Lion", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.3}),
    ]:
        rng = np.random.default_rng(0)
        start, drawn = rng.normal(size=30), rng.normal(size=(50, 30))
        p = Tensor(start, requires_grad=True, format="fp64")
        lion = getattr(optim, name)([p], **options)
        (b1, b2), decay = options.get("betas", (0.9, 0.99)), options.get("weight_decay", 0.0)
        w, m = start.copy(), np.zeros(30)
        for g in drawn:
            p.grad = Tensor(g, format="fp64")
            lion.step()
            w -= options["lr"] * (np.sign(b1 * m + (1 - b1) * g) + decay * w)
            m = b2 * m + (1 - b2) * g
        np.testing.assert_allclose(p.data, w, rtol=1e-12)


def test_the_defaults_are_those_of_torch() -> None:
    for name in ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta"):
        ours = getattr(optim, name)([Tensor([1.0], requires_grad=True)]).defaults

        def ask(torch: Any, name: str = name, ours: Any = ours) -> Any:
            theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)]).defaults
            return np.concatenate([np.ravel(np.float64(theirs[key])) for key in ours])

        expected = answers(f"all defaults of {name}", ask)
        found = np.concatenate([np.ravel(np.float64(value)) for value in ours.values()])
        assert np.array_equal(found, expected), name


@pytest.mark.parametrize("fmt", ["fp16", "bf16"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_pure_low_precision_follows_torch_rounding_by_rounding(name: str, fmt: str) -> None:
    start, steps = gradients(7, [(200,)])[0], 20
    p = Tensor(start, requires_grad=True, format=fmt)
    # A learning rate of 2^-6: PyTorch on the CPU rounds the factor of add(alpha=) to the tensor's type, on
    # the GPU it does not, and we do not.
    options = {"lr": 2.0**-6, "momentum": 0.9} if name == "SGD" else {"lr": 2.0**-6, "eps": 1e-3}
    drawn = [np.random.default_rng(step).normal(size=200).astype(np.float32) for step in range(steps)]

    def ask(torch: Any) -> Any:
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[fmt]
        q = torch.tensor(start).to(dtype).requires_grad_()
        b = getattr(torch.optim, name)([q], foreach=False, **options)
        for g in drawn:
            q.grad = torch.tensor(g).to(dtype)
            b.step()
        return q.detach().float()

    a = getattr(optim, name)([p], **options)
    for g in drawn:
        p.grad = Tensor(g, format=fmt)
        a.step()
    # PyTorch's float32 intermediates can turn a rounding, and the turn is remembered; most weights agree to
    # the bit.
    same = p.data == answers(f"pure {name} {fmt}", ask, start, *drawn)
    assert same.mean() > 0.95, same.mean()


def drive(schedule: Any, optimizer: Any, steps: int) -> Any:
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(rates)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StepLR", {"step_size": 3}),
        ("StepLR", {"step_size": 1, "gamma": 0.7}),
        ("CosineAnnealingLR", {"T_max": 10}),
        ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
        ("LambdaLR", {"lr_lambda": lambda n: 0.9**n}),
    ],
)
def test_schedules_follow_torch(name: str, options: dict[str, Any]) -> None:
    def ask(torch: Any) -> Any:
        b = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3)
        return drive(getattr(torch.optim.lr_scheduler, name)(b, **options), b, 25)

    a = optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.3)
    ours = drive(getattr(optim, name)(a, **options), a, 25)
    theirs = np.array(answers(f"{name} {', '.join(options)}", ask))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_warm_up_follows_torch() -> None:
    def ask(torch: Any) -> Any:
        b = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3)
        return drive(torch.optim.lr_scheduler.LinearLR(b, start_factor=0.25, total_iters=4), b, 8)

    a = optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.3)
    ours = drive(optim.LinearWarmup(a, 4, start_factor=0.25), a, 8)
    theirs = np.array(answers("warm-up", ask))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 5.0, 1e6])
def test_clipping_follows_torch(norm_type: float, max_norm: float) -> None:
    shapes = [(4, 3), (5,), ()]
    drawn = gradients(3, shapes)

    def ask(torch: Any) -> Any:
        theirs = [torch.tensor(g, requires_grad=True) for g in drawn]
        for q, g in zip(theirs, drawn, strict=True):
            q.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
        torch.nn.utils.clip_grad_value_(theirs, max_norm / 2)
        return [norm, *(q.grad for q in theirs)]

    ours = [Tensor(g, requires_grad=True) for g in drawn]
    for p, g in zip(ours, drawn, strict=True):
        p.grad = Tensor(g)
    norm, *expected = answers(f"clipping {norm_type} {max_norm}", ask, *drawn)
    assert optim.clip_grad_norm_(ours, max_norm, norm_type) == pytest.approx(float(norm), rel=1e-6)
    optim.clip_grad_value_(ours, max_norm / 2)
    for p, q in zip(ours, expected, strict=True):
        np.testing.assert_allclose(p.grad.data, q, rtol=1e-6)
